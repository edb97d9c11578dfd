package storetest

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

func user(name string) accounts.User {
	return accounts.User{ID: "user_" + name, Name: name, Role: accounts.RoleMember}
}

func putUser(u accounts.User) func(*store.State) error {
	return func(st *store.State) error { return st.PutUser(u) }
}

// owned is a key of a user's.
func owned(name, user string, secrets ...string) accounts.Key {
	k := key(name, secrets...)
	k.UserID = "user_" + user
	return k
}

func noted(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testUsers(t *testing.T, empty Database) {
	t.Run("a user comes back as it was put", func(t *testing.T) {
		s := one(t, empty)
		want := accounts.User{
			ID: "user_1", Name: "dana", Email: "dana@example.com", Role: accounts.RoleOperator, Tags: map[string]string{"team": "search"},
			Disabled: true, Password: accounts.NewSecret("$argon2id$…"), CreatedAt: someday, LastLogin: someday.Add(time.Hour), Seq: 1,
		}
		for i := range reflect.TypeFor[accounts.User]().NumField() {
			if reflect.ValueOf(want).Field(i).IsZero() {
				t.Fatalf("User has a field %s that this test does not know", reflect.TypeFor[accounts.User]().Field(i).Name)
			}
		}
		must(t, s, putUser(want))
		noted(t, s.NoteLogin(t.Context(), "user_1", want.LastLogin))
		for _, nameOrID := range []string{"dana", "user_1"} {
			if got, err := s.User(t.Context(), nameOrID); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s gives %+v, %v", nameOrID, got, err)
			}
		}
		if all, err := s.Users(t.Context()); err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], want) {
			t.Errorf("listed: %+v, %v", all, err)
		}
		if c := must(t, s, putUser(want)); c.ID != "" {
			t.Error("putting the same again was a change")
		}
		if _, err := s.User(t.Context(), "none"); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
	})
	t.Run("a user becomes what is put under its id, and its Seq moves", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUser(user("dana")))
		next := user("lee")
		next.ID, next.Role = "user_dana", accounts.RoleAdmin
		c := must(t, s, putUser(next))
		got, err := s.User(t.Context(), "lee")
		if err != nil || got.Role != accounts.RoleAdmin || got.Seq != c.Seq || got.CreatedAt.IsZero() || !got.Password.IsZero() {
			t.Errorf("got %+v, %v", got, err)
		}
		if want := []string{"user:user_dana"}; !slices.Equal(c.Subjects, want) || c.Revision != 0 {
			t.Errorf("the change is %+v", c)
		}
	})
	t.Run("a name that is taken, a role that is none and no id are refused", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUser(user("dana")))
		clash, boss := user("dana"), user("boss")
		clash.ID, boss.Role = "user_other", "boss"
		if _, err := s.Change(t.Context(), meta(), putUser(clash)); !errors.Is(err, accounts.ErrExists) {
			t.Errorf("the name: %v", err)
		}
		for _, bad := range []accounts.User{boss, {Name: "x", Role: accounts.RoleMember}} {
			if _, err := s.Change(t.Context(), meta(), putUser(bad)); err == nil {
				t.Errorf("%+v was taken", bad)
			}
		}
	})
	t.Run("a key of an owner who is not there is refused", func(t *testing.T) {
		if _, err := one(t, empty).Change(t.Context(), meta(), putKey(owned("a", "nobody", "s1"))); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("error is %v", err)
		}
	})
}

func testDeletedUsers(t *testing.T, empty Database) {
	remove := func(nameOrID string) func(*store.State) error {
		return func(st *store.State) error { return st.DeleteUser(nameOrID) }
	}
	t.Run("one who owns keys in force is not deleted, and the keys are named", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUser(user("dana")))
		must(t, s, putKey(owned("a", "dana", "s1")))
		must(t, s, putKey(owned("b", "dana", "s2")))
		_, err := s.Change(t.Context(), meta(), remove("dana"))
		if !errors.Is(err, accounts.ErrInUse) || !strings.Contains(err.Error(), "keys a, b") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("revoked keys become nobody's, and bindings and sessions go along", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUser(user("dana")))
		k := owned("a", "dana", "s1")
		k.RevokedAt = someday
		must(t, s, putKey(k))
		must(t, s, putUpstream(upstream("u")))
		must(t, s, putBinding(accounts.Binding{ID: "binding_1", UserID: "user_dana", UpstreamID: "up_u", Weight: 1}))
		noted(t, s.PutSession(t.Context(), login("1", "dana")))
		if _, err := s.Identify(t.Context(), accounts.HashKey("s1")); err != nil {
			t.Fatal(err)
		}
		c := must(t, s, remove("user_dana"))
		for _, subject := range []string{"user:user_dana", "key:key_a", "binding:binding_1"} {
			if !slices.Contains(c.Subjects, subject) {
				t.Errorf("subjects are %v", c.Subjects)
			}
		}
		if got, err := s.Key(t.Context(), "a"); err != nil || got.UserID != "" || got.RevokedAt.IsZero() {
			t.Errorf("the key is %+v, %v", got, err)
		}
		if who, err := s.Identify(t.Context(), accounts.HashKey("s1")); err != nil || who.UserID != "" || who.UserName != "" {
			t.Errorf("its caller is %+v, %v", who, err)
		}
		if all, err := s.Bindings(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("bindings are %+v, %v", all, err)
		}
		if all, err := s.Sessions(t.Context(), ""); err != nil || len(all) != 0 {
			t.Errorf("sessions are %+v, %v", all, err)
		}
		if _, err := s.Change(t.Context(), meta(), remove("dana")); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("deleting again: %v", err)
		}
	})
}
