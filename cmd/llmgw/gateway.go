package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
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
	at string // where it was looked for, as messages name it
}

// gateway finds the gateway to talk to: --server, else the socket of the data
// directory, which --data, LLMGW_DATA and the default name in this order.
func (a *app) gateway(s *settings) (*gateway, error) {
	options := api.Options{Timeout: s.duration("timeout")}
	if s.on("debug") {
		options.Trace = func(method, path string, status int, took time.Duration) {
			line := fmt.Sprintf("debug: %s %s %d in %s", method, path, status, took.Round(time.Microsecond))
			fmt.Fprintln(a.err, a.errStyle().dim(line))
		}
	}
	g := &gateway{}
	switch server, err := url.Parse(s.text("server")); {
	case err != nil:
		return nil, fmt.Errorf("reading --server: %w", err)
	case server.Scheme == "unix":
		options.Socket, g.at = server.Path, shortPath(server.Path)
	case server.Scheme != "":
		options.BaseURL, g.at = server.String(), server.String()
	default:
		dir, err := s.data()
		if err != nil {
			return nil, err
		}
		options.Socket = filepath.Join(dir, socketName)
		g.at = shortPath(options.Socket)
	}
	g.Client = api.NewClient(options)
	return g, nil
}

// explain says where no gateway was and how to start one, and leaves every
// other error as it is.
func (g *gateway) explain(err error) error {
	var (
		refusal *api.Error
		errno   syscall.Errno
	)
	if !errors.As(err, &refusal) || refusal.Code != api.CodeUnreachable || !errors.As(err, &errno) {
		return err
	}
	return &failure{
		exit: exitUnreachable, code: api.CodeUnreachable, cause: err,
		message: fmt.Sprintf("no gateway at %s (%s). Start one: llmgw serve", g.at, errno.Error()),
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
func (a *app) calls(do call) func(*cobra.Command, []string) error {
	return a.does(func(ctx context.Context, args []string) error {
		s, err := a.settings()
		if err != nil {
			return err
		}
		o, err := a.output(s)
		if err != nil {
			return err
		}
		g, err := a.gateway(s)
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
