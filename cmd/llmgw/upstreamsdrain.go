package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

// drainPoll is how often an upstream that is drained is looked at.
const drainPoll = 200 * time.Millisecond

func newUpstreamsDrain(a *app) *cobra.Command {
	var undo bool
	var wait time.Duration
	c := &cobra.Command{
		Use:   "drain NAME",
		Short: "send no new requests to an upstream, and leave those under way to end",
		Long: "Sends no new requests to an upstream: rules and bindings pass it over as they do one that\n" +
			"is disabled. Requests under way go on. With --wait the command ends once none is left, or\n" +
			"with exit code 8 where some are after that time. `--undo` and `upstreams enable` take it\n" +
			"back.",
		Args: takes("NAME"), ValidArgsFunction: first(upstreamNoun().complete(a)),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			switch {
			case wait < 0:
				return usage("--wait: must not be below 0")
			case undo && wait > 0:
				return usage("give one of --undo and --wait")
			case undo:
				u, err := t.UndrainUpstream(ctx, args[0])
				if err != nil {
					return err
				}
				return showDrain(ctx, t, u)
			}
			return a.drain(ctx, t, args[0], wait)
		}),
	}
	c.Flags().BoolVar(&undo, "undo", false, "let it take requests again")
	c.Flags().DurationVar(&wait, "wait", 0, "wait until nothing is under way, at most so long (`TIME`)")
	return c
}

func (a *app) drain(ctx context.Context, t talk, name string, wait time.Duration) error {
	u, err := t.DrainUpstream(ctx, name)
	if err != nil {
		return err
	}
	if wait > 0 {
		if u, err = a.awaitIdle(ctx, t, u, wait); err != nil {
			return err
		}
	}
	if err := showDrain(ctx, t, u); err != nil {
		return err
	}
	if wait > 0 && u.InFlight > 0 {
		f := &failure{exit: exitPartly, code: "partly", message: fmt.Sprintf("upstream %q still has %d in flight after %s", u.Name, u.InFlight, wait)}
		return f.withHint("wait on: llmgw upstreams drain %s --wait %s", u.Name, wait)
	}
	return nil
}

// awaitIdle waits until nothing is under way at an upstream, or the time is over,
// and gives the upstream as it is then.
func (a *app) awaitIdle(ctx context.Context, t talk, u api.Upstream, wait time.Duration) (api.Upstream, error) {
	if u.InFlight > 0 {
		a.note("waiting for %d in flight", u.InFlight)
	}
	over, again := time.NewTimer(wait), time.NewTicker(drainPoll)
	defer over.Stop()
	defer again.Stop()
	for u.InFlight > 0 {
		select {
		case <-again.C:
		case <-over.C:
			return u, nil
		case <-ctx.Done():
			a.note("upstream %s goes on draining: %d in flight", u.Name, u.InFlight)
			return u, context.Cause(ctx)
		}
		var err error
		if u, err = t.Upstream(ctx, u.ID); err != nil {
			return u, err
		}
		if u.State == "enabled" {
			f := failed(nil, "upstream %q is not draining any more", u.Name)
			f.exit, f.code = exitConflict, api.CodeConflict
			return u, f.withHint("see who took it back: llmgw audit list --subject upstream:%s", u.ID)
		}
	}
	return u, nil
}

// showDrain prints what became of an upstream.
func showDrain(ctx context.Context, t talk, u api.Upstream) error {
	return writeOne(ctx, t.output, u, func(w io.Writer) {
		fmt.Fprintf(w, "upstream %s is %s: %d in flight\n", u.Name, u.State, u.InFlight)
	})
}
