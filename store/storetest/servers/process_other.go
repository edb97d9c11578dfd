//go:build !unix

package servers

import (
	"errors"
	"fmt"
	"os/exec"
)

type signal int

const (
	freeze signal = iota
	goOn
	killed
	endFast
	endAtAll
	endWell
)

// keeper is what a server needs, and there are none here.
type keeper struct{}

func hire(place, signal) (*keeper, error) {
	return nil, fmt.Errorf("starting servers: %w: this is no Unix", errors.Join(ErrMissing, errors.ErrUnsupported))
}

func (*keeper) watch(int) error { return nil }
func (*keeper) dismiss() error  { return nil }

func launch(place, string, []string) (int, error) { return 0, errors.ErrUnsupported }
func lower(*exec.Cmd, place)                      {}
func send(int, signal)                            {}
func reaped(int) bool                             { return true }
