package proxy

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// exchange is one request and its answer, from the first byte to the log line.
// Values flow down through it: what a step finds is there for the steps after
// it, and no step changes what an earlier one found.
type exchange struct {
	p    *Proxy
	snap *snapshot // nil before the first configuration
	w    http.ResponseWriter
	r    *http.Request
	rc   *http.ResponseController
	conn net.Conn // the client's socket, for a look when it is silent; may be nil

	ctx    context.Context
	cancel context.CancelCauseFunc

	id      string
	shard   uint32
	started time.Time

	read     rules.PathRead // what the path says
	scan     rules.Body     // what the body says
	request  rules.Request  // what is decided upon
	secret   string         // the caller's key as it was sent
	who      *accounts.Identity
	body     body
	lent     atomic.Int32 // how many readers of body a transport may still be reading
	decision rules.Decision
	target   *target
	model    string // the model sent upstream

	try       *try                                    // the attempt under way, or the last one
	outlives  atomic.Pointer[context.CancelCauseFunc] // ends an attempt that outlives the client
	observer  *observer
	headSent  bool
	broken    bool      // the connection must be cut, so that what was sent does not look whole
	lastWrite time.Time // when the write deadline was last moved
	record    record
	trace     *exchangeTrace // nil: off
	bodies    *bodies        // what goes to the body log; nil: nothing
}

// begin makes the exchange. The write deadline is set first of all: one left by
// an earlier request on this connection may have passed.
func (p *Proxy) begin(w http.ResponseWriter, r *http.Request) *exchange {
	now := time.Now()
	x := &exchange{
		p: p, snap: p.snapshot.Load(), w: w, r: r,
		rc:      http.NewResponseController(w),
		conn:    connOf(r.Context()),
		id:      accounts.NewID("req", now),
		started: now,
	}
	x.ctx, x.cancel = context.WithCancelCause(r.Context())
	x.trace = p.options.Tracing.begin(r, now)
	x.moveWriteDeadline(now)
	w.Header()["X-Llmgw-Request-Id"] = []string{x.id}
	p.flights.add(x)
	return x
}

// run takes the steps. What it returns has not been told to the caller yet.
func (x *exchange) run() *failure {
	if x.snap == nil {
		return noConfiguration()
	}
	if f := x.readTarget(); f != nil {
		return f
	}
	if f := x.authenticate(); f != nil {
		return f
	}
	if asked, ok := x.request.ModelsQuestion(); ok {
		return x.answerModels(asked)
	}
	if f := x.readBody(); f != nil {
		return f
	}
	if f := x.decide(); f != nil {
		return f
	}
	if x.decision.Outcome == rules.Answer {
		x.respond(x.decision.Rule.Respond)
		return nil
	}
	a, f := x.attempts()
	if f != nil {
		return f
	}
	defer a.close()
	x.releaseBody() // a stream may go on for an hour, and others want the room
	return x.stream(a)
}

// finish is the one end of every exchange. A broken answer ends by cutting the
// connection, which is what net/http does with ErrAbortHandler; it must not be
// swallowed on the way out.
func (x *exchange) finish() {
	panicked := recover()
	if panicked != nil {
		x.panicked(panicked)
	}
	x.try.end()
	x.cancel(nil)
	x.p.flights.remove(x)
	x.record.duration = time.Since(x.started)
	x.releaseBody()
	x.count()
	x.log()
	x.trace.end(x)
	x.bodies.end(x)

	if x.broken {
		x.resetOldClient()
		panic(http.ErrAbortHandler)
	}
}

// cut ends the exchange for a reason of the gateway's.
func (x *exchange) cut(reason endReason) {
	cause := &endCause{reason}
	x.cancel(cause)
	if cancel := x.outlives.Load(); cancel != nil {
		(*cancel)(cause)
	}
}

func (x *exchange) releaseBody() { x.body.release(&x.p.budget, x.lent.Load() != 0) }

// panicked turns a panic of ours into an error that is seen: in the log, in
// the metrics, and by the caller as a 500 or a cut connection.
func (x *exchange) panicked(v any) {
	x.p.logPanic(x.id, v)
	f := internalFailure()
	if x.headSent {
		x.record.end(endUpstreamError, f.code)
		x.broken = true
		return
	}
	x.tellFailure(f)
}

// resetOldClient makes the cut visible to a client that cannot see a missing
// last chunk: one that speaks HTTP/1.0, for which the end of the connection is
// the end of the body (RFC 9112, section 6.3). A reset is no clean end.
func (x *exchange) resetOldClient() {
	if tcp, ok := x.conn.(*net.TCPConn); ok && !x.r.ProtoAtLeast(1, 1) {
		_ = tcp.SetLinger(0)
	}
}

// moveWriteDeadline keeps the client's write deadline ahead of now. Moving it
// costs a system-wide timer, so it is moved at most every sixth of its length.
func (x *exchange) moveWriteDeadline(now time.Time) {
	stall := x.p.options.WriteStall
	if !x.lastWrite.IsZero() && now.Sub(x.lastWrite) < stall/6 {
		return
	}
	x.lastWrite = now
	// An error means that the connection is gone, which the next write says too.
	_ = x.rc.SetWriteDeadline(now.Add(stall))
}
