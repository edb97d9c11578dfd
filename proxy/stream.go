package proxy

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// relayBytes is the size of the buffer through which a body passes: more than
// an event, and what 9,000 idle streams can afford.
const relayBytes = 8 << 10

var relayPool = sync.Pool{New: func() any { return new([relayBytes]byte) }}

// headGrace is how long the head waits for the first bytes of the body, to go
// out with them in one write.
const headGrace = time.Millisecond

// stream copies the answer to the client: every byte as it came, flushed as
// soon as the upstream has no more of it ready. The observer looks at what has
// passed; it cannot delay, drop or change any of it.
func (x *exchange) stream(a *answer) *failure {
	x.observer = newObserver(x.request.Wire, a.status, a.header)
	x.observer.within(&x.p.decoders)
	if !a.framed {
		x.observer.unframed()
	}
	x.prepareHead(a)
	if x.observer.isStream() {
		x.record.stream = true
		x.p.metrics.inFlightStreams.Inc()
		defer x.p.metrics.inFlightStreams.Dec()
		x.try.watch.enter(awaitToken)
	} else {
		x.try.watch.enter(awaitMore)
	}

	buf := relayPool.Get().(*[relayBytes]byte)
	defer relayPool.Put(buf)
	n, err := x.firstRead(a, buf[:])
	if n == 0 && err != nil && !errors.Is(err, io.EOF) && !x.headSent {
		return x.failedBeforeBody(err)
	}
	for {
		if n > 0 {
			lost := x.pass(buf[:n], err == nil && !a.more(n == len(buf)))
			if lost != nil {
				x.record.end(x.lostWhileStreaming(lost), "")
			}
			if lost != nil || x.leftBehind() {
				x.readOn(a, buf[:], err)
				return nil
			}
		}
		if err != nil {
			x.bodyEnded(a, err)
			return nil
		}
		n, err = a.body.Read(buf[:])
	}
}

// prepareHead makes the header of the answer; it goes out with the first bytes.
func (x *exchange) prepareHead(a *answer) {
	h := x.w.Header()
	answerHeader(h, a.header)
	if x.observer.isStream() {
		h["X-Accel-Buffering"] = []string{"no"} // nginx in front would hold the events back
	}
	x.skippedEdits(x.decision.EditResponseHeaders(&x.request, x.try.to, h))
	x.endConnectionAfter(h)
	if a.length >= 0 && h["Content-Length"] == nil && bodyAllowed(x.r.Method, a.status) {
		h["Content-Length"] = []string{strconv.FormatInt(a.length, 10)}
	}
	x.record.status = a.status
	x.p.flights.note(x, func(s *seen) { s.status, s.stream = a.status, x.observer.isStream() })
}

// bodyAllowed tells which answers have a body (RFC 9110, section 6.4.1).
func bodyAllowed(method string, status int) bool {
	return method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified
}

// firstRead waits for the first bytes of the body. The head of a stream goes out
// alone when they are not there at once; without a byte of a body whose length
// is known it is of use to nobody.
func (x *exchange) firstRead(a *answer, buf []byte) (int, error) {
	if a.length >= 0 && !x.observer.isStream() {
		return a.body.Read(buf)
	}
	var mu sync.Mutex
	waiting := true
	timer := time.AfterFunc(headGrace, func() {
		mu.Lock()
		defer mu.Unlock()
		if waiting {
			x.sendHead()
		}
	})
	n, err := a.body.Read(buf)
	timer.Stop()
	mu.Lock()
	defer mu.Unlock()
	waiting = false
	return n, err
}

// sendHead writes and flushes the head. A client that is gone shows at the next
// write.
func (x *exchange) sendHead() {
	now := time.Now()
	x.moveWriteDeadline(now)
	x.w.WriteHeader(x.record.status)
	x.headSent = true
	_ = x.rc.Flush()
	_ = x.taken(0, now)
}

// pass gives bytes to the client, and then to the observer. It flushes when
// the upstream had no more than these.
func (x *exchange) pass(b []byte, drained bool) error {
	now := time.Now()
	x.try.watch.writing.Store(true)
	x.moveWriteDeadline(now)
	if !x.headSent {
		x.w.WriteHeader(x.record.status)
		x.headSent = true
	}
	_, err := x.w.Write(b)
	if err == nil && drained {
		err = x.rc.Flush()
	}
	x.try.watch.writing.Store(false)
	if slow := x.taken(len(b), now); err == nil {
		err = slow
	}
	if err != nil {
		return err
	}
	x.try.watch.hear()
	x.record.passed(len(b), now.Sub(x.started), now)
	x.observe(b, now)
	x.bodies.passed(b)
	return nil
}

// observe lets the observer look at what has passed.
func (x *exchange) observe(b []byte, now time.Time) {
	x.observer.write(b)
	if x.record.firstToken > 0 || !x.observer.sawToken() {
		return
	}
	if x.record.status < http.StatusBadRequest { // what refuses is no output of a model
		x.record.firstToken = now.Sub(x.started)
		x.p.flights.note(x, func(s *seen) { s.firstToken = x.record.firstToken })
	}
	if x.record.stream {
		x.try.watch.enter(awaitMore)
	}
}

// failedBeforeBody is a body that never began, while the client can still be
// told.
func (x *exchange) failedBeforeBody(err error) *failure {
	h := x.w.Header()
	ends := h["Connection"]
	clear(h)
	h["X-Llmgw-Request-Id"] = []string{x.id}
	if ends != nil {
		h["Connection"] = ends
	}
	return x.noBody(err)
}

// lostWhileStreaming tells why the client could not be written to. Where the
// gateway itself ended the exchange meanwhile, that is the reason.
func (x *exchange) lostWhileStreaming(err error) endReason {
	lost := x.clientLost(err)
	if reason := endedBy(x.try.ctx); reason != "" && reason != endClientGone {
		return reason
	}
	return lost
}

// bodyEnded ends the exchange after the last byte of the body, or after what
// came instead of it.
func (x *exchange) bodyEnded(a *answer, err error) {
	if !errors.Is(err, io.EOF) {
		x.bodyBroke(err)
		return
	}
	x.moveWriteDeadline(time.Now()) // for the mark of the end, which the server writes
	if !x.headSent {
		x.w.WriteHeader(x.record.status)
		x.headSent = true
	}
	x.observer.end()
	switch {
	case x.observer.failed():
		x.try.fail(x.target)
		x.record.end(endUpstreamError, "")
	case x.observer.terminal() && !x.observer.cutShort(), !bodyAllowed(x.r.Method, a.status):
		x.record.end(endComplete, "")
	case !a.framed:
		// The end of the connection is all that marks the end of this body, and
		// the protocol's own end mark is missing: this is no clean end.
		x.try.fail(x.target)
		x.breakStream(endUpstreamTruncated, errNoLastEvent)
		return
	default:
		// Framed as complete by the upstream itself: it passes as it is.
		x.try.fail(x.target)
		x.logBroken(endUpstreamTruncated, errNoLastEvent)
		x.record.end(endUpstreamTruncated, "")
	}
	x.passTrailers(a)
}

// passTrailers hands on what came after the body (RFC 9110, section 6.5).
func (x *exchange) passTrailers(a *answer) {
	trailer := a.trailer()
	if len(trailer) == 0 {
		return
	}
	_ = x.rc.Flush() // a short body that has not gone yet would go with its length, which leaves no room for them
	for name, values := range trailer {
		if answerHop(name) || name == "Content-Length" {
			continue
		}
		x.w.Header()[http.TrailerPrefix+name] = values
	}
}

// bodyBroke is a body that stopped in the middle: because the client left, or a
// bound passed, or the upstream's connection broke.
func (x *exchange) bodyBroke(err error) {
	reason := endedBy(x.try.ctx)
	switch reason {
	case endClientGone, endClientStalled, endRejected:
		x.clientBroke(x.clientGone())
		return
	}
	if reason == "" {
		reason = endUpstreamError
	} else {
		err = nil // it only says that this side ended the attempt
	}
	if reason != endDrained && reason != endRevoked {
		x.try.fail(x.target)
	}
	x.breakStream(reason, err)
}

// clientBroke ends an answer that its own client has made impossible: it left,
// or its upload broke off while the upstream already answered.
func (x *exchange) clientBroke(f *failure) {
	x.broken = true
	if f.end == endClientGone {
		x.record.end(f.end, "")
		return
	}
	x.record.end(f.reason(), f.code)
	_ = x.rc.Flush() // what has come is the client's; the cut follows
}

// breakStream makes a broken stream look broken: the protocol's own error
// event, where and only where whole events have passed so far and more may
// follow, and then the connection is cut without a last chunk.
func (x *exchange) breakStream(reason endReason, cause error) {
	x.broken = true
	x.logBroken(reason, cause)
	x.record.end(reason, codeStreamCut)
	event := streamError(x.request.Wire, x.breakMessage(reason))
	if event == nil || !x.observer.atBoundary() || x.w.Header()["Content-Length"] != nil {
		if x.headSent {
			_ = x.rc.Flush() // what has come is the client's; the cut follows
		}
		return
	}
	x.moveWriteDeadline(time.Now())
	if !x.headSent {
		x.w.WriteHeader(x.record.status)
		x.headSent = true
	}
	x.bodies.passed(event)
	if _, err := x.w.Write(event); err == nil {
		_ = x.rc.Flush()
	}
}

func (x *exchange) breakMessage(reason endReason) string {
	upstream := x.target.publicName()
	switch reason {
	case endRevoked:
		return revokedEarly(x.try.ctx).message + "; the stream was cut"
	case endDrained:
		return "the gateway is stopping and cut this stream; try again"
	case endIdleTimeout, endFirstTokenTimeout, endTotalTimeout:
		return "upstream \"" + upstream + "\" took too long and the stream was cut (" + string(reason) + ")"
	}
	return "the stream from upstream \"" + upstream + "\" was cut before its end"
}
