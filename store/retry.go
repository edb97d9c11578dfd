package store

import "time"

// What is heard of a change may come before the change can be read. Follow then
// looks again, with longer and longer waits, and leaves it at the poll.
const (
	firstRetry   = 5 * time.Millisecond
	longestRetry = 250 * time.Millisecond
)

// retry is Follow's waiting for a change that it has heard of.
type retry struct {
	timer  *time.Timer
	wait   time.Duration
	giveUp bool // this look is the last one for what is hoped for
}

// begin is at a ring of the bell: something new may be hoped for.
func (r *retry) begin() { r.wait, r.giveUp = firstRetry, false }

// last is at a poll.
func (r *retry) last() { r.giveUp = true }

// due is when to look again; nil, so never, where nothing is waited for.
func (r *retry) due() <-chan time.Time {
	if r.timer == nil {
		return nil
	}
	return r.timer.C
}

func (r *retry) stop() {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}

// after is after a look: hoped is up to where, before it, the log was said to go.
func (r *retry) after(s *Store, hoped int64) {
	r.stop()
	_, at := s.keys.dropped.stands()
	switch {
	case hoped == 0:
		return
	case at >= hoped || r.giveUp:
		// What was hoped for since has rung the bell.
		s.hoped.CompareAndSwap(hoped, 0)
		return
	}
	if r.wait == 0 {
		r.wait = firstRetry
	}
	r.timer = time.NewTimer(r.wait)
	r.wait = min(2*r.wait, longestRetry)
}
