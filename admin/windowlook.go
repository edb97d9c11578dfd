package admin

import (
	"context"
	"sync"
	"time"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/window"
)

// The bounds of a look at what ended.
const (
	lookEvery  = 250 * time.Millisecond
	longestGap = time.Second // for an exchange that has its place to be there
)

// lately counts what ended within the last hour. It reads what tail remembers, so
// that counting costs those who have exchanges nothing.
type lately struct {
	tail     *tail
	underWay func() int64
	now      func() time.Time

	mu    sync.Mutex // no exchange takes it
	hour  *window.Hour
	place int64           // up to which all is counted
	gap   int64           // a place where nothing was yet
	since time.Time       // when that was first seen
	ended []*api.Exchange // room for one look
}

func newLately(t *tail, underWay func() int64, now func() time.Time) *lately {
	if now == nil {
		now = time.Now
	}
	if underWay == nil {
		underWay = func() int64 { return 0 }
	}
	return &lately{tail: t, underWay: underWay, now: now, hour: window.NewHour(now())}
}

// lookOn looks until ctx ends.
func (l *lately) lookOn(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.mu.Lock()
			l.look()
			l.mu.Unlock()
		}
	}
}

// part tells what is known of a window that ends now.
func (l *lately) part(q window.Query) window.Part {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	return l.hour.Part(l.now(), q)
}

// look counts what is new. mu is held.
func (l *lately) look() {
	now := l.now()
	unseen := l.collect(now)
	l.hour.Look(now, window.Look{Flights: l.underWay(), Ended: l.ended, Unseen: unseen})
	clear(l.ended)
	l.ended = l.ended[:0]
}

// collect puts what is new among what ended, in its order, and counts what was
// gone before it was looked at.
func (l *lately) collect(now time.Time) (unseen int64) {
	last := l.tail.last.Load()
	if gone := last - l.place - remembered; gone > 0 {
		l.place += gone
		unseen += gone
	}
	for l.place < last {
		next := l.place + 1
		switch e := l.tail.ring[next%remembered].Load(); {
		case e != nil && e.place == next:
			l.ended = append(l.ended, &e.Exchange)
		case e != nil && e.place > next: // overtaken
			unseen++
		case l.mayCome(next, now):
			return unseen
		default:
			unseen++
		}
		l.place = next
	}
	return unseen
}

// mayCome says whether an exchange is still waited for that has a place and is not
// there: whoever puts it there is between the two, for a moment.
func (l *lately) mayCome(place int64, now time.Time) bool {
	if l.gap != place {
		l.gap, l.since = place, now
	}
	return now.Sub(l.since) < longestGap
}
