package storetest

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

func putBinding(b accounts.Binding) func(*store.State) error {
	return func(st *store.State) error { return st.PutBinding(b) }
}

func tagBinding(id string, order int) accounts.Binding {
	return accounts.Binding{ID: id, Tag: "plan", TagValue: "trial", UpstreamID: "up_full", Order: order, Weight: 1}
}

func testBindings(t *testing.T, empty Database) {
	ready := func(t *testing.T) *store.Store {
		t.Helper()
		s := one(t, empty)
		must(t, s, putUpstream(full(t)))
		must(t, s, putUser(user("dana")))
		must(t, s, putKey(key("a", "s1")))
		return s
	}
	t.Run("a binding comes back as it was put, and is part of the configuration", func(t *testing.T) {
		s := ready(t)
		want := accounts.Binding{
			ID: "binding_1", KeyID: "key_a", UserID: "user_dana", Tag: "plan", TagValue: "trial", UpstreamID: "up_full", CredentialID: "cred_2",
			Order: 7, Weight: 3, Models: []string{"gpt-*"}, CreatedAt: someday, Seq: 4,
		}
		for i := range reflect.TypeFor[accounts.Binding]().NumField() {
			if reflect.ValueOf(want).Field(i).IsZero() {
				t.Fatalf("Binding has a field %s that this test does not know", reflect.TypeFor[accounts.Binding]().Field(i).Name)
			}
		}
		for _, caller := range []func(*accounts.Binding){
			func(b *accounts.Binding) { b.UserID, b.Tag, b.TagValue = "", "", "" },
			func(b *accounts.Binding) { b.KeyID, b.Tag, b.TagValue = "", "", "" },
			func(b *accounts.Binding) { b.KeyID, b.UserID = "", "" },
		} {
			b := want
			caller(&b)
			c := must(t, s, putBinding(b))
			b.Seq = c.Seq
			got, err := s.Bindings(t.Context())
			if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], b) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, b)
			}
			config := load(t, s)
			if config.Revision != c.Revision || !reflect.DeepEqual(config.Bindings, got) {
				t.Errorf("the configuration is %+v", config)
			}
			if again := must(t, s, putBinding(b)); again.ID != "" {
				t.Error("putting the same again was a change")
			}
		}
	})
	t.Run("bindings come by order, then by age", func(t *testing.T) {
		s := ready(t)
		for _, b := range []accounts.Binding{tagBinding("binding_3", 5), tagBinding("binding_1", 9), tagBinding("binding_2", 5)} {
			must(t, s, putBinding(b))
		}
		var got []string
		for _, b := range load(t, s).Bindings {
			got = append(got, b.ID)
		}
		if want := []string{"binding_2", "binding_3", "binding_1"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("what names something that is not there, or is no binding, is refused", func(t *testing.T) {
		s := ready(t)
		for name, spoil := range map[string]func(*accounts.Binding){
			"key":        func(b *accounts.Binding) { b.Tag, b.KeyID = "", "key_none" },
			"user":       func(b *accounts.Binding) { b.Tag, b.UserID = "", "user_none" },
			"upstream":   func(b *accounts.Binding) { b.UpstreamID = "full" }, // a name is no id
			"credential": func(b *accounts.Binding) { b.CredentialID = "cred_none" },
		} {
			b := tagBinding("binding_1", 1)
			spoil(&b)
			if _, err := s.Change(t.Context(), meta(), putBinding(b)); !errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, spoil := range map[string]func(*accounts.Binding){
			"two callers": func(b *accounts.Binding) { b.KeyID = "key_a" },
			"no caller":   func(b *accounts.Binding) { b.Tag = "" },
			"no weight":   func(b *accounts.Binding) { b.Weight = 0 },
			"no id":       func(b *accounts.Binding) { b.ID = "" },
		} {
			b := tagBinding("binding_1", 1)
			spoil(&b)
			if _, err := s.Change(t.Context(), meta(), putBinding(b)); err == nil {
				t.Errorf("%s: it was taken", name)
			}
		}
	})
	t.Run("an upstream or credential that a binding names stays, and the callers are named", func(t *testing.T) {
		s := ready(t)
		b := tagBinding("binding_1", 1)
		b.Tag, b.TagValue, b.KeyID, b.CredentialID = "", "", "key_a", "cred_2"
		must(t, s, putBinding(b))
		less := full(t)
		less.Credentials = less.Credentials[:1]
		for name, f := range map[string]func(*store.State) error{
			"the upstream":   func(st *store.State) error { return st.DeleteUpstream("full") },
			"the credential": putUpstream(less),
		} {
			if _, err := s.Change(t.Context(), meta(), f); !errors.Is(err, accounts.ErrInUse) || !strings.Contains(err.Error(), "bindings of key a") {
				t.Errorf("%s: %v", name, err)
			}
		}
		must(t, s, func(st *store.State) error {
			return errors.Join(st.DeleteBinding("binding_1"), st.DeleteUpstream("full"))
		})
		if _, err := s.Change(t.Context(), meta(), func(st *store.State) error { return st.DeleteBinding("binding_1") }); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("deleting again: %v", err)
		}
	})
}
