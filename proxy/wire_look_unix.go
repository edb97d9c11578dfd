//go:build unix

package proxy

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// look asks the kernel whether there is anything to read on a socket, an end
// included, without reading it.
type look struct {
	raw     syscall.RawConn
	ask     func(fd uintptr)
	nothing bool
}

func (l *look) at(socket net.Conn) {
	l.raw = rawConn(socket)
	l.ask = func(fd uintptr) {
		asked := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(asked[:], 0)
		l.nothing = n == 0 && err == nil
	}
}

func (l *look) quiet(net.Conn) bool {
	if l.raw == nil {
		return false
	}
	l.nothing = false
	return l.raw.Control(l.ask) == nil && l.nothing
}
