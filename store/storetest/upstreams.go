package storetest

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
)

// full has a value in every field, so that one which is not stored is noticed.
func full(t *testing.T) accounts.Upstream {
	u := accounts.Upstream{
		ID: "up_full", Name: "full", Provider: accounts.ProviderAnthropic, URL: "https://full.example/v1", Auth: "header:x-key",
		Credentials: []accounts.Credential{
			{ID: "cred_1", Name: "first", Reference: "env:KEY", Last4: "abcd", Weight: 2, Enabled: true, CreatedAt: time.Unix(1, 0).UTC(), Sealed: []byte("s")},
			{ID: "cred_2", Name: "second", Sealed: []byte{0, 1, 2}, CreatedAt: time.Unix(2, 5000).UTC()},
		},
		Wires: []string{"openai-chat"}, Models: []string{"a", "b"},
		Timeouts: accounts.Timeouts{Connect: time.Second, ResponseHeader: time.Minute, FirstToken: 3, Idle: 4 * time.Hour, Total: 5 * time.Millisecond},
		MaxIdle:  7, IdleTimeout: 90 * time.Second, Websocket: true, Enabled: true, Draining: true, Seq: 1, CreatedAt: time.Date(2026, 11, 23, 1, 2, 3, 456_000, time.UTC),
	}
	for _, v := range []any{u, u.Credentials[0], u.Timeouts} {
		for i := range reflect.TypeOf(v).NumField() {
			if reflect.ValueOf(v).Field(i).IsZero() {
				t.Fatalf("%T has a field %s that this test does not know", v, reflect.TypeOf(v).Field(i).Name)
			}
		}
	}
	return u
}

func testUpstreams(t *testing.T, empty Database) {
	t.Run("an upstream comes back as it was put", func(t *testing.T) {
		s := one(t, empty)
		want := full(t)
		must(t, s, putUpstream(want))
		if got := load(t, s).Upstreams[0]; !reflect.DeepEqual(got, want) {
			t.Errorf("got %s\nwant %s", text(t, got), text(t, want))
		}
		if c := must(t, s, putUpstream(want)); c.ID != "" {
			t.Error("putting the same again was a change")
		}
	})
	t.Run("an upstream becomes what is put under its id, and keeps its age", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUpstream(full(t)))
		next := full(t)
		next.Name, next.Models, next.CreatedAt = "renamed", nil, time.Time{}
		next.Credentials = []accounts.Credential{{ID: "cred_3", Name: "first", Reference: "env:NEW", CreatedAt: time.Unix(9, 0).UTC()}, next.Credentials[1]}
		must(t, s, putUpstream(next))
		want := next
		want.CreatedAt, want.Seq = full(t).CreatedAt, 2
		want.Credentials = []accounts.Credential{next.Credentials[1], next.Credentials[0]} // in the order of their ids
		got := load(t, s).Upstreams
		if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("got %s\nwant %s", text(t, got), text(t, want))
		}
	})
	t.Run("an upstream is found by name and by id", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUpstream(upstream("u")))
		must(t, s, func(st *store.State) error {
			byName, err1 := st.Upstream("u")
			byID, err2 := st.Upstream("up_u")
			if err1 != nil || err2 != nil || byName.ID != byID.ID {
				t.Errorf("by name %+v, %v; by id %+v, %v", byName, err1, byID, err2)
			}
			if _, err := st.Upstream("none"); !errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("one that is not there: %v", err)
			}
			return nil
		})
	})
	t.Run("a name that is taken is refused", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUpstream(upstream("u")))
		clash := upstream("u")
		clash.ID = "up_other"
		twice := upstream("v")
		twice.Credentials = []accounts.Credential{{ID: "cred_a", Name: "same"}, {ID: "cred_b", Name: "same"}}
		for _, u := range []accounts.Upstream{clash, twice} {
			if _, err := s.Change(t.Context(), meta(), putUpstream(u)); !errors.Is(err, accounts.ErrExists) {
				t.Errorf("%s: %v", u.ID, err)
			}
		}
	})
	t.Run("the credential of one upstream cannot be taken over by another", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUpstream(full(t)))
		thief := upstream("thief")
		thief.Credentials = full(t).Credentials
		if _, err := s.Change(t.Context(), meta(), putUpstream(thief)); !errors.Is(err, accounts.ErrExists) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("without an id nothing is put", func(t *testing.T) {
		s := one(t, empty)
		_, err1 := s.Change(t.Context(), meta(), putUpstream(accounts.Upstream{Name: "x"}))
		_, err2 := s.Change(t.Context(), meta(), putKey(accounts.Key{Name: "x"}))
		if err1 == nil || err2 == nil {
			t.Errorf("errors are %v, %v", err1, err2)
		}
	})
}

func testUpstreamsInUse(t *testing.T, empty Database) {
	t.Run("it is in use wherever a rule names it, switched off or not", func(t *testing.T) {
		for name, action := range map[string]rules.Action{
			"among upstreams": {Upstreams: []rules.Entry{{Name: "other"}, {Name: "u"}}},
			"as a fallback":   {Upstream: "other", Fallback: []rules.Entry{{Name: "u"}}},
		} {
			s := one(t, empty)
			must(t, s, putUpstream(upstream("other")))
			f := rules.File{Set: "default", Order: 100, Rules: []rules.Rule{{Name: "named", Disabled: true, Action: action}}}
			must(t, s, putConfig(upstream("u"), f))
			_, err := s.Change(t.Context(), meta(), func(st *store.State) error { return st.DeleteUpstream("u") })
			if !errors.Is(err, accounts.ErrInUse) || !strings.Contains(err.Error(), "named") {
				t.Errorf("%s: error is %v", name, err)
			}
		}
	})
	t.Run("an upstream in use is not deleted, and the rules are named", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putConfig(upstream("u"), file("default", 100, "u", "rule-a", "rule-b")))
		remove := func(st *store.State) error { return st.DeleteUpstream("u") }
		_, err := s.Change(t.Context(), meta(), remove)
		if !errors.Is(err, accounts.ErrInUse) || !strings.Contains(err.Error(), "rule-a, rule-b") {
			t.Errorf("error is %v", err)
		}
		must(t, s, func(st *store.State) error { return errors.Join(st.DeleteSet("default"), remove(st)) })
		if got := load(t, s).Upstreams; len(got) != 0 {
			t.Errorf("still there: %+v", got)
		}
		if _, err := s.Change(t.Context(), meta(), remove); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("deleting it again: %v", err)
		}
	})
	t.Run("a deleted upstream takes its credentials along", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUpstream(full(t)))
		must(t, s, func(st *store.State) error { return st.DeleteUpstream("full") })
		again := full(t)
		again.Credentials = nil
		must(t, s, putUpstream(again))
		if got := load(t, s).Upstreams[0].Credentials; len(got) != 0 {
			t.Errorf("they came back: %+v", got)
		}
	})
	t.Run("an upstream that rules name cannot be renamed away", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putConfig(upstream("u"), file("default", 100, "u", "a")))
		renamed := upstream("u")
		renamed.Name = "v"
		if _, err := s.Change(t.Context(), meta(), putUpstream(renamed)); err == nil {
			t.Error("it was")
		}
	})
}
