//go:build !linux

package servers

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
)

// childrenOf lists the processes that a process has started and that are there
// still. PostgreSQL's have process groups of their own, so that no signal to a
// group reaches them.
func childrenOf(pid int) ([]int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startBound)
	defer cancel()
	text, err := exec.CommandContext(ctx, "ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var children []int
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var child, parent int
		if _, err := fmt.Sscan(lines.Text(), &child, &parent); err != nil {
			return nil, fmt.Errorf("listing processes: %w", err)
		}
		if parent == pid {
			children = append(children, child)
		}
	}
	return children, nil
}
