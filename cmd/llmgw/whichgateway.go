package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// goal is the gateway that a command line means: the one behind a socket, or a
// place that is reached over the network.
type goal struct {
	socket string
	place  place // Name is empty where no context is meant
}

// which finds out which gateway is meant: by --server, --context and --data,
// then by their variables in this order, then by the current context; else it is
// the one whose socket stands in the data directory. What was typed is stronger
// than what an environment says.
func (a *app) which(s *settings) (goal, error) {
	k, err := openKeep()
	if err != nil {
		return s.ownSocket() // without a home there are no contexts
	}
	all, err := k.places()
	if err != nil {
		return goal{}, err
	}
	for _, origin := range []string{fromFlag, fromEnv} {
		switch {
		case s.originOf("server") == origin:
			return all.goalAt(s.text("server"))
		case s.originOf("context") == origin:
			c, err := all.named(s.text("context"))
			if err != nil {
				return goal{}, err
			}
			return c.goal()
		case s.originOf("data") == origin:
			return s.ownSocket()
		}
	}
	if all.Current == "" {
		return s.ownSocket()
	}
	c, err := all.named(all.Current)
	if err != nil {
		return goal{}, err
	}
	return c.goal()
}

// ownSocket is the gateway of the data directory.
func (s *settings) ownSocket() (goal, error) {
	dir, err := s.data()
	if err != nil {
		return goal{}, err
	}
	return goal{socket: filepath.Join(dir, socketName)}, nil
}

// goalAt is the gateway of a URL. Where a context has it, that says whom to trust
// and who is logged in.
func (p *places) goalAt(text string) (goal, error) {
	server, _, err := serverOf(text)
	if err != nil {
		return goal{}, err
	}
	c, ok := p.at(server)
	if !ok {
		c = place{Server: server}
	}
	return c.goal()
}

func (c place) goal() (goal, error) {
	if path, ok := strings.CutPrefix(c.Server, "unix://"); ok {
		return goal{socket: path, place: c}, nil
	}
	return goal{place: c}, c.inClear()
}

// connect makes the client of a goal.
func (a *app) connect(s *settings, to goal) (*gateway, error) {
	options, who, err := to.reach(s, a.tracer(s))
	if err != nil {
		return nil, err
	}
	if who != nil {
		options.Bearer, options.Renew = who.bearer, who.renew
	}
	return &gateway{Client: api.NewClient(options), at: to.where(), context: to.place.Name, access: who}, nil
}

// where is how messages name a goal.
func (to goal) where() string {
	if to.socket != "" {
		return shortPath(to.socket)
	}
	return to.place.Server
}

// reach says how a goal is reached, and in whose name; who is nil at a socket.
func (to goal) reach(s *settings, told callTrace) (options api.Options, who *access, err error) {
	options = api.Options{Timeout: s.duration("timeout"), Trace: told}
	if to.socket != "" {
		options.Socket = to.socket
		return options, nil, nil
	}
	trusted, err := to.place.trust()
	if err != nil {
		return options, nil, err
	}
	options.BaseURL, options.TLS = to.place.Server, trusted
	plain := options
	who = &access{place: to.place, plain: func() *api.Client { return api.NewClient(plain) }, now: time.Now}
	if who.token, who.source, err = tokenOf(s); err != nil {
		return options, nil, err
	}
	if who.keep, err = openKeep(); err != nil && who.token.IsZero() {
		return options, nil, err
	}
	return options, who, nil
}

// callTrace is api.Options.Trace.
type callTrace func(method, path string, status int, took time.Duration)

// tracer tells of admin calls where --debug asks for it, or is nil.
func (a *app) tracer(s *settings) callTrace {
	if !s.on("debug") {
		return nil
	}
	return func(method, path string, status int, took time.Duration) {
		line := fmt.Sprintf("debug: %s %s %d in %s", method, path, status, took.Round(time.Microsecond))
		fmt.Fprintln(a.err, a.errStyle().dim(line))
	}
}
