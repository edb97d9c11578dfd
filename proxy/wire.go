package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// wire carries attempts over HTTP/1.1 (RFC 9112) in the goroutine that asks:
//
//  1. wire_request.go  the request's head as bytes
//  2. wire_conn.go     a connection: an idle one on which nothing came unasked (wire_idle.go), or a new one
//  3. wire_upload.go   head and body written together; the rest of a large body beside the reading
//  4. wire_head.go     the answer's head, parsed strictly; what it says of the body's end
//  5. wire_body.go     the body, without a buffer of its own; wire_chunks.go takes its framing out
//
// It knows no redirects, no cookies and no proxies. An answer that another
// reader could take in another way is an error, and its connection is not used
// again: what an upstream sends beyond its answer must never become the answer
// to somebody else's request.
type wire struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	tls  *tls.Config
	idle idle
}

// do sends the request and waits for the answer's head. See transport.do.
func (w *wire) do(ctx context.Context, a *attempt, connected func()) (*answer, error) {
	for again := false; ; again = true {
		box := takeInbox()
		if err := box.compose(a); err != nil {
			box.giveBack()
			return nil, err
		}
		conn, err := w.connection(ctx, a, again)
		if err != nil {
			box.giveBack()
			return nil, err
		}
		a.dispatched++
		a.reused = conn.used
		connected()
		k := &call{wire: w, conn: conn, box: box, ctx: ctx}
		answer, err := k.begin(a)
		if err == nil {
			a.body = nil // the answer lives on, and what made it with it
			return answer, nil
		}
		k.fail(err)
		if !conn.used || ctx.Err() != nil || !k.unseen(a) {
			return nil, k.err
		}
	}
}

// connection gives one that is idle, or a new one.
func (w *wire) connection(ctx context.Context, a *attempt, fresh bool) (*wireConn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	at := authority{a.url.Scheme == "https", a.url.Host}
	if !fresh {
		if conn := w.idle.take(at); conn != nil {
			return conn, nil
		}
	}
	asked := time.Now()
	conn, err := w.connect(ctx, a.url, !a.upgrade)
	a.connect = time.Since(asked)
	return conn, err
}

// call is one exchange on one connection, and the body of its answer. Only the
// end of its context may come from another goroutine.
type call struct {
	wire *wire
	conn *wireConn // nil when it has been given up
	box  *inbox    // what was read and not taken yet; nil where there is none
	ctx  context.Context
	stop func() bool // takes back that the end of ctx cuts the connection
	up   *sending    // what is still being written; nil where there is nothing

	sent   int  // bytes of the request written at once
	headed int  // bytes of heads read
	heard  bool // a byte of the answer has come
	keep   bool // the connection may be used again after a clean end
	full   bool // the last read took all that there was room for

	framing framing
	left    int64 // of a body with a length
	chunks  chunks
	trailer http.Header
	err     error // why there is no more to read; io.EOF after a clean end
}

// begin writes the request and reads the answer's head.
func (k *call) begin(a *attempt) (*answer, error) {
	k.stop = context.AfterFunc(k.ctx, k.conn.cut)
	failed := k.send(a)
	if failed != nil && k.sent == 0 {
		return nil, failed
	}
	// An upstream that closes while the request is being written may have said
	// why before.
	head, err := k.finalHead(a)
	switch {
	case err != nil && failed != nil && !k.heard:
		return nil, failed
	case err != nil:
		return nil, err
	case head.status == http.StatusSwitchingProtocols && a.upgrade:
		return k.changeProtocol(head)
	case head.status < http.StatusOK:
		// A 101 nobody asked for, or a number that is no status: what follows is
		// no answer (RFC 9110, section 15).
		return nil, errStatus
	}
	k.keep = head.keep && failed == nil
	return k.answer(a.method, head)
}

// finalHead reads heads until one is not of an interim answer.
func (k *call) finalHead(a *attempt) (*answerHead, error) {
	for {
		head, err := k.readHead()
		if err != nil {
			return nil, err
		}
		if head.status < 100 || head.status >= http.StatusOK || head.status == http.StatusSwitchingProtocols {
			return head, nil
		}
		if a.informed++; a.informed > maxInformational {
			return nil, errInformational
		}
		if a.inform != nil && head.status != http.StatusContinue {
			a.inform(head.status, head.header)
		}
	}
}

// answer is what the head says, with the body still to be read.
func (k *call) answer(method string, head *answerHead) (*answer, error) {
	k.framing, k.left = head.framing(method), head.length
	k.keep = k.keep && k.framing != toClose
	a := &answer{
		status: head.status, header: head.header, body: k, length: head.length,
		framed:  k.framing != toClose,
		trailer: func() http.Header { return k.trailer },
	}
	if k.framing == noBody && method != http.MethodHead {
		a.length = 0 // whatever was announced (RFC 9110, section 8.6)
		k.keep = k.keep && !head.chunked && (head.length <= 0 || head.status == http.StatusNotModified)
	}
	if k.framing == noBody || k.framing == toLength && k.left == 0 {
		k.end()
		a.body = http.NoBody
	}
	return a, nil
}

// changeProtocol hands the connection over: from here on it is the caller's,
// and the end of ctx leaves it alone.
func (k *call) changeProtocol(head *answerHead) (*answer, error) {
	if !k.stop() {
		return nil, context.Cause(k.ctx)
	}
	if k.uploading() {
		return nil, errEarlyUpgrade
	}
	u := &upgraded{Conn: k.conn.Conn, early: bytes.Clone(k.box.rest())}
	k.letGo()
	return &answer{status: head.status, header: head.header, trailer: noTrailer, body: u, upgraded: u, length: -1}, nil
}

func noTrailer() http.Header { return nil }

// upgraded is a connection after a 101, which begins with what came behind the
// head.
type upgraded struct {
	net.Conn
	early []byte
}

func (u *upgraded) Read(b []byte) (int, error) {
	if len(u.early) > 0 {
		n := copy(b, u.early)
		u.early = u.early[n:]
		return n, nil
	}
	return u.Conn.Read(b)
}

// CloseWrite says that nothing more follows, where the connection can say that.
func (u *upgraded) CloseWrite() error {
	if c, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

var errEarlyUpgrade = errors.New("the protocol was changed before the request was whole")

// unseen says whether the upstream can have done nothing with the request: no
// byte of it was written; or the connection, which had been idle, brought no
// byte of an answer, and doing it twice would change nothing (RFC 9112,
// section 9.3.1).
func (k *call) unseen(a *attempt) bool {
	if k.heard {
		return false
	}
	return k.sent == 0 || safe(a.method) && len(a.body) == 0 && a.stream == nil
}

// safe methods change nothing and may be sent twice (RFC 9110, section 9.2.1).
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// end is the clean end of an answer. The connection is used again where the
// upstream allows it and nothing is under way on it in either direction.
func (k *call) end() {
	k.err = io.EOF
	keep := k.keep && k.box.empty() && !k.uploading() && k.stop()
	conn := k.letGo()
	switch {
	case keep:
		k.wire.idle.put(conn)
	case k.up == nil:
		conn.close()
	default:
		conn.cut()
		k.join()
	}
}

// fail gives up on the answer: the connection is cut, so that the upstream does
// not go on working for nobody.
func (k *call) fail(err error) {
	k.err = k.reason(err)
	if k.conn != nil {
		k.letGo().cut()
		k.join()
	}
}

// letGo takes the connection out of the call.
func (k *call) letGo() *wireConn {
	conn := k.conn
	k.stop()
	k.box.giveBack()
	k.conn, k.box = nil, nil
	return conn
}

// reason says why a read or write failed: because the context ended, or the
// body that was passed on broke, or else as the connection says.
func (k *call) reason(err error) error {
	if k.ctx.Err() != nil {
		return context.Cause(k.ctx)
	}
	if k.up != nil {
		if broken := k.up.broken.Load(); broken != nil {
			return *broken
		}
	}
	return err
}
