package servers_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/store/storetest/servers"
)

const envChild = "LLMGW_SERVERS_TEST_CHILD"

// startAndWait is this test binary started by a test: it starts servers, says
// where, and waits to be killed.
func startAndWait() int {
	p, err := servers.StartPostgres(context.Background(), servers.PostgresOptions{})
	if err == nil {
		if os.Getenv(envChild) == "frozen" {
			err = p.Freeze()
		}
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	r, err := servers.StartRedis(context.Background(), servers.RedisOptions{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(p.Address(), r.Address(), p.Dir(), r.Dir())
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the test ends, at the latest
	return 0
}

func TestNothingIsLeftWhereTheTestsWereKilled(t *testing.T) {
	if _, err := servers.StartRedis(t.Context(), servers.RedisOptions{Settings: []string{"nonsense 1"}}); errors.Is(err, servers.ErrMissing) {
		t.Skip(err)
	}
	for _, how := range []string{"running", "frozen"} {
		t.Run("servers "+how, func(t *testing.T) {
			self, err := os.Executable()
			must(t, err)
			child := exec.CommandContext(t.Context(), self)
			child.Env = append(os.Environ(), envChild+"="+how)
			in, err := child.StdinPipe()
			must(t, err)
			defer in.Close()
			out, err := child.StdoutPipe()
			must(t, err)
			must(t, child.Start())
			line, err := bufio.NewReader(out).ReadString('\n')
			must(t, err)
			said := strings.Fields(line)
			if len(said) != 4 || !strings.HasPrefix(said[2], "/") {
				t.Fatalf("the child says %q", line)
			}
			must(t, child.Process.Kill())
			if err := child.Wait(); err == nil {
				t.Fatal("the child was not killed")
			}
			for _, address := range said[:2] {
				await(t, address+" is left", func() bool { return !answers(address) })
			}
			for _, dir := range said[2:] {
				await(t, dir+" is removed", func() bool { _, err := os.Stat(dir); return errors.Is(err, fs.ErrNotExist) })
			}
		})
	}
}

func answers(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(patience); !holds(); <-look.C {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
