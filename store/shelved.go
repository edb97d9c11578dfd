package store

import (
	"context"
	"sync/atomic"
	"time"
)

// Bounds of what the shelf may cost.
const (
	takeWithin   = 50 * time.Millisecond // what a request may wait for it, once
	putWithin    = 250 * time.Millisecond
	probeWithin  = time.Second // connecting included
	firstProbe   = 100 * time.Millisecond
	longestProbe = 2 * time.Second
	putsWaiting  = 256
	largestPut   = 4 << 20 // bytes
)

// ledge is the shelf with nobody waiting for it. One that did not answer is not
// asked any more until it has answered a question that no request waits for.
// What is put there is put when there is time.
type ledge struct {
	shelf   Shelf
	away    atomic.Bool   // not to be asked
	tripped chan struct{} // one place: it went away
	puts    chan parcel
	count   shelfCounters
}

type parcel struct {
	name string
	seal func() ([]byte, error) // called when there is time
	ttl  time.Duration
}

// shelfCounters count what taking and putting came to.
type shelfCounters struct {
	taken, missing, stale, bad, skipped, unanswered atomic.Int64
	put, putDropped, putFailed                      atomic.Int64
}

// newLedge makes one that is taken for away until it has answered, so that no
// request makes the first connection.
func newLedge(on Shelf) *ledge {
	l := &ledge{shelf: on, tripped: make(chan struct{}, 1), puts: make(chan parcel, putsWaiting)}
	l.trip()
	return l
}

// take gives what stands under a name; ok is false where nothing does, and where
// that cannot be told.
func (l *ledge) take(ctx context.Context, name string) (what []byte, ok bool) {
	if l.away.Load() {
		l.count.skipped.Add(1)
		return nil, false
	}
	within, cancel := context.WithTimeout(ctx, takeWithin)
	defer cancel()
	what, err := l.shelf.Take(within, name)
	switch {
	case err != nil && ctx.Err() != nil: // who asked has left
		return nil, false
	case err != nil:
		l.count.unanswered.Add(1)
		l.trip()
		return nil, false
	case what == nil:
		l.count.missing.Add(1)
		return nil, false
	}
	return what, true
}

// later puts something when there is time, and not at all where there is none.
func (l *ledge) later(p parcel) {
	if l.away.Load() {
		l.count.putDropped.Add(1)
		return
	}
	select {
	case l.puts <- p:
	default:
		l.count.putDropped.Add(1)
	}
}

func (l *ledge) trip() {
	if l.away.Swap(true) {
		return
	}
	select {
	case l.tripped <- struct{}{}:
	default: // somebody is on the way
	}
}

// run puts what is to be put, and asks a shelf that went away whether it is back,
// until ctx ends.
func (l *ledge) run(ctx context.Context) {
	for {
		select {
		case p := <-l.puts:
			l.put(ctx, p)
		case <-l.tripped:
			l.probe(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (l *ledge) put(ctx context.Context, p parcel) {
	what, err := p.seal()
	if err != nil || len(what) > largestPut {
		l.count.putFailed.Add(1)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, putWithin)
	defer cancel()
	if err := l.shelf.Put(ctx, p.name, what, p.ttl); err != nil {
		l.count.putFailed.Add(1)
		return
	}
	l.count.put.Add(1)
}

// probe asks until there is an answer, and then another one in the time that a
// request has.
func (l *ledge) probe(ctx context.Context) {
	again := backoff{first: firstProbe, most: longestProbe}
	for ctx.Err() == nil {
		if l.answers(ctx, probeWithin) && l.answers(ctx, takeWithin) {
			l.away.Store(false)
			return
		}
		again.pause(ctx)
	}
}

func (l *ledge) answers(ctx context.Context, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_, err := l.shelf.Take(ctx, "llmgw:probe")
	return err == nil
}
