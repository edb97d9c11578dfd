package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
)

func testChanges(t *testing.T, empty Database) {
	t.Run("a new store is at zero, under a lineage of its own", func(t *testing.T) {
		h, other := head(t, one(t, empty)), head(t, one(t, empty))
		if h.Seq != 0 || h.Revision != 0 || h.Lineage == "" || h.Lineage == other.Lineage {
			t.Fatalf("heads %+v and %+v", h, other)
		}
	})
	t.Run("the seq moves with every change, the revision with what is compiled", func(t *testing.T) {
		s := one(t, empty)
		for i, step := range []struct {
			f             func(*store.State) error
			seq, revision int64
		}{
			{putKey(key("a", "s1")), 1, 0},
			{putUpstream(upstream("openai")), 2, 1},
			{putKey(key("b", "s2")), 3, 1},
			{putConfig(upstream("openai"), file("default", 100, "openai", "all")), 4, 2},
		} {
			c := must(t, s, step.f)
			if c.Seq != step.seq || c.Revision != step.revision {
				t.Errorf("change %d has seq %d and revision %d, want %d and %d", i+1, c.Seq, c.Revision, step.seq, step.revision)
			}
		}
	})
	t.Run("a change says who, from where, why, and what it touched", func(t *testing.T) {
		s := one(t, empty)
		c := must(t, s, putConfig(upstream("openai"), file("default", 100, "openai", "all")))
		if c.ID == "" || c.Kind != "test.change" || c.Actor != "tester" || c.From != "socket" || c.Why != "because" || c.At.IsZero() {
			t.Errorf("change is %+v", c)
		}
		if want := []string{"upstream:up_openai", "set:default"}; !slices.Equal(c.Subjects, want) {
			t.Errorf("subjects are %v, want %v", c.Subjects, want)
		}
	})
	t.Run("a change that changes nothing is not written", func(t *testing.T) {
		s := one(t, empty)
		f := func(st *store.State) error {
			return errors.Join(putConfig(upstream("openai"), file("default", 100, "openai", "all"))(st), st.PutKey(key("a", "s1")))
		}
		must(t, s, f)
		if c := must(t, s, f); c.Seq != 1 || c.Revision != 1 || c.ID != "" {
			t.Errorf("the second time gave %+v", c)
		}
		if h := head(t, s); h.Seq != 1 {
			t.Errorf("head is at %d", h.Seq)
		}
	})
	t.Run("changes made at once by two nodes get numbers without a gap", func(t *testing.T) { testGapless(t, empty) })
}

func testRefusedChanges(t *testing.T, empty Database) {
	t.Run("an error leaves no trace and takes no number", func(t *testing.T) {
		s := one(t, empty)
		cause := errors.New("changed my mind")
		_, err := s.Change(t.Context(), meta(), func(st *store.State) error {
			return errors.Join(st.PutKey(key("a", "s1")), cause)
		})
		if !errors.Is(err, cause) {
			t.Errorf("error is %v", err)
		}
		if keys, err := s.Keys(t.Context()); err != nil || len(keys) != 0 {
			t.Errorf("keys are %v, %v", keys, err)
		}
		if c := must(t, s, putKey(key("b", "s2"))); c.Seq != 1 {
			t.Errorf("the next change has number %d", c.Seq)
		}
	})
	t.Run("a change against another revision is refused", func(t *testing.T) {
		s := one(t, empty)
		must(t, s, putUpstream(upstream("openai")))
		m, base := meta(), int64(0)
		m.Base = &base
		_, err := s.Change(t.Context(), m, putUpstream(upstream("other")))
		if !errors.Is(err, accounts.ErrChanged) {
			t.Errorf("against 0: %v", err)
		}
		base = 1
		if c, err := s.Change(t.Context(), m, putUpstream(upstream("other"))); err != nil || c.Revision != 2 {
			t.Errorf("against 1: %+v, %v", c, err)
		}
	})
	t.Run("a change that comes twice is made once", func(t *testing.T) {
		s := one(t, empty)
		m := meta()
		m.ID = "chg_mine"
		first, err := s.Change(t.Context(), m, putKey(key("a", "s1")))
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Change(t.Context(), m, func(*store.State) error { t.Error("was run again"); return nil })
		if err != nil || text(t, again) != text(t, first) {
			t.Errorf("again: %+v, %v; first: %+v", again, err, first)
		}
		m.Kind = "other.kind"
		if _, err := s.Change(t.Context(), m, putKey(key("b", "s2"))); !errors.Is(err, accounts.ErrExists) {
			t.Errorf("the id of another change: %v", err)
		}
	})
	t.Run("a configuration that does not compile is refused with its problems", func(t *testing.T) {
		s := one(t, empty)
		_, err := s.Change(t.Context(), meta(), func(st *store.State) error {
			return st.PutFile(file("default", 100, "nowhere", "lost"))
		})
		var problems rules.Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Errorf("error is %v", err)
		}
		if c := load(t, s); len(c.Files) != 0 || c.Revision != 0 {
			t.Errorf("stored all the same: %+v", c)
		}
	})
	t.Run("after Close nothing works, and says that the store is unavailable", func(t *testing.T) {
		s := one(t, empty)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, changed := s.Change(t.Context(), meta(), putKey(key("a", "s1")))
		_, loaded := s.Load(t.Context())
		_, identified := s.Identify(t.Context(), accounts.HashKey("s1"))
		for _, err := range []error{changed, loaded, identified, s.Advance(t.Context()), s.Follow(t.Context())} {
			if !errors.Is(err, accounts.ErrUnavailable) {
				t.Errorf("error is %v", err)
			}
		}
	})
}

func testGapless(t *testing.T, empty Database) {
	const workers, each = 4, 10
	a, b := two(t, empty)
	var all sync.WaitGroup
	numbers := make(chan int64, workers*each)
	for w := range workers {
		s := []*store.Store{a, b}[w%2]
		all.Go(func() {
			for i := range each {
				name := fmt.Sprintf("k%d-%d", w, i)
				c, err := s.Change(t.Context(), meta(), putKey(key(name, name)))
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				numbers <- c.Seq
			}
		})
	}
	all.Wait()
	close(numbers)
	var got []int64
	for n := range numbers {
		got = append(got, n)
	}
	slices.Sort(got)
	for i, n := range got {
		if n != int64(i+1) {
			t.Fatalf("number %d is %d", i+1, n)
		}
	}
	if len(got) != workers*each || head(t, a).Seq != workers*each {
		t.Fatalf("%d numbers, head at %d", len(got), head(t, a).Seq)
	}
}
