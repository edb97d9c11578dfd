package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// sim is one simulation.
type sim struct {
	t                *rapid.T
	ctx              context.Context
	steps, meanwhile *rapid.Generator[string]
	broken           string // what is deliberately broken
	wrong            error  // what did not hold, first
	use              *simUse
	secret           *accounts.SecretKey
	path             string
	eye              *sqlx.DB // looks at the database for the simulation
	past             *past
	clock            time.Duration // that passed, by a perfect clock
	config           int           // counts the configurations that were made
	nodes            []*simNode
	mail             []letter
	shelf            simShelf
	copied           *copied // what a failover would go back to; nil: nothing yet
	copies           int

	disturbed bool // something happens in this step, so that what it does may fail
	staying   bool // the database stays where it is meanwhile
	writing   bool // a transaction of somebody has the lock
	quiet     bool // nothing happens any more
	fellOver  bool // changes may be lost
}

// simUse counts what simulations came to, to show that they show something.
type simUse struct{ steps, faults, killed, meanwhile, along, unavailable, taken, stale, waited, failovers int }

func (u *simUse) add(o *simUse) {
	u.steps, u.faults, u.killed, u.meanwhile = u.steps+o.steps, u.faults+o.faults, u.killed+o.killed, u.meanwhile+o.meanwhile
	u.along, u.unavailable, u.taken, u.stale = u.along+o.along, u.unavailable+o.unavailable, u.taken+o.taken, u.stale+o.stale
	u.waited, u.failovers = u.waited+o.waited, u.failovers+o.failovers
}

// simNode is one gateway, as far as the store knows of it.
type simNode struct {
	*Store
	world     *sim
	name      string
	staleness time.Duration
	speed     float64 // of its machine's clocks, about 1

	// What happens to it in the step that it is in.
	passed  int
	event   event
	dead    bool
	does    func(*truth) // of the change under way
	made    point        // of that change; 0: it is not made
	reading map[string]int
	flying  [simKeys]bool
	along   [simKeys][]simAsker

	refuse  bool           // it cannot take configurations over
	inForce int            // the configuration
	known   [simKeys]point // of each key, no answer is older than that
	stood   []byte         // where it was when it was looked at last
	stoodAt int64
	owes    bool // it has not written its row since time passed
	lost    bool // the failover lost its row, and it has not written another
}

// event happens to a node at one of the moments, before and after each statement,
// that a step of it passes through.
type event struct {
	at   int // 0: nothing happens
	what string
}

const (
	breaks = "the connection breaks"
	dies   = "it is killed"
	goesOn = "the world goes on"
)

var (
	errBroke  = errors.New("the connection broke")
	errKilled = errors.New("killed")
	errNotNow = errors.New("not now")
)

func (w *sim) draw(below int, what string) int { return rapid.IntRange(0, below-1).Draw(w.t, what) }

func (w *sim) say(format string, args ...any) { w.t.Logf(format, args...) }

func (w *sim) failf(format string, args ...any) {
	if w.wrong == nil {
		w.wrong = fmt.Errorf(format, args...)
	}
}

func newSim(t *rapid.T, dir string, template []byte, steps *rapid.Generator[string], broken string, use *simUse) (*sim, error) {
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{1}, accounts.SecretKeyBytes)) // as openHere has it
	if err != nil {
		return nil, err
	}
	w := &sim{t: t, steps: steps, meanwhile: simMeanwhile(), ctx: context.Background(), broken: broken, use: use, secret: key, path: filepath.Join(dir, "llmgw.db")}
	if err := os.WriteFile(w.path, template, 0o600); err != nil {
		return nil, err
	}
	if w.eye, err = openWriter(w.path); err != nil {
		return nil, err
	}
	h, err := readHead(w.ctx, session{on: w.eye})
	if err != nil {
		return nil, err
	}
	w.past = pastFrom(h)
	for i := range 2 + w.draw(4, "three")/3 { // three now and then
		n := &simNode{world: w, name: fmt.Sprintf("a%d", i+1), speed: 0.98 + 0.01*float64(w.draw(5, "speed"))}
		if w.draw(2, "fenced") == 0 {
			n.staleness = time.Duration(1+w.draw(60, "minutes")) * time.Minute
		}
		if err := w.start(n, ""); err != nil {
			return w, err
		}
		w.nodes = append(w.nodes, n)
	}
	return w, nil
}

// end closes everything. A step may have been left in its middle.
func (w *sim) end() error {
	errs := []error{w.eye.Close()}
	for _, n := range w.nodes {
		errs = append(errs, n.kill())
	}
	return errors.Join(errs...)
}

// start opens a node's store, as a gateway does when it begins. Nothing fails
// meanwhile.
func (w *sim) start(n *simNode, replaces string) error {
	s, err := Open(w.ctx, Options{
		Path: w.path, Secret: w.secret, Log: zerolog.Nop(), Version: "0.1.0",
		Node: Membership{Name: n.name, MaxStaleness: n.staleness, Replaces: replaces},
	})
	if err != nil {
		return fmt.Errorf("%s starts: %w", n.name, err)
	}
	*n = simNode{Store: s, world: w, name: n.name, staleness: n.staleness, speed: n.speed, reading: map[string]int{}, inForce: n.inForce}
	e := simulated{s.engine, n}
	s.engine = e
	s.pools.Store(e.led(s.pools.Load()))
	if err := n.joins(); err != nil {
		return err
	}
	s.OnConfig(n.takeOver)
	w.poll(n, w.ctx)
	return nil
}

// joins is Store.join, with nobody who works beside the steps.
func (n *simNode) joins() error {
	if err := n.recall(n.world.ctx, n.reader.at); err != nil {
		return err
	}
	n.crier = &crier{bus: simBus{n.world}, key: n.world.secret, queue: make(chan Hint, announcements)}
	n.wares = &wares{
		ledge: newLedge(nodeShelf{n}), key: n.world.secret, version: "0.1.0",
		lineage: func() string { lineage, _ := n.keys.dropped.stands(); return lineage },
	}
	n.wares.away.Store(false)
	n.keys.shelf = n.wares
	if n.world.broken == "a failure is taken for no such key" {
		read := n.keys.read
		n.keys.read = func(ctx context.Context, hash accounts.KeyHash) (finding, error) {
			found, err := read(ctx, hash)
			if err != nil {
				found, err = finding{seq: n.reader.at.Seq, mark: markOf(n.reader.at.Hash)}, nil
			}
			return found, err
		}
	}
	return nil
}

func (n *simNode) takeOver(_ context.Context, c rules.Config) error {
	if n.refuse {
		return errNotNow
	}
	n.inForce = numberOf(&c)
	return nil
}

// kill ends a node as SIGKILL does: nothing is written any more.
func (n *simNode) kill() error { return n.pools.Load().close() }

// current says whether a node has the database open that stands there now.
func (n *simNode) current() bool {
	same, err := n.engine.stands(n.pools.Load())
	return err == nil && same
}

// learn says that no answer of the node is older than a point any more.
func (n *simNode) learn(at point) {
	for key := range n.known {
		n.known[key] = max(n.known[key], at)
	}
}

// runHere is Store.spawn without a goroutine.
func runHere(f func(context.Context)) bool {
	f(context.Background())
	return true
}

// reads notes a reading of a key, until what it returns is called.
func (n *simNode) reads(hash any) (done func()) {
	bytes, ok := hash.([]byte)
	if !ok {
		n.world.failf("a hash is %T", hash)
		return func() {}
	}
	text := string(bytes)
	n.reading[text]++
	if n.reading[text] > 1 {
		n.world.failf("%s: two readings of one key at one moment", n.name)
	}
	return func() { n.reading[text]-- }
}

// step is one of the moments at which something may happen to a node.
func (n *simNode) step(context.Context) error {
	if n.dead {
		return errKilled
	}
	n.passed++
	if n.passed != n.event.at {
		return nil
	}
	w := n.world
	w.say("  %s, at its moment %d: %s", n.name, n.passed, n.event.what)
	switch n.event.what {
	case breaks:
		w.use.faults++
		return errBroke
	case dies:
		w.use.killed++
		n.dead = true
		return errKilled
	}
	w.use.meanwhile++
	for range 1 + w.draw(3, "steps meanwhile") {
		w.goOn(n)
	}
	return nil
}

func (n *simNode) writes(is bool) { n.world.writing = is }

// committed notes the change under way, where the database has it now.
func (n *simNode) committed() {
	w := n.world
	h, err := readHead(w.ctx, session{on: w.eye})
	if err != nil {
		w.failf("looking at the database: %v", err)
		return
	}
	if h.Seq == w.past.head().seq {
		return // it was no change
	}
	if n.does == nil || h.Seq != w.past.head().seq+1 {
		w.failf("%s: the log is at %d, after %d", n.name, h.Seq, w.past.head().seq)
		return
	}
	var id string
	if err := w.eye.GetContext(w.ctx, &id, `SELECT id FROM changes WHERE seq = ?`, h.Seq); err != nil {
		w.failf("looking at the database: %v", err)
	}
	n.made = w.past.commit(h, id, n.does)
}

func simKey(i int) accounts.Key {
	k := keyOf(strconv.Itoa(i))
	if i < simKeys-1 {
		k.UserID = simUser.ID
	}
	return k
}

var simUser = accounts.User{ID: "user_1", Name: "u", Role: accounts.RoleMember}
