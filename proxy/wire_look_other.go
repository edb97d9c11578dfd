//go:build !unix

package proxy

import (
	"errors"
	"net"
	"os"
	"time"
)

// lookTime is how long a socket is listened to where the kernel cannot be asked
// whether it holds anything.
const lookTime = time.Millisecond

type look struct{}

func (*look) at(net.Conn) {}

func (*look) quiet(socket net.Conn) bool {
	if socket.SetReadDeadline(time.Now().Add(lookTime)) != nil {
		return false
	}
	var one [1]byte
	_, err := socket.Read(one[:])
	return errors.Is(err, os.ErrDeadlineExceeded) && socket.SetReadDeadline(time.Time{}) == nil
}
