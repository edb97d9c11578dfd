package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

func putKey(s *Store, k accounts.Key) error {
	_, err := s.Change(context.Background(), accounts.Meta{Kind: "key.put"}, func(st *State) error { return st.PutKey(k) })
	return err
}

func keyOf(text string) accounts.Key {
	return accounts.Key{ID: "key_" + text, Name: text, Secrets: []accounts.KeySecret{{Hash: accounts.HashKey(text)}}}
}

func TestAChangeThatPanicsLeavesTheStoreUsable(t *testing.T) {
	s := openHere(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not reach the caller")
			}
		}()
		_, _ = s.Change(t.Context(), accounts.Meta{Kind: "key.put"}, func(st *State) error {
			if err := st.PutKey(keyOf("lost")); err != nil {
				t.Error(err)
			}
			panic("in the middle")
		})
	}()
	if err := putKey(s, keyOf("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Key(t.Context(), "lost"); !errors.Is(err, accounts.ErrNotFound) {
		t.Errorf("what the panic left behind: %v", err)
	}
	if h, err := s.Head(t.Context()); err != nil || h.Seq != 1 {
		t.Errorf("head %+v, %v", h, err)
	}
}

// A database that has no room left fails in the middle of a change, or at its
// COMMIT, and SQLite may take the whole transaction back by itself.
func TestAFullDiskRefusesTheChangeAndNothingElse(t *testing.T) {
	s := openHere(t)
	if err := putKey(s, keyOf("a")); err != nil {
		t.Fatal(err)
	}
	room := func(pages string) {
		t.Helper()
		if _, err := s.pools.Load().writer.ExecContext(t.Context(), "PRAGMA max_page_count = "+pages); err != nil {
			t.Fatal(err)
		}
	}
	room("1") // what it has already, and no more
	big := keyOf("big")
	big.Tags = map[string]string{"x": strings.Repeat("x", 1<<20)}
	if err := putKey(s, big); !errors.Is(err, accounts.ErrUnavailable) {
		t.Fatalf("error is %v", err)
	}
	if who, err := s.Identify(t.Context(), accounts.HashKey("a")); err != nil || who.KeyName != "a" {
		t.Errorf("%v, %v", who, err)
	}
	room("1000000")
	if err := putKey(s, big); err != nil {
		t.Fatal(err)
	}
	if h, err := s.Head(t.Context()); err != nil || h.Seq != 2 {
		t.Errorf("head %+v, %v", h, err)
	}
}

func revoke(s *Store, k accounts.Key) error {
	k.RevokedAt = now().wall
	return putKey(s, k)
}

func TestARevocationIsInForceHereEvenWhereTheLogCannotBeRead(t *testing.T) {
	s := openHere(t)
	k := keyOf("a")
	if err := putKey(s, k); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Identify(t.Context(), accounts.HashKey("a")); err != nil {
		t.Fatal(err)
	}
	path := s.options.Path
	s.commit = func(tx committer) error {
		return errors.Join(tx.Commit(), os.Rename(path, path+".away"))
	}
	if err := revoke(s, k); err != nil {
		t.Fatal(err)
	}
	if err := s.Advance(t.Context()); err == nil {
		t.Fatal("advancing works, so that this shows nothing")
	}
	who, err := s.Identify(t.Context(), accounts.HashKey("a"))
	if err == nil && who.State(now().wall) != accounts.KeyRevoked {
		t.Error("the key that was revoked is served from memory")
	}
}

func TestARevocationThatCloseOvertakesIsInForce(t *testing.T) {
	s := openHere(t)
	k := keyOf("a")
	if err := putKey(s, k); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Identify(t.Context(), accounts.HashKey("a")); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	s.commit = func(tx committer) error {
		go func() { closed <- s.Close() }()
		<-s.closing
		return tx.Commit()
	}
	if err := revoke(s, k); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	who, err := s.Identify(t.Context(), accounts.HashKey("a"))
	if err == nil && who.State(now().wall) != accounts.KeyRevoked {
		t.Error("the key that was revoked is served from memory")
	}
}

func TestOddTextsComeBackAndKeepTheChain(t *testing.T) {
	s := openHere(t)
	other, err := Open(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	for name, why := range map[string]string{
		"new lines": "a\nb\r\n", "very long": strings.Repeat("long ", 1<<18),
		"quotes": `"'\`, "empty": "", "a separator of JavaScript": "\u2028<>&", "a question mark": "? ?1 :x $y",
	} {
		t.Run(name, func(t *testing.T) {
			m := accounts.Meta{Kind: "key.put", Why: why, Actor: why, From: why}
			c, err := s.Change(t.Context(), m, func(st *State) error { return st.PutKey(keyOf(accounts.NewID("k", now().wall))) })
			if err != nil {
				t.Fatal(err)
			}
			if c.Why != why || c.Actor != why || c.From != why {
				t.Errorf("the change says %.40q", c.Why)
			}
			n, err := readNews(t.Context(), other.pools.Load(), other.reader.at, other.reader.calls, other.loadConfig)
			if err != nil || n.broken != "" {
				t.Fatalf("%v, %s", err, n.broken)
			}
			last, err := n.entries[len(n.entries)-1].change()
			if err != nil || last.Why != why {
				t.Errorf("read back as %.40q, %v", last.Why, err)
			}
		})
	}
}

func TestAChangeWhoseCallerLeaves(t *testing.T) {
	for name, leave := range map[string]func(s *Store, cancel func()) func(*State) error{
		"before it begins": func(_ *Store, cancel func()) func(*State) error {
			cancel()
			return func(st *State) error { return st.PutKey(keyOf("a")) }
		},
		"before its first statement": func(_ *Store, cancel func()) func(*State) error {
			return func(st *State) error { cancel(); return st.PutKey(keyOf("a")) }
		},
		"after its last statement": func(_ *Store, cancel func()) func(*State) error {
			return func(st *State) error { defer cancel(); return st.PutKey(keyOf("a")) }
		},
		"before its commit": func(s *Store, cancel func()) func(*State) error {
			s.commit = func(tx committer) error { cancel(); return tx.Commit() }
			return func(st *State) error { return st.PutKey(keyOf("a")) }
		},
		"after its commit": func(s *Store, cancel func()) func(*State) error {
			s.commit = func(tx committer) error { defer cancel(); return tx.Commit() }
			return func(st *State) error { return st.PutKey(keyOf("a")) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openHere(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, failed := s.Change(ctx, accounts.Meta{Kind: "key.put"}, leave(s, cancel))
			s.commit = committer.Commit
			_, err := s.Key(t.Context(), "a")
			switch {
			case failed == nil && err != nil:
				t.Errorf("it was acknowledged and is not there: %v", err)
			case failed != nil && !errors.Is(err, accounts.ErrNotFound):
				t.Errorf("it failed (%v) and is there: %v", failed, err)
			case failed != nil && !errors.Is(failed, accounts.ErrUnavailable):
				t.Errorf("error is %v", failed)
			}
			if err := putKey(s, keyOf("b")); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

// Two nodes of one file change, follow, ask and close all at once. What was
// acknowledged is there for the next one who opens the file, under numbers
// without a gap, and who asked was never told that a key of his is unknown.
func TestTwoNodesThatDoEverythingAtOnceAndClose(t *testing.T) {
	first := openHere(t)
	second, err := Open(t.Context(), first.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := putKey(first, keyOf("old")); err != nil {
		t.Fatal(err)
	}
	var acknowledged atomic.Int64
	var work sync.WaitGroup
	for n, s := range []*Store{first, second} {
		work.Go(func() { _ = s.Follow(t.Context()) })
		for worker := range 3 {
			work.Go(func() {
				for i := 0; ; i++ {
					err := putKey(s, keyOf(fmt.Sprintf("k-%d-%d-%d", n, worker, i)))
					if err != nil {
						if !errors.Is(err, accounts.ErrUnavailable) {
							t.Errorf("changing: %v", err)
						}
						return
					}
					acknowledged.Add(1)
				}
			})
		}
		work.Go(func() {
			for s.Advance(t.Context()) == nil {
				if _, err := s.Identify(t.Context(), accounts.HashKey("old")); errors.Is(err, accounts.ErrNotFound) {
					t.Error("a key that is there is unknown")
				}
				if _, err := s.Load(t.Context()); err != nil && !errors.Is(err, accounts.ErrUnavailable) {
					t.Errorf("loading: %v", err)
				}
			}
		})
	}
	deadline := now()
	for acknowledged.Load() < 100 && now().since(deadline) < 20*time.Second {
		runtime.Gosched()
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Errorf("closing: %v", err)
	}
	work.Wait()

	again, err := Open(t.Context(), first.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	keys, err := again.Keys(t.Context())
	if err != nil || int64(len(keys)) != acknowledged.Load()+1 {
		t.Errorf("%d keys, %d were acknowledged; %v", len(keys), acknowledged.Load()+1, err)
	}
	h, err := again.Head(t.Context())
	if err != nil || h.Seq != int64(len(keys)) {
		t.Errorf("head %+v, %v", h, err)
	}
	zero := Head{Lineage: h.Lineage, Hash: origin(h.Lineage)}
	if n, err := readNews(t.Context(), again.pools.Load(), zero, again.reader.calls, again.loadConfig); err != nil || n.broken != "" {
		t.Errorf("the chain: %v, %s", err, n.broken)
	}
}
