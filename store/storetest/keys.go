package storetest

import (
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

var someday = time.Date(2030, 1, 2, 3, 4, 5, 6000, time.UTC)

func testKeys(t *testing.T, empty Database) {
	t.Run("a key comes back as it was put", func(t *testing.T) {
		s := one(t, empty)
		want := accounts.Key{
			ID: "key_1", Name: "ci", UserID: "user_dana", Models: []string{"gpt-5*", "!gpt-5-pro"},
			Limits: []accounts.Limit{
				{Amount: 600, Unit: accounts.Requests, Window: accounts.PerMinute}, {Amount: 3, Unit: accounts.Concurrent, Per: accounts.ByUser},
			},
			Disabled: true, KeepStreams: true, LastUsedAt: someday.Truncate(time.Minute), Seq: 2, Tags: map[string]string{"team": "search", "env": "prod"},
			CreatedAt: someday.Add(-3), ExpiresAt: someday, RevokedAt: someday.Add(time.Hour),
			Secrets: []accounts.KeySecret{
				{Hash: accounts.HashKey("old"), Last4: "aaaa", CreatedAt: someday.Add(-time.Hour), ExpiresAt: someday},
				{Hash: accounts.HashKey("new"), Last4: "bbbb", CreatedAt: someday},
			},
		}
		want.CreatedAt = want.CreatedAt.Truncate(time.Microsecond)
		for i := range reflect.TypeFor[accounts.Key]().NumField() {
			if reflect.ValueOf(want).Field(i).IsZero() {
				t.Fatalf("Key has a field %s that this test does not know", reflect.TypeFor[accounts.Key]().Field(i).Name)
			}
		}
		must(t, s, putUser(user("dana")))
		must(t, s, putKey(want))
		noted(t, s.NoteKeyUse(t.Context(), map[string]time.Time{"key_1": someday}))
		for _, nameOrID := range []string{"ci", "key_1"} {
			if got, err := s.Key(t.Context(), nameOrID); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s gives %s, %v\nwant %s", nameOrID, text(t, got), err, text(t, want))
			}
		}
		if got, err := s.Keys(t.Context()); err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("listed: %s, %v", text(t, got), err)
		}
		if _, err := s.Key(t.Context(), "none"); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
	})
	t.Run("a key becomes what is put under its id", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putKey(key("a", "s1", "s2")))
		before, err := s.Key(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		next := key("a", "s2", "s3")
		next.Name, next.Tags = "renamed", nil
		must(t, s, putKey(next))
		after, err := s.Key(t.Context(), "renamed")
		if err != nil || len(after.Secrets) != 2 || after.Tags != nil || !after.CreatedAt.Equal(before.CreatedAt) {
			t.Errorf("got %s, %v", text(t, after), err)
		}
		for secret, want := range map[string]error{"s1": accounts.ErrNotFound, "s2": nil, "s3": nil} {
			if _, err := s.Identify(t.Context(), accounts.HashKey(secret)); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", secret, err, want)
			}
		}
	})
	t.Run("a name or a secret that is taken is refused", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putKey(key("a", "s1")))
		name, secret := key("a", "s2"), key("b", "s1")
		name.ID = "key_other"
		for _, k := range []accounts.Key{name, secret} {
			if _, err := s.Change(t.Context(), meta(), putKey(k)); !errors.Is(err, accounts.ErrExists) {
				t.Errorf("%s: %v", k.ID, err)
			}
		}
	})
	t.Run("within a change, keys are as the change made them", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, func(st *store.State) error {
			if err := st.PutKey(key("a", "s1")); err != nil {
				return err
			}
			k, err := st.Key("a")
			all, err2 := st.Keys()
			if k.ID != "key_a" || len(all) != 1 {
				t.Errorf("got %+v and %+v", k, all)
			}
			return errors.Join(err, err2)
		})
	})
}

func testDeletedKeys(t *testing.T, empty Database) {
	remove := func(nameOrID string) func(*store.State) error {
		return func(st *store.State) error { return st.DeleteKey(nameOrID) }
	}
	t.Run("a deleted key is no key as soon as the change returns, and takes its bindings along", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUpstream(upstream("u")))
		must(t, s, putKey(key("a", "s1", "s2")))
		c := must(t, s, putBinding(accounts.Binding{ID: "binding_1", KeyID: "key_a", UpstreamID: "up_u", Weight: 1}))
		noted(t, s.NoteKeyUse(t.Context(), map[string]time.Time{"key_a": someday}))
		if _, err := s.Identify(t.Context(), accounts.HashKey("s1")); err != nil {
			t.Fatal(err)
		}
		if gone := must(t, s, remove("a")); gone.Revision != c.Revision+1 {
			t.Errorf("the revision went from %d to %d", c.Revision, gone.Revision)
		}
		for _, secret := range []string{"s1", "s2"} {
			if who, err := s.Identify(t.Context(), accounts.HashKey(secret)); !errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("%s is of %+v, %v", secret, who, err)
			}
		}
		if all := load(t, s).Bindings; len(all) != 0 {
			t.Errorf("bindings are %+v", all)
		}
		if _, err := s.Change(t.Context(), meta(), remove("key_a")); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("deleting it again: %v", err)
		}
	})
	t.Run("its name and its secret can be another's, and nothing of it is left", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putKey(key("a", "s1")))
		noted(t, s.NoteKeyUse(t.Context(), map[string]time.Time{"key_a": someday}))
		if c := must(t, s, remove("key_a")); c.Revision != 0 {
			t.Error("it moved the revision")
		}
		c := must(t, s, putKey(key("a", "s1")))
		if k, err := s.Key(t.Context(), "a"); err != nil || !k.LastUsedAt.IsZero() || k.Seq != c.Seq {
			t.Errorf("got %+v, %v", k, err)
		}
	})
}

func testOwners(t *testing.T, empty Database) {
	identify := func(t *testing.T, s *store.Store, secret string) *accounts.Identity {
		t.Helper()
		who, err := s.Identify(t.Context(), accounts.HashKey(secret))
		if err != nil {
			t.Fatal(err)
		}
		return who
	}
	t.Run("an identity says all of its key and of the owner", func(t *testing.T) {
		s := one(t, empty)
		u := user("dana")
		u.Tags = map[string]string{"plan": "trial"}
		must(t, s, putUser(u))
		k := owned("a", "dana", "s1")
		k.Models, k.Limits = []string{"gpt-5*"}, []accounts.Limit{{Amount: 5, Unit: accounts.Requests, Window: accounts.PerMinute}}
		k.Disabled, k.KeepStreams, k.ExpiresAt, k.RevokedAt = true, true, someday, someday
		u.Disabled = true
		must(t, s, putKey(k))
		c := must(t, s, putUser(u))
		want := accounts.Identity{
			KeyID: "key_a", KeyName: "a", Tags: k.Tags, Models: k.Models, Limits: k.Limits, Disabled: true, ExpiresAt: someday, RevokedAt: someday,
			UserID: "user_dana", UserName: "dana", UserTags: u.Tags, UserDisabled: true, KeepStreams: true, Seq: c.Seq,
		}
		for i := range reflect.TypeFor[accounts.Identity]().NumField() {
			if reflect.ValueOf(want).Field(i).IsZero() {
				t.Fatalf("Identity has a field %s that this test does not know", reflect.TypeFor[accounts.Identity]().Field(i).Name)
			}
		}
		if got := identify(t, s, "s1"); !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v\nwant %+v", *got, want)
		}
	})
	t.Run("what becomes of an owner is known of all of their keys, and of no other's, when the change returns", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUser(user("dana")))
		must(t, s, putUser(user("lee")))
		must(t, s, putKey(owned("a", "dana", "s1", "s2")))
		must(t, s, putKey(owned("b", "dana", "s3")))
		must(t, s, putKey(owned("c", "lee", "s4")))
		secrets := []string{"s1", "s2", "s3", "s4"}
		for _, secret := range secrets {
			identify(t, s, secret)
		}
		lees := identify(t, s, "s4")
		dana := user("dana")
		for _, disabled := range []bool{true, false} {
			dana.Disabled = disabled
			must(t, s, putUser(dana))
			for _, secret := range secrets {
				want := accounts.KeyActive
				if disabled && secret != "s4" {
					want = accounts.OwnerDisabled
				}
				if got := identify(t, s, secret).State(time.Now()); got != want {
					t.Errorf("%s is %s, want %s", secret, got, want)
				}
			}
		}
		if identify(t, s, "s4") != lees {
			t.Error("another's key was read again")
		}
	})
	t.Run("a key that is given to another owner depends on that one", func(t *testing.T) {
		s := one(t, empty)
		lee := user("lee")
		must(t, s, putUser(user("dana")))
		must(t, s, putUser(lee))
		must(t, s, putKey(owned("a", "dana", "s1")))
		identify(t, s, "s1")
		must(t, s, putKey(owned("a", "lee", "s1")))
		if who := identify(t, s, "s1"); who.UserName != "lee" {
			t.Errorf("it is %s's", who.UserName)
		}
		lee.Disabled = true
		must(t, s, putUser(lee))
		if got := identify(t, s, "s1").State(time.Now()); got != accounts.OwnerDisabled {
			t.Errorf("it is %s", got)
		}
	})
}

func testIdentify(t *testing.T, empty Database) {
	t.Run("a hash leads to its key", func(t *testing.T) {
		s := one(t, empty)
		c := must(t, s, putKey(key("a", "s1")))
		for _, from := range []string{"the database", "memory"} {
			who, err := s.Identify(t.Context(), accounts.HashKey("s1"))
			if err != nil || who.KeyID != "key_a" || who.KeyName != "a" || who.Tags["team"] != "search" || who.Seq != c.Seq {
				t.Errorf("from %s: %+v, %v", from, who, err)
			}
		}
	})
	t.Run("what ends first counts: the key or the secret", func(t *testing.T) {
		s := one(t, empty)
		both, secret, whole := key("both", "s1"), key("secret", "s2"), key("whole", "s3")
		both.ExpiresAt, both.Secrets[0].ExpiresAt = someday, someday.Add(-time.Hour)
		secret.Secrets[0].ExpiresAt = someday
		whole.ExpiresAt = someday
		for i, k := range []accounts.Key{both, secret, whole} {
			must(t, s, putKey(k))
			who, err := s.Identify(t.Context(), k.Secrets[0].Hash)
			want := []time.Time{someday.Add(-time.Hour), someday, someday}[i]
			if err != nil || !who.ExpiresAt.Equal(want) {
				t.Errorf("%s: %+v, %v; want %s", k.Name, who, err, want)
			}
		}
	})
	t.Run("a revoked key is found, as revoked, as soon as the change returns", func(t *testing.T) {
		s := one(t, empty)
		k := key("a", "s1")
		must(t, s, putKey(k))
		if who, err := s.Identify(t.Context(), k.Secrets[0].Hash); err != nil || who.State(time.Now()) != accounts.KeyActive {
			t.Fatalf("before: %+v, %v", who, err)
		}
		k.RevokedAt = time.Now()
		must(t, s, putKey(k))
		if who, err := s.Identify(t.Context(), k.Secrets[0].Hash); err != nil || who.State(time.Now()) != accounts.KeyRevoked {
			t.Errorf("after: %+v, %v", who, err)
		}
	})
	t.Run("a hash that was no key is one as soon as the change returns", func(t *testing.T) {
		s := one(t, empty)
		for range 2 {
			if who, err := s.Identify(t.Context(), accounts.HashKey("s1")); !errors.Is(err, accounts.ErrNotFound) || who != nil {
				t.Fatalf("before: %+v, %v", who, err)
			}
		}
		must(t, s, putKey(key("a", "s1")))
		if _, err := s.Identify(t.Context(), accounts.HashKey("s1")); err != nil {
			t.Errorf("after: %v", err)
		}
	})
	t.Run("many ask at once and all are answered", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putKey(key("a", "s1")))
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if who, err := s.Identify(t.Context(), accounts.HashKey("s1")); err != nil || who.KeyName != "a" {
					t.Errorf("%+v, %v", who, err)
				}
			})
		}
		all.Wait()
	})
}
