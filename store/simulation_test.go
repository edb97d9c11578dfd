package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// The protocol by which a change reaches every node, as a simulation: some real
// stores on one file, a scheduler that takes one step at a time, drawn from a
// seed, and a model of what was committed. Hints are dropped, doubled, held back
// and put out of order; nodes are killed between any two steps and within a
// change; a COMMIT is made and not answered, or answered and not made; the
// database fails over to an older copy of itself; clocks of machines go at
// different speeds or stand still.
//
// What holds after every step is said in simulationcheck_test.go. The seeds from
// 0 on are run: 300 of them, 50 with -short, LLMGW_TEST_SEEDS where that is set.
// LLMGW_TEST_SEED runs one, and tells its steps.

const (
	seedsByDefault = 300
	seedsShort     = 50
	stepsPerSeed   = 25
	simKeys        = 3
)

func TestSimulation(t *testing.T) {
	template := newTemplate(t)
	if one := os.Getenv("LLMGW_TEST_SEED"); one != "" {
		seed, err := strconv.ParseUint(one, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if err := simulate(t.Context(), template, t.TempDir(), seed, t.Logf); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		return
	}
	seeds := uint64(seedsByDefault)
	if testing.Short() {
		seeds = seedsShort
	}
	if text := os.Getenv("LLMGW_TEST_SEEDS"); text != "" {
		var err error
		if seeds, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	var next atomic.Uint64
	var failed atomic.Bool
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1) - 1; seed < seeds && !failed.Load(); seed = next.Add(1) - 1 {
				dir, err := os.MkdirTemp(memoryDir(), "llmgw-sim")
				if err == nil {
					err = errors.Join(simulate(t.Context(), template, dir, seed, func(string, ...any) {}), os.RemoveAll(dir))
				}
				if err != nil {
					failed.Store(true)
					t.Errorf("seed %d: %v\nsee its steps: LLMGW_TEST_SEED=%d go test ./store -run TestSimulation -v", seed, err, seed)
				}
			}
		})
	}
	workers.Wait()
	t.Logf("%d seeds of %d steps in %s", seeds, stepsPerSeed, time.Since(begun).Round(time.Millisecond))
}

// memoryDir is where files cost no disk, where there is such a place: what a
// crash of the machine leaves is not what is simulated.
func memoryDir() string {
	if stat, err := os.Stat("/dev/shm"); err == nil && stat.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// newTemplate makes an empty store, to be copied for each seed.
func newTemplate(t *testing.T) []byte {
	t.Helper()
	s := openHere(t)
	path := filepath.Join(t.TempDir(), "template.db")
	if _, err := s.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

// sim is one seed's world.
type sim struct {
	ctx    context.Context
	random *rand.Rand
	say    func(string, ...any)
	secret *accounts.SecretKey
	path   string
	nodes  []*simNode
	model  model
	copied *copied // what a failover would go back to; nil: nothing yet
	copies int
	clock  time.Duration // that passed, by a perfect clock
	config int           // counts the configurations that were made
}

// simNode is one gateway, as far as the store knows of it.
type simNode struct {
	*Store
	name      string
	staleness time.Duration
	speed     float64 // of its machine's clocks, about 1

	refuse  bool   // it cannot take configurations over
	inForce string // the configuration, by its one rule's answer
	hints   []Hint // under way to it

	known     spot           // all that was committed up to here is in force there
	hinted    [simKeys]int64 // where known is older: of each key, the same
	era       int            // in which it last applied something
	before    int64          // what it had applied when it was looked at last
	beforeEra int
	owes      bool // it has not written its row since time passed
	lost      bool // the failover lost its row, and it has not written another
}

// simulate runs one seed. An error is what did not hold.
func simulate(ctx context.Context, template []byte, dir string, seed uint64, say func(string, ...any)) (err error) {
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{1}, accounts.SecretKeyBytes)) // as openHere has it
	if err != nil {
		return err
	}
	m := &sim{
		ctx: ctx, random: rand.New(rand.NewPCG(seed, 6)), say: say, secret: key, path: filepath.Join(dir, "llmgw.db"), model: newModel(),
	}
	if err := os.WriteFile(m.path, template, 0o600); err != nil {
		return err
	}
	defer func() {
		for _, n := range m.nodes {
			err = errors.Join(err, n.Close())
		}
	}()
	for i := range 2 + m.random.IntN(4)/3 { // three now and then
		n := &simNode{name: fmt.Sprintf("a%d", i+1), speed: 0.98 + 0.04*m.random.Float64()}
		if m.random.IntN(2) == 0 {
			n.staleness = time.Duration(1+m.random.IntN(60)) * time.Minute
		}
		if err := m.start(n); err != nil {
			return err
		}
		m.nodes = append(m.nodes, n)
	}
	for step := range stepsPerSeed {
		if err := m.step(); err != nil {
			return fmt.Errorf("step %d: %w", step+1, err)
		}
		if err := m.check(); err != nil {
			return fmt.Errorf("after step %d: %w", step+1, err)
		}
	}
	return m.settle()
}

// start opens a node's store, as a gateway does when it begins.
func (m *sim) start(n *simNode) error {
	s, err := Open(m.ctx, Options{
		Path: m.path, Secret: m.secret, Log: zerolog.Nop(), Version: "0.1.0",
		Node: Membership{Name: n.name, MaxStaleness: n.staleness},
	})
	if err != nil {
		return err
	}
	n.Store, n.refuse, n.hints, n.before, n.lost, n.owes = s, false, nil, 0, false, false
	s.OnConfig(func(_ context.Context, c rules.Config) error {
		if n.refuse {
			return errNotNow
		}
		n.inForce = answerOf(&c)
		return nil
	})
	return m.advance(m.ctx, n)
}

var errNotNow = errors.New("not now")

// step takes one step, which the seed draws.
func (m *sim) step() error {
	n := m.nodes[m.random.IntN(len(m.nodes))]
	switch at := m.random.IntN(100); {
	case at < 18:
		return m.changeKey(n)
	case at < 28:
		return m.changeRules(n)
	case at < 46:
		m.say("%s polls", n.name)
		return m.advance(m.ctx, n)
	case at < 50:
		m.say("%s cannot reach the store", n.name)
		gone, cancel := context.WithCancel(m.ctx)
		cancel()
		return m.advance(gone, n)
	case at < 62:
		m.deliver(n)
	case at < 74:
		m.beat(n)
	case at < 80:
		m.say("%s: refuses configurations: %t", n.name, !n.refuse)
		n.refuse = !n.refuse
	case at < 86:
		m.pass(n)
	case at < 89:
		m.say("%s is killed", n.name)
		return errors.Join(n.kill(), m.start(n))
	case at < 90:
		m.say("%s stops", n.name)
		return errors.Join(n.Close(), m.start(n))
	case at < 95:
		return m.copyStore(n)
	default:
		return m.failOver()
	}
	return nil
}

// kill ends a node as SIGKILL does: nothing is written any more.
func (n *simNode) kill() error { return n.pools.Load().close() }

// advance is a poll. Whether its configuration was taken over or not, keys are in
// step after it.
func (m *sim) advance(ctx context.Context, n *simNode) error {
	err := n.Advance(ctx)
	if err == nil || errors.Is(err, errNotNow) {
		m.caughtUp(n)
		return nil
	}
	if ctx.Err() == nil {
		return fmt.Errorf("%s polls: %w", n.name, err)
	}
	return nil
}

// caughtUp notes that a node has looked at the log as it is now.
func (m *sim) caughtUp(n *simNode) {
	n.known, n.hinted = m.model.head(), [simKeys]int64{}
	if bytes.Equal(n.reader.stands().Hash, n.reader.at.Hash) { // and took it over
		n.era = n.known.era
	}
	if n.owes {
		m.beat(n)
	}
}

// beat writes a node's row: drawn, and as Follow does it after the first look
// that a node takes when time has passed.
func (m *sim) beat(n *simNode) {
	m.say("%s beats", n.name)
	n.beatNow(m.ctx)
	n.lost, n.owes = false, false
}

// The ways in which a change may end.
const (
	endsWell      = iota
	diesBefore    // killed before COMMIT
	diesAfter     // killed after COMMIT
	losesAnswer   // COMMIT is made, and its answer lost
	losesQuestion // COMMIT is not made, and an error comes back
	ways
)

// change makes a change on a node, and tells the others.
func (m *sim) change(n *simNode, what string, subjects []string, f func(*State) error, does func(*truth)) error {
	way := endsWell
	if m.random.IntN(4) == 0 {
		way = m.random.IntN(ways)
	}
	m.say("%s: %s, way %d", n.name, what, way)
	n.commit = commitThat(way)
	_, err := n.attempt(m.ctx, f)
	n.commit = committer.Commit
	if err != nil && way == endsWell {
		return fmt.Errorf("%s: %s: %w", n.name, what, err)
	}
	if way != diesBefore && way != losesQuestion {
		m.model.commit(does)
		m.spread(n, subjects)
	}
	switch way {
	case diesBefore, diesAfter:
		return errors.Join(n.kill(), m.start(n))
	case losesQuestion:
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %s, of which the answer was lost: %w", n.name, what, err)
	}
	m.caughtUp(n)
	return nil
}

var errKilled = errors.New("killed")

// attempt is Change, on a node that may be killed within.
func (n *simNode) attempt(ctx context.Context, f func(*State) error) (c accounts.Change, err error) {
	defer func() {
		if v := recover(); v != nil {
			if v != errKilled {
				panic(v)
			}
			err = errKilled
		}
	}()
	return n.Change(ctx, accounts.Meta{Kind: "test"}, f)
}

func commitThat(way int) func(committer) error {
	lost := errors.New("the connection broke")
	switch way {
	case diesBefore:
		return func(committer) error { panic(errKilled) }
	case diesAfter:
		return func(tx committer) error {
			if err := tx.Commit(); err != nil {
				return err
			}
			panic(errKilled)
		}
	case losesAnswer:
		return func(tx committer) error { return errors.Join(tx.Commit(), lost) }
	case losesQuestion:
		return func(committer) error { return lost }
	}
	return committer.Commit
}

func keyNumber(i int) accounts.Key { return keyOf(strconv.Itoa(i)) }

func (m *sim) changeKey(n *simNode) error {
	i := m.random.IntN(simKeys)
	k, state := keyNumber(i), keyActive
	f := func(st *State) error { return st.PutKey(k) }
	switch m.random.IntN(4) {
	case 0, 1:
		k.RevokedAt, state = time.Unix(1_700_000_000, 0), keyRevoked
	case 2:
		state = keyGone
		f = func(st *State) error { return st.DeleteKey(k.ID) }
	}
	if before := m.model.now().keys[i]; before == state {
		return nil // it would change nothing
	}
	return m.change(n, fmt.Sprintf("key %d becomes %s", i, state), []string{"key:" + k.ID}, f,
		func(at *truth) { at.keys[i] = state })
}

func (m *sim) changeRules(n *simNode) error {
	m.config++
	answer := fmt.Sprintf("answer %d", m.config)
	f := rules.File{Set: rules.DefaultSet, Order: rules.DefaultOrder, Rules: []rules.Rule{
		{Name: "r", Action: rules.Action{Respond: &rules.Respond{Status: 200, Message: answer}}},
	}}
	return m.change(n, answer, []string{"set:" + f.Set}, func(st *State) error { return st.PutFile(f) },
		func(at *truth) { at.answer, at.revision, at.made = answer, at.revision+1, m.clock })
}

func answerOf(c *rules.Config) string {
	if len(c.Files) == 0 {
		return ""
	}
	return c.Files[0].Rules[0].Action.Respond.Message
}

// spread sends a hint to every other node; some are lost, some come twice.
func (m *sim) spread(from *simNode, subjects []string) {
	lineage, _ := from.keys.dropped.stands()
	at := m.model.head()
	h := Hint{Lineage: lineage, Seq: at.seq, ID: fmt.Sprintf("chg_%d_%d", at.era, at.seq), Subjects: subjects}
	for _, n := range m.nodes {
		for range m.random.IntN(3) {
			if n != from {
				n.hints = append(n.hints, h)
			}
		}
	}
}

// deliver brings a node any of the hints that are under way to it. What its
// subjects name is read anew after that, however old the hint is.
func (m *sim) deliver(n *simNode) {
	if len(n.hints) == 0 {
		return
	}
	at := m.random.IntN(len(n.hints))
	h := n.hints[at]
	n.hints = append(n.hints[:at], n.hints[at+1:]...)
	m.say("%s hears of change %d, %v", n.name, h.Seq, h.Subjects)
	n.hear(h)
	if n.known.era != m.model.head().era {
		return // it still reads the database that was replaced
	}
	for i := range simKeys {
		for _, subject := range h.Subjects {
			if subject == "key:"+keyNumber(i).ID {
				n.hinted[i] = m.model.head().seq
			}
		}
	}
}

// pass lets time go by: on each machine at the speed of its clocks. One of them
// may be suspended meanwhile, so that its monotonic clock stands still.
func (m *sim) pass(asleep *simNode) {
	d := time.Duration(m.random.IntN(40)) * time.Minute
	suspended := m.random.IntN(3) == 0
	m.say("%s pass, %s is suspended: %t", d, asleep.name, suspended)
	m.clock += d
	for _, n := range m.nodes {
		n.owes = n.owes || d > 0
		by := time.Duration(float64(d) * n.speed)
		monotonic := by
		if suspended && n == asleep {
			monotonic = 0
		}
		good := *n.reader.good.Load()
		good = before(good, monotonic, by)
		n.reader.good.Store(&good)
		n.presence.ago(by)
		n.presence.looked = before(n.presence.looked, by, by)
	}
}

func before(i instant, monotonic, wall time.Duration) instant {
	return instant{monotonic: i.monotonic.Add(-monotonic), wall: i.wall.Add(-wall)}
}

// copied is a copy of the database, and the moment it is of.
type copied struct {
	path  string
	at    spot
	known map[*Store]bool // nodes that have a row there
}

func (m *sim) copyStore(n *simNode) error {
	m.copies++
	c := &copied{path: fmt.Sprintf("%s.copy%d", m.path, m.copies), at: m.model.head(), known: map[*Store]bool{}}
	file, err := n.current(m.ctx)
	if err != nil {
		return err
	}
	m.say("a standby has all up to %+v", c.at)
	if _, err := file.writer.ExecContext(m.ctx, `VACUUM INTO ?`, c.path); err != nil {
		return err
	}
	for _, other := range m.nodes {
		c.known[other.Store] = !other.lost
	}
	m.copied = c
	return os.Chmod(c.path, 0o600)
}

// failOver puts the copy in the place of the database. Nodes that are connected
// go on talking to the old one, until they look where it is.
func (m *sim) failOver() error {
	c := m.copied
	if c == nil || c.at.era != m.model.head().era {
		return nil
	}
	m.say("the database fails over from %+v to %+v", m.model.head(), c.at)
	m.copied = nil
	for _, beside := range []string{"-wal", "-shm"} {
		if err := os.Remove(m.path + beside); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(c.path, m.path); err != nil {
		return err
	}
	m.model.failOver(c.at.seq, m.clock)
	for _, n := range m.nodes {
		n.lost = n.lost || !c.known[n.Store]
	}
	return nil
}
