package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Bounds of a child's start and end.
const (
	startBound = 20 * time.Second
	endBound   = 5 * time.Second
)

// roles are what this program does when it has started itself again.
func roles() map[string]func(context.Context, []string, io.Reader, io.Writer) error {
	return map[string]func(context.Context, []string, io.Reader, io.Writer) error{
		"role-upstream": serveUpstream,
		"role-stock":    serveStock,
		"role-burn":     burn,
	}
}

// child is a process that ends with this one.
type child struct {
	cmd   *exec.Cmd
	pid   int
	said  string // the first line of a role's stdout
	ended chan error
}

// startRole starts this program again and waits until it says its first line.
func startRole(ctx context.Context, role string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"role-" + role}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c, err := start(cmd)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", role, err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n') // ends with the child at the latest
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: it said nothing", role), c.stop())
	}
	c.said = strings.TrimSpace(line)
	return c, nil
}

// start starts a process that will be waited for by stop.
func start(cmd *exec.Cmd) (*child, error) {
	cmd.WaitDelay = endBound
	// Held open until Wait; roles end when it ends, so also when this process
	// was killed.
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &child{cmd: cmd, pid: cmd.Process.Pid, ended: make(chan error, 1)}, nil
}

// stop interrupts the process, and kills it where it does not listen.
func (c *child) stop() error { return c.end(os.Interrupt, endBound) }

// end asks the process to end, and kills it where it has not within a time.
func (c *child) end(wish os.Signal, within time.Duration) error {
	_ = c.cmd.Process.Signal(wish) // where it has ended already, Wait says how
	go func() { c.ended <- c.cmd.Wait() }()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case err := <-c.ended:
		return err
	case <-timer.C:
	}
	_ = c.cmd.Process.Kill()
	return errors.Join(fmt.Errorf("%s had to be killed", c.cmd.Path), <-c.ended)
}

// logTail keeps the last bytes of a process's log, to tell why it did not
// start, and hands each line to watch, if there is one.
type logTail struct {
	mu    sync.Mutex
	kept  []byte
	rest  []byte // a line that has not ended yet
	watch func(line []byte)
}

// tell hands every line from now on to watch, which must not wait.
func (l *logTail) tell(watch func(line []byte)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watch, l.rest = watch, nil
}

const keptLog = 4 << 10

func (l *logTail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, b...)
	l.kept = append(l.kept[:0], l.kept[max(0, len(l.kept)-keptLog):]...)
	if l.watch != nil {
		l.lines(b)
	}
	return len(b), nil
}

func (l *logTail) lines(b []byte) {
	l.rest = append(l.rest, b...)
	begin := 0
	for {
		n := bytes.IndexByte(l.rest[begin:], '\n')
		if n < 0 {
			break
		}
		l.watch(l.rest[begin : begin+n])
		begin += n + 1
	}
	l.rest = append(l.rest[:0], l.rest[begin:]...)
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.kept)
}
