package admin

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// phase is a part of a request that has a timeout of its own.
type phase int

const (
	phaseConnect phase = iota
	phaseHeader
	phaseFirstToken
	phaseIdle
)

// phases holds a request to the timeouts of its upstream, and notes when what
// happened. What net/http traces comes in goroutines of its own, also when the
// request is over.
type phases struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	timeouts accounts.Timeouts
	begun    time.Time

	mu        sync.Mutex
	now       phase
	late      *time.Timer // nil: the phase has no bound
	total     *time.Timer // nil: there is none
	at        map[string]time.Time
	firstText time.Duration // 0: there was none yet
}

// lateError says which timeout has passed.
type lateError struct {
	timeout string
	after   time.Duration
}

func (e *lateError) Error() string {
	return fmt.Sprintf("nothing for %s (timeouts.%s)", e.after, e.timeout)
}

func beginPhases(ctx context.Context, t accounts.Timeouts) *phases {
	p := &phases{timeouts: t, begun: time.Now(), at: map[string]time.Time{}}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	if t.Total > 0 {
		p.total = p.after("total", t.Total)
	}
	p.late = p.bound(phaseConnect)
	return p
}

// end lets go of the timers.
func (p *phases) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range []*time.Timer{p.late, p.total} {
		if t != nil {
			t.Stop()
		}
	}
	p.cancel(nil)
}

func (p *phases) after(name string, d time.Duration) *time.Timer {
	return time.AfterFunc(d, func() { p.cancel(&lateError{name, d}) })
}

// bound starts the clock of a phase.
func (p *phases) bound(to phase) *time.Timer {
	t := &p.timeouts
	name, d := "connect", t.Connect
	switch to {
	case phaseHeader:
		name, d = "response_header", t.ResponseHeader
	case phaseFirstToken:
		name, d = "first_token", t.FirstToken-time.Since(p.begun)
		if t.FirstToken > 0 {
			return p.afterAtLeast(name, d, t.FirstToken)
		}
	case phaseIdle:
		name, d = "idle", t.Idle
	}
	if d <= 0 {
		return nil
	}
	return p.after(name, d)
}

// afterAtLeast is for a bound that counts from the start of the request.
func (p *phases) afterAtLeast(name string, left, whole time.Duration) *time.Timer {
	return time.AfterFunc(max(left, time.Millisecond), func() { p.cancel(&lateError{name, whole}) })
}

// enter begins a phase; an earlier one than the present is over already.
func (p *phases) enter(to phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to < p.now || p.ctx.Err() != nil {
		return
	}
	if p.late != nil {
		p.late.Stop()
	}
	p.now, p.late = to, p.bound(to)
}

// heard notes that an event has come. What comes before the first text does not
// extend the wait for it.
func (p *phases) heard(text bool) {
	p.mu.Lock()
	first := text && p.firstText == 0
	if first {
		p.firstText = time.Since(p.begun)
	}
	waits := p.firstText == 0
	p.mu.Unlock()
	if !waits {
		p.enter(phaseIdle)
	}
}

// traced is the context with which the request tells where it is.
func (p *phases) traced() context.Context {
	note := func(name string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if _, there := p.at[name]; !there { // a name may have several addresses, tried at once
			p.at[name] = time.Now()
		}
	}
	return httptrace.WithClientTrace(p.ctx, &httptrace.ClientTrace{
		DNSStart:     func(httptrace.DNSStartInfo) { note("dns") },
		DNSDone:      func(httptrace.DNSDoneInfo) { note("dns done") },
		ConnectStart: func(_, _ string) { note("connect") },
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				note("connected")
			}
		},
		TLSHandshakeStart:    func() { note("tls") },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { note("tls done") },
		GotConn:              func(httptrace.GotConnInfo) { p.enter(phaseHeader) },
		GotFirstResponseByte: func() { note("first byte") },
	})
}

// tell writes down how long what took.
func (p *phases) tell(r *api.ChatTest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	between := func(from, to string) float64 {
		begun, began := p.at[from]
		done, ended := p.at[to]
		if !began || !ended {
			return 0
		}
		return inMS(done.Sub(begun))
	}
	r.DNSMS, r.ConnectMS, r.TLSMS = between("dns", "dns done"), between("connect", "connected"), between("tls", "tls done")
	if at, ok := p.at["first byte"]; ok {
		r.FirstByteMS = inMS(at.Sub(p.begun))
	}
	r.FirstTokenMS, r.TotalMS = inMS(p.firstText), inMS(time.Since(p.begun))
}

// inMS gives milliseconds with three decimals.
func inMS(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
