package proxy

import "net"

// maxUnheard is how much of what a client still says is read away when its
// connection is closed.
const maxUnheard = 64 << 10

// polite is a listener whose connections are closed without taking back what
// was said last: a socket that is closed with something unread in it resets the
// connection (RFC 2525, section 2.17), and the client may lose the answer that
// it was given. net/http reads no more than 14 bytes before it knows whether a
// client speaks HTTP/2, and answers 400 to what is no request at all.
type polite struct{ net.Listener }

func (l polite) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &politeConn{tcp}, nil
	}
	return c, err
}

type politeConn struct{ *net.TCPConn }

// NetConn gives the socket.
func (c *politeConn) NetConn() net.Conn { return c.TCPConn }

// Close reads away what has arrived, without waiting, and closes.
func (c *politeConn) Close() error {
	if raw, err := c.SyscallConn(); err == nil {
		readAway(raw, maxUnheard)
	}
	return c.TCPConn.Close()
}
