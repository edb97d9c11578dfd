package storetest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
	"github.com/llmgw/llmgw/store"
)

// node is what a gateway would hold: the configuration in force.
type node struct {
	*store.Store
	now     atomic.Pointer[rules.Config]
	applied atomic.Int64 // how often
	refuse  atomic.Bool
}

var errRefused = errors.New("cannot use it")

func asNode(t *testing.T, s *store.Store) *node {
	t.Helper()
	n := &node{Store: s}
	s.OnConfig(func(_ context.Context, c rules.Config) error {
		if n.refuse.Load() {
			return errRefused
		}
		n.now.Store(&c)
		n.applied.Add(1)
		return nil
	})
	if err := s.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// follow lets the node follow until the test ends.
func (n *node) follow(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Follow(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("following: %v", err)
		}
	})
}

func testFollow(t *testing.T, empty Database) {
	t.Run("the first look loads, even an empty store", func(t *testing.T) {
		n := asNode(t, one(t, empty))
		if c := n.now.Load(); c == nil || c.Revision != 0 || n.applied.Load() != 1 {
			t.Errorf("configuration is %+v, applied %d times", c, n.applied.Load())
		}
	})
	t.Run("a change is in force on its node when it returns", func(t *testing.T) {
		n := asNode(t, one(t, empty))
		c := must(t, n.Store, putUpstream(upstream("u")))
		if got := n.now.Load(); got.Revision != c.Revision || len(got.Upstreams) != 1 {
			t.Errorf("in force is %+v", got)
		}
		if seq, revision := n.Applied(); seq != c.Seq || revision != c.Revision {
			t.Errorf("applied %d, %d", seq, revision)
		}
	})
	t.Run("a change of a key loads no configuration", func(t *testing.T) {
		n := asNode(t, one(t, empty))
		c := must(t, n.Store, putKey(key("a", "s1")))
		if seq, _ := n.Applied(); seq != c.Seq || n.applied.Load() != 1 {
			t.Errorf("applied %d, loaded %d times", seq, n.applied.Load())
		}
	})
	t.Run("a change on one node reaches the other", func(t *testing.T) {
		a, b := two(t, empty)
		asNode(t, a)
		other := asNode(t, b)
		other.follow(t)
		k := key("a", "s1")
		must(t, a, putKey(k))
		eventually(t, "the other node has the key", func() bool {
			_, err := b.Identify(t.Context(), k.Secrets[0].Hash)
			return err == nil
		})
		k.RevokedAt = time.Now()
		must(t, a, putKey(k))
		eventually(t, "the other node knows it is revoked", func() bool {
			who, err := b.Identify(t.Context(), k.Secrets[0].Hash)
			return err == nil && who.State(time.Now()) == accounts.KeyRevoked
		})
		c := must(t, a, putConfig(upstream("u"), file("default", 100, "u", "all")))
		eventually(t, "the other node has the configuration", func() bool { return other.now.Load().Revision == c.Revision })
		seq, revision := other.Applied()
		if seq != c.Seq || revision != c.Revision || text(t, *other.now.Load()) != text(t, load(t, a)) {
			t.Errorf("applied %d, %d: %s", seq, revision, text(t, *other.now.Load()))
		}
	})
	t.Run("what was read of keys, and of hashes that are none, ahead of the log is of that log", func(t *testing.T) {
		a, b := two(t, empty)
		asNode(t, a)
		asNode(t, b)
		b.OnChange(func(c accounts.Change) {
			if slices.Contains(c.Subjects, store.Everything) {
				t.Errorf("the log is said not to continue, at change %d", c.Seq)
			}
		})
		k := key("a", "s1")
		must(t, a, putKey(k))
		if _, err := b.Identify(t.Context(), accounts.HashKey("none")); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("a hash that is no key: %v", err)
		}
		if who, err := b.Identify(t.Context(), k.Secrets[0].Hash); err != nil || who.KeyName != "a" {
			t.Errorf("a key at the same moment: %+v, %v", who, err)
		}
		if err := b.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		if breaks := b.Problem(); breaks != "" {
			t.Errorf("the node says: %s", breaks)
		}
	})
	t.Run("who comes later gets the configuration in force", func(t *testing.T) {
		s := one(t, empty)
		c := must(t, s, putUpstream(upstream("u")))
		if n := asNode(t, s); n.now.Load().Revision != c.Revision {
			t.Errorf("got %d, want %d", n.now.Load().Revision, c.Revision)
		}
	})
	t.Run("a configuration that a node refuses is tried again, and the last good one stays", func(t *testing.T) { testRefusedConfig(t, empty) })
}

func testRefusedConfig(t *testing.T, empty Database) {
	n := asNode(t, one(t, empty))
	n.refuse.Store(true)
	c := must(t, n.Store, putUpstream(upstream("u")))
	if seq, revision := n.Applied(); seq != 0 || revision != 0 || n.now.Load().Revision != 0 {
		t.Errorf("applied %d, %d", seq, revision)
	}
	if err := n.Advance(t.Context()); !errors.Is(err, errRefused) {
		t.Errorf("tried again: %v", err)
	}
	k := key("a", "s1")
	must(t, n.Store, putKey(k))
	k.RevokedAt = time.Now()
	must(t, n.Store, putKey(k))
	if who, err := n.Identify(t.Context(), k.Secrets[0].Hash); err != nil || who.State(time.Now()) != accounts.KeyRevoked {
		t.Errorf("meanwhile, a revoked key is %+v, %v", who, err)
	}
	stale := n.Age()
	n.refuse.Store(false)
	if err := n.Advance(t.Context()); err != nil {
		t.Errorf("once it is taken: %v", err)
	}
	if _, revision := n.Applied(); revision != c.Revision || n.now.Load().Revision != c.Revision {
		t.Errorf("in force is %d", revision)
	}
	if fresh := n.Age(); fresh >= stale {
		t.Errorf("the age was %s, and is %s", stale, fresh)
	}
}
