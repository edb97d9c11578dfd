package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"
)

// authority is what connections are kept apart by.
type authority struct {
	tls  bool
	host string // with its port, as the URL has it
}

// wireConn is a connection to an upstream.
type wireConn struct {
	net.Conn          // TLS, or the socket itself
	socket   net.Conn // below TLS
	at       authority
	used     bool      // for an exchange before
	since    time.Time // when it became idle
	look     look
	cut      func() // ends whatever is under way on it, at once
}

func newWireConn(conn, socket net.Conn, at authority) *wireConn {
	c := &wireConn{Conn: conn, socket: socket, at: at}
	c.look.at(socket)
	c.cut = func() { _ = socket.Close() } // not TLS's Close, which would wait to say goodbye
	return c
}

// close ends a connection on which nothing is under way.
func (c *wireConn) close() { _ = c.Conn.Close() }

// quiet says whether nothing has come that nobody asked for: no byte, and no
// end. Whatever it is, it would be taken for the answer to the next request.
func (c *wireConn) quiet() bool {
	if c.Conn != c.socket && !c.nothingDecrypted() {
		return false
	}
	return c.look.quiet(c.socket)
}

// nothingDecrypted looks into TLS for what it has read from the socket and
// nobody from it. With a deadline that has passed it reads no further.
func (c *wireConn) nothingDecrypted() bool {
	if c.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	var one [1]byte
	_, err := c.Read(one[:])
	return errors.Is(err, os.ErrDeadlineExceeded) && c.SetReadDeadline(time.Time{}) == nil
}

// writeTogether writes head and body in one go where it can, and says how many
// bytes of both went out.
func (c *wireConn) writeTogether(b *inbox, body []byte) (int, error) {
	room := cap(b.bytes) - len(b.bytes)
	if len(body) > room && c.Conn == c.socket {
		parts := net.Buffers{b.bytes, body}
		n, err := parts.WriteTo(c.socket)
		return int(n), err
	}
	first := body[:min(room, len(body))]
	b.bytes = append(b.bytes, first...)
	n, err := c.Write(b.bytes)
	if err != nil || len(first) == len(body) {
		return n, err
	}
	more, err := c.Write(body[len(first):])
	return n + more, err
}

// offeredHTTP2 is the error of a dial to an upstream that chose HTTP/2. Whoever
// gets it has the connection.
type offeredHTTP2 struct{ conn *tls.Conn }

func (*offeredHTTP2) Error() string { return "the upstream chose HTTP/2" }

// connect makes a new connection. HTTP/2 is offered where it can be used.
func (w *wire) connect(ctx context.Context, to *url.URL, http2 bool) (*wireConn, error) {
	at := authority{to.Scheme == "https", to.Host}
	socket, err := w.dial(ctx, "tcp", dialAddress(to))
	if err != nil {
		return nil, err
	}
	if !at.tls {
		return newWireConn(socket, socket, at), nil
	}
	protocols := []string{"http/1.1"}
	if http2 {
		protocols = []string{"h2", "http/1.1"}
	}
	conn, err := shakeHands(ctx, socket, w.tls, to.Hostname(), protocols)
	if err != nil {
		return nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		return nil, &offeredHTTP2{conn}
	}
	return newWireConn(conn, socket, at), nil
}

// dialAddress is where a URL's host listens.
func dialAddress(to *url.URL) string {
	port := to.Port()
	switch {
	case port != "":
	case to.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(to.Hostname(), port)
}

// shakeHands makes TLS of a socket, or closes it.
func shakeHands(ctx context.Context, socket net.Conn, c *tls.Config, host string, protocols []string) (*tls.Conn, error) {
	config := c.Clone()
	config.NextProtos = protocols
	if config.ServerName == "" {
		config.ServerName = host
	}
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	conn := tls.Client(socket, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = socket.Close()
		return nil, fmt.Errorf("shaking hands: %w", err)
	}
	return conn, nil
}

// rawConn gives what is below a socket; nil where it has nothing there.
func rawConn(socket net.Conn) syscall.RawConn {
	s, ok := socket.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
