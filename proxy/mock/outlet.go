package mock

import (
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"time"
)

// outlet is the way that bytes take to the client.
type outlet struct {
	zip     *gzip.Writer // between, for mock-gzip
	bounded time.Time    // when the write deadline was last moved
}

// open sends the head, at once where the first byte will be a while.
func (e *exchange) open(now bool) bool {
	if e.trait.fault == gzipped {
		e.w.Header().Set("Content-Encoding", "gzip")
		e.out.zip = gzip.NewWriter(e.w)
	}
	e.bound()
	e.w.WriteHeader(http.StatusOK)
	return !now || e.control.Flush() == nil
}

// emit sends p in the pieces that the model's fault asks for, each flushed.
func (e *exchange) emit(p []byte) bool {
	for len(p) > 0 {
		n := e.piece(p)
		if !e.write(p[:n]) {
			return false
		}
		p = p[n:]
	}
	return true
}

func (e *exchange) piece(p []byte) int {
	switch e.trait.fault {
	case singleBytes:
		return 1
	case splitsRunes:
		return insideRune(p)
	default:
		return len(p)
	}
}

func (e *exchange) write(p []byte) bool {
	e.bound()
	var err error
	if e.out.zip != nil {
		if _, err = e.out.zip.Write(p); err == nil {
			err = e.out.zip.Flush()
		}
	} else {
		_, err = e.w.Write(p)
	}
	return err == nil && e.control.Flush() == nil
}

// close ends what open has begun.
func (e *exchange) close() bool {
	return e.out.zip == nil || e.out.zip.Close() == nil
}

// bound moves the write deadline on, so that a client that reads nothing more
// does not hold the handler for ever. A writer that knows no deadlines (a
// recorder, in a test) does not block either.
func (e *exchange) bound() {
	now := time.Now()
	if now.Sub(e.out.bounded) < writeMoves {
		return
	}
	e.out.bounded = now
	_ = e.control.SetWriteDeadline(now.Add(writeTime))
}

// sever sends the first half of next and resets the connection. Over HTTP/2,
// where the connection is not this exchange's, the stream is reset instead.
func (e *exchange) sever(next []byte) {
	half := next[:len(next)/2]
	conn, _, err := e.control.Hijack()
	if err != nil {
		e.write(half)
		panic(http.ErrAbortHandler)
	}
	e.out.bounded = time.Time{} // the connection is the server's no more
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if len(half) > 0 {
		// The connection ends here either way; what matters is that it does.
		_, _ = conn.Write(e.chunk(len(next), half))
	}
	if tcp, ok := underTLS(conn).(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // makes Close send RST
		_ = tcp.Close()
	}
}

// chunk frames half as the beginning of a chunk of so many bytes, where the
// body goes in chunks (RFC 9112 7.1).
func (e *exchange) chunk(size int, half []byte) []byte {
	if !e.r.ProtoAtLeast(1, 1) {
		return half
	}
	return append(fmt.Appendf(nil, "%x\r\n", size), half...)
}

func underTLS(conn net.Conn) net.Conn {
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok {
		return over.NetConn()
	}
	return conn
}
