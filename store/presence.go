package store

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// Membership is what a node tells others of itself. Without a Name the store is
// no node: nobody waits for it, and it tells nobody anything.
type Membership struct {
	Name         string        // of its machine
	MaxStaleness time.Duration // after which it refuses requests; 0: it never does
	Bus          func() string // how it hears of changes; nil: "in-process"

	// Replaces is the NodeID of an earlier run that has certainly ended. What it
	// left behind goes when this one begins.
	Replaces string
}

// beatPolls is how many polls there are between two beats of a node of which
// nothing has changed: ten seconds with the default PollEvery, a third of
// accounts.SilentAfter.
const beatPolls = 5

// presence is this node's row among the nodes, and what it has seen of the
// others'. Whether another one lives is told by its beat, a number that it
// counts up: the clocks of two machines differ, and a database's own clock jumps
// when another takes its place. So each node measures on its own clocks for how
// long it has seen a beat stand still.
type presence struct {
	id       string // empty: no node
	started  time.Time
	wake     chan struct{} // one place: one that nobody heard yet is enough
	failures atomic.Int64  // beats that did not reach the store

	// Of the goroutine that beats.
	beat    int64
	written nodeRow
	at      instant // when it was written
	told    string  // the failure that was logged last

	mu     sync.Mutex
	seen   map[string]pulse // by node
	looked instant          // when that was
}

// pulse is when a beat was first seen.
type pulse struct {
	beat int64
	at   instant
}

// enroll makes this a node. It comes before anything is loaded: who changes
// something and then reads which nodes there are finds this one, or this one
// loads what was changed. Where the row cannot be written the node serves all
// the same, and Follow tries again.
func (s *Store) enroll(ctx context.Context) {
	p := &s.presence
	p.wake = make(chan struct{}, 1)
	if s.options.Node.Name == "" {
		return
	}
	p.started = time.Now()
	p.id = accounts.NewID("node", p.started)
	if s.absent.Load() != nil {
		return // Follow will
	}
	if s.beatNow(ctx); p.told != "" {
		return
	}
	if err := s.forget(ctx, s.options.Node.Replaces); err != nil {
		s.log.Warn().Err(err).Msg("cannot take away the row of this node's earlier run")
	}
}

// NodeID names this run of this node; empty where it is none.
func (s *Store) NodeID() string { return s.presence.id }

// leave takes this node's row away. It is called when nothing of the store is
// used any more, so that nobody waits for a node that has ended in order.
func (s *Store) leave() {
	if s.presence.id == "" || s.absent.Load() != nil {
		return
	}
	if err := s.forget(context.Background(), s.presence.id); err != nil {
		s.log.Warn().Err(err).Msg("cannot take this node's row away; others will miss it for a while")
	}
}

// nudge has whoever beats look whether it is time to.
func (p *presence) nudge() {
	select {
	case p.wake <- struct{}{}:
	default: // it was told already
	}
}

// beginBeating writes this node's row, until what it returns is called: beside
// the following, which must not wait for it.
func (s *Store) beginBeating(ctx context.Context) (end func()) {
	if s.presence.id == "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.presence.wake:
				s.beatWhereDue(ctx)
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// beatWhereDue writes the row at once where somebody may be waiting for what is
// new in it, at a poll where a change came that was none of the configuration,
// and every now and then as a sign of life.
func (s *Store) beatWhereDue(ctx context.Context) {
	if s.absent.Load() != nil {
		return
	}
	p := &s.presence
	row, since := s.nodeRow(), now().since(p.at)
	switch {
	case row.Revision != p.written.Revision, row.Lineage != p.written.Lineage, row.Problem != p.written.Problem, row.Bus != p.written.Bus:
	case !bytes.Equal(row.Hash, p.written.Hash) && since >= s.options.PollEvery:
	case since >= beatPolls*s.options.PollEvery:
	default:
		return
	}
	s.beatNow(ctx)
}

// beatNow writes the row and looks at those of the others. A failure is logged
// when it is another than the last one, and counted.
func (s *Store) beatNow(ctx context.Context) {
	p := &s.presence
	ctx, cancel := context.WithTimeout(ctx, beatWithin)
	defer cancel()
	err := s.tellNode(ctx)
	switch {
	case err == nil:
		p.told = ""
	case ctx.Err() == context.Canceled: // it was told to end
	default:
		p.failures.Add(1)
		if p.told != err.Error() {
			p.told = err.Error()
			s.log.Warn().Err(err).Msg("cannot tell other nodes that this one lives")
		}
	}
}

func (s *Store) tellNode(ctx context.Context) error {
	p := &s.presence
	row, at := s.nodeRow(), now()
	row.Beat = p.beat + 1
	file, err := s.current(ctx)
	if err != nil {
		return err
	}
	if err := putNode(ctx, session{on: file.writer}, &row); err != nil {
		return err
	}
	p.beat, p.written, p.at = row.Beat, row, at
	rows, err := readNodes(ctx, session{on: file.reader})
	if err != nil {
		return err
	}
	p.observe(rows, now())
	return s.sweepNodes(ctx, session{on: file.writer}, rows)
}

// nodeRow is what this node says of itself. What is in force is asked for
// first, so that the row never says more than is.
func (s *Store) nodeRow() nodeRow {
	at := s.reader.stands()
	o := &s.options
	bus := "in-process"
	if o.Node.Bus != nil {
		bus = o.Node.Bus()
	}
	return nodeRow{
		ID: s.presence.id, Name: o.Node.Name, Version: o.Version, Language: rules.Language, Bus: bus,
		Lineage: at.Lineage, Applied: at.Seq, Hash: at.Hash, Revision: at.Revision, MaxStaleness: o.Node.MaxStaleness.Milliseconds(),
		Problem: s.Problem(), StartedAt: moment(s.presence.started), SeenAt: moment(time.Now()),
	}
}

// observe notes which beats have moved. at is after the rows were read, so that
// no silence is ever taken to be longer than it was. A node that was itself away
// begins anew: meanwhile others may have given signs, and a failover may have
// taken them back.
func (p *presence) observe(rows []nodeRow, at instant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	away := at.since(p.looked) > accounts.SilentAfter
	p.looked = at
	seen := make(map[string]pulse, len(rows))
	for i := range rows {
		before, known := p.seen[rows[i].ID]
		if !known || away || before.beat != rows[i].Beat {
			before = pulse{beat: rows[i].Beat, at: at}
		}
		seen[rows[i].ID] = before
	}
	p.seen = seen
}

// silence is for how long a row has certainly not moved.
func (p *presence) silence(r *nodeRow, at instant) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, known := p.seen[r.ID]
	if !known || last.beat != r.Beat {
		return 0
	}
	return at.atLeast(last.at)
}

// fenced says whether a node has been silent for so long that it refuses
// requests by itself.
func (p *presence) fenced(r *nodeRow) bool {
	n := r.node()
	after := n.FencedAfter()
	return after > 0 && p.silence(r, now()) > after
}
