package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
)

func testHistory(t *testing.T, empty Database) {
	t.Run("a new store has none", func(t *testing.T) {
		s := one(t, empty)
		if past := history(t, s, 0); len(past) != 0 {
			t.Errorf("history is %+v", past)
		}
		for _, n := range []int64{-1, 0, 1} {
			_, err := s.Revision(t.Context(), n)
			if !errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("revision %d: %v", n, err)
			}
			if _, err = s.RulesAt(t.Context(), n); !errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("rules at %d: %v", n, err)
			}
		}
	})
	t.Run("every revision says who, from where, why, and what it changed of the rules", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUpstream(upstream("u")))
		must(t, s, putKey(key("a", "s1")))
		c := must(t, s, func(st *store.State) error { return st.PutFile(file("default", 100, "u", "a", "b")) })
		past := history(t, s, 0)
		if len(past) != 2 || past[0].Number != 2 || past[1].Number != 1 {
			t.Fatalf("history is %+v", past)
		}
		want := rules.Revision{
			Number: 2, At: c.At, Actor: "tester", From: "socket", Kind: "test.change", Message: "because", Kept: true,
			Changes: []rules.PlanChange{
				{Op: rules.PlanAdd, Set: "default", Rule: "a", Position: 1}, {Op: rules.PlanAdd, Set: "default", Rule: "b", Position: 2},
			},
		}
		if got := past[0]; text(t, got) != text(t, want) {
			t.Errorf("got %s\nwant %s", text(t, got), text(t, want))
		}
		if past[1].Changes != nil {
			t.Errorf("a change of upstreams changed the rules: %+v", past[1].Changes)
		}
		if got, err := s.Revision(t.Context(), 2); err != nil || text(t, got) != text(t, want) {
			t.Errorf("alone: %s, %v", text(t, got), err)
		}
		if newest := history(t, s, 1); len(newest) != 1 || newest[0].Number != 2 {
			t.Errorf("the newest one is %+v", newest)
		}
	})
	t.Run("a change that is undone, refused or empty leaves no revision", func(t *testing.T) {
		s := one(t, empty)
		f := putConfig(upstream("u"), file("default", 100, "u", "a"))
		must(t, s, f)
		must(t, s, f)
		for _, bad := range []func(*store.State) error{
			func(st *store.State) error {
				return errors.Join(st.DeleteSet("default"), errors.New("changed my mind"))
			},
			func(st *store.State) error { return st.PutFile(file("default", 100, "nowhere", "a")) },
		} {
			if _, err := s.Change(t.Context(), meta(), bad); err == nil {
				t.Error("it was taken")
			}
		}
		if past := history(t, s, 0); len(past) != 1 {
			t.Errorf("history is %+v", past)
		}
	})
}

func testRulesOfThePast(t *testing.T, empty Database) {
	t.Run("the rules of a revision are those it had, whatever came after", func(t *testing.T) {
		s := one(t, empty)
		first := after(t, s, putConfig(upstream("u"), file("default", 100, "u", "a", "b"), file("team", 5, "u", "c")))
		second := after(t, s, putUpstream(upstream("other")))
		third := after(t, s, func(st *store.State) error {
			return errors.Join(st.DeleteSet("team"), st.PutFile(file("default", 50, "other", "b")))
		})
		for i, want := range []rules.Config{first, second, third} {
			if got := rulesAt(t, s, int64(i+1)); text(t, got) != text(t, want.Files) {
				t.Errorf("at %d the rules were %s\nwant %s", i+1, text(t, got), text(t, want.Files))
			}
		}
	})
	t.Run("it is the same on every node", func(t *testing.T) {
		a, b := two(t, empty)
		must(t, a, putConfig(upstream("u"), file("default", 100, "u", "a")))
		must(t, b, func(st *store.State) error { return st.PutFile(file("default", 100, "u", "b")) })
		if x, y := text(t, history(t, a, 0)), text(t, history(t, b, 0)); x != y || text(t, rulesAt(t, a, 1)) != text(t, rulesAt(t, b, 1)) {
			t.Errorf("a has %s\nb has %s", x, y)
		}
	})
	t.Run("putting the rules of any revision of a random history gives exactly those back", func(t *testing.T) {
		s := one(t, empty)
		rapid.Check(t, func(r *rapid.T) { goBackAnywhere(t, r, s) })
	})
}

// goBackAnywhere makes a random history, then goes back to each of its
// revisions in a random order.
func goBackAnywhere(t *testing.T, r *rapid.T, s *store.Store) {
	must(t, s, putUpstream(upstream("u")))
	then := map[int64]string{head(t, s).Revision: text(t, load(t, s).Files)}
	for i := range rapid.IntRange(1, 6).Draw(r, "changes") {
		c := must(t, s, randomChange(r, i))
		then[c.Revision] = text(t, load(t, s).Files)
	}
	order := rapid.Permutation(slices.Sorted(maps.Keys(then))).Draw(r, "order")
	for _, revision := range order {
		files := rulesAt(t, s, revision)
		c := must(t, s, replaceAll(files))
		if got := text(t, load(t, s).Files); got != then[revision] {
			r.Fatalf("back at %d the rules are %s\nwant %s", revision, got, then[revision])
		}
		if got := text(t, rulesAt(t, s, c.Revision)); got != then[revision] {
			r.Fatalf("the way back to %d is remembered as %s", revision, got)
		}
	}
}

// randomChange puts up to three sets, with rules whose names no other set has,
// or changes an upstream.
func randomChange(r *rapid.T, n int) func(*store.State) error {
	if rapid.IntRange(0, 4).Draw(r, "kind") == 0 {
		return putUpstream(upstream(fmt.Sprintf("u%d", n)))
	}
	names := rapid.Permutation([]string{"a", "b", "c", "d", "e", "f"}).Draw(r, "names")
	var files []rules.File
	for _, set := range []string{"one", "two", "three"} {
		size := rapid.IntRange(0, 3).Draw(r, set)
		size = min(size, len(names))
		if size > 0 {
			files = append(files, file(set, rapid.IntRange(0, 3).Draw(r, "order"), "u", names[:size]...))
			names = names[size:]
		}
	}
	return replaceAll(files)
}

// replaceAll makes files all the sets there are.
func replaceAll(files []rules.File) func(*store.State) error {
	return func(st *store.State) error {
		before, err := st.Files()
		if err != nil {
			return err
		}
		for _, f := range before {
			if err := st.DeleteSet(f.Set); err != nil {
				return err
			}
		}
		for _, f := range files {
			if err := st.PutFile(f); err != nil {
				return err
			}
		}
		return nil
	}
}

// after makes a change and gives what is in force then.
func after(t *testing.T, s *store.Store, f func(*store.State) error) rules.Config {
	t.Helper()
	must(t, s, f)
	return load(t, s)
}

func history(t *testing.T, s *store.Store, limit int) []rules.Revision {
	t.Helper()
	past, err := s.History(t.Context(), limit)
	if err != nil {
		t.Fatal(err)
	}
	return past
}

func rulesAt(t *testing.T, s *store.Store, revision int64) []rules.File {
	t.Helper()
	files, err := s.RulesAt(t.Context(), revision)
	if err != nil {
		t.Fatal(err)
	}
	return files
}
