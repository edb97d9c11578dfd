package store

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// What must hold, whatever steps a simulation takes.
//
//  1. What a node says of a key was true at some moment since it last looked at
//     the log, made a change of it, or heard of one. So nothing is a success
//     after a revocation on the node that made it or heard of it, nor on any
//     after a look; and a key is never called unknown that was there all the time,
//     whatever fails.
//  2. What is applied never falls as long as nothing that was committed is lost, and
//     no node says that the log broke.
//  3. A node that stands at a change has the configuration of that change, and
//     all of it.
//  4. A change that was acknowledged is made; one that was refused is not.
//  5. When waiting for a revision is over, every node that answers requests has
//     it, and when waiting for a change is, no node answers by an older one.
//  6. A key is read by one at a time on each node, and who waits for that gets
//     nothing older than what held when he began to.
//  7. Once all is quiet and every node has looked, all are equal to the database.

// check holds the world to the invariants that are for every moment.
func (w *sim) check() {
	for _, n := range w.nodes {
		w.checkApplied(n)
		w.ask(n, w.draw(simKeys, "key"))
	}
	w.checkWait(w.nodes[w.draw(len(w.nodes), "who waits")])
}

func (w *sim) checkApplied(n *simNode) {
	seq, _ := n.Applied()
	hash := n.reader.stands().Hash
	if _, left := w.past.in(n.stood); left && seq < n.stoodAt {
		w.failf("%s: applied fell from %d to %d", n.name, n.stoodAt, seq)
	}
	n.stood, n.stoodAt = hash, seq
	if broke := n.reader.broke.Load(); broke != nil && !w.fellOver {
		w.failf("%s: it says that the log broke, which it never did: %s", n.name, broke.Why)
	}
	want, ever := w.past.was[string(hash)]
	if !ever {
		w.failf("%s: it has applied change %d, which never was", n.name, seq)
	}
	if n.inForce != want.config {
		w.failf("%s: at change %d it has configuration %d in force, want %d", n.name, seq, n.inForce, want.config)
	}
}

// numberOf is which configuration this is; -1 where it is none as a whole.
func numberOf(c *rules.Config) int {
	if len(c.Files) == 0 && len(c.Upstreams) == 0 {
		return 0
	}
	if len(c.Files) != 1 || len(c.Upstreams) != 1 {
		return -1
	}
	number, err := strconv.Atoi(c.Files[0].Rules[0].Action.Respond.Message)
	if err != nil || c.Upstreams[0].Models[0] != strconv.Itoa(number) {
		return -1
	}
	return number
}

// ask asks a node for a key, while the world may go on.
func (w *sim) ask(n *simNode, key int) {
	if n.flying[key] {
		w.askAlong(n, key)
		return
	}
	since, hash := n.known[key], simKey(key).Secrets[0].Hash
	n.flying[key] = true
	who, err := n.keys.identify(w.ctx, hash, runHere)
	n.flying[key] = false
	w.verify(n, key, since, who, err)
	for _, a := range n.along[key] {
		select {
		case <-a.flight.done:
			w.verify(n, key, a.since, a.flight.who, a.flight.err)
		default:
			w.failf("%s: who asked along for key %d has no answer", n.name, key)
		}
	}
	n.along[key] = nil
	w.shelve(n)
}

// simAsker waits for a reading that had begun before.
type simAsker struct {
	flight *flight
	since  point
}

func (w *sim) askAlong(n *simNode, key int) {
	hash := simKey(key).Secrets[0].Hash
	if who, ok := n.keys.remembered(&hash); ok {
		var err error
		if who == nil {
			err = unknownKey()
		}
		w.verify(n, key, n.known[key], who, err)
		return
	}
	if w.broken == "every asker reads" {
		delete(n.keys.shard(&hash).flights, hash)
	}
	f, mine := n.keys.join(&hash)
	if mine {
		w.failf("%s: a second reading of key %d at one moment", n.name, key)
	}
	w.use.along++
	n.along[key] = append(n.along[key], simAsker{f, n.known[key]})
}

// verify holds an answer to what held since a point.
func (w *sim) verify(n *simNode, key int, since point, who *accounts.Identity, err error) {
	var state keyState
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		state = keyGone
	case err != nil:
		if !errors.Is(err, accounts.ErrUnavailable) || !w.disturbed {
			w.failf("%s: asking for key %d: %v", n.name, key, err)
		}
		w.use.unavailable++
		return
	default:
		state = stateOf(who)
	}
	if !w.past.held(key, state, since) {
		w.failf("%s: it says that key %d is %s, which it never was since point %d: %s",
			n.name, key, state, since, w.past.points[since].answer(key))
	}
}

func stateOf(who *accounts.Identity) keyState {
	t := truth{keys: [simKeys]keyState{keyActive}, off: who.UserDisabled}
	if !who.RevokedAt.IsZero() {
		t.keys[0] = keyRevoked
	}
	return t.answer(0)
}

// checkWait waits for the newest revision, and for the newest change, with one
// node as the one that is asked, and where there is nothing left to wait for looks
// at what every node does with a request.
func (w *sim) checkWait(asked *simNode) {
	if !asked.current() || slices.ContainsFunc(w.nodes, func(n *simNode) bool { return n.lost }) {
		return // a failover took the row of a node, which writes it again with its next beat
	}
	nodes, err := asked.Nodes(w.ctx)
	if err != nil {
		w.failf("%s: %v", asked.name, err)
		return
	}
	is := w.past.is()
	since := w.clock - is.made
	revision, change := true, true
	for i := range nodes {
		n := &nodes[i]
		if w.broken == "silent nodes are not waited for" && n.Silent() {
			continue
		}
		after := n.FencedAfter()
		if w.broken == "a fence is taken for closed too early" {
			after /= 4
		}
		refuses := after > 0 && since > after
		revision = revision && (refuses || n.Behind >= 0 && n.Revision >= is.revision)
		change = change && n.Behind == 0
	}
	for _, n := range w.nodes {
		refuses := n.staleness > 0 && n.AgeAt(time.Now()) > n.staleness
		if _, left := w.past.in(n.reader.stands().Hash); !left || !n.current() {
			continue // it stands in what a failover has lost: nothing of what is waited for is newer there
		}
		if revision && !refuses && n.inForce != is.config {
			w.failf("nobody waits for revision %d any more, and %s has configuration %d, not %d", is.revision, n.name, n.inForce, is.config)
		}
		if change {
			n.learn(w.past.now())
		}
	}
	if revision {
		w.use.waited++
	}
}

// settle lets everything become quiet, and looks whether all are equal.
func (w *sim) settle() {
	w.say("all becomes quiet")
	w.quiet = true
	for _, n := range w.nodes {
		n.refuse = false
		w.poll(n, w.ctx)
	}
	is := w.past.is()
	for _, n := range w.nodes {
		if seq, revision := n.Applied(); seq != w.past.head().seq || revision != is.revision || n.inForce != is.config {
			w.failf("when all was quiet, %s has change %d, revision %d and configuration %d; want %d, %d and %d",
				n.name, seq, revision, n.inForce, w.past.head().seq, is.revision, is.config)
		}
		for key := range simKeys {
			w.ask(n, key)
		}
		w.beat(n)
	}
	w.checkWait(w.nodes[0])
}
