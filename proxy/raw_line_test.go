package proxy

import (
	"errors"
	"net"
	"sync"
	"time"
)

// line is a connection in memory: what is written to it is read in just the
// pieces in which it was written, and either side can end what it says and
// still listen, as with TCP.
type line struct {
	net.Conn // read from, and closed with
	out      net.Conn
}

func newLine() (client, server *line) {
	upIn, upOut := net.Pipe()
	downIn, downOut := net.Pipe()
	return &line{downIn, upOut}, &line{upIn, downOut}
}

func (l *line) Write(b []byte) (int, error) { return l.out.Write(b) }

// CloseWrite ends what this side says.
func (l *line) CloseWrite() error { return l.out.Close() }

func (l *line) Close() error { return errors.Join(l.Conn.Close(), l.out.Close()) }

func (l *line) SetWriteDeadline(t time.Time) error { return l.out.SetWriteDeadline(t) }

func (l *line) SetDeadline(t time.Time) error {
	return errors.Join(l.SetReadDeadline(t), l.SetWriteDeadline(t))
}

// RemoteAddr is an address that rules can look at.
func (l *line) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// switchboard is a listener for lines.
type switchboard struct {
	calls chan net.Conn
	ended chan struct{}
	end   sync.Once
}

func newSwitchboard() *switchboard {
	return &switchboard{calls: make(chan net.Conn), ended: make(chan struct{})}
}

// dial connects to whoever accepts.
func (s *switchboard) dial() (net.Conn, error) {
	client, server := newLine()
	select {
	case s.calls <- server:
		return client, nil
	case <-s.ended:
		return nil, net.ErrClosed
	}
}

func (s *switchboard) Accept() (net.Conn, error) {
	select {
	case c := <-s.calls:
		return c, nil
	case <-s.ended:
		return nil, net.ErrClosed
	}
}

func (s *switchboard) Close() error {
	s.end.Do(func() { close(s.ended) })
	return nil
}

func (s *switchboard) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
