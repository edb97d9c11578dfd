package proxy

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// The bounds of what a client still says and is read away when its connection is
// closed: what has arrived then, and what is known to be coming still.
const (
	maxUnheard   = 64 << 10
	maxLingering = 256 << 10
	lingerTime   = time.Second
)

// polite is a listener whose connections are closed without taking back what
// was said last: a socket that is closed with something unread in it resets the
// connection (RFC 2525, section 2.17), and the client may lose the answer that
// it was given. net/http reads no more than 14 bytes before it knows whether a
// client speaks HTTP/2, and answers 400 to what is no request at all.
type polite struct{ net.Listener }

func (l polite) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &politeConn{TCPConn: tcp}, nil
	}
	return c, err
}

type politeConn struct {
	*net.TCPConn
	awaits atomic.Bool // more is coming: an upload that was answered before its end
}

// NetConn gives the socket.
func (c *politeConn) NetConn() net.Conn { return c.TCPConn }

// Close reads away what has arrived, without waiting, and closes. Where more is
// coming it waits a little for the end of that, and says first that nothing more
// is said from this side.
func (c *politeConn) Close() error {
	if c.awaits.Swap(false) && c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.TCPConn, maxLingering)
	}
	if raw, err := c.SyscallConn(); err == nil {
		readAway(raw, maxUnheard)
	}
	return c.TCPConn.Close()
}
