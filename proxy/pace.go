package proxy

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// paceBytes is what a client must take of an answer, or give of its body, for
// every Options.WriteStall or ReadStall that was spent waiting for it. It is 273
// bytes a second with the default of 30 s: any network does better, and a client
// that sends or takes a byte now and then, so that no deadline passes, is cut.
// (Apache's mod_reqtimeout asks for 500 bytes a second of a body.)
const paceBytes = 8 << 10

// errTooSlow is a deadline of its own kind: the client moved, but not enough.
var errTooSlow = fmt.Errorf("slower than %d bytes for each time limit: %w", paceBytes, os.ErrDeadlineExceeded)

// pace bounds how slowly a client may read, or write. Only the time in which it
// is waited for counts.
//
// Over HTTP/1 a deadline of the connection ends a wait that is too long. Over
// HTTP/2 a stream's deadline resets the stream also while nobody waits for it,
// which would cut a model that thinks; so began is noted there, and the sweeper
// looks at it.
type pace struct {
	began  atomic.Int64 // UnixNano, while the client of a stream is waited for; 0: it is not
	waited time.Duration
	moved  int
}

// note adds a wait in which the client moved n bytes, and says whether it keeps
// up.
func (p *pace) note(n int, waited, window time.Duration) bool {
	p.moved += n
	if p.waited += waited; p.waited < window {
		return true
	}
	keptUp := p.moved >= paceBytes
	p.waited, p.moved = 0, 0
	return keptUp
}

// overdue says whether the client has been waited for longer than it may be.
func (p *pace) overdue(now time.Time, window time.Duration) bool {
	began := p.began.Load()
	return began != 0 && now.UnixNano()-began >= int64(window)
}

// moveWriteDeadline keeps the client's write deadline ahead of now. Moving it
// costs a system-wide timer, so it is moved at most every sixth of its length.
func (x *exchange) moveWriteDeadline(now time.Time) {
	stall := x.p.options.WriteStall
	if x.h2 {
		x.writing.began.Store(now.UnixNano())
		return
	}
	if !x.lastWrite.IsZero() && now.Sub(x.lastWrite) < stall/6 {
		return
	}
	x.lastWrite = now
	// An error means that the connection is gone, which the next write says too.
	_ = x.rc.SetWriteDeadline(now.Add(stall))
}

// briefWait is the part of a stall that counts as none: a write that takes no
// longer waited for this machine as likely as for the client.
const briefWait = 30

// taken ends a wait for the client to take n bytes that began at a moment.
func (x *exchange) taken(n int, began time.Time) error {
	if x.h2 {
		x.writing.began.Store(0)
	}
	waited, stall := time.Since(began), x.p.options.WriteStall
	if waited < stall/briefWait {
		waited = 0
	}
	if !x.writing.note(n, waited, stall) {
		return errTooSlow
	}
	return nil
}

// readPart reads a part of the request's body, within the read deadline, which
// it moves.
func (x *exchange) readPart(b []byte) (int, error) {
	x.moveReadDeadline(time.Now())
	return x.readInTime(b)
}

// moveReadDeadline keeps the client's read deadline ahead of now, as
// moveWriteDeadline does.
func (x *exchange) moveReadDeadline(now time.Time) {
	stall := x.p.options.ReadStall
	if x.h2 || now.Sub(x.lastRead) <= stall/6 {
		return
	}
	x.lastRead = now
	_ = x.rc.SetReadDeadline(now.Add(stall))
}

// readInTime reads within the deadline that there is.
func (x *exchange) readInTime(b []byte) (int, error) {
	began := time.Now()
	if x.h2 {
		x.reading.began.Store(began.UnixNano())
		defer x.reading.began.Store(0)
	}
	n, err := x.r.Body.Read(b)
	if err == nil && !x.reading.note(n, time.Since(began), x.p.options.ReadStall) {
		err = errTooSlow
	}
	return n, err
}

// noReadDeadline takes the read deadline away when the body has been read. Over
// HTTP/2 there is none.
func (x *exchange) noReadDeadline() {
	if !x.h2 {
		_ = x.rc.SetReadDeadline(time.Time{})
	}
}

// endStalled ends what the client of an HTTP/2 stream is waited for too long:
// the stream when it takes nothing, and the wait for its body when it sends
// nothing. It must not be called when the exchange may have finished.
func (x *exchange) endStalled(now time.Time) {
	if x.writing.overdue(now, x.p.options.WriteStall) {
		x.stalled.Store(true)
		_ = x.rc.SetWriteDeadline(longAgo)
	}
	if x.reading.overdue(now, x.p.options.ReadStall) {
		_ = x.rc.SetReadDeadline(longAgo)
	}
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// boundTheRest bounds what the server itself does for a stream when its handler
// has returned: sending what is still buffered, and the mark of the end.
func (x *exchange) boundTheRest() {
	if x.h2 && !x.broken {
		_ = x.rc.SetWriteDeadline(time.Now().Add(x.p.options.WriteStall))
	}
}
