package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
)

// screen is a console on a terminal that takes everything at once.
type screen struct {
	pid     int
	started time.Time
	tty     *os.File
	cmd     *exec.Cmd

	mu      sync.Mutex
	written int64
	last    []byte // what was written last
	watched []byte // a text that is waited for
	at      time.Time
	dropped string // what it said last of events that it did not show
	closed  chan struct{}
}

// keptScreen is enough for the first frames.
const keptScreen = 256 << 10

// openScreen starts a console beside the gateway of a data directory, 120x32, and
// notes when a text is written for the first time.
func (s *stand) openScreen(ctx context.Context, data, name, text string) (*screen, error) {
	cmd := exec.CommandContext(ctx, s.binary, "console", "--data", data, "--screen", name, "--theme", "dark")
	cmd.Env = []string{"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "LANG=C.UTF-8"}
	c := &screen{cmd: cmd, watched: []byte(text), closed: make(chan struct{}), started: time.Now()}
	var err error
	if c.tty, err = pty.StartWithSize(cmd, &pty.Winsize{Rows: 32, Cols: 120}); err != nil {
		return nil, fmt.Errorf("starting the console: %w", err)
	}
	c.pid = cmd.Process.Pid
	go c.read()
	return c, nil
}

// read takes what the console writes until it has ended.
func (c *screen) read() {
	defer close(c.closed)
	part := make([]byte, 64<<10)
	for {
		n, err := c.tty.Read(part)
		c.take(part[:n], time.Now())
		if err != nil {
			return // EIO: the other side is closed
		}
	}
}

func (c *screen) take(text []byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written += int64(len(text))
	c.last = append(c.last, text...)
	if c.at.IsZero() && bytes.Contains(c.last, c.watched) {
		c.at = now
	}
	if said := droppedForm.FindAll(escapes.ReplaceAll(text, nil), -1); len(said) > 0 {
		c.dropped = string(said[len(said)-1])
	}
	c.last = append(c.last[:0], c.last[max(0, len(c.last)-keptScreen):]...)
}

// first is how long it took until the text was written.
func (c *screen) first(ctx context.Context) (time.Duration, error) {
	for end := time.Now().Add(startBound); time.Now().Before(end); {
		c.mu.Lock()
		at := c.at
		c.mu.Unlock()
		if !at.IsZero() {
			return at.Sub(c.started), nil
		}
		if err := wait(ctx, time.Millisecond); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("the console does not write %q; it wrote %q", c.watched, c.text())
}

func (c *screen) text() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.last)
}

func (c *screen) bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

var (
	escapes     = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]`)
	droppedForm = regexp.MustCompile(`[0-9][0-9.,kMG]* dropped`)
)

// says is what it says of events that it did not show.
func (c *screen) says() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped == "" {
		return noFigure
	}
	return c.dropped
}

// close types q, and kills what does not end then.
func (c *screen) close() error {
	if _, err := c.tty.WriteString("q"); err != nil && !errors.Is(err, syscall.EIO) {
		return fmt.Errorf("typing q: %w", err)
	}
	timer := time.NewTimer(endBound)
	defer timer.Stop()
	select {
	case <-c.closed:
	case <-timer.C:
		_ = c.cmd.Process.Kill()
		<-c.closed
		return errors.Join(errors.New("the console had to be killed"), c.tty.Close())
	}
	return errors.Join(c.cmd.Wait(), c.tty.Close())
}
