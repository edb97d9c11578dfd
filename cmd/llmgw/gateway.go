package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

// socketName is the admin API's socket in the data directory.
const socketName = "admin.sock"

// gateway is a running gateway as the commands see it.
type gateway struct {
	*api.Client
	at      string  // where it was looked for, as messages name it
	context string  // the context that named it, or ""
	access  *access // in whose name calls are made; nil on a socket
}

// gateway finds the gateway to talk to.
func (a *app) gateway(s *settings) (*gateway, error) {
	to, err := a.which(s)
	if err != nil {
		return nil, err
	}
	return a.connect(s, to)
}

// explain says where no gateway was and how to start one, and whose login is
// missing or over; it leaves every other error as it is.
func (g *gateway) explain(err error) error {
	var (
		refusal *api.Error
		errno   syscall.Errno
	)
	if !errors.As(err, &refusal) {
		return err
	}
	if g.access != nil {
		err = g.access.explain(err)
	}
	if refusal.Code != api.CodeUnreachable || !errors.As(err, &errno) {
		return err
	}
	advice := "Start one: llmgw serve. Another machine: llmgw login URL"
	if g.access != nil {
		advice = "Start it there: llmgw serve. Another one: llmgw context list"
	}
	return &failure{
		exit: exitUnreachable, code: api.CodeUnreachable, cause: err,
		message: fmt.Sprintf("no gateway at %s (%s). %s", g.at, errno.Error(), advice),
	}
}

// talk is what a command needs that talks to a gateway.
type talk struct {
	*gateway
	settings *settings
	output   *output
}

// call is an action that talks to a gateway.
type call func(ctx context.Context, t talk, args []string) error

// calls makes the RunE of a command that talks to a gateway: settings and
// output format are read, and refused, before anything is sent.
func (a *app) calls(do call) func(*cobra.Command, []string) error { return a.callsAt(a.gateway, do) }

// callsAt is calls for a command that finds its gateway in a way of its own.
func (a *app) callsAt(find func(*settings) (*gateway, error), do call) func(*cobra.Command, []string) error {
	return a.does(func(ctx context.Context, args []string) error {
		s, err := a.settings()
		if err != nil {
			return err
		}
		o, err := a.output(s)
		if err != nil {
			return err
		}
		g, err := find(s)
		if err != nil {
			return err
		}
		defer g.Close()
		if a.flag("verbose") {
			a.note("gateway at %s", g.at)
		}
		return g.explain(do(ctx, talk{gateway: g, settings: s, output: o}, args))
	})
}

// age says how long ago something was, as people do.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}
