package proxy

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerGone says whether the other end of a TCP connection has closed it or
// reset it, without reading from it. Unread bytes in the socket do not hide it.
func peerGone(c net.Conn) bool {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		gone = err == nil && info.State != unix.BPF_TCP_ESTABLISHED
	})
	return err == nil && gone
}
