package window

import (
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// The grain of what is kept.
const (
	stepTime = 5 * time.Second
	steps    = 720 // an hour

	stepsInFine   = 3
	stepsInCoarse = stepsInFine * finePer
)

// Hour is what ended on this node within the last hour.
type Hour struct {
	begun    time.Time
	first    int64 // the step in which it began
	now      int64 // the step that is under way
	steps    [steps]step
	names    names
	troubles troubles
	flights  int64
}

// step is what ended within five seconds.
type step struct {
	at      int64 // which one; another than was looked for: that one was quiet
	sum     Sum
	flights int64 // the most that were seen
	unseen  int64
}

// Look is what an Hour is shown of some moment.
type Look struct {
	Flights int64           // under way
	Ended   []*api.Exchange // since the last look; not kept
	Unseen  int64           // ended since, and nothing more is known of them
}

// NewHour begins to remember.
func NewHour(now time.Time) *Hour {
	h := &Hour{begun: now}
	h.first = h.stepAt(now)
	h.now = h.first
	h.names.now = h.now / stepsInFine
	return h
}

// stepAt counts steps as the wall clock does, so that those of nodes whose clocks
// agree are the same; but from where the clock was at the beginning: it may be set.
func (h *Hour) stepAt(now time.Time) int64 {
	return (h.begun.UnixNano() + int64(now.Sub(h.begun))) / int64(stepTime)
}

// advance moves to a moment. There is no way back.
func (h *Hour) advance(now time.Time) {
	if at := h.stepAt(now); at > h.now {
		h.now = at
		h.names.advance(at / stepsInFine)
	}
}

// Look counts what is new.
func (h *Hour) Look(now time.Time, l Look) {
	h.advance(now)
	s := &h.steps[h.now%steps]
	if s.at != h.now {
		*s = step{at: h.now}
	}
	h.flights = l.Flights
	s.flights = max(s.flights, l.Flights)
	s.unseen += l.Unseen
	for _, x := range l.Ended {
		s.sum.count(x, true)
		h.names.count(x)
		h.troubles.count(x)
	}
}

// step gives what is known of one; nil where nothing happened in it.
func (h *Hour) step(at int64) *step {
	if s := &h.steps[at%steps]; s.at == at {
		return s
	}
	return nil
}
