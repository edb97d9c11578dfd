package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// try is one attempt under way, and what bounds it. Its context ends with the
// exchange's, or by itself when one of its own bounds passes.
type try struct {
	to     *rules.Candidate
	ctx    context.Context
	cancel context.CancelCauseFunc
	own    bool // ctx is this attempt's alone
	watch  watch
	failed bool
}

// attempts sends the request to one candidate after another until one gives an
// answer that is to be passed on. Nothing has gone to the client yet; what may
// have been executed is sent again only where the rule names what happened.
func (x *exchange) attempts() (*answer, *failure) {
	d := &x.decision
	giveUp := time.Now().Add(d.Retry.Within)
	for n := range d.Retry.Attempts {
		last := n == d.Retry.Attempts-1
		a, f := x.attemptWithAny(d.Candidates[n%len(d.Candidates)], giveUp)
		kind, again := retryable(d.Retry.On, a, f)
		if f == nil && !again && !last && a.upgraded == nil && !x.upload.wasBegun() && (d.Retry.On.Has(rules.OnReset) || d.Retry.On.Has(rules.OnTimeout)) {
			f = x.firstBytes(a)
			kind, again = retryable(d.Retry.On, a, f)
		}
		if !again || last || !x.mayTryAgain(n+1, giveUp) || !x.upload.reclaim() {
			return a, x.unlessEnded(f)
		}
		if f := x.tryAgain(kind, a, f); f != nil {
			return nil, f
		}
	}
	return nil, internalFailure() // Attempts is at least one
}

// retryPause is waited before a candidate is asked again that has been asked.
const retryPause = 100 * time.Millisecond

// mayTryAgain says whether there is time for attempt n (from 0), and waits
// before the list of candidates begins anew.
func (x *exchange) mayTryAgain(n int, giveUp time.Time) bool {
	if round := n / len(x.decision.Candidates); round > 0 {
		wait(x.ctx, min(retryPause<<min(round-1, 6), time.Until(giveUp)))
	}
	return x.ctx.Err() == nil && time.Now().Before(giveUp)
}

// retryable says whether what became of an attempt is something that on names,
// and how the metric calls it.
func retryable(on rules.RetryOn, a *answer, f *failure) (kind string, again bool) {
	if f == nil {
		return statusText(a.status), on.HasStatus(a.status)
	}
	switch f.end {
	case endConnectError:
		return "connect", on.Has(rules.OnConnect)
	case endUpstreamError:
		return "reset", f.code == codeUpstreamReset && on.Has(rules.OnReset)
	case endHeaderTimeout, endFirstTokenTimeout:
		return "timeout", on.Has(rules.OnTimeout)
	}
	return "", false
}

// unlessEnded is a failure, or, where the exchange was ended while the next
// attempt was waited for, what ended it.
func (x *exchange) unlessEnded(f *failure) *failure {
	if f == nil {
		return nil
	}
	switch endedBy(x.ctx) {
	case endClientGone:
		return x.clientGone()
	case endDrained:
		return drained()
	case endRevoked:
		return revokedEarly(x.ctx)
	}
	return f
}

// revokedEarly is what a caller hears who was cut before anything was sent.
func revokedEarly(ctx context.Context) *failure {
	if f := toldBy(ctx); f != nil {
		return f
	}
	return revoked(invalidKey())
}

// stillValid asks again who is calling: a key that has ended meanwhile sends
// nothing more.
func (x *exchange) stillValid() *failure {
	who, err := x.p.options.Source.Identify(x.ctx, accounts.HashKey(x.secret))
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return x.unknownKey()
	case err != nil:
		return nil // nobody can say; it was valid when the request came
	}
	return x.endedKey(who)
}

// attempt sends the request to one candidate, which x.target and x.credential
// are of, and gives its answer, whose body is still to be read.
func (x *exchange) attempt(to *rules.Candidate) (*answer, *failure) {
	x.trace.beginAttempt(x)
	out, f := x.outbound(to)
	if f != nil {
		return nil, f
	}
	t := x.beginTry(to)
	x.trace.describeAttempt(x)
	if x.upload != nil {
		out.stream, out.length = x.upload.lend(&t.watch), x.upload.length
	}
	x.record.dispatch(time.Since(x.started))
	x.tellSent()
	x.target.traffic.requests.Add(1)
	if x.credential != nil {
		x.credential.health.requests.Add(1)
	}
	out.inform = x.informer()
	a, err := x.target.carrier.do(t.ctx, out, func() { t.watch.enter(awaitHeader) })
	x.lastWord()
	x.record.attempts += max(1, out.dispatched)
	x.record.connect = out.connect
	if err != nil {
		return nil, x.blame(x.attemptFailed(out, err))
	}
	x.record.header = time.Since(x.started)
	x.trace.answered(a.status)
	if a.status >= 500 {
		x.try.fail(x.target)
	}
	bound := a.status == http.StatusUnauthorized && x.decision.Credential(&x.request, to) != ""
	x.credential.heed(a.status, a.header, bound)
	if a.status == http.StatusUnauthorized && x.credential != nil {
		// Passed on, it would make the caller change a key that is right.
		a.close()
		x.try.fail(x.target)
		return nil, credentialRefused(x.target.name).because(fmt.Errorf("the provider refused credential %q (401)", x.credential.name))
	}
	return a, nil
}

// beginTry begins an attempt: its context and its bounds.
func (x *exchange) beginTry(to *rules.Candidate) *try {
	t := &try{to: to}
	x.try = t
	switch d := &x.decision; {
	case d.FinishWhenGone:
		t.own = true
		t.ctx, t.cancel = x.outlivingClient()
	case d.Retry.Attempts > 1:
		t.own = true
		t.ctx, t.cancel = context.WithCancelCause(x.ctx)
	default: // the only attempt ends with the exchange
		t.ctx, t.cancel = x.ctx, x.cancel
	}
	bounds := withHandshake(x.decision.Timeouts(to).Or(x.target.timeouts), to.Base.Scheme)
	if x.request.Websocket {
		bounds.Idle = x.sessionIdle(to)
	}
	t.watch.start(t.cancel, bounds, x.request.Stream)
	return t
}

// withHandshake gives a connection with TLS the time that the handshake takes.
func withHandshake(t accounts.Timeouts, scheme string) accounts.Timeouts {
	if t.Connect > 0 && scheme == "https" {
		t.Connect += tlsTimeout
	}
	return t
}

// fail counts the attempt, once, among those that went wrong at its upstream.
func (t *try) fail(at *target) {
	if !t.failed {
		t.failed = true
		at.traffic.errors.Add(1)
	}
}

// end lets go of what the attempt holds.
func (t *try) end() {
	if t != nil {
		t.watch.stop()
		if t.own {
			t.cancel(nil)
		}
	}
}

// blame counts a failure at the upstream, unless the client's own upload is what
// went wrong.
func (x *exchange) blame(f *failure) *failure {
	if f.end != endClientStalled && f.end != endRevoked && f.reason() != endRejected {
		x.try.fail(x.target)
	}
	return f
}

// attemptFailed tells why no answer came.
func (x *exchange) attemptFailed(out *attempt, err error) *failure {
	if f := x.endedEarly(); f != nil {
		return f
	}
	name := x.target.publicName()
	if out.dispatched == 0 {
		return neverReached(name, err)
	}
	return upstreamReset(name, err)
}

// endedEarly tells of an attempt that was ended from this side before anything
// of its answer went to the client; nil where it was not.
func (x *exchange) endedEarly() *failure {
	name := x.target.publicName()
	switch reason := endedBy(x.try.ctx); reason {
	case "":
		return nil
	case endClientGone, endClientStalled, endRejected:
		return x.clientGone()
	case endDrained:
		return drained()
	case endRevoked:
		return revokedEarly(x.try.ctx)
	case endConnectError:
		return unreachable(name, noConnectionInTime, nil)
	default:
		timeout, after := x.try.watch.expired(reason)
		return upstreamSlow(name, timeout, after, reason)
	}
}

// firstBytes waits for the first bytes of an answer's body, so that an upstream
// that falls silent after its head, or breaks, can still be replaced by another.
// Until then the client gets nothing, not even the head.
func (x *exchange) firstBytes(a *answer) *failure {
	if x.request.Stream {
		x.try.watch.enter(awaitToken)
	} else {
		x.try.watch.enter(awaitMore)
	}
	p := &prefetched{rest: a.body, bytes: make([]byte, relayBytes)}
	n, err := a.body.Read(p.bytes)
	if n == 0 && err != nil && !errors.Is(err, io.EOF) {
		return x.noBody(err)
	}
	p.bytes, p.err = p.bytes[:n], err
	a.body = p
	return nil
}

// noBody is an upstream that answered a head and then nothing, before anything
// of it went to the client.
func (x *exchange) noBody(err error) *failure {
	if f := x.endedEarly(); f != nil {
		return x.blame(f)
	}
	return x.blame(upstreamReset(x.target.publicName(), err))
}

// prefetched is a body of which the first bytes have been read.
type prefetched struct {
	bytes []byte
	err   error
	rest  io.ReadCloser
}

func (p *prefetched) Read(b []byte) (int, error) {
	if len(p.bytes) > 0 {
		n := copy(b, p.bytes)
		p.bytes = p.bytes[n:]
		return n, nil
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.rest.Read(b)
}

func (p *prefetched) Close() error { return p.rest.Close() }
