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

// pause waits for what is next, or until ctx ends.
func (b *backoff) pause(ctx context.Context) {
	upTo := max(b.next, b.first)
	b.next = min(2*upTo, b.most)
	pause(ctx, upTo/2+rand.N(upTo/2))
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
