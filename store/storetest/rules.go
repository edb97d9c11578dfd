package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
)

func testRules(t *testing.T, empty Database) {
	t.Run("sets come by order, then name; rules by position", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putConfig(upstream("u"),
			file("zz", 100, "u", "z2", "z1"), file("aa", 100, "u", "a"), file("first", 5, "u", "f"), file("none", 7, "u")))
		if got, want := names(load(t, s)), "first/5: f none/7: aa/100: a zz/100: z2 z1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("a set becomes what the file says", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putConfig(upstream("u"), file("default", 100, "u", "a", "b", "c"), file("other", 200, "u", "o")))
		must(t, s, putConfig(upstream("u"), file("default", 50, "u", "c", "d", "a")))
		if got, want := names(load(t, s)), "default/50: c d a other/200: o"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("a rule moves from one set to another within a change", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putConfig(upstream("u"), file("one", 1, "u", "a", "b"), file("two", 2, "u", "c")))
		c := must(t, s, putConfig(upstream("u"), file("two", 2, "u", "b", "c"), file("one", 1, "u", "a")))
		if got, want := names(load(t, s)), "one/1: a two/2: b c"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if want := []string{"set:one", "set:two"}; !slices.Equal(c.Subjects, want) {
			t.Errorf("subjects are %v, want %v", c.Subjects, want)
		}
	})
	t.Run("what was put is seen at once within the change", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, func(st *store.State) error {
			if err := putConfig(upstream("u"), file("default", 100, "u", "a"))(st); err != nil {
				return err
			}
			files, err := st.Files()
			if got := names(rules.Config{Files: files}); got != "default/100: a" {
				t.Errorf("got %s", got)
			}
			return err
		})
	})
	t.Run("a deleted set is gone with its rules", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putConfig(upstream("u"), file("one", 1, "u", "a"), file("two", 2, "u", "b")))
		must(t, s, func(st *store.State) error { return st.DeleteSet("one") })
		if got, want := names(load(t, s)), "two/2: b"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		_, err := s.Change(t.Context(), meta(), func(st *store.State) error { return st.DeleteSet("one") })
		if !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("deleting it again: %v", err)
		}
	})
}

func testOneRule(t *testing.T, empty Database) {
	t.Run("a rule comes back as it was put", func(t *testing.T) {
		s := one(t, empty)
		yes := true
		put := rules.Rule{
			Name: "full", Description: "says a lot", Disabled: true,
			Match: rules.Match{
				Path: rules.Paths{Globs: []string{"/v1/chat/completions"}}, Method: []string{"POST"}, Host: []string{"gw.example"},
				Header: map[string]rules.Text{"x-team": {Equals: "search"}}, Model: []string{"gpt-5.1"}, Stream: &yes,
			},
			Action: rules.Action{Upstream: "u", Model: "gpt-5.1-mini", Headers: rules.HeaderEdits{Set: map[string]string{"x-a": "b"}}},
		}
		must(t, s, putConfig(upstream("u"), rules.File{Set: "default", Order: 100, Rules: []rules.Rule{put}}))
		if got, want := text(t, load(t, s).Files[0].Rules[0]), text(t, put); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	})
	t.Run("the last change of the configuration is found behind changes of keys", func(t *testing.T) {
		s := one(t, empty)
		if _, err := s.LastConfigChange(t.Context()); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("in a new store: %v", err)
		}
		must(t, s, putUpstream(upstream("first")))
		want := must(t, s, putUpstream(upstream("second")))
		must(t, s, putKey(key("a", "s1")))
		if got, err := s.LastConfigChange(t.Context()); err != nil || text(t, got) != text(t, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	})
	t.Run("a name that is none is refused", func(t *testing.T) {
		_, err := one(t, empty).Change(t.Context(), meta(), func(st *store.State) error { return st.PutFile(rules.File{Set: "No Name"}) })
		if err == nil {
			t.Error("it was taken")
		}
	})
}

// names shows which sets there are, and which rules, in their order.
func names(c rules.Config) string {
	var out []string
	for _, f := range c.Files {
		out = append(out, fmt.Sprintf("%s/%d:", f.Set, f.Order))
		for _, r := range f.Rules {
			out = append(out, r.Name)
		}
	}
	return strings.Join(out, " ")
}
