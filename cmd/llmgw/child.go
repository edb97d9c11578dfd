package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// The exit codes for programs that could not be run, as shells have them.
const (
	exitNotRunnable  = 126
	exitNoSuchFile   = 127
	exitSignalOffset = 128
)

// findProgram finds a program as the shell does, before anything is made for it.
func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return "", &failure{exit: exitNoSuchFile, code: "not_found", cause: err, message: name + ": command not found"}
	}
	return "", notRunnable(name, err)
}

func notRunnable(name string, err error) *failure {
	text := err.Error()
	var errno syscall.Errno
	if errors.As(err, &errno) {
		text = errno.Error()
	}
	return &failure{exit: exitNotRunnable, code: "not_runnable", cause: err, message: fmt.Sprintf("%s: %s", name, text)}
}

// child runs a program in this one's place: with its terminal, in its process
// group, so that the keys which send signals reach both. Those signals are the
// program's business; what is sent to this process alone is passed on. It gives
// the exit code that a shell would.
func (a *app) child(ctx context.Context, path string, args, environment []string) (int, error) {
	c := exec.CommandContext(context.WithoutCancel(ctx), path)
	c.Args, c.Env = args, environment
	c.Stdin, c.Stdout, c.Stderr = a.in, a.out, a.err
	more := make(chan os.Signal, 2)
	signal.Notify(more, syscall.SIGQUIT)
	if !signal.Ignored(syscall.SIGHUP) { // which nohup asked for, for the program too
		signal.Notify(more, syscall.SIGHUP)
	}
	defer signal.Stop(more)
	if err := c.Start(); err != nil {
		return 0, notRunnable(args[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		select {
		case s := <-a.signals:
			pass(c.Process, s)
		case s := <-more:
			pass(c.Process, s)
		case err := <-ended:
			return exitCode(c.ProcessState, err)
		}
	}
}

// pass hands a signal on that the terminal does not send to the whole group.
// A program that has ended meanwhile needs none.
func pass(p *os.Process, s os.Signal) {
	if s == os.Interrupt || s == syscall.SIGQUIT {
		return
	}
	if err := p.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = p.Kill() // where there are no signals there is only this
	}
}

// exitCode is the program's own, or 128 and the number of the signal that killed
// it.
func exitCode(state *os.ProcessState, err error) (int, error) {
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return 0, fmt.Errorf("waiting for the program: %w", err)
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitSignalOffset + int(status.Signal()), nil
	}
	return state.ExitCode(), nil
}
