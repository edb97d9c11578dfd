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
			ID: "key_1", Name: "ci", Tags: map[string]string{"team": "search", "env": "prod"},
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
		must(t, s, putKey(want))
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
