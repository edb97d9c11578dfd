package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store/storetest/inprocess"
)

// fleet is a database, a shelf, and nodes that hear of changes late, twice, in
// any order or never. It is driven one step at a time; between asking the shelf
// or the database and hearing the answer, other steps can happen.
type fleet struct {
	moments []state // what held, from the first moment on
	log     []entry // of the database as it is now; entry i has seq i+1
	states  []state // what held when the log had so many entries
	hints   []sent  // all that were ever sent
	nodes   []*fleetNode
	shelf   *inprocess.Exchange
	branch  int // grows with each failover, so that logs differ
	during  func()
}

// state is that of all keys at one moment.
type state [fleetKeys]keyFact

type keyFact struct {
	revoked bool
	owner   int // of fleetUsers
	off     bool
}

// sent is a hint, and the moment of its change.
type sent struct {
	hint   Hint
	moment int
}

type fleetNode struct {
	cache *keyCache
	at    Head
	down  bool           // it does not reach the database
	knows [fleetKeys]int // of each key, the moment that no answer may be older than
}

const (
	fleetKeys  = 3
	fleetUsers = 2
	fleetNodes = 3
	fleetLine  = "lineage_fleet"
)

func newFleet(t *rapid.T) *fleet {
	f := &fleet{shelf: inprocess.New(), during: func() {}}
	f.moments = []state{{{owner: 0}, {owner: 0}, {owner: 1}}}
	f.states = []state{f.moments[0]}
	for range fleetNodes {
		n := &fleetNode{}
		f.nodes = append(f.nodes, n)
		f.restart(t, n, 0)
	}
	return f
}

func (f *fleet) now() int { return len(f.moments) - 1 }

func (f *fleet) head() Head {
	if len(f.log) == 0 {
		return Head{Lineage: fleetLine, Hash: origin(fleetLine)}
	}
	last := &f.log[len(f.log)-1]
	return Head{Lineage: fleetLine, Seq: last.Seq, Hash: last.Hash}
}

// restart makes a node's memory anew, which recalls some of the log.
func (f *fleet) restart(t *rapid.T, n *fleetNode, recalls int) {
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{7}, accounts.SecretKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	nothing := func() {}
	n.cache = newCache(2, 2, 1, outcomes{nothing, nothing, nothing, nothing, nothing, nothing},
		func(_ context.Context, hash accounts.KeyHash) (finding, error) { return f.read(n, hash) })
	n.cache.dropped.limit = 2
	n.cache.shelf = &wares{ledge: newLedge(onShelf{f}), key: key, lineage: func() string { return fleetLine }}
	n.cache.shelf.away.Store(false)
	n.at = f.head()
	from := max(0, len(f.log)-recalls)
	n.cache.dropped.trust(n.at)
	if from > 0 && from < len(f.log) {
		first, rest := f.log[from-1], f.log[from:]
		n.cache.dropped.trust(Head{Lineage: fleetLine, Seq: first.Seq, Hash: first.Hash})
		n.cache.invalidate(subjectsOf(rest), n.at, rest)
	}
	n.synced(f)
}

func subjectsOf(entries []entry) map[string]int64 {
	subjects := map[string]int64{}
	for i := range entries {
		subjects[entries[i].Subjects] = entries[i].Seq // one each
	}
	return subjects
}

// synced says that the node has seen the database as it is now.
func (n *fleetNode) synced(f *fleet) {
	for key := range n.knows {
		n.knows[key] = f.now()
	}
}

// onShelf is the fleet's shelf, with steps that happen while it is asked.
type onShelf struct{ f *fleet }

func (o onShelf) Take(ctx context.Context, name string) ([]byte, error) {
	what, err := o.f.shelf.Take(ctx, name)
	o.f.during()
	return what, err
}

func (o onShelf) Put(ctx context.Context, name string, what []byte, ttl time.Duration) error {
	return o.f.shelf.Put(ctx, name, what, ttl)
}

// read is the database's answer, with steps that happen on its way.
func (f *fleet) read(n *fleetNode, hash accounts.KeyHash) (finding, error) {
	if n.down {
		return finding{}, accounts.ErrUnavailable
	}
	h, fact := f.head(), f.moments[f.now()][hash[0]]
	f.during()
	who := &accounts.Identity{KeyID: fmt.Sprint(hash[0]), UserID: fmt.Sprint(fact.owner), UserDisabled: fact.off, Seq: h.Seq}
	if fact.revoked {
		who.RevokedAt = time.Unix(1, 0)
	}
	return finding{seq: h.Seq, mark: markOf(h.Hash), who: who}, nil
}

// change makes something of the state, and a hint of it.
func (f *fleet) change(subject string, edit func(*state)) sent {
	next := f.moments[f.now()]
	edit(&next)
	f.moments, f.states = append(f.moments, next), append(f.states, next)
	seq := int64(len(f.log) + 1)
	sum := sha256.Sum256(fmt.Append(nil, f.branch, seq, subject, f.head().Hash))
	f.log = append(f.log, entry{Seq: seq, Subjects: subject, Hash: sum[:]})
	s := sent{Hint{Lineage: fleetLine, Seq: seq, ID: fmt.Sprintf("chg_%d_%d", f.branch, seq), Subjects: []string{"set:default", subject}}, f.now()}
	f.hints = append(f.hints, s)
	return s
}

func (f *fleet) revoke(key int) sent {
	return f.change(fmt.Sprintf("key:%d", key), func(m *state) { m[key].revoked = !m[key].revoked })
}

func (f *fleet) give(key, owner int) sent {
	return f.change(fmt.Sprintf("key:%d", key), func(m *state) {
		off := false
		for other := range m {
			off = off || other != key && m[other].owner == owner && m[other].off
		}
		m[key].owner, m[key].off = owner, off
	})
}

func (f *fleet) disable(owner int) sent {
	return f.change(fmt.Sprintf("user:%d", owner), func(m *state) {
		for key := range m {
			if m[key].owner == owner {
				m[key].off = !m[key].off
			}
		}
	})
}

// failover loses the latest changes.
func (f *fleet) failover(lost int) {
	keep := max(0, len(f.log)-lost)
	if keep == len(f.log) {
		return
	}
	f.branch++
	f.log, f.states = f.log[:keep:keep], f.states[:keep+1:keep+1]
	f.moments = append(f.moments, f.states[keep])
}

// advance is what Store.advance does with the log.
func (f *fleet) advance(n *fleetNode) {
	if n.down {
		return
	}
	h := f.head()
	var entries []entry
	if h.Seq > n.at.Seq {
		entries = f.log[n.at.Seq:]
	}
	if f.leads(n.at) && !n.cache.dropped.contradicted(h, entries, n.cache.dropped.look()) {
		n.cache.invalidate(subjectsOf(entries), h, entries)
	} else {
		n.cache.reset()
		n.cache.dropped.trust(h)
	}
	n.at = h
	n.synced(f)
}

// leads says whether the database's log goes on from a head.
func (f *fleet) leads(from Head) bool {
	if from.Seq == 0 {
		return true
	}
	return from.Seq <= int64(len(f.log)) && bytes.Equal(f.log[from.Seq-1].Hash, from.Hash)
}

// deliver brings a hint to a node, some time.
func (f *fleet) deliver(n *fleetNode, s sent, blind bool) {
	h := s.hint
	if blind {
		h.Subjects = nil
	}
	if n.cache.hint(h) && !blind {
		n.learns(f, s)
	}
}

// learns says that the node has heard what a change did.
func (n *fleetNode) learns(f *fleet, s sent) {
	for key := range n.knows {
		owner := fmt.Sprintf("user:%d", f.moments[s.moment][key].owner)
		if subject := s.hint.Subjects[1]; subject == fmt.Sprintf("key:%d", key) || subject == owner {
			n.knows[key] = max(n.knows[key], s.moment)
		}
	}
}

// own is a change that the node made and then could not read.
func (f *fleet) own(n *fleetNode, s sent) {
	n.cache.dropped.doubt()
	n.cache.drop(s.hint.Subjects)
	n.learns(f, s)
}

// ask asks a node, and holds the answer to what the node knew when it was asked.
func (f *fleet) ask(t *rapid.T, n *fleetNode, key int) {
	since := n.knows[key]
	here := func(run func(context.Context)) bool { run(context.Background()); return true }
	who, err := n.cache.identify(context.Background(), accounts.KeyHash{byte(key)}, here)
	if err != nil {
		if !errors.Is(err, accounts.ErrUnavailable) {
			t.Fatalf("key %d: %v", key, err)
		}
		return
	}
	f.settle(n)
	for _, m := range f.moments[since:] {
		if m[key].revoked == !who.RevokedAt.IsZero() && m[key].off == who.UserDisabled && fmt.Sprint(m[key].owner) == who.UserID {
			return
		}
	}
	t.Fatalf("key %d is answered %+v, which has not held since moment %d of %+v", key, who, since, f.moments)
}

// settle puts on the shelf what waits for that.
func (f *fleet) settle(n *fleetNode) {
	for {
		select {
		case p := <-n.cache.shelf.puts:
			n.cache.shelf.put(context.Background(), p)
		default:
			return
		}
	}
}

// step does one thing that can happen without asking for a key.
func (f *fleet) step(t *rapid.T) {
	n := f.nodes[rapid.IntRange(0, fleetNodes-1).Draw(t, "node")]
	key := rapid.IntRange(0, fleetKeys-1).Draw(t, "key")
	switch rapid.SampledFrom([]string{"revoke", "give", "disable", "own", "hint", "hint", "blind", "advance", "advance", "cut", "failover", "restart"}).Draw(t, "step") {
	case "revoke":
		f.revoke(key)
	case "give":
		f.give(key, key%fleetUsers)
	case "disable":
		f.disable(key % fleetUsers)
	case "own":
		f.own(n, f.revoke(key))
	case "hint", "blind":
		if len(f.hints) > 0 {
			recent := max(0, len(f.hints)-6)
			f.deliver(n, f.hints[rapid.IntRange(recent, len(f.hints)-1).Draw(t, "hint")], key == 0)
		}
	case "advance":
		f.advance(n)
	case "cut":
		n.down = !n.down
	case "failover":
		f.failover(rapid.IntRange(0, 3).Draw(t, "lost"))
	case "restart":
		if !n.down {
			f.restart(t, n, rapid.IntRange(0, 4).Draw(t, "recalls"))
		}
	}
}

// rounds of rapid's hundred are tried at each run.
const rounds = 60

// TestNothingComesBackFromTheShelf holds nodes that share a shelf to this: no
// answer is older than what the node has read of the log, or heard in a hint,
// whatever is lost, late or doubled, and whatever the database forgets.
func TestNothingComesBackFromTheShelf(t *testing.T) {
	var use fleetUse
	for range rounds {
		rapid.Check(t, func(t *rapid.T) { sail(t, &use) })
	}
	t.Logf("taken from the shelf: %d, of these without the database: %d; refused: %d", use.taken, use.alone, use.refused)
	if use.taken == 0 || use.alone == 0 || use.refused == 0 {
		t.Error("the shelf was of no use, so that this shows nothing")
	}
}

// fleetUse counts what the shelf was good for.
type fleetUse struct{ taken, alone, refused int64 }

func sail(t *rapid.T, use *fleetUse) {
	f := newFleet(t)
	for range rapid.IntRange(10, 60).Draw(t, "steps") {
		if rapid.Bool().Draw(t, "ask") {
			f.askWhile(t, f.nodes[rapid.IntRange(0, fleetNodes-1).Draw(t, "asked")], use)
		} else {
			f.step(t)
		}
	}
	for _, n := range f.nodes {
		use.taken += n.cache.shelf.count.taken.Load()
		use.refused += n.cache.shelf.count.stale.Load()
	}
}

// askWhile asks while other things happen.
func (f *fleet) askWhile(t *rapid.T, n *fleetNode, use *fleetUse) {
	f.during = func() {
		if rapid.IntRange(0, 3).Draw(t, "meanwhile") == 0 {
			f.step(t)
		}
	}
	defer func() { f.during = func() {} }()
	shelf, down := n.cache.shelf, n.down
	taken := shelf.count.taken.Load()
	f.ask(t, n, rapid.IntRange(0, fleetKeys-1).Draw(t, "key"))
	if n.down && down {
		use.alone += shelf.count.taken.Load() - taken
	}
}
