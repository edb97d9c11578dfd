package tui

import (
	"fmt"
	"time"
)

// calls counts what the console asks of the gateway.
type calls struct{ seen []called }

type called struct {
	at time.Time
	n  int64
}

// callsOver is the time over which they are counted.
const callsOver = time.Minute

func newCalls(d *desk) calls {
	c := calls{}
	c.count(d)
	return c
}

// count takes in how many there were by now, once a second.
func (c *calls) count(d *desk) {
	if d.gateway.Requests == nil {
		return
	}
	now := d.now()
	if n := len(c.seen); n > 0 && now.Sub(c.seen[n-1].at) < time.Second {
		return
	}
	c.seen = append(c.seen, called{now, d.gateway.Requests()})
	for len(c.seen) > 2 && now.Sub(c.seen[1].at) >= callsOver {
		c.seen = c.seen[1:]
	}
}

// text says how many there were, and at what rate of late.
func (c *calls) text() string {
	if len(c.seen) == 0 {
		return "nobody counts them"
	}
	first, last := c.seen[0], c.seen[len(c.seen)-1]
	if last.at.Equal(first.at) {
		return count(last.n)
	}
	return fmt.Sprintf("%s, %s a second over %s", count(last.n), rate(last.n-first.n, last.at.Sub(first.at)), span(last.at.Sub(first.at)))
}
