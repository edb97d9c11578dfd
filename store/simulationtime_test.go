package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
)

// Nodes that follow, on clocks of a bubble: what a revocation takes to be in force
// everywhere. Hints are lost or late, and the database takes its time. A key that
// was revoked is no success any more
//
//   - on the node that revoked it, at once;
//   - on the others, after a poll and the time of a look;
//   - where a node does not reach the database, before what its age admits.

const (
	boundSeeds   = 40
	boundRuns    = 20 * time.Second
	slowest      = 60 * time.Millisecond // for a statement, there and back
	boundOfLooks = defaultPoll + logWithin
)

func TestARevocationIsInForceEverywhereWithinTheBound(t *testing.T) {
	template := newTemplate(t)
	seeds := boundSeeds
	if underRace {
		seeds /= 4
	}
	var late, cut atomic.Int64
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			b := newBound(t, template, uint64(seed), defaultPoll)
			b.run()
			late.Add(b.late.Load())
			cut.Add(b.cut.Load())
			if b.wrong != "" {
				t.Errorf("seed %d: %s", seed, b.wrong)
			}
		})
	}
	t.Logf("a revoked key was a success, within the bound, %d times; where the database was away, later %d times", late.Load(), cut.Load())
	if late.Load() == 0 || cut.Load() == 0 && !underRace {
		t.Error("nothing was ever late, so that this shows nothing")
	}
}

func TestANodeThatLooksTooSeldomIsFoundOut(t *testing.T) {
	template := newTemplate(t)
	for seed := range boundSeeds {
		found := ""
		synctest.Test(t, func(t *testing.T) {
			b := newBound(t, template, uint64(seed), 4*defaultPoll)
			b.run()
			found = b.wrong
		})
		if found != "" {
			t.Log(found)
			return
		}
	}
	t.Error("nobody notices")
}

type bound struct {
	t     *testing.T
	mu    sync.Mutex
	rand  *rand.Rand
	nodes []*boundNode
	since [simKeys]time.Time // when a key's revocation was acknowledged; zero: it is none, or not for sure
	edits [simKeys]int
	wrong string // what did not hold, first
	late  atomic.Int64
	cut   atomic.Int64
}

type boundNode struct {
	*Store
	b      *bound
	away   atomic.Bool  // the database does not answer
	wasOff atomic.Int64 // when that ended last
}

func newBound(t *testing.T, template []byte, seed uint64, poll time.Duration) *bound {
	t.Helper()
	b := &bound{t: t, rand: rand.New(rand.NewPCG(seed, 7))}
	path := filepath.Join(t.TempDir(), "llmgw.db")
	if err := os.WriteFile(path, template, 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{1}, accounts.SecretKeyBytes)) // as openHere has it
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		s, err := Open(t.Context(), Options{
			Path: path, Secret: key, Log: zerolog.Nop(), PollEvery: poll, Node: Membership{Name: fmt.Sprint("a", i+1)}, Bus: &lossyBus{b: b},
		})
		if err != nil {
			t.Fatal(err)
		}
		n := &boundNode{Store: s, b: b}
		e := simulated{s.engine, n}
		s.engine = e
		s.pools.Store(e.led(s.pools.Load()))
		if err := s.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.nodes = append(b.nodes, n)
	}
	return b
}

// within draws a time.
func (b *bound) within(most time.Duration) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Duration(b.rand.Int64N(int64(most)))
}

// run lets all go on for a while, and ends it.
func (b *bound) run() {
	ctx, cancel := context.WithTimeout(b.t.Context(), boundRuns)
	defer cancel()
	var work sync.WaitGroup
	for i, n := range b.nodes {
		work.Go(func() { _ = n.Follow(ctx) })
		work.Go(func() { n.ask(ctx, i == 0) })
		if i > 0 {
			work.Go(func() { n.goAway(ctx) })
		}
	}
	b.change(ctx)
	cancel()
	work.Wait()
	for _, n := range b.nodes {
		n.away.Store(false)
		if err := n.Close(); err != nil {
			b.t.Error(err)
		}
	}
}

func (b *bound) failf(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wrong == "" {
		b.wrong = fmt.Sprintf(format, args...)
	}
}

// change revokes keys on the first node, and gives them back.
func (b *bound) change(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		key := int(b.within(simKeys))
		k := simKey(key)
		revoked := i%3 > 0
		if revoked {
			k.RevokedAt = time.Unix(1_000_000, 0)
		}
		b.mu.Lock()
		was := b.since[key]
		b.since[key] = time.Time{}
		b.edits[key]++
		b.mu.Unlock()
		err := putKey(b.nodes[0].Store, k)
		b.mu.Lock()
		switch {
		case err != nil:
			b.t.Errorf("changing: %v", err)
		case revoked && !was.IsZero():
			b.since[key] = was // nothing was to be changed
		case revoked:
			b.since[key] = time.Now()
		}
		b.edits[key]++
		b.mu.Unlock()
		pause(ctx, b.within(6*time.Second))
	}
}

// ask asks a node all the time, and holds its answers to what is promised.
func (n *boundNode) ask(ctx context.Context, wrote bool) {
	for i := 0; ctx.Err() == nil; i++ {
		key := i % simKeys
		since, edits := n.b.at(key)
		asked, age := time.Now(), n.Age()
		who, err := n.Identify(ctx, simKey(key).Secrets[0].Hash)
		if _, now := n.b.at(key); now == edits && !since.IsZero() && err == nil && who.RevokedAt.IsZero() {
			n.judge(key, asked.Sub(since), age, wrote)
		}
		if err != nil && !errors.Is(err, accounts.ErrNotFound) && !errors.Is(err, accounts.ErrUnavailable) {
			n.b.t.Errorf("asking: %v", err)
		}
		pause(ctx, 37*time.Millisecond)
	}
}

func (b *bound) at(key int) (since time.Time, edits int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.since[key], b.edits[key]
}

// judge is about a success so long after the revocation was acknowledged.
func (n *boundNode) judge(key int, after, age time.Duration, wrote bool) {
	off := n.away.Load() || time.Now().UnixNano()-n.wasOff.Load() < int64(boundOfLooks)
	switch {
	case wrote:
		n.b.failf("key %d is a success on the node that revoked it, %s ago", key, after)
	case after > age:
		n.b.failf("key %d is a success %s after its revocation, with an age of %s", key, after, age)
	case after > boundOfLooks && !off:
		n.b.failf("key %d is a success %s after its revocation", key, after)
	case after > boundOfLooks:
		n.b.cut.Add(1)
	default:
		n.b.late.Add(1)
	}
}

// goAway takes the database away from a node now and then.
func (n *boundNode) goAway(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, n.b.within(20*time.Second))
		n.away.Store(true)
		pause(ctx, n.b.within(8*time.Second))
		n.wasOff.Store(time.Now().UnixNano())
		n.away.Store(false)
	}
}

func (n *boundNode) step(ctx context.Context) error {
	if ctx.Done() == nil {
		return nil // a COMMIT, within which nobody can wait
	}
	if n.away.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	pause(ctx, n.b.within(slowest/2))
	return ctx.Err()
}

func (n *boundNode) reads(any) func() { return func() {} }

func (n *boundNode) writes(bool) {}

func (n *boundNode) committed() {}

// lossyBus loses half of what is sent, and delivers the rest late.
type lossyBus struct {
	b    *bound
	mu   sync.Mutex
	hear func([]byte)
}

func (l *lossyBus) Publish(ctx context.Context, _ string, sealed []byte) error {
	for _, n := range l.b.nodes {
		other, ok := n.options.Bus.(*lossyBus)
		if !ok || other == l || l.b.within(2) == 0 {
			continue
		}
		pause(ctx, l.b.within(500*time.Millisecond))
		other.mu.Lock()
		if other.hear != nil {
			other.hear(sealed)
		}
		other.mu.Unlock()
	}
	return nil
}

func (l *lossyBus) Listen(ctx context.Context, _ string, hear func([]byte)) error {
	l.mu.Lock()
	l.hear = hear
	l.mu.Unlock()
	<-ctx.Done()
	l.mu.Lock()
	l.hear = nil
	l.mu.Unlock()
	return ctx.Err()
}
