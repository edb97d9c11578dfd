package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/tui"
)

// localContext is what the console calls the gateway of the data directory.
const localContext = "local"

// viewing is one run of the console: which gateways it can show, and which it
// does.
type viewing struct {
	app      *app
	settings *settings
	begun    goal
	shown    atomic.Pointer[goal]
}

// first is the gateway that any other command would talk to.
func (v *viewing) first() (tui.Gateway, error) {
	to, err := v.app.which(v.settings)
	if err != nil {
		return tui.Gateway{}, err
	}
	v.begun = to
	return v.show(to, "")
}

// typed repeats what of the command line leads to its gateway. What the
// environment or the current context says leads any other command there, too.
func (v *viewing) typed() string {
	for _, name := range []string{"server", "context", "data"} {
		if v.settings.originOf(name) == fromFlag {
			return "--" + name + " " + posixQuoted(v.settings.text(name))
		}
	}
	return ""
}

// contexts are the names that connect knows.
func (v *viewing) contexts() []string {
	names := []string{}
	if k, err := openKeep(); err == nil {
		if all, err := k.places(); err == nil { // else the first command that needs them says so
			for _, c := range all.Contexts {
				names = append(names, c.Name)
			}
		}
	}
	if !slices.Contains(names, localContext) {
		names = append(names, localContext)
	}
	return names
}

// connect shows another gateway.
func (v *viewing) connect(name string) (tui.Gateway, error) {
	k, err := openKeep()
	if err != nil && name != localContext {
		return tui.Gateway{}, err
	}
	var all places
	if err == nil {
		if all, err = k.places(); err != nil {
			return tui.Gateway{}, err
		}
	}
	c, err := all.named(name)
	if err != nil && name == localContext {
		return v.local()
	}
	if err != nil {
		return tui.Gateway{}, err
	}
	to, err := c.goal()
	if err != nil {
		return tui.Gateway{}, err
	}
	return v.show(to, "--context "+name)
}

// local is the gateway of the data directory.
func (v *viewing) local() (tui.Gateway, error) {
	to, err := v.settings.ownSocket()
	if err != nil {
		return tui.Gateway{}, err
	}
	return v.show(to, "--data "+posixQuoted(v.settings.text("data")))
}

// show makes a gateway for the console. twin is what leads a command there, from
// wherever.
func (v *viewing) show(to goal, twin string) (tui.Gateway, error) {
	if to == v.begun {
		twin = v.typed()
	}
	var calls atomic.Int64
	options, who, err := to.reach(v.settings, v.counting(&calls))
	if err != nil {
		return tui.Gateway{}, err
	}
	shown := tui.Gateway{Name: nameOfGoal(to), Where: to.where(), Twin: twin, User: to.place.User, Requests: calls.Load}
	if who != nil {
		s := newSession(who)
		options.Bearer, options.Renew = s.bearer, s.renew
		shown.Token = who.source
		if who.token.IsZero() {
			shown.Login = s.login
		}
	}
	shown.Client = api.NewClient(options)
	v.shown.Store(&to)
	return shown, nil
}

func nameOfGoal(to goal) string {
	switch {
	case to.place.Name != "":
		return to.place.Name
	case to.socket != "":
		return localContext
	}
	return nameOf(to.place.Server)
}

// counting counts calls. --debug tells of them where that does not write across
// the screen.
func (v *viewing) counting(calls *atomic.Int64) callTrace {
	debug := v.app.tracer(v.settings)
	if v.app.errIsTerm {
		debug = nil
	}
	return func(method, path string, status int, took time.Duration) {
		calls.Add(1)
		if debug != nil {
			debug(method, path, status, took)
		}
	}
}

// doctor gives the report of llmgw doctor on the gateway that is shown.
func (v *viewing) doctor(ctx context.Context) (string, error) {
	var report bytes.Buffer
	quiet := *v.app
	quiet.out, quiet.err = &report, io.Discard
	look := style{ascii: v.app.outStyle().ascii}
	d := &doctor{app: &quiet, flags: doctorFlags{model: doctorModel}, settings: v.settings, output: &output{w: &report, look: look, format: formatTable}}
	var err error
	if d.gateway, err = quiet.connect(v.settings, *v.shown.Load()); err != nil {
		return "", err
	}
	defer d.gateway.Close()
	if err := d.check(ctx); err != nil {
		return "", err
	}
	fmt.Fprintln(&report, conclusion(d.count(stateProblem), d.count(stateWarning)))
	return report.String(), ctx.Err()
}

// editorFor makes the command that lets a person edit a file.
func editorFor(ctx context.Context) func(path string) *exec.Cmd {
	return func(path string) *exec.Cmd { return editorCommand(ctx, editorName(), path) }
}

// session is in whose name the console calls a remote gateway: a login there
// takes the place of one that has ended, under way.
type session struct{ who atomic.Pointer[access] }

func newSession(who *access) *session {
	s := &session{}
	s.who.Store(who)
	return s
}

func (s *session) bearer(ctx context.Context) (accounts.Secret, error) {
	return s.who.Load().bearer(ctx)
}

func (s *session) renew(ctx context.Context, refused accounts.Secret) (accounts.Secret, error) {
	return s.who.Load().renew(ctx, refused)
}

// login logs in and keeps that as llmgw login does, but for one thing: other
// commands go on talking to the gateway that they did.
func (s *session) login(ctx context.Context, user string, password accounts.Secret) error {
	who := *s.who.Load()
	client := who.plain()
	defer client.Close()
	tokens, err := client.Login(ctx, api.Login{User: user, Password: password.Reveal()})
	if err != nil {
		return err
	}
	if who.place.Name == "" { // of --server, where no context has it
		all, err := who.keep.places()
		if err != nil {
			return err
		}
		who.place = all.of(who.place.Server, tokens.User)
	}
	who.place.User = tokens.User
	if err := who.keep.remember(ctx, who.place, tokens); err != nil {
		return err
	}
	s.who.Store(&who)
	return nil
}
