package mock

import (
	"time"
)

// mock-slow takes so many times the TTFT, and no less than slowLeast.
const (
	slowTimes = 150
	slowLeast = 100 * time.Millisecond
)

// due says when token i is to go out, counted from the moment the request had
// been read. It does not depend on when the ones before did: a pace has no drift.
func (e *exchange) due(i int) time.Duration {
	first := e.TTFT
	if e.trait.fault == slow {
		first = max(slowTimes*first, slowLeast)
	}
	if e.TokensPerSecond < 0 {
		return first
	}
	return first + time.Duration(float64(i)/e.TokensPerSecond*float64(time.Second))
}

// wait waits for the time of token i, and says whether the client is still
// there.
func (e *exchange) wait(i int) bool { return e.pause(e.due(i) - time.Since(e.start)) }

func (e *exchange) pause(d time.Duration) bool {
	if d <= 0 {
		return e.r.Context().Err() == nil
	}
	if e.timer == nil {
		e.timer = time.NewTimer(d)
	} else {
		e.timer.Reset(d)
	}
	select {
	case <-e.timer.C:
		return true
	case <-e.r.Context().Done():
		return false
	}
}
