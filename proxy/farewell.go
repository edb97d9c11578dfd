package proxy

import (
	"io"
	"net"
	"time"
)

// The bounds of a session's end.
const (
	closeWait    = 10 * time.Second // for the other side's Close, and for the connections to end
	farewellTime = time.Second      // for a Close of the gateway's own to be written and answered
)

// The bits of byes.
const (
	clientsBye   = 1
	upstreamsBye = 2
)

// noteClose bounds, from the first Close frame on, how long the rest may take
// (RFC 6455, section 7.1.1).
func (t *tunnel) noteClose(f *frames, whose uint32) {
	if f.closed && t.byes.Or(whose) == 0 {
		t.closer.Store(time.AfterFunc(closeWait, func() { t.end(endComplete) }))
	}
}

// upstreamEnded is the end of what the upstream says. Without a Close of either
// side the session is broken. After one, what is still missing is the client's
// answer to it.
func (t *tunnel) upstreamEnded(err error) {
	switch byes := t.byes.Load(); {
	case t.ctx.Err() != nil:
	case byes == 0:
		t.x.logBroken(endUpstreamTruncated, err)
		t.end(endUpstreamTruncated)
	case byes&clientsBye != 0:
		t.end(endComplete)
	default:
		closeWrite(t.client)
	}
}

// clientEnded is the same for the client.
func (t *tunnel) clientEnded() {
	t.mu.Lock() // what it has just been sent has been looked at
	byes := t.byes.Load()
	t.mu.Unlock()
	switch {
	case byes == 0:
		t.end(endClientGone)
	case byes&upstreamsBye != 0:
		t.end(endComplete)
	default:
		closeWrite(t.upstream)
	}
}

// clientLost is a client that cannot be written to.
func (t *tunnel) clientLost() {
	if t.byes.Load() != 0 {
		t.end(endComplete)
		return
	}
	t.end(endClientGone)
}

// closeWrite passes on that one side will say nothing more, where the connection
// of the other can say that (RFC 9293, section 3.6). One that cannot is closed
// when the session ends.
func closeWrite(to any) {
	if c, ok := to.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
}

// hangUp ends the client's connection, with the protocol's own word where the
// gateway has something to say and may, and without a clean end where something
// is missing.
func (t *tunnel) hangUp(reason endReason) {
	defer func() { _ = t.client.Close() }()
	code, text := closeCode(reason)
	if said := toldBy(t.ctx); said != nil && said.code == codeCut {
		text = "an operator of the gateway ended this session"
	}
	switch {
	case reason == endComplete, reason == endClientGone, t.down.closed:
	case code != 0 && t.down.atBoundary():
		t.sayClose(code, text)
	default:
		if tcp, ok := t.x.conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
}

// sayClose says why the session ends, and waits a little for the client to hear
// it: closing a connection on which something unread has arrived would take it
// back.
func (t *tunnel) sayClose(code uint16, text string) {
	deadline := time.Now().Add(farewellTime)
	if t.client.SetDeadline(deadline) != nil {
		return
	}
	if _, err := t.client.Write(closeFrame(code, text)); err != nil {
		return
	}
	closeWrite(t.client)
	_, _ = io.Copy(io.Discard, t.client) // until it has closed, too, or the time is up
}

// closeCode is what a client is told (RFC 6455, section 7.4.1); 0: nothing.
func closeCode(reason endReason) (code uint16, text string) {
	switch reason {
	case endComplete, endClientGone, endClientStalled:
		return 0, ""
	case endDrained:
		return 1001, "the gateway is stopping"
	case endIdleTimeout:
		return 1001, "nothing was said for too long"
	case endTotalTimeout:
		return 1001, "the session took too long"
	case endRevoked:
		return 1008, "the API key is not valid any more"
	}
	return 1011, "the upstream broke off"
}
