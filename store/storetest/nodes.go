package storetest

import (
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

func nodes(t *testing.T, s *store.Store) []accounts.Node {
	t.Helper()
	all, err := s.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// seenBy is what one store knows of the node that another is; the zero value
// where it knows nothing.
func seenBy(t *testing.T, s, of *store.Store) accounts.Node {
	t.Helper()
	for _, n := range nodes(t, s) {
		if n.ID == of.NodeID() {
			return n
		}
	}
	return accounts.Node{}
}

func testNodes(t *testing.T, empty Database) {
	t.Run("a store that opens is a node, before anything is loaded", func(t *testing.T) {
		s := one(t, empty)
		all := nodes(t, s)
		if len(all) != 1 || all[0].ID != s.NodeID() || !all[0].Self || all[0].Name != "a1" || all[0].Applied != 0 {
			t.Errorf("nodes %+v", all)
		}
	})
	t.Run("two nodes see each other", func(t *testing.T) {
		a, b := two(t, empty)
		if n := len(nodes(t, b)); n != 2 {
			t.Errorf("%d nodes", n)
		}
		if seenBy(t, a, b).Self || !seenBy(t, b, b).Self {
			t.Error("a node does not know which it is")
		}
	})
	t.Run("a node that follows says soon what is in force there", func(t *testing.T) {
		a, b := two(t, empty)
		asNode(t, a)
		asNode(t, b).follow(t)
		c := must(t, a, putUpstream(upstream("u")))
		eventually(t, "b tells of the configuration", func() bool {
			n := seenBy(t, a, b)
			return n.Revision == c.Revision && n.Applied == c.Seq && n.Behind == 0 && n.Problem == ""
		})
		c = must(t, a, putKey(key("a", "s1")))
		eventually(t, "b tells of the key", func() bool { return seenBy(t, a, b).Applied == c.Seq })
	})
	t.Run("a node that cannot take a configuration over says why", func(t *testing.T) {
		a, b := two(t, empty)
		asNode(t, a)
		other := asNode(t, b)
		other.refuse.Store(true)
		other.follow(t)
		c := must(t, a, putUpstream(upstream("u")))
		eventually(t, "b tells of its problem", func() bool {
			n := seenBy(t, a, b)
			return strings.Contains(n.Problem, errRefused.Error()) && n.Revision < c.Revision && n.Behind != 0
		})
		other.refuse.Store(false)
		eventually(t, "the problem has gone", func() bool {
			n := seenBy(t, a, b)
			return n.Problem == "" && n.Revision == c.Revision
		})
	})
	t.Run("a node that closes is gone at once", func(t *testing.T) {
		a, b := two(t, empty)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if all := nodes(t, a); len(all) != 1 || all[0].ID != a.NodeID() {
			t.Errorf("nodes %+v", all)
		}
	})
	t.Run("what a node writes of itself is no change", func(t *testing.T) {
		a, b := two(t, empty)
		asNode(t, b).follow(t)
		before := head(t, a)
		eventually(t, "b has written", func() bool { return seenBy(t, a, b).Behind == 0 })
		if after := head(t, a); after.Seq != before.Seq {
			t.Errorf("head %+v, was %+v", after, before)
		}
	})
}
