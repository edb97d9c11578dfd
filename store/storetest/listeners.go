package storetest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

// heard is what a listener was told.
type heard struct {
	mu      sync.Mutex
	changes []accounts.Change
}

func listen(s *store.Store) *heard {
	h := &heard{}
	s.OnChange(func(c accounts.Change) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.changes = append(h.changes, c)
	})
	return h
}

func (h *heard) seqs() (seqs []int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.changes {
		seqs = append(seqs, c.Seq)
	}
	return seqs
}

func testListeners(t *testing.T, empty Database) {
	t.Run("every listener hears of every change, here and elsewhere, once and in order", func(t *testing.T) {
		a, b := two(t, empty)
		first, second, elsewhere := listen(a), listen(a), listen(b)
		asNode(t, b).follow(t)
		var want []int64
		for i := range 20 {
			s := []*store.Store{a, b}[i%3%2]
			want = append(want, must(t, s, putKey(key(string(rune('a'+i)), string(rune('a'+i))))).Seq)
		}
		noted(t, a.Advance(t.Context()))
		eventually(t, "the other node has heard of all", func() bool { return len(elsewhere.seqs()) == len(want) })
		for i, h := range []*heard{first, second, elsewhere} {
			if got := h.seqs(); !slices.Equal(got, want) {
				t.Errorf("%d heard of %v, want %v", i, got, want)
			}
		}
		if c := first.changes[0]; c.Kind != "test.change" || c.Actor != "tester" || !slices.Equal(c.Subjects, []string{"key:key_a"}) {
			t.Errorf("it is told %+v", c)
		}
	})
	t.Run("when a listener hears of a key, the key is already what it became", func(t *testing.T) {
		s := one(t, empty)
		k := key("a", "s1")
		must(t, s, putKey(k))
		if _, err := s.Identify(t.Context(), k.Secrets[0].Hash); err != nil {
			t.Fatal(err)
		}
		state := accounts.KeyActive
		s.OnChange(func(accounts.Change) {
			who, err := s.Identify(t.Context(), k.Secrets[0].Hash)
			if err != nil {
				t.Error(err)
				return
			}
			state = who.State(time.Now())
		})
		k.RevokedAt = time.Now()
		must(t, s, putKey(k))
		if state != accounts.KeyRevoked {
			t.Errorf("it was %s", state)
		}
	})
	t.Run("where the configuration is refused, the change is told all the same, once", func(t *testing.T) {
		n := asNode(t, one(t, empty))
		h := listen(n.Store)
		n.refuse.Store(true)
		must(t, n.Store, putUpstream(upstream("u")))
		_ = n.Advance(t.Context()) // refused again
		n.refuse.Store(false)
		noted(t, n.Advance(t.Context()))
		if got := h.seqs(); !slices.Equal(got, []int64{1}) {
			t.Errorf("heard of %v", got)
		}
	})
}
