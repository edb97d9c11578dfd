package proxy

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// Watcher looks on at exchanges. It is called in the goroutine of the exchange,
// which waits: it must not block.
type Watcher interface {
	Started(Flight) // a request was sent to an upstream, for the first time
	Ended(Exchange) // an exchange has ended, whether or not it was sent
}

// Exchange is an exchange that has ended: what its access line says.
type Exchange struct {
	RequestID     string
	Time          time.Time // of its end
	Method, Path  string
	Status        int
	EndReason     string
	Error         string // the gateway's own code
	Key, KeyID    string
	User, UserID  string
	Rule          string
	Upstream      string
	Wire          string
	Model         string
	UpstreamModel string
	Stream        bool
	Duration      time.Duration
	UpstreamTook  time.Duration
	FirstToken    time.Duration // 0: there was none
	Overhead      time.Duration
	RequestBytes  int64
	ResponseBytes int64
	Usage         accounts.Usage
	Attempts      int
	Revision      int64
	Node          string
	Timing        Timing // of one that was sent to an upstream, whose Dispatched is not 0
}

// watchers are those who look on. Nobody does most of the time: then an exchange
// pays for a look at one pointer when it is sent and when it ends.
type watchers struct {
	mu  sync.Mutex // held to change all
	all atomic.Pointer[[]*watching]
}

// watching is one call of Watch.
type watching struct{ Watcher }

// Watch has w look on at exchanges until stop is called, which may be while w is
// being told of one.
func (p *Proxy) Watch(w Watcher) (stop func()) {
	one := &watching{w}
	p.watchers.change(func(all []*watching) []*watching { return append(all, one) })
	return func() {
		p.watchers.change(func(all []*watching) []*watching {
			return slices.DeleteFunc(all, func(other *watching) bool { return other == one })
		})
	}
}

// change swaps the list for another; nil stands for an empty one.
func (w *watchers) change(how func([]*watching) []*watching) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*watching
	if now := w.all.Load(); now != nil {
		all = slices.Clone(*now)
	}
	if all = how(all); len(all) == 0 {
		w.all.Store(nil)
		return
	}
	w.all.Store(&all)
}

// tellSent says what is sent where to those who see the exchange, and to those
// who look on when it is sent for the first time.
func (x *exchange) tellSent() {
	all := x.p.watchers.all.Load()
	first := x.record.attempts == 0
	x.p.flights.note(x, func(s *seen) {
		s.rule, s.upstream, s.model, s.upstreamModel = x.ruleName(), x.upstreamName(), x.request.Model, x.model
		s.stream, s.target = x.request.Stream, x.target
	})
	if all == nil || !first {
		return
	}
	f := x.flight() // what others see of it only this goroutine changes
	for _, w := range *all {
		w.Started(f)
	}
}

// tellEnded says how the exchange has ended to those who look on.
func (x *exchange) tellEnded() {
	all := x.p.watchers.all.Load()
	if all == nil {
		return
	}
	e := x.asEnded()
	for _, w := range *all {
		w.Ended(e)
	}
}

func (x *exchange) asEnded() Exchange {
	r := &x.record
	e := Exchange{
		RequestID: x.id, Time: x.started.Add(r.duration), Method: loggable(x.request.Method), Path: loggable(x.request.Path),
		Status: r.status, EndReason: string(r.reason), Error: r.code,
		Rule: x.ruleName(), Upstream: x.upstreamName(), Wire: x.request.Wire.String(),
		Model: loggable(x.request.Model), UpstreamModel: loggable(x.model), Stream: r.stream || x.request.Stream,
		Duration: r.duration, UpstreamTook: r.upstream(), FirstToken: r.firstToken, Overhead: r.overhead(),
		RequestBytes: r.requestBytes, ResponseBytes: r.responseBytes, Usage: x.usage(),
		Attempts: r.attempts, Revision: x.revision(), Node: x.p.options.Node,
	}
	if r.dispatched > 0 {
		e.Timing = r.timing()
	}
	if x.who != nil {
		e.Key, e.KeyID, e.User, e.UserID = x.who.KeyName, x.who.KeyID, x.who.UserName, x.who.UserID
	}
	return e
}
