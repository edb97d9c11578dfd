package admin

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// The bounds of one stream of events.
const (
	shownASecond = 200 // exchanges and starts; as many at once after a quiet second
	queuedEvents = 256
	queuedChange = 64
)

// listener is one stream of events as those who tell see it. They never wait
// for it: what it has no room for is counted and gone.
type listener struct {
	of       caller
	wants    *filter
	queue    chan told
	changes  chan accounts.Change
	missed   atomic.Bool   // a change found no room: all that the reader knows may be old
	partial  chan struct{} // what is missing of other nodes may have changed
	doubted  chan struct{} // something of the caller was changed: they may have lost the right to listen
	pace     pace
	promised *promised          // ends that have their part of the pace already
	missing  *api.Partial       // as the reader was last told
	shown    int64              // of the goroutine that writes, as is replayed
	replayed map[int64]struct{} // places in the ring that were shown from there
	filtered atomic.Int64
	dropped  atomic.Int64
	total    *atomic.Int64 // what all listeners dropped
}

// told is one exchange that has ended, or one that has started.
type told struct {
	ended   *past
	started *api.Flight
}

func newListener(of caller, wants *filter, total *atomic.Int64) *listener {
	return &listener{
		of: of, wants: wants, total: total, pace: pace{begun: time.Now()}, promised: newPromised(), doubted: make(chan struct{}, 1),
		partial: make(chan struct{}, 1),
		queue:   make(chan told, queuedEvents), changes: make(chan accounts.Change, queuedChange),
	}
}

func (l *listener) hear(e *past) {
	switch {
	case !l.wants.Ended:
	case !l.wants.Takes(&e.Exchange):
		l.filtered.Add(1)
	default:
		paid := l.wants.Started && l.promised.keep(e.RequestID)
		l.offer(paid || l.pace.lets(1), told{ended: e})
	}
}

// hearStart shows a start only where there is room for the end, too: else what
// has ended seems to be under way, and how it ended is not seen.
func (l *listener) hearStart(f *api.Flight) {
	switch {
	case !l.wants.Started:
	case !l.wants.TakesStart(f):
		l.filtered.Add(1)
	case !l.wants.Ended:
		l.offer(l.pace.lets(1), told{started: f})
	default:
		room := l.pace.lets(2)
		if room {
			l.promised.add(f.RequestID) // first: it may end at once
		}
		l.offer(room, told{started: f})
	}
}

func (l *listener) offer(room bool, m told) {
	if room {
		select {
		case l.queue <- m:
			return
		default:
		}
	}
	l.dropped.Add(1)
	l.total.Add(1)
}

func (l *listener) hearChange(c accounts.Change) {
	if slices.ContainsFunc(c.Subjects, l.of.isSubject) {
		select {
		case l.doubted <- struct{}{}:
		default: // it is being looked at already
		}
	}
	if !l.wants.changes {
		return
	}
	if slices.Contains(c.Subjects, everything) {
		l.missed.Store(true)
	}
	select {
	case l.changes <- c:
	default:
		l.missed.Store(true) // the reader is woken by what fills the queue
	}
}

// everything is the subject of a change after which nothing that was known of
// the store holds.
const everything = "*"

// hasMissed says, once, that changes are missing. Those that wait are forgotten:
// whoever reads everything again has them.
func (l *listener) hasMissed() bool {
	if !l.missed.Swap(false) {
		return false
	}
	for {
		select {
		case <-l.changes:
		default:
			return true
		}
	}
}

// hasShown says whether an exchange was among those that were remembered.
func (l *listener) hasShown(m told) bool {
	if m.ended == nil {
		return false
	}
	_, shown := l.replayed[m.ended.place]
	return shown
}

func (l *listener) tally() api.Tally {
	return api.Tally{Shown: l.shown, Filtered: l.filtered.Load(), Dropped: l.dropped.Load()}
}

// pace lets shownASecond events through in each second, evenly once a second's worth
// has gone at once (the generic cell rate algorithm, ITU-T I.371).
type pace struct {
	begun time.Time
	due   atomic.Int64 // when the next comes if they come evenly; ns since a second before begun
}

// lets says whether there is room for so many events.
func (p *pace) lets(events int64) bool {
	const each = int64(time.Second / shownASecond)
	now := int64(time.Since(p.begun) + time.Second)
	for {
		due := p.due.Load()
		next := max(due, now-int64(time.Second)) + events*each
		if next > now {
			return false
		}
		if p.due.CompareAndSwap(due, next) {
			return true
		}
	}
}
