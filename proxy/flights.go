package proxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// flights knows the exchanges under way. It is split, so that requests do not
// queue for one lock.
type flights struct {
	count  atomic.Int64
	next   atomic.Uint32
	shards [flightShards]flightShard
}

const flightShards = 32

type flightShard struct {
	mu     sync.Mutex
	flying map[*exchange]struct{}
	used   map[string]time.Time // when keys were last, since somebody asked; see UsedKeys
	_      [64]byte             // neighbours do not share a cache line
}

func (f *flights) add(x *exchange) {
	f.count.Add(1)
	x.shard = f.next.Add(1) % flightShards
	s := &f.shards[x.shard]
	s.mu.Lock()
	if s.flying == nil {
		s.flying = map[*exchange]struct{}{}
	}
	s.flying[x] = struct{}{}
	s.mu.Unlock()
}

func (f *flights) remove(x *exchange) {
	s := &f.shards[x.shard]
	s.mu.Lock()
	delete(s.flying, x)
	s.mu.Unlock()
	f.count.Add(-1)
}

// each calls do for every exchange under way, which may end meanwhile.
func (f *flights) each(do func(*exchange)) {
	for i := range f.shards {
		s := &f.shards[i]
		s.mu.Lock()
		for x := range s.flying {
			do(x)
		}
		s.mu.Unlock()
	}
}

// cut ends every exchange under way for a reason of the gateway's.
func (f *flights) cut(reason endReason) {
	f.each(func(x *exchange) { x.cut(reason) })
}

// landingLook is how often landed looks.
const landingLook = 5 * time.Millisecond

// landed waits until nothing is under way, or ctx ends, and says which.
// http.Server.Shutdown knows nothing of connections that are relayed.
func (f *flights) landed(ctx context.Context) bool {
	tick := time.NewTicker(landingLook)
	defer tick.Stop()
	for f.count.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return f.count.Load() == 0
		}
	}
	return true
}

// sweepEvery is how often silent exchanges are looked at, and how long one
// must have been silent. Together they bound the time in which a client's
// leaving is noticed where net/http does not notice it.
const sweepEvery = 700 * time.Millisecond

// sweepFlights ends the streams whose clients stall (see pace.go), and looks at
// the sockets of silent exchanges. net/http notices a
// client that leaves by reading ahead, and reads no further once a byte of a
// next request is there; the upstream would go on generating for nobody.
func (p *Proxy) sweepFlights() {
	defer close(p.swept)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.sweep:
			return
		case now := <-tick.C:
			p.flights.each(func(x *exchange) {
				if x.h2 { // whose connection is always read
					x.endStalled(now)
				} else if now.Sub(x.started) >= sweepEvery && x.quiet(now) && peerGone(x.conn) {
					x.cancel(nil)
				}
			})
		}
	}
}
