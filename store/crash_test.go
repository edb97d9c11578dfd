package store_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
)

// crashPath tells the test's binary to be the victim: it holds the path of the
// store.
const crashPath = "LLMGW_TEST_CRASH_STORE"

const changesPerVictim = 200

// answering is a set of rules that need no upstream.
func answering(set string, names ...string) rules.File {
	f := rules.File{Set: set, Order: 100}
	for _, name := range names {
		f.Rules = append(f.Rules, rules.Rule{Name: name, Action: rules.Action{Respond: &rules.Respond{Status: 200, Message: "hello"}}})
	}
	return f
}

// changeUntilKilled makes changes and says each that was acknowledged, until
// somebody kills it.
func changeUntilKilled(path string) int {
	key, err := accounts.NewSecretKey([]byte(strings.Repeat("\x01", accounts.SecretKeyBytes)))
	if err != nil {
		return 3
	}
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Path: path, Secret: key, Log: zerolog.Nop()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	for range changesPerVictim {
		name := fmt.Sprintf("k%d", rand.Uint64())
		c, err := s.Change(ctx, accounts.Meta{Kind: "key.create"}, func(st *store.State) error {
			hash := accounts.KeyHash(sha256.Sum256([]byte(name)))
			if err := st.PutKey(accounts.Key{ID: "key_" + name, Name: name, Secrets: []accounts.KeySecret{{Hash: hash}}}); err != nil {
				return err
			}
			return st.PutFile(answering("default", "rule-"+name))
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
		fmt.Println(c.Seq, name)
	}
	return 0
}

func TestNothingAcknowledgedIsLostByAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := newPath(t)
	acknowledged := map[string]int64{}
	for range 6 {
		last := killAfter(t, path, 1+rand.IntN(changesPerVictim-20), acknowledged)
		checkAfterCrash(t, path, acknowledged, last)
	}
	if len(acknowledged) < 6 {
		t.Fatalf("only %d changes were acknowledged", len(acknowledged))
	}
}

// killAfter starts a victim, and kills it without warning when it has made so
// many changes. What it acknowledged until its pipe broke is noted.
func killAfter(t *testing.T, path string, changes int, acknowledged map[string]int64) (last int64) {
	t.Helper()
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), crashPath+"="+path)
	victim.Stderr = os.Stderr
	said, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	for count := 1; lines.Scan(); count++ {
		var seq int64
		var name string
		if _, err := fmt.Sscan(lines.Text(), &seq, &name); err != nil {
			t.Fatalf("victim said %q: %v", lines.Text(), err)
		}
		acknowledged[name], last = seq, seq
		if count == changes {
			if err := victim.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := victim.Wait(); err == nil {
		t.Fatal("the victim ended by itself")
	}
	return last
}

func checkAfterCrash(t *testing.T, path string, acknowledged map[string]int64, last int64) {
	t.Helper()
	s, err := store.Open(t.Context(), options(t, path))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, k := range keys {
		there[k.Name] = true
	}
	for name, seq := range acknowledged {
		if !there[name] {
			t.Errorf("change %d was acknowledged, and its key %s is gone", seq, name)
		}
	}
	h, err := s.Head(t.Context())
	if err != nil || h.Seq < last || h.Seq > last+1 || h.Revision != h.Seq || len(keys) != int(h.Seq) {
		t.Errorf("head %+v (%v) with %d keys, after change %d", h, err, len(keys), last)
	}
	config, err := s.Load(t.Context())
	if err != nil || len(config.Files) != 1 || !there[strings.TrimPrefix(config.Files[0].Rules[0].Name, "rule-")] {
		t.Errorf("configuration %+v, %v", config, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	var verdict string
	if err := raw(t, path).QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity: %q, %v", verdict, err)
	}
}
