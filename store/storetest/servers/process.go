package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Bounds of a server's life.
const (
	startBound = 30 * time.Second
	stopBound  = 30 * time.Second
	lookEvery  = 5 * time.Millisecond
)

// ErrState says that a server is not in the state that an operation needs.
var ErrState = errors.New("wrong state")

// process is a server's process, by the number of the one that we started; it is
// run by one caller at a time.
type process struct {
	name string
	at   place
	keep *keeper

	mu  sync.Mutex
	pid int // 0: it does not run
}

// start runs a program until ready says that it answers. What it prints goes to
// the file log in its directory.
func (p *process) start(ctx context.Context, ready func(context.Context) error, path string, args ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid != 0 && !reaped(p.pid) {
		return fmt.Errorf("starting %s: %w: it runs", p.name, ErrState)
	}
	pid, err := launch(p.at, path, args)
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	p.pid = pid
	if err := p.keep.watch(pid); err != nil {
		return errors.Join(err, p.kill())
	}
	if err := p.await(ctx, ready); err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w; the end of its log:\n%s", p.name, err, p.logTail()), p.kill())
	}
	return nil
}

func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if reaped(p.pid) {
			p.pid = 0
			return errors.Join(errors.New("it ended"), p.keep.watch(0))
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// stop ends the server with a signal that it knows as a wish to end.
func (p *process) stop(wish signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid == 0 {
		return nil
	}
	if err := p.each(goOn); err != nil { // it may be frozen
		return fmt.Errorf("stopping %s: %w", p.name, err)
	}
	send(p.pid, wish)
	if p.gone(stopBound) {
		return p.keep.watch(0)
	}
	return errors.Join(fmt.Errorf("stopping %s: it did not end within %s and was killed; the end of its log:\n%s", p.name, stopBound, p.logTail()), p.kill())
}

// Kill ends the server and its children at once, as a power cut would.
func (p *process) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kill()
}

func (p *process) kill() error {
	if p.pid == 0 {
		return nil
	}
	send(p.pid, freeze) // so that it does not see its children die, and makes no new ones
	children, err := childrenOf(p.pid)
	for _, child := range children {
		send(child, killed)
	}
	send(p.pid, killed)
	if !p.gone(stopBound) {
		err = errors.Join(err, fmt.Errorf("killing %s: process %d is still there after %s", p.name, p.pid, stopBound))
	}
	return errors.Join(err, p.keep.watch(p.pid))
}

// Freeze stops the server and its children where they are: connections stay open,
// new ones are taken by the system, and nobody answers.
func (p *process) Freeze() error { return p.all("freezing", freeze) }

// Thaw lets a frozen server go on.
func (p *process) Thaw() error { return p.all("thawing", goOn) }

func (p *process) all(doing string, s signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid == 0 {
		return fmt.Errorf("%s %s: %w: it does not run", doing, p.name, ErrState)
	}
	if err := p.each(s); err != nil {
		return fmt.Errorf("%s %s: %w", doing, p.name, err)
	}
	return nil
}

// each sends a signal to the server first, which may be to make no new children,
// and then to its children.
func (p *process) each(s signal) error {
	send(p.pid, s)
	children, err := childrenOf(p.pid)
	for _, child := range children {
		send(child, s)
	}
	return err
}

// gone waits until the process has ended, and says whether it did.
func (p *process) gone(within time.Duration) bool {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for end := time.Now().Add(within); !reaped(p.pid); <-look.C {
		if time.Now().After(end) {
			return false
		}
	}
	p.pid = 0
	return true
}

// stopped says that the server does not run, or what it does.
func (p *process) stopped() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid != 0 && !reaped(p.pid) {
		return fmt.Errorf("%w: %s runs", ErrState, p.name)
	}
	p.pid = 0
	return p.keep.watch(0)
}

// Dir is the server's own directory.
func (p *process) Dir() string { return p.at.dir }

// Close kills the server and removes its directory.
func (p *process) Close() error {
	return errors.Join(p.Kill(), p.keep.dismiss())
}

// longestTail is as much of a log as an error shows.
const longestTail = 2 << 10

func (p *process) logTail() string {
	text, err := os.ReadFile(filepath.Join(p.at.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-longestTail):])
}
