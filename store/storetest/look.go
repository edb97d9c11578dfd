package storetest

import (
	"errors"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

func testLook(t *testing.T, empty Database) {
	t.Run("what changes while somebody looks is not seen", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		noted(t, s.Look(t.Context(), func(st *store.State) error {
			must(t, s, putUser(user("lee")))
			users, err := st.Users()
			if len(users) != 1 || users[0].Name != "dana" {
				t.Errorf("there are %+v", users)
			}
			_, missing := st.User("lee")
			if !errors.Is(missing, accounts.ErrNotFound) {
				t.Errorf("lee is %v", missing)
			}
			return err
		}))
		if _, err := s.User(t.Context(), "lee"); err != nil {
			t.Errorf("afterwards lee is %v", err)
		}
	})
	t.Run("nothing is changed by looking", func(t *testing.T) {
		s := withUsers(t, empty, "dana")
		err := s.Look(t.Context(), func(st *store.State) error { return st.PutUser(user("lee")) })
		if _, missing := s.User(t.Context(), "lee"); err == nil || !errors.Is(missing, accounts.ErrNotFound) {
			t.Errorf("%v, and lee is %v", err, missing)
		}
	})
	t.Run("what looking fails of is told", func(t *testing.T) {
		s, enough := one(t, empty), errors.New("enough")
		if err := s.Look(t.Context(), func(*store.State) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("got %v", err)
		}
	})
}
