package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

func testTokens(t *testing.T, empty Database) {
	t.Run("a token that a change makes and another ends stands in the audit, without its hash", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		token := login("1", "dana")
		token.Name, token.From = "ci", "192.0.2.1"
		must(t, s, func(st *store.State) error { return st.PutSession(token) })
		if found, err := s.SessionByHash(t.Context(), token.Hash); err != nil || found.ID != "session_1" {
			t.Errorf("it is %+v, %v", found, err)
		}
		must(t, s, func(st *store.State) error {
			all, err := st.Sessions("user_dana")
			if err == nil && len(all) != 1 {
				err = errors.New("there is not one session within the change")
			}
			return errors.Join(err, st.DeleteSession("session_1"))
		})
		if _, err := s.Session(t.Context(), "session_1"); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("afterwards: %v", err)
		}
		rows := audit(t, s, store.AuditQuery{Subject: "session:session_1"})
		if got := shape(rows); got != "3 delete session:session_1, 2 add session:session_1" {
			t.Fatalf("the audit has %s", got)
		}
		if r := rows[1]; r.Name != "ci" || field(t, r.After, "user_id") != `"user_dana"` || field(t, r.After, "role") != `"member"` ||
			field(t, r.After, "from") != `"192.0.2.1"` || strings.Contains(string(r.After), "hash") || strings.Contains(string(r.After), "sha256") {
			t.Errorf("it says %s", r.After)
		}
	})
	t.Run("a change that fails makes no token and ends none", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		noted(t, s.PutSession(t.Context(), login("1", "dana")))
		enough := errors.New("enough")
		_, err := s.Change(t.Context(), meta(), func(st *store.State) error {
			return errors.Join(st.PutSession(login("2", "dana")), st.DeleteSession("session_1"), enough)
		})
		if left := ids(t, s, "user_dana"); !errors.Is(err, enough) || strings.Join(left, ",") != "session_1" {
			t.Errorf("%v, and there are %q", err, left)
		}
	})
	t.Run("of a login that is refreshed without end only so many used tokens are kept", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		noted(t, s.PutSession(t.Context(), login("1", "dana")))
		at, of := time.Now(), func(n int) accounts.KeyHash { return accounts.HashKey(fmt.Sprint("refresh-", n)) }
		renew := func(old, next int) error {
			at = at.Add(time.Second)
			_, err := s.RenewSession(t.Context(), of(old), of(next), at, at.Add(24*time.Hour))
			return err
		}
		const kept = 2048
		for n := 1; n <= kept+2; n++ {
			noted(t, renew(n, n+1))
		}
		// The first and the second are forgotten: they are no login's, and end none.
		for _, n := range []int{1, 2} {
			if err := renew(n, 0); !errors.Is(err, accounts.ErrNotFound) || len(ids(t, s, "user_dana")) != 1 {
				t.Errorf("token %d: %v, and there are %q", n, err, ids(t, s, "user_dana"))
			}
		}
		if err := renew(3, 0); !errors.Is(err, accounts.ErrNotFound) || len(ids(t, s, "user_dana")) != 0 {
			t.Errorf("token 3, which is known, ends nothing: %v", err)
		}
	})
	t.Run("one of nobody is not made, and one that is not there not ended", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		for name, f := range map[string]func(*store.State) error{
			"nobody's":  func(st *store.State) error { return st.PutSession(login("1", "none")) },
			"not there": func(st *store.State) error { return st.DeleteSession("session_1") },
		} {
			if _, err := s.Change(t.Context(), meta(), f); !errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
