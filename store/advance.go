package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// Follow keeps this node in step until ctx ends or the store is closed: it
// advances at every ring of the bell and at every poll. Call Advance once
// before, so that there is a configuration to begin with.
//
// A database that was away when the store was opened, it opens. What then keeps
// this from working, and would keep Open, is an error of Follow.
func (s *Store) Follow(ctx context.Context) error {
	if !s.enter() {
		return fmt.Errorf("following: %w", errClosed())
	}
	defer s.live.Done()
	defer s.beginBeating(ctx)()
	defer s.attend(ctx)()
	defer s.listen(ctx)()
	lost, stop := s.regain(ctx)
	defer stop()
	poll := time.NewTicker(s.options.PollEvery)
	defer poll.Stop()
	var again retry
	defer again.stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.closing:
			return nil
		case err := <-lost:
			return err
		case <-s.bell:
			again.begin()
		case <-again.due():
		case <-poll.C:
			again.last()
		}
		hoped := s.hoped.Load()
		within, cancel := context.WithTimeout(ctx, changeWithin)
		_ = s.Advance(within) // logged and counted there; the next poll tries again
		cancel()
		s.presence.nudge()
		again.after(s, hoped)
	}
}

// listen hears what other nodes ring, until the function that it gives is called.
func (s *Store) listen(ctx context.Context) (stop func()) {
	if s.far == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var listening sync.WaitGroup
	listening.Go(func() { s.far.listen(ctx, s.hear) })
	return func() { cancel(); listening.Wait() }
}

// ring wakes Follow.
func (s *Store) ring() {
	select {
	case s.bell <- struct{}{}:
	default: // it rings already
	}
}

// Advance takes over what has changed since it was last called, here or
// elsewhere. When it returns nil, everything that was committed before the
// call is in force on this node. On an error the last good configuration stays
// in force; each new kind of failure is logged once.
func (s *Store) Advance(ctx context.Context) error {
	if !s.enter() {
		return fmt.Errorf("advancing: %w", errClosed())
	}
	defer s.live.Done()
	return s.step(ctx)
}

// step waits for its turn and advances. Who calls it has entered.
func (s *Store) step(ctx context.Context) error {
	select {
	case s.reader.turn <- struct{}{}:
		defer func() { <-s.reader.turn }()
	case <-ctx.Done():
		return fmt.Errorf("waiting to advance: %w", unavailable(ctx.Err()))
	}
	start := now()
	err := s.advance(ctx)
	s.reader.note(s.log, start, err)
	return err
}

// advance is called by one at a time.
func (s *Store) advance(ctx context.Context) error {
	r := &s.reader
	if a := s.absent.Load(); a != nil {
		defer s.copier.renew()
		return s.serveCopy(ctx, a)
	}
	file, err := s.current(ctx)
	if err != nil {
		return err
	}
	apply, debt := r.wants()
	look := s.keys.dropped.look()
	n, err := readNews(ctx, file, r.at, r.calls, s.loadConfig)
	if err != nil {
		return err
	}
	if n.broken == "" && s.keys.dropped.contradicted(n.head, n.entries, look) {
		n.broken = fmt.Sprintf("up to change %d it is not the one that keys were read of", n.head.Seq)
	}
	changes := s.drop(n)
	if n.broken != "" {
		debt = r.owe()
	}
	r.at = n.head
	err = r.takeOver(ctx, n, apply, debt)
	if n.config != nil {
		s.copier.renew()
	}
	r.tell(changes)
	return err
}

// takeOver puts in force what a look at the log found.
func (f *follower) takeOver(ctx context.Context, n *news, apply func(context.Context, rules.Config) error, debt int64) error {
	if n.config != nil || n.failure != nil {
		if err := n.takeOver(ctx, apply); err != nil {
			f.failures.Add(1)
			return err
		}
		f.paid(debt)
	}
	f.done(n.head, n.config)
	return nil
}

// drop drops from the key cache what the log names, and gives the changes that
// listeners are told of.
func (s *Store) drop(n *news) []accounts.Change {
	everything := []accounts.Change{{Seq: n.head.Seq, Revision: n.head.Revision, Subjects: []string{Everything}, At: time.Now()}}
	if n.broken != "" {
		s.log.Error().Str("why", n.broken).Int64("seq", n.head.Seq).
			Msg("the store's log does not continue; dropping and loading everything")
		s.reader.broken(n.broken)
		s.startOver(n.head)
		return everything
	}
	named := make(map[string]int64)
	changes := make([]accounts.Change, 0, len(n.entries))
	for i := range n.entries {
		c, err := n.entries[i].change()
		if err != nil { // it could name anything
			s.log.Error().Err(err).Msg("dropping all keys from memory")
			s.startOver(n.head)
			return everything
		}
		for _, subject := range c.Subjects {
			named[subject] = c.Seq
		}
		changes = append(changes, c)
	}
	s.keys.invalidate(named, n.head, n.entries)
	return changes
}

// news is what one look at the log found, all of one moment.
type news struct {
	head    Head
	entries []entry
	broken  string        // why entries do not lead from where the node stood to head
	config  *rules.Config // where it is to be loaded
	failure error         // why it could not be
}

// readNews looks at what happened after from. moved says whether a head calls
// for loading the configuration; a log that does not continue always does.
func readNews(ctx context.Context, p *pools, from Head, moved func(Head) bool, load func(context.Context, session, Head) (rules.Config, error)) (*news, error) {
	if head, err := peek(ctx, p); err != nil || head.same(from) && !moved(head) {
		return &news{head: head}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	tx, err := p.log.BeginTxx(ctx, ofOneMoment())
	if err != nil {
		return nil, fmt.Errorf("reading log: %w", unavailable(err))
	}
	defer func() { _ = tx.Rollback() }() // it only read
	on := session{on: tx}
	n, err := readLog(ctx, on, from)
	if err != nil {
		return nil, fmt.Errorf("reading log: %w", err)
	}
	if n.broken == "" && !moved(n.head) {
		return n, nil
	}
	c, err := load(ctx, on, n.head)
	if err != nil {
		n.failure = fmt.Errorf("loading configuration %d: %w", n.head.Revision, err)
		return n, nil
	}
	n.config = &c
	return n, nil
}

// peek reads the head alone, which is all there is to most looks: one statement,
// on a connection of its own, that says soon whether anybody answers.
func peek(ctx context.Context, p *pools) (Head, error) {
	ctx, cancel := context.WithTimeout(ctx, logWithin)
	defer cancel()
	head, err := readHead(ctx, session{on: p.log})
	if err != nil {
		return head, fmt.Errorf("reading log: %w", err)
	}
	return head, nil
}

func readLog(ctx context.Context, on session, from Head) (*news, error) {
	ctx, cancel := context.WithTimeout(ctx, logWithin)
	defer cancel()
	head, err := readHead(ctx, on)
	n := &news{head: head}
	if err != nil {
		return n, err
	}
	if head.Seq > from.Seq {
		if n.entries, err = readEntries(ctx, on, from.Seq); err != nil {
			return n, err
		}
	}
	n.broken = continues(from, head, n.entries)
	return n, nil
}

// takeOver puts the configuration in force.
func (n *news) takeOver(ctx context.Context, apply func(context.Context, rules.Config) error) error {
	if n.failure != nil {
		return n.failure
	}
	if apply == nil {
		return nil // nobody wants it
	}
	if err := apply(ctx, *n.config); err != nil {
		return fmt.Errorf("applying configuration %d: %w", n.config.Revision, err)
	}
	return nil
}

// Applied says how far this node has come: everything up to change seq is in
// force, with the configuration of that revision.
func (s *Store) Applied() (seq, revision int64) {
	at := s.reader.inForce()
	return at.seq, at.revision
}

// Age bounds how stale this node can be: the time since the start of the last
// look at the log after which everything there was in force. Before the first,
// the time since Open.
func (s *Store) Age() time.Duration { return s.reader.age(now()) }

// AgeAt is Age as it was at a moment that time.Now has given. It takes no lock
// and allocates nothing; for a moment before the start of the last good look it
// is less than nothing.
func (s *Store) AgeAt(at time.Time) time.Duration { return s.reader.age(instantOf(at)) }

// reachable says whether the last look reached the database.
func reachable(err error) bool { return !errors.Is(err, accounts.ErrUnavailable) }
