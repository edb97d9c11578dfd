package store_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

func TestALoginThatEndedSinceTheBackupDoesNotBeginAgain(t *testing.T) {
	path, copied := newPath(t), filepath.Join(t.TempDir(), "copy.db")
	s := open(t, path)
	refresh, next := accounts.HashKey("refresh"), accounts.HashKey("next")
	_, err := s.Change(t.Context(), accounts.Meta{Kind: "user.create"}, func(st *store.State) error {
		return st.PutUser(accounts.User{ID: "user_1", Name: "dana", Role: accounts.RoleAdmin})
	})
	if err != nil {
		t.Fatal(err)
	}
	ends := time.Now().Add(time.Hour)
	for id, session := range map[string]accounts.Session{
		"login_1": {Hash: refresh}, "link_1": {Name: "admin link", Hash: accounts.HashKey("link")}, "token_1": {Name: "ci", Hash: accounts.HashKey("ci")},
	} {
		session.ID, session.UserID, session.Role, session.ExpiresAt = id, "user_1", accounts.RoleAdmin, ends
		if err := s.PutSession(t.Context(), session); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.RenewSession(t.Context(), refresh, next, time.Now(), ends); err != nil {
		t.Fatal(err)
	}
	backup(t, s, copied)
	if err := s.DeleteSessions(t.Context(), "user_1"); err != nil {
		t.Fatal(err)
	}
	closeNow(t, s)
	if _, err := store.Restore(t.Context(), copied, options(t, path)); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	defer closeNow(t, s)
	left, err := s.Sessions(t.Context(), "")
	if err != nil || len(left) != 1 || left[0].ID != "token_1" {
		t.Errorf("sessions are %+v, %v", left, err)
	}
	if _, err := s.RenewSession(t.Context(), next, refresh, time.Now(), ends); !errors.Is(err, accounts.ErrNotFound) {
		t.Errorf("the login goes on: %v", err)
	}
}
