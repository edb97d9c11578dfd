package proxy

import (
	"math"
	"time"
)

// gapSteps is how many steps of time a sketch of gaps has; firstGapStep is what
// one stands for until a stream outgrows them, as a power of two of milliseconds.
const (
	gapSteps     = 32
	firstGapStep = 4
)

// gaps is how evenly a body went to its client: how many writes there were, the
// longest gap between two of them, and the longest gap that ended in each step
// of the time since the first. Where a stream outgrows the steps each doubles,
// and of two that become one the longer gap stays. Gaps of less than a
// millisecond are none here: so a write of a burst costs two compares.
type gaps struct {
	writes      int64
	first, last time.Duration // writes, from the start of the exchange
	longest     time.Duration
	longestAt   time.Duration // its end
	doubled     uint8         // how often the steps were
	steps       [gapSteps]int32
}

// wrote notes a write to the client.
func (g *gaps) wrote(at time.Duration) {
	if g.writes++; g.writes == 1 {
		g.first, g.last = at, at
		return
	}
	gap := at - g.last
	g.last = at
	if gap > g.longest {
		g.longest, g.longestAt = gap, at
	}
	if gap >= time.Millisecond {
		g.note(gap, at-g.first)
	}
}

// note puts a gap into the step in which it ended.
func (g *gaps) note(gap, sinceFirst time.Duration) {
	step := sinceFirst.Milliseconds() >> (firstGapStep + g.doubled)
	for step >= gapSteps {
		g.double()
		step >>= 1
	}
	ms := int32(min(gap.Milliseconds(), math.MaxInt32))
	g.steps[step] = max(g.steps[step], ms)
}

// double makes one step of two.
func (g *gaps) double() {
	g.doubled++
	for i := range gapSteps / 2 {
		g.steps[i] = max(g.steps[2*i], g.steps[2*i+1])
	}
	clear(g.steps[gapSteps/2:])
}

// step is what one of steps stands for.
func (g *gaps) step() time.Duration { return time.Millisecond << (firstGapStep + g.doubled) }

// Timing is when what of an exchange was, from its start; of what did not happen,
// 0.
type Timing struct {
	Body       time.Duration   // the request's body was there
	Dispatched time.Duration   // the last attempt was given to the transport
	Connect    time.Duration   // how long a new connection took; 0: one was there
	Header     time.Duration   // the head of that attempt's answer was there
	FirstByte  time.Duration   // of the answer's body went to the client
	Writes     int64           // of the answer's body to the client
	Gap, GapAt time.Duration   // the longest between two writes, and its end; not of WebSockets
	GapStep    time.Duration   // what one of Gaps stands for
	Gaps       [gapSteps]int32 // milliseconds: the longest gap that ended in each step since the first byte
}

// timing is for exchanges that were sent to an upstream.
func (r *record) timing() Timing {
	t := Timing{
		Body: r.bodyRead, Dispatched: r.dispatched, Connect: r.connect, Header: r.header, FirstByte: r.firstByte,
		Writes: r.gaps.writes, Gap: r.gaps.longest, GapAt: r.gaps.longestAt, GapStep: r.gaps.step(), Gaps: r.gaps.steps,
	}
	if r.header < r.dispatched { // of an attempt before
		t.Header = 0
	}
	return t
}
