package store

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
)

// onLine is a failure of a connection from a port of this machine.
func onLine(port int, cause error) error {
	return &net.OpError{
		Op: "read", Net: "tcp", Err: cause,
		Source: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5432},
	}
}

func TestAFailureIsToldOnceWhateverPortItComesFrom(t *testing.T) {
	f, e := &follower{}, &ear{}
	for name, tell := range map[string]func(zerolog.Logger, error){
		"the store": func(log zerolog.Logger, err error) { f.note(log, now(), unavailable(err)) },
		"the bus":   func(log zerolog.Logger, err error) { e.lost(log, err, "bus unreachable") },
	} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			log := zerolog.New(&said)
			for port := range 5 {
				tell(log, fmt.Errorf("reading log: %w", onLine(40000+port, os.ErrDeadlineExceeded)))
			}
			if n := strings.Count(said.String(), "\n"); n != 1 || strings.Contains(said.String(), "127.0.0.1") {
				t.Errorf("%d lines: %s", n, said.String())
			}
			tell(log, fmt.Errorf("reading log: %w", onLine(40009, syscall.ECONNREFUSED)))
			if n := strings.Count(said.String(), "\n"); n != 2 {
				t.Errorf("after another failure, %d lines: %s", n, said.String())
			}
		})
	}
}

func TestASteadyFailureIsStillWhatItIs(t *testing.T) {
	err := unavailable(fmt.Errorf("asking: %w", onLine(40000, os.ErrDeadlineExceeded)))
	if !errors.Is(err, accounts.ErrUnavailable) || !errors.Is(err, os.ErrDeadlineExceeded) || unreachable(err) != "no answer in time" {
		t.Errorf("%v", err)
	}
	if other := errors.New("no such table"); steady(other) != other {
		t.Error("what is no failure of a network is changed")
	}
}
