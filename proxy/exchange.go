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
	p       *Proxy
	snap    *snapshot // nil before the first configuration
	w       http.ResponseWriter
	r       *http.Request
	rc      *http.ResponseController
	visitor *visitor // the connection, as it is counted; may be nil
	conn    net.Conn // the client's socket, for a look when it is silent; may be nil
	h2      bool     // the connection is shared with other requests

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
	upload   *upload      // the body, where it passes as it comes; nil where body has it
	lent     atomic.Int32 // how many readers of body a transport may still be reading
	decision rules.Decision
	target   *target
	model    string // the model sent upstream

	credential *credential         // that the attempt under way, or the last one, goes out with; nil: none
	refused    []*credentialHealth // those with which it did before, and was refused

	try       *try                                    // the attempt under way, or the last one
	outlives  atomic.Pointer[context.CancelCauseFunc] // ends an attempt that outlives the client
	observer  *observer
	headSent  bool
	broken    bool        // the connection must be cut, so that what was sent does not look whole
	lastWrite time.Time   // when the write deadline was last moved
	lastRead  time.Time   // when the read deadline was last moved; see ServeHTTP
	writing   pace        // of the client taking the answer
	reading   pace        // of the client giving its body
	stalled   atomic.Bool // a stream was reset because its client took nothing
	interim   interim
	record    record
	seen      seen
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
		visitor: visitorOf(r.Context()),
		h2:      r.ProtoMajor == 2,
		id:      accounts.NewID("req", now),
		started: now, lastRead: now,
	}
	if x.visitor != nil {
		x.conn = x.visitor.socket
	}
	x.ctx, x.cancel = context.WithCancelCause(r.Context())
	x.trace = p.options.Tracing.begin(r, now)
	if !x.h2 {
		x.moveWriteDeadline(now)
	}
	w.Header()["X-Llmgw-Request-Id"] = []string{x.id}
	p.flights.add(x)
	return x
}

// run takes the steps. What it returns has not been told to the caller yet.
func (x *exchange) run() *failure {
	if f := x.readTarget(); f != nil { // first: it tells in which format a refusal is to be
		return f
	}
	if x.snap == nil {
		return noConfiguration()
	}
	if x.p.stale(x.started) {
		return x.staleConfiguration()
	}
	if f := x.authenticate(); f != nil {
		return x.turnedAway(f)
	}
	x.visitor.welcome()
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
	if f := x.holdUpload(); f != nil {
		return f
	}
	a, f := x.attempts()
	if f != nil {
		return f
	}
	defer a.close()
	x.releaseBody() // a stream may go on for an hour, and others want the room
	if a.upgraded != nil {
		return x.relay(a)
	}
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
	x.boundTheRest()
	if x.upload != nil {
		x.record.requestBytes = x.upload.end()
	}
	x.observer.close()
	x.releaseBody()
	x.p.flights.remove(x)
	x.record.duration = time.Since(x.started)
	x.count()
	x.tellEnded()
	x.log()
	x.trace.end(x)
	x.bodies.end(x)

	if x.broken {
		x.resetOldClient()
		panic(http.ErrAbortHandler)
	}
}

// cut ends the exchange for a reason of the gateway's.
func (x *exchange) cut(reason endReason) { x.cutBy(&endCause{reason: reason}) }

// cutFor ends the exchange with what its caller is to hear, within farewellTime
// also where the caller takes nothing.
func (x *exchange) cutFor(f *failure) {
	x.cutBy(&endCause{reason: f.reason(), said: f})
	x.p.flights.hurry(x)
}

func (x *exchange) cutBy(cause *endCause) {
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
