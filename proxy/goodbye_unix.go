//go:build unix

package proxy

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// readAway reads what has arrived on a socket, up to a bound.
func readAway(raw syscall.RawConn, most int) {
	buf := relayPool.Get().(*[relayBytes]byte)
	defer relayPool.Put(buf)
	_ = raw.Control(func(fd uintptr) { // of a socket that is closed already there is nothing to read
		for read := 0; read < most; {
			n, _, err := unix.Recvfrom(int(fd), buf[:], unix.MSG_DONTWAIT)
			if n <= 0 || err != nil {
				return
			}
			read += n
		}
	})
}
