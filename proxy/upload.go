package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// upload is a request's body that passes to the upstream as it comes: nothing
// of it is kept, and the upstream sets the pace. It is lent to one attempt at a
// time, and can be lent again only while nobody has asked for a byte of it. What
// breaks it off ends the exchange. Trailers of the request are dropped.
//
// A transport may go on reading while the answer passes, and after it; end takes
// the body back before ServeHTTP returns, for it is the server's again then.
//
// A nil upload is that of a request whose body was read whole, or has none.
type upload struct {
	exchange *exchange
	length   int64 // -1: not announced

	mu      sync.Mutex
	idle    sync.Cond // reading became false
	reading bool
	holder  *lentUpload // who may read; nil: nobody
	begun   bool        // a byte of it was asked for
	whole   bool        // it has been read to its end
	passed  int64
	problem *failure // why it broke off
}

// uploadDrain is how long the server may take, after an answer that came before
// the end of the upload, to read what is left on a connection that it closes then.
const uploadDrain = time.Second

var (
	errUploadOver  = errors.New("the request's body is no longer this attempt's")
	errUploadBroke = errors.New("the request's body broke off")
)

// beginUpload lets the body pass as it comes. The client is told to send it
// (100 Continue) when the upstream wants its first byte.
func (x *exchange) beginUpload() *failure {
	if limit := x.p.options.MaxBody; x.r.ContentLength > limit {
		return bodyTooLarge(limit)
	}
	u := &upload{exchange: x, length: x.r.ContentLength}
	u.idle.L = &u.mu
	x.upload = u
	return nil
}

// holdUpload reads a body whole after all where an upstream wants a signature
// over it.
func (x *exchange) holdUpload() *failure {
	if x.upload == nil {
		return nil
	}
	for _, c := range x.decision.Candidates {
		if x.snap.target(c).signs() {
			x.upload = nil
			f := x.fetchBody()
			x.bodies.asked(x.body.bytes)
			return f
		}
	}
	return nil
}

// lentUpload is the body in the hands of one attempt.
type lentUpload struct {
	of    *upload
	watch *watch
}

// lend gives the body to an attempt, and takes it from the one before.
func (u *upload) lend(w *watch) *lentUpload {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.holder = &lentUpload{of: u, watch: w}
	return u.holder
}

// reclaim takes the body back for another attempt. It is false where somebody
// has asked for a byte of it, which cannot be had again.
func (u *upload) reclaim() bool {
	if u == nil {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.begun {
		return false
	}
	u.holder = nil
	return true
}

// wasBegun says whether somebody has asked for a byte.
func (u *upload) wasBegun() bool {
	if u == nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.begun
}

// unfinished says whether something of the body may still be coming.
func (u *upload) unfinished() bool {
	if u == nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.whole
}

// brokeOff tells why the body broke off; nil where it did not. A read under way
// may be about to say so: the server ends a request's context before the reader
// hears why. It takes no longer than a client may stall.
func (u *upload) brokeOff() *failure {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for u.reading {
		u.idle.Wait()
	}
	return u.problem
}

// end takes the body back for good and says how much of it has passed. A read
// under way is made to return.
func (u *upload) end() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.holder = nil
	if u.reading {
		_ = u.exchange.rc.SetReadDeadline(longAgo)
		for u.reading {
			u.idle.Wait()
		}
	}
	if !u.whole && !u.exchange.h2 {
		_ = u.exchange.rc.SetReadDeadline(time.Now().Add(uploadDrain))
		u.exchange.lingers()
	}
	return u.passed
}

// Read reads what the client has sent next.
func (l *lentUpload) Read(b []byte) (int, error) {
	if err := l.of.enter(l); err != nil {
		return 0, err
	}
	l.watch.receiving.Store(true)
	l.of.exchange.askForBody()
	n, err := l.of.exchange.readInTime(b)
	l.watch.receiving.Store(false)
	l.watch.took()
	n, problem, err := l.of.leave(l, n, err)
	if problem != nil {
		l.of.exchange.cut(problem.reason())
	}
	return n, err
}

// enter begins a read, and moves its deadline before anybody can end it.
func (u *upload) enter(l *lentUpload) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.holder != l:
		return errUploadOver
	case u.problem != nil:
		return errUploadBroke
	case u.whole:
		return io.EOF
	}
	u.begun, u.reading = true, true
	u.exchange.moveReadDeadline(time.Now())
	return nil
}

// leave ends a read that gave n bytes and err, and says what the attempt gets
// to hear of it.
func (u *upload) leave(l *lentUpload, n int, err error) (int, *failure, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reading = false
	u.idle.Broadcast()
	u.passed += int64(n)
	if errors.Is(err, io.EOF) {
		u.whole = true
		u.exchange.noReadDeadline()
	}
	limit := u.exchange.p.options.MaxBody
	switch {
	case u.holder != l:
		return 0, nil, errUploadOver
	case u.passed > limit:
		u.problem = bodyTooLarge(limit)
	case err != nil && !errors.Is(err, io.EOF):
		u.problem = u.exchange.bodyFailed(err)
	default:
		return n, nil, err
	}
	return 0, u.problem, errUploadBroke
}

// clientGone tells what became of a client whose exchange has ended from its
// side: it broke off its upload, or it just left.
func (x *exchange) clientGone() *failure {
	if f := x.upload.brokeOff(); f != nil {
		return f
	}
	return clientGone()
}

// lingers has the connection stay for what is still coming of an upload: a read
// that was interrupted may leave the server unable to find its end, and closed at
// once the connection would be reset under an answer that is on its way.
func (x *exchange) lingers() {
	if x.visitor == nil {
		return
	}
	if p := politeBelow(x.visitor.conn); p != nil && x.headSent && !x.broken {
		p.awaits.Store(true)
	}
}

// endConnectionAfter makes the answer the last on its connection where more of
// the request's body may come behind it: what comes is not a request.
func (x *exchange) endConnectionAfter(h http.Header) {
	if x.unreadBody() && !x.h2 {
		h["Connection"] = []string{"close"}
	}
}
