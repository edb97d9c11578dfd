package servers

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// childrenOf lists the processes that a process has started and that are there
// still. PostgreSQL's have process groups of their own, so that no signal to a
// group reaches them.
func childrenOf(pid int) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var children []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || err != nil && len(text) == 0 && !errors.Is(err, fs.ErrPermission) {
			continue // it ended while we looked
		}
		if err != nil {
			return nil, fmt.Errorf("listing processes: %w", err)
		}
		if parentIn(text) == pid {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				return nil, fmt.Errorf("listing processes: %w", err)
			}
			children = append(children, child)
		}
	}
	return children, nil
}

// parentIn reads the parent's number from a line of /proc/PID/stat: the second
// field behind the name, which is in parentheses and may hold any byte. See
// proc_pid_stat(5).
func parentIn(stat []byte) int {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return parent
}
