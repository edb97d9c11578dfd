package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The bounds of a gateway that runs aside of a program.
const (
	asideStart = 30 * time.Second
	asidePoll  = 5 * time.Millisecond
	asideDrain = 2 * time.Second // what still streams when the program has ended is nobody's
	asideCut   = 10 * time.Second
)

// aside is a gateway in this process, for as long as a program runs: when this
// process ends, however that is, so does the gateway.
type aside struct {
	signals chan os.Signal
	ended   chan error
}

// serveAside starts a gateway on ports that are free, with the data directory
// and the settings that `serve` would have, and waits until it is ready.
func (a *app) serveAside(ctx context.Context, s *settings) (*aside, error) {
	dir, err := s.data()
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data", dir}
	if s.file != "" {
		args = append(args, "--config", s.file)
	}
	log := io.Discard // what it has to say of requests does not belong in the program's terminal
	if a.flag("verbose") {
		log = a.err
	}
	g := &aside{signals: make(chan os.Signal, 2), ended: make(chan error, 1)}
	own := &app{shell: shell{args: args, in: strings.NewReader(""), out: io.Discard, err: log, signals: g.signals}}
	go func() {
		root := newRoot(own)
		root.SetArgs(args)
		g.ended <- root.ExecuteContext(context.WithoutCancel(ctx))
	}()
	if err := g.ready(ctx, filepath.Join(dir, socketName)); err != nil {
		return nil, err
	}
	return g, nil
}

// ready waits until the gateway answers.
func (g *aside) ready(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, asideStart, failed(nil, "the gateway was not ready within %s", asideStart))
	defer cancel()
	tick := time.NewTicker(asidePoll)
	defer tick.Stop()
	for {
		select {
		case err := <-g.ended:
			if err == nil {
				err = errors.New("the gateway ended before it was ready")
			}
			return err
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), g.stop())
		case <-tick.C:
			if s, err := statusAt(ctx, socket); err == nil && s.Ready && s.PID == os.Getpid() {
				return nil
			}
		}
	}
}

// stop ends the gateway: streams under way have a moment to finish.
func (g *aside) stop() error {
	g.signals <- os.Interrupt
	select {
	case err := <-g.ended:
		return err
	case <-time.After(asideDrain):
	}
	g.signals <- os.Interrupt
	select {
	case err := <-g.ended:
		return err
	case <-time.After(asideCut):
		return errors.New("it does not end")
	}
}
