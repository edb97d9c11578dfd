package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

const runHelp = `Runs a program with its LLM traffic going through the gateway. The program gets
the terminal, and the exit code is its own.

  llmgw run -- claude
  llmgw run --model gpt-5 -- codex exec "say hi"
  llmgw run --serve -- python agent.py

The program finds the gateway's address, and a key, in the variables that the
SDKs of OpenAI, Anthropic and Gemini read (llmgw env prints them). claude, codex,
gemini, opencode, aider and llm get what else they need. Keys of providers that
are in the environment are not handed on.

The key ends with the program. It is one more secret of the key that --key
names, so that rules see that key; else of the key run@HOST, which is made when
it is first wanted.`

// runFlags are what was said about one run.
type runFlags struct {
	key, model   string
	print, serve bool
}

func newRun(a *app) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:               "run [flags] -- COMMAND [ARGS…]",
		Short:             "run a program with its LLM traffic going through the gateway",
		Long:              runHelp,
		Args:              takesSome("COMMAND"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(c *cobra.Command, args []string) error { return a.runProgram(c.Context(), f, args) },
	}
	c.Flags().SetInterspersed(false) // what stands behind the program is the program's
	c.Flags().StringVar(&f.key, "key", "", "the key that rules and logs see (`NAME`)")
	c.Flags().StringVar(&f.model, "model", "", "the model that the program is told to use (`NAME`)")
	c.Flags().BoolVar(&f.print, "print", false, "print what would be run, and run nothing")
	c.Flags().BoolVar(&f.serve, "serve", false, "where no gateway runs, start one for as long as the program runs")
	completeFlag(c, "key", keyNoun().complete(a))
	return c
}

// runProgram prepares what the program needs, runs it, and clears up behind it.
func (a *app) runProgram(ctx context.Context, f runFlags, args []string) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	if err := namesKey(f.key); err != nil {
		return err
	}
	if f.print {
		return a.uninterrupted(ctx, func(ctx context.Context) error { return a.printRun(ctx, s, f, args) })
	}
	path, err := findProgram(args[0])
	if err != nil {
		return err
	}
	r := &programRun{app: a, flags: f, of: programOf(args[0])}
	defer r.clearUp(ctx)
	if err := a.uninterrupted(ctx, func(ctx context.Context) error { return r.prepare(ctx, s) }); err != nil {
		return err
	}
	code, err := r.run(ctx, path, args)
	if err == nil && code != exitDone {
		return &failure{exit: code, code: "failed", shown: true}
	}
	return err
}

// uninterrupted does what comes before the program, which a signal ends.
func (a *app) uninterrupted(ctx context.Context, do func(context.Context) error) error {
	ctx, stop := a.untilSignal(ctx)
	err := do(ctx)
	stop()
	if i, ok := interrupted(ctx); ok {
		return i
	}
	return err
}

// programRun is one run of a program, and what was made for it.
type programRun struct {
	app   *app
	flags runFlags
	of    program

	gateway *gateway
	proxy   string // base URL
	aside   *aside // the gateway that runs for this program alone, or nil
	loan    *loan
}

// prepare finds or starts the gateway and borrows a key.
func (r *programRun) prepare(ctx context.Context, s *settings) (err error) {
	if r.gateway, err = r.app.gateway(s); err != nil {
		return err
	}
	status, err := r.gateway.Status(ctx)
	if r.flags.serve && isUnreachable(err) {
		if r.aside, err = r.app.serveAside(ctx, s); err == nil {
			status, err = r.gateway.Status(ctx)
		}
	}
	if err != nil {
		return r.gateway.explain(err)
	}
	r.proxy = status.Proxy
	r.loan, err = borrow(ctx, r.gateway, "run", r.flags.key, time.Now().Add(loanLife))
	if err != nil {
		return r.gateway.explain(err)
	}
	r.checkModel(ctx)
	return nil
}

func isUnreachable(err error) bool {
	var refusal *api.Error
	return errors.As(err, &refusal) && refusal.Code == api.CodeUnreachable
}

// checkModel warns where the gateway would refuse what the program is told to
// ask for. The program may ask for others.
func (r *programRun) checkModel(ctx context.Context) {
	if r.flags.model == "" || r.of.path == "" {
		return
	}
	path := pointed{model: r.flags.model}.fill(r.of.path)[0]
	what, err := r.gateway.Explain(ctx, api.ExplainRequest{Path: path, Model: &r.flags.model, Key: r.loan.key})
	switch {
	case err != nil:
		r.app.warn("cannot tell what becomes of model %q: %v", r.flags.model, err)
	case what.Outcome == "refuse":
		r.app.warn("%s", oneLine(what.Message))
	}
}

// run runs the program to its end.
func (r *programRun) run(ctx context.Context, path string, args []string) (int, error) {
	to := pointed{base: r.proxy, secret: r.loan.secret, model: r.flags.model}
	given := os.Environ()
	environment, hidden := to.environment(given, to.set(r.of, given))
	r.app.note("%s", r.app.errStyle().plain(fmt.Sprintf("llmgw: %s → %s as key %s", r.of.name, r.proxy, r.loan.key)))
	if len(hidden) > 0 {
		r.app.note("llmgw: not handed on: %s", strings.Join(hidden, ", "))
	}
	keeping, stop := context.WithCancel(ctx)
	kept := make(chan error, 1)
	go func() { kept <- r.loan.keep(keeping, loanProlonged) }()
	code, err := r.app.child(ctx, path, append([]string{args[0]}, append(to.args(r.of), args[1:]...)...), environment)
	stop()
	if lost := <-kept; lost != nil {
		r.app.warn("the key could not be prolonged: %v", lost)
	}
	return code, err
}

// clearUp gives the key back and ends the gateway that was started. It fails
// loudly and changes no exit code: that is the program's.
func (r *programRun) clearUp(ctx context.Context) {
	if r.loan != nil {
		if err := r.loan.giveBack(ctx); err != nil {
			r.app.warn("%v; it ends by itself at %s", err, r.loan.ends.Format(time.DateTime+" MST"))
		}
	}
	if r.gateway != nil {
		r.gateway.Close()
	}
	if r.aside != nil {
		if err := r.aside.stop(); err != nil {
			r.app.warn("stopping the gateway: %v", err)
		}
	}
}

// printRun shows a run as a command line that a shell would take, but for the
// key, which is made for a real run only.
func (a *app) printRun(ctx context.Context, s *settings, f runFlags, args []string) error {
	at, err := a.proxyWithoutKey(ctx, s)
	if err != nil {
		return err
	}
	of, given := programOf(args[0]), os.Environ()
	to := pointed{base: at, secret: accounts.NewSecret(accounts.KeyPrefix + "…"), model: f.model}
	set := to.set(of, given)
	_, hidden := to.environment(given, set)

	lines := []string{"env"}
	for _, name := range hidden {
		if !slices.ContainsFunc(set, func(v variable) bool { return v.name == name }) {
			lines = append(lines, "-u "+name)
		}
	}
	for _, v := range set {
		lines = append(lines, v.name+"="+posixQuoted(v.value))
	}
	words := []string{posixQuoted(args[0])}
	for _, arg := range append(to.args(of), args[1:]...) {
		words = append(words, posixQuoted(arg))
	}
	lines = append(lines, strings.Join(words, " "))
	_, err = io.WriteString(a.out, a.outStyle().plain(strings.Join(lines, " \\\n  ")+"\n"))
	return err
}

// proxyWithoutKey is where the gateway answers, or would if it ran.
func (a *app) proxyWithoutKey(ctx context.Context, s *settings) (string, error) {
	g, err := a.gateway(s)
	if err != nil {
		return "", err
	}
	defer g.Close()
	status, err := g.Status(ctx)
	if isUnreachable(err) {
		return localURL(s), nil
	}
	return status.Proxy, err
}
