package proxy

import (
	"maps"
	"net/http"
	"sync"
	"time"
)

// interim passes 1xx answers on to the client while the answer is waited for
// (RFC 9110, section 15.2; 103: RFC 8297). They come on a goroutine of the
// transport's, which may be late: nothing is written once the exchange goes on.
type interim struct {
	mu    sync.Mutex
	open  bool
	count int  // passed on so far, of all attempts
	asked bool // the client was told to send its body
}

// informer is what an attempt tells its 1xx answers; nil where the client would
// not know what they are (RFC 9110, section 15.2), and over HTTP/2: there the
// server may still be reading the header of a 1xx answer when it has returned,
// because the client reset the stream, and whoever touches that map then, as the
// final answer must, ends the process.
func (x *exchange) informer() func(int, http.Header) {
	if !x.r.ProtoAtLeast(1, 1) || x.h2 {
		return nil
	}
	x.interim.mu.Lock()
	x.interim.open = true
	x.interim.mu.Unlock()
	return x.inform
}

// lastWord ends the time in which 1xx answers may be passed on, and waits for
// one that is being written.
func (x *exchange) lastWord() {
	x.interim.mu.Lock()
	x.interim.open = false
	x.interim.mu.Unlock()
}

// inform passes one 1xx answer on, with the edits that the rules make to every
// answer's header. What the header of the final answer holds already stays out
// of it, and as it is.
func (x *exchange) inform(status int, in http.Header) {
	x.interim.mu.Lock()
	defer x.interim.mu.Unlock()
	if !x.interim.open || x.interim.count >= maxInformational || x.ctx.Err() != nil {
		return
	}
	x.interim.count++
	x.aside(status, func(h http.Header) {
		answerHeader(h, in)
		for name := range h {
			if isCarrier(name) || h[name] == nil || holds(h[name], x.credential.reveal().Reveal()) {
				delete(h, name)
			}
		}
		x.skippedEdits(x.decision.EditResponseHeaders(&x.request, x.try.to, h))
	})
}

// askForBody tells a client that waits for it to send its body (RFC 9110,
// section 10.1.1). With the first read the server would say it by itself, but
// over HTTP/1 that may fall into a 1xx answer that is just being passed on.
func (x *exchange) askForBody() {
	if x.r.Header["Expect"] == nil {
		return
	}
	x.interim.mu.Lock()
	defer x.interim.mu.Unlock()
	if !x.interim.open || x.interim.asked {
		return // when the answer has come, the server keeps the two apart
	}
	x.interim.asked = true
	x.aside(http.StatusContinue, func(http.Header) {})
}

// aside writes a 1xx answer with a header of its own. x.interim.mu is held.
func (x *exchange) aside(status int, fill func(http.Header)) {
	h := x.w.Header()
	final := maps.Clone(h)
	clear(h)
	fill(h)
	now := time.Now()
	x.moveWriteDeadline(now)
	x.w.WriteHeader(status)
	_ = x.taken(0, now) // the head of the answer will say so again
	clear(h)
	maps.Copy(h, final)
}
