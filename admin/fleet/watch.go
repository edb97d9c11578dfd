package fleet

import (
	"context"
	"sync"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// When calls are made.
const (
	callEvery   = 5 * time.Second // a third of what a lease lasts
	callAgain   = 2 * time.Second // where a node did not answer
	answerGrace = time.Second     // for a node to answer a call, and for the bus to be there
	mostSources = 256
)

// watching is what this node wants to know of others.
type watching struct {
	mu      sync.Mutex
	wanted  []Filter      // none: nobody looks
	woken   chan struct{} // one place: something of this is another
	missing missing
}

func newWatching() watching { return watching{woken: make(chan struct{}, 1)} }

// Watch says what the readers of this node want to see of others; without a
// filter, nothing any more.
func (f *Fleet) Watch(readers []Filter) {
	f.mu.Lock()
	f.wanted = together(readers)
	f.mu.Unlock()
	f.poke()
}

func (f *Fleet) poke() {
	select {
	case f.woken <- struct{}{}:
	default: // it is about to look
	}
}

func (f *Fleet) wants() []Filter {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wanted
}

// watch has other nodes tell what readers here want, until ctx ends.
func (f *Fleet) watch(ctx context.Context) {
	wait := firstRetry
	for ctx.Err() == nil {
		c := f.circle.Load()
		switch {
		case len(f.wants()) == 0:
			f.missing.set(nil)
			select {
			case <-f.woken:
			case <-ctx.Done():
			}
		case c == nil:
			f.watchNobody(ctx)
		case f.watchOnce(ctx, c):
			wait = firstRetry
		default:
			pause(ctx, f.woken, wait)
			wait = min(2*wait, longestRetry)
		}
	}
}

// watchNobody says of whom nothing is known while there is no bus.
func (f *Fleet) watchNobody(ctx context.Context) {
	problem := noBus
	if f.options.Bus != nil {
		problem = busAway
		if pause(ctx, f.woken, answerGrace); f.circle.Load() != nil {
			return
		}
	}
	f.miss(f.allOthers(ctx, problem))
	pause(ctx, f.woken, callEvery)
}

// watchOnce watches until nobody wants it any more, the secret is another one, or
// ctx ends. It is false where the bus failed.
func (f *Fleet) watchOnce(ctx context.Context, c *circle) bool {
	s := &session{fleet: f, circle: c, id: newName(), sources: map[string]*source{}}
	listening, end := context.WithCancel(ctx)
	began, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		_ = f.options.Bus.Listen(listening, c.watch(s.id), func(sealed []byte) { s.hear(sealed, began) }) // why it ended is told by the calls
	}()
	defer func() { end(); <-ended }()
	call, look := time.NewTimer(answerGrace), time.NewTimer(answerGrace)
	defer call.Stop()
	defer look.Stop()
	look.Stop()
	for {
		select {
		case <-ended:
			f.miss(f.allOthers(ctx, busAway))
			return ctx.Err() != nil
		case <-ctx.Done():
			s.takeBack(ctx)
			return true
		case <-f.woken:
			if len(f.wants()) == 0 || f.circle.Load() != c {
				s.takeBack(ctx)
				return true
			}
			if s.begun {
				s.call(ctx)
				look.Reset(answerGrace)
			}
		case <-began:
			s.begun = true
			s.call(ctx)
			call.Reset(callEvery)
			look.Reset(answerGrace)
		case <-call.C:
			call.Reset(callEvery)
			if s.begun {
				s.call(ctx)
				look.Reset(answerGrace)
			} else {
				f.miss(f.allOthers(ctx, busAway))
			}
		case <-look.C:
			if !s.look() {
				call.Reset(callAgain)
			}
		}
	}
}

// session is one watch: what is asked and heard from the first reader to the last.
type session struct {
	fleet  *Fleet
	circle *circle
	id     string

	// Of the goroutine that calls.
	begun    bool
	asked    []other // who is to answer the last call
	calledAt time.Time
	failed   bool

	mu      sync.Mutex
	sources map[string]*source
}

// source is what was heard of one node.
type source struct {
	lease, number int64
	next          int64 // what the next batch has before it
	counts        counts
	at            time.Time
}

// call asks all nodes for what is wanted now.
func (s *session) call(ctx context.Context) {
	f := s.fleet
	s.asked, _ = f.others(ctx)
	s.calledAt = time.Now()
	m := call{From: f.self(), Watch: &watchCall{ID: s.id, Filters: f.wants()}}
	if len(m.Watch.Filters) == 0 {
		return // the last reader has left meanwhile; that wakes whoever calls
	}
	s.failed = f.publish(ctx, s.circle, s.circle.calls(), &m) != nil
}

// takeBack ends the leases. Where that does not arrive they run out.
func (s *session) takeBack(ctx context.Context) {
	if !s.begun {
		return
	}
	f := s.fleet
	_ = f.publish(context.WithoutCancel(ctx), s.circle, s.circle.calls(), &call{From: f.self(), Watch: &watchCall{ID: s.id}}) // counted
}

// look says who has not answered the last call; it is true where all have.
func (s *session) look() bool {
	problem := noAnswer
	if s.failed {
		problem = busAway
	}
	var silent []other
	s.mu.Lock()
	for _, o := range s.asked {
		if from := s.sources[o.id]; from == nil || from.at.Before(s.calledAt) {
			silent = append(silent, o)
		}
	}
	s.mu.Unlock()
	s.fleet.miss(partialOf(silent, problem))
	return len(silent) == 0
}

// hear takes a batch of another node.
func (s *session) hear(sealed []byte, began chan<- struct{}) {
	if sealed == nil {
		select {
		case began <- struct{}{}:
		default:
		}
		return
	}
	f := s.fleet
	var b batchRead
	err := s.circle.open(s.circle.watch(s.id), sealed, &b)
	if err != nil {
		f.count.bad.Add(1)
		return
	}
	heard, fresh := s.note(&b)
	if !fresh {
		f.count.bad.Add(1)
		return
	}
	f.count.received.Add(1)
	name := f.label(b.From)
	for i := range b.Started {
		b.Started[i].Node = name
	}
	for i := range b.Ended {
		b.Ended[i].Node = name
	}
	heard.Started, heard.Ended = b.Started, b.Ended
	f.options.Hear(heard)
}

// note gives the counts since the batch before, and what was in those that were
// lost. A batch that was taken before is not fresh.
func (s *session) note(b *batchRead) (h Heard, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.sources[b.From.ID]
	if from == nil {
		if len(s.sources) >= mostSources {
			return Heard{}, false
		}
		from = &source{}
		s.sources[b.From.ID] = from
	}
	switch {
	case b.Lease < from.lease, b.Lease == from.lease && b.Number <= from.number:
		return Heard{}, false
	case b.Lease > from.lease:
		*from = source{lease: b.Lease}
	}
	h.FilteredStarted = max(0, b.FilteredStarted-from.counts.FilteredStarted)
	h.FilteredEnded = max(0, b.FilteredEnded-from.counts.FilteredEnded)
	h.Dropped = max(0, b.Dropped-from.counts.Dropped) + max(0, b.Before-from.next)
	from.number, from.counts, from.at = b.Number, b.counts, time.Now()
	from.next = b.Before + int64(len(b.Started)+len(b.Ended))
	return h, true
}

// Missing is what readers here are not shown now; nil: nothing.
func (f *Fleet) Missing() *api.Partial { return f.missing.now.Load() }

// miss tells readers where what is missing has changed.
func (f *Fleet) miss(p *api.Partial) {
	if len(f.wants()) > 0 && f.missing.set(p) {
		f.options.Tell(p)
	}
}
