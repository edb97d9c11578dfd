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
		of: of, wants: wants, total: total, pace: pace{begun: time.Now()}, doubted: make(chan struct{}, 1),
		partial: make(chan struct{}, 1),
		queue:   make(chan told, queuedEvents), changes: make(chan accounts.Change, queuedChange),
	}
}

func (l *listener) hear(e *past) {
	if l.wants.Ended {
		l.offer(l.wants.Takes(&e.Exchange), told{ended: e})
	}
}

func (l *listener) hearStart(f *api.Flight) {
	if l.wants.Started {
		l.offer(l.wants.TakesStart(f), told{started: f})
	}
}

func (l *listener) offer(wanted bool, m told) {
	if !wanted {
		l.filtered.Add(1)
		return
	}
	if l.pace.lets() {
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

// pace lets shownASecond through in each second, evenly once a second's worth
// has gone at once (the generic cell rate algorithm, ITU-T I.371).
type pace struct {
	begun time.Time
	due   atomic.Int64 // when the next comes if they come evenly; ns since a second before begun
}

func (p *pace) lets() bool {
	const each = int64(time.Second / shownASecond)
	now := int64(time.Since(p.begun) + time.Second)
	for {
		due := p.due.Load()
		next := max(due, now-int64(time.Second)) + each
		if next > now {
			return false
		}
		if p.due.CompareAndSwap(due, next) {
			return true
		}
	}
}
