// Command llmgw is a streaming gateway in front of LLM providers and
// everything that an operator types to run it. This package answers: what did
// the operator ask for, who does it, and how is the answer shown?
//
//  1. main hands what the shell gave (arguments, streams, signals) to run.
//  2. run builds the command tree (root.go) and executes one command of it;
//     there is one file for each noun.
//  3. A command that talks to a gateway finds it (gateway.go) and calls the
//     admin API; serve (serve.go) wires proxy, store and admin together, and is
//     the only place that knows them all.
//  4. What comes back is printed in the format that was asked for (output.go);
//     what went wrong becomes one message and one exit code (failure.go).
//
// Settings come from flags, the environment and the configuration file
// (settings.go, configfile.go). Nothing here decides about a request: that is
// the business of package rules.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"
	"golang.org/x/term"
)

// version is set by the release build: -ldflags "-X main.version=1.2.3".
var version = "0.1.0-dev" //nolint:gochecknoglobals // the linker can set nothing else

func main() {
	nameLogFields()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(context.Background(), shell{
		args:      os.Args[1:],
		in:        os.Stdin,
		out:       os.Stdout,
		err:       os.Stderr,
		inIsTerm:  term.IsTerminal(int(os.Stdin.Fd())),
		outIsTerm: term.IsTerminal(int(os.Stdout.Fd())),
		errIsTerm: term.IsTerminal(int(os.Stderr.Fd())),
		signals:   signals,
	}))
}

// nameLogFields makes log lines say msg, and times with milliseconds. The
// library has these names in variables only, so they are set before anything
// else runs and never again.
func nameLogFields() {
	zerolog.MessageFieldName = "msg"
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	// http.Transport tells the global logger of bytes that an upstream sent out of
	// turn, and quotes them; what answers hold is in no log.
	log.SetOutput(io.Discard) //nolint:forbidigo // it silences the one there is
}

// shell is what the program was started with.
type shell struct {
	args                           []string
	in                             io.Reader
	out, err                       io.Writer
	inIsTerm, outIsTerm, errIsTerm bool
	signals                        <-chan os.Signal
}

// run executes one command line and gives its exit code.
func run(ctx context.Context, s shell) int {
	a := &app{shell: s}
	root := newRoot(a)
	root.SetArgs(s.args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	f := explain(err)
	a.report(f)
	return f.exit
}

// interruption is why a command was given up.
type interruption struct{ signal os.Signal }

func (i interruption) Error() string { return "interrupted" }

func (i interruption) exit() int {
	if i.signal == syscall.SIGTERM {
		return exitTerminated
	}
	return exitInterrupted
}

// untilSignal gives a context that the first signal ends, for every command
// that has nothing to wind down. The returned function ends the watching.
func (s shell) untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case sig := <-s.signals:
			cancel(interruption{sig})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(context.Canceled)
		<-done
	}
}

// interrupted tells whether err came of a signal, and of which.
func interrupted(ctx context.Context) (interruption, bool) {
	var i interruption
	ok := errors.As(context.Cause(ctx), &i)
	return i, ok
}
