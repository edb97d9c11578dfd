package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// What must hold, whatever steps a simulation takes.
//
//  1. What a node says of a key was true at some moment since it last looked at
//     the log, or since a hint named the key. So nothing is a success on a node
//     that has looked since the revocation, and a key is never called unknown
//     that was there all the time.
//  2. What is applied never falls as long as nothing that was committed is lost.
//  3. A node that stands at a change has the configuration of that change.
//  4. When waiting for a revision is over, every node that answers requests has
//     it.
//  5. Once all is quiet and every node has looked, all are equal to the database.

// spot is where a log stands. The era grows with each failover that gives
// numbers anew.
type spot struct {
	era int
	seq int64
}

type keyState string

const (
	keyGone    keyState = "unknown"
	keyActive  keyState = "active"
	keyRevoked keyState = "revoked"
)

// truth is what was committed up to some change.
type truth struct {
	keys     [simKeys]keyState
	answer   string
	revision int64
	made     time.Duration // when the revision was committed, or was what a failover left, by the perfect clock
}

// model is all that was ever committed: of each era, what held after each change.
type model struct{ eras [][]truth }

func newModel() model {
	var first truth
	for i := range first.keys {
		first.keys[i] = keyGone
	}
	return model{eras: [][]truth{{first}}}
}

func (m *model) head() spot {
	era := len(m.eras) - 1
	return spot{era: era, seq: int64(len(m.eras[era]) - 1)}
}

func (m *model) now() truth { return m.at(m.head()) }

func (m *model) at(p spot) truth { return m.eras[p.era][p.seq] }

func (m *model) commit(does func(*truth)) {
	next := m.now()
	does(&next)
	era := len(m.eras) - 1
	m.eras[era] = append(m.eras[era], next)
}

// failOver loses what was committed after seq. What is left counts as committed
// at that moment: a node may have looked between the two.
func (m *model) failOver(seq int64, at time.Duration) {
	left := slices.Clone(m.eras[len(m.eras)-1][:seq+1])
	left[seq].made = at
	m.eras = append(m.eras, left)
}

// held says whether a key was in a state at any moment since a place.
func (m *model) held(key int, state keyState, since spot) bool {
	for era := since.era; era < len(m.eras); era++ {
		from := int64(0) // of a later era, a node may have seen any moment
		if era == since.era {
			from = since.seq
		}
		for _, at := range m.eras[era][from:] {
			if at.keys[key] == state {
				return true
			}
		}
	}
	return false
}

// check holds the world to the invariants, as far as they are for every moment.
func (m *sim) check() error {
	for _, n := range m.nodes {
		if err := m.checkApplied(n); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		if err := m.checkKey(n, m.random.IntN(simKeys)); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
	}
	return m.checkWait(m.nodes[m.random.IntN(len(m.nodes))])
}

func (m *sim) checkApplied(n *simNode) error {
	seq, _ := n.Applied()
	if seq < n.before && n.era == len(m.model.eras)-1 && n.era == n.beforeEra {
		return fmt.Errorf("applied fell from %d to %d", n.before, seq)
	}
	n.before, n.beforeEra = seq, n.era
	if want := m.model.at(spot{n.era, seq}); n.inForce != want.answer {
		return fmt.Errorf("at change %d of era %d it has %q in force, want %q", seq, n.era, n.inForce, want.answer)
	}
	return nil
}

func (m *sim) checkKey(n *simNode, key int) error {
	who, err := n.Identify(m.ctx, keyNumber(key).Secrets[0].Hash)
	state := keyActive
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		state = keyGone
	case err != nil:
		return fmt.Errorf("asking for key %d: %w", key, err)
	case who.State(time.Now()) == accounts.KeyRevoked:
		state = keyRevoked
	}
	since := n.known
	since.seq = max(since.seq, n.hinted[key])
	if !m.model.held(key, state, since) {
		return fmt.Errorf("it says that key %d is %s, which it never was since %+v", key, state, since)
	}
	return nil
}

// checkWait waits for the newest revision, with one node as the one that is
// asked, and where there is nothing left to wait for looks at what every node
// does with a request.
func (m *sim) checkWait(asked *simNode) error {
	if asked.known.era != m.model.head().era || slices.ContainsFunc(m.nodes, func(n *simNode) bool { return n.lost }) {
		return nil // a failover took the row of a node, which writes it again with its next beat
	}
	nodes, err := asked.Nodes(m.ctx)
	if err != nil {
		return err
	}
	now := m.model.now()
	since := m.clock - now.made
	for i := range nodes {
		has := nodes[i].Behind >= 0 && nodes[i].Revision >= now.revision
		refuses := nodes[i].FencedAfter() > 0 && since > nodes[i].FencedAfter()
		if !has && !refuses {
			return nil // the wait goes on
		}
	}
	for _, n := range m.nodes {
		refuses := n.staleness > 0 && n.AgeAt(time.Now()) > n.staleness
		if !refuses && n.inForce != now.answer {
			return fmt.Errorf("nobody waits for revision %d any more, and %s answers %q, not %q", now.revision, n.name, n.inForce, now.answer)
		}
	}
	return nil
}

// settle lets everything become quiet, and looks whether all are equal.
func (m *sim) settle() error {
	for _, n := range m.nodes {
		n.refuse = false
		if err := m.advance(m.ctx, n); err != nil {
			return err
		}
	}
	want := m.model.now()
	for _, n := range m.nodes {
		if seq, revision := n.Applied(); seq != m.model.head().seq || revision != want.revision || n.inForce != want.answer {
			return fmt.Errorf("when all was quiet, %s has change %d, revision %d and %q; want %d, %d and %q",
				n.name, seq, revision, n.inForce, m.model.head().seq, want.revision, want.answer)
		}
		for key := range simKeys {
			if err := m.checkKey(n, key); err != nil {
				return fmt.Errorf("when all was quiet, %s: %w", n.name, err)
			}
		}
		m.beat(n)
	}
	return m.checkWait(m.nodes[0])
}
