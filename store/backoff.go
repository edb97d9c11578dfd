package store

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is the waiting of who tries something again and again, longer each time.
// Each wait is drawn from its upper half: what one server's end has thrown many
// nodes out of, they do not all come back to at one moment.
type backoff struct {
	first, most time.Duration
	next        time.Duration
}

// anew is where things went well for a while: the waits begin with the first.
func (b *backoff) anew() { b.next = b.first }

// pause waits, or until ctx ends.
func (b *backoff) pause(ctx context.Context) {
	upTo := max(b.next, b.first)
	b.next = min(2*upTo, b.most)
	t := time.NewTimer(upTo/2 + rand.N(upTo/2))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
