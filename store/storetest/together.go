package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

const together = 20 // rounds in which two nodes do two things at once

// atOnce runs two things at the same moment and waits for both.
func atOnce(a, b func()) {
	var both sync.WaitGroup
	start := make(chan struct{})
	for _, f := range []func(){a, b} {
		both.Go(func() { <-start; f() })
	}
	close(start)
	both.Wait()
}

func testTogether(t *testing.T, empty Database) {
	t.Run("whoever is disabled while a login is under way has no session in the end", func(t *testing.T) {
		here, there := two(t, empty)
		for i := range together {
			u := accounts.User{ID: fmt.Sprintf("user_%d", i), Name: fmt.Sprintf("u%d", i), Role: accounts.RoleAdmin}
			must(t, here, func(st *store.State) error { return st.PutUser(u) })
			atOnce(func() {
				err := there.PutSession(t.Context(), accounts.Session{
					ID: "session_" + u.ID, UserID: u.ID, Role: accounts.RoleAdmin,
					Hash: accounts.HashKey(u.ID), ExpiresAt: time.Now().Add(time.Hour),
				})
				if err != nil && !errors.Is(err, accounts.ErrNotFound) {
					t.Error(err)
				}
			}, func() {
				disabled := u
				disabled.Disabled = true
				_, err := here.Change(t.Context(), meta(), func(st *store.State) error { return st.PutUser(disabled) })
				tried(t, err)
			})
			left, err := here.Sessions(t.Context(), u.ID)
			if err != nil || len(left) > 0 {
				t.Errorf("round %d: %d sessions are left, %v", i, len(left), err)
			}
		}
	})
	t.Run("a refresh token that two nodes take at once ends the login", func(t *testing.T) {
		here, there := two(t, empty)
		must(t, here, func(st *store.State) error {
			return st.PutUser(accounts.User{ID: "user_1", Name: "u", Role: accounts.RoleAdmin})
		})
		for i := range together {
			id := fmt.Sprintf("session_%d", i)
			put := accounts.Session{ID: id, UserID: "user_1", Role: accounts.RoleAdmin, Hash: accounts.HashKey(id), ExpiresAt: time.Now().Add(time.Hour)}
			if err := here.PutSession(t.Context(), put); err != nil {
				t.Fatal(err)
			}
			renew := func(s *store.Store, next string) func() {
				return func() {
					now := time.Now()
					_, err := s.RenewSession(t.Context(), put.Hash, accounts.HashKey(id+next), now, now.Add(time.Hour))
					if err != nil && !errors.Is(err, accounts.ErrNotFound) {
						t.Error(err)
					}
				}
			}
			atOnce(renew(here, "a"), renew(there, "b"))
			if _, err := here.Session(t.Context(), id); !errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("round %d: %v", i, err)
			}
		}
	})
	t.Run("two nodes that note the uses of the same keys do not wait for each other for good", func(t *testing.T) {
		here, there := two(t, empty)
		uses := map[string]time.Time{}
		for i := range 50 {
			k := key(fmt.Sprintf("k%02d", i), fmt.Sprint(i))
			must(t, here, putKey(k))
			uses[k.ID] = time.Now()
		}
		for range 5 {
			atOnce(
				func() { tried(t, here.NoteKeyUse(t.Context(), uses)) },
				func() { tried(t, there.NoteKeyUse(t.Context(), uses)) },
			)
		}
	})
	t.Run("changes of many nodes have numbers without a gap, and one chain", func(t *testing.T) {
		const each = 40
		open := empty(t)
		nodes := []*store.Store{open(t), open(t), open(t)}
		var all sync.WaitGroup
		for n, s := range nodes {
			all.Go(func() {
				for i := range each {
					name := fmt.Sprintf("k%d-%d", n, i)
					if _, err := s.Change(context.WithoutCancel(t.Context()), meta(), putKey(key(name, name))); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		}
		all.Wait()
		for _, s := range nodes {
			if err := s.Advance(t.Context()); err != nil {
				t.Error(err)
			}
			if seq, _ := s.Applied(); seq != each*int64(len(nodes)) {
				t.Errorf("the log is at %d", seq)
			}
		}
	})
}

// tried is for goroutines, which must not end the test.
func tried(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
