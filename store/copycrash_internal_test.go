package store

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// CopyCrashPath tells the test's binary to be a victim that writes copies: it
// holds the path of the copy.
const CopyCrashPath = "LLMGW_TEST_CRASH_COPY"

// CopyUntilKilled writes one copy after the other, each further in the log, and
// says the number of each that is in its place, until somebody kills it.
func CopyUntilKilled(path string) int {
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{1}, accounts.SecretKeyBytes))
	if err != nil {
		return 3
	}
	var names []string
	for n := range 500 {
		names = append(names, fmt.Sprint("key-", n))
	}
	for seq := int64(1); ; seq++ {
		b, err := someCopy("lineage_1", seq, time.Now(), names...).seal(key, copiedDatabase, mostCopied)
		if err == nil {
			err = replaceFile(path, b)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
		fmt.Println(seq)
	}
}

func TestACopyIsWholeWheneverItsWriterIsKilled(t *testing.T) {
	key, dir := sealingKey(t, 1), t.TempDir()
	path := filepath.Join(dir, "store.copy")
	for range 20 {
		last := killWriter(t, path, rand.IntN(40))
		b, err := readCopyFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := openCopy(key, copiedDatabase, b)
		if err != nil {
			t.Fatalf("after it said %d: %v", last, err)
		}
		if seq := c.top.Head.Seq; seq < last || seq > last+1 || len(c.known) != 500 {
			t.Fatalf("after it said %d, there is one of change %d with %d keys", last, seq, len(c.known))
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 2 { // the copy, and one that was being written
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

// killWriter kills a writer some time after it said that many, and gives the last
// number that it said.
func killWriter(t *testing.T, path string, after int) (last int64) {
	t.Helper()
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), CopyCrashPath+"="+path)
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for said.Scan() {
		n, err := strconv.ParseInt(strings.TrimSpace(said.Text()), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if last = n; n == int64(after)+1 {
			time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { _ = victim.Process.Kill() })
		}
	}
	_ = victim.Wait() // it was killed
	return last
}
