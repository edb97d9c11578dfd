package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

// A gateway that went away is asked for again after so long, and then less and
// less often.
const (
	retailFirst = 200 * time.Millisecond
	retailMost  = 5 * time.Second
)

func newTail(a *app) *cobra.Command {
	var q api.EventQuery
	var limit int64
	var untilFirst bool
	c := &cobra.Command{
		Use:   "tail",
		Short: "follow requests live",
		Long: "Shows every request when it has ended, until Ctrl-C: of all gateways on the store, where\n" +
			"they have a bus. Filters are applied at the gateway: within one, any of its patterns will do (* is any text); several must all take the request.\n" +
			"The gateway shows 200 requests a second and counts the others; it remembers the last 10,000\n" +
			"of its own." +
			"If it goes away, tail waits for it and goes on where it was.",
		Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			if limit < 0 {
				return usage("--limit is 0 or more")
			}
			if untilFirst {
				limit = 1
			}
			q.Kinds = []string{"exchange"}
			return tail(ctx, a, t, q, limit)
		}),
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&q.Model, "model", nil, "models, as callers name them (`PATTERN,…`)")
	flags.StringSliceVar(&q.Status, "status", nil, "statuses or classes of them; 000 is no answer (`4xx,429,…`)")
	flags.DurationVar(&q.Slower, "slow", 0, "only what took so long in all (`TIME`)")
	flags.StringSliceVar(&q.Key, "key", nil, "names of keys (`PATTERN,…`)")
	flags.StringSliceVar(&q.User, "user", nil, "names of users (`PATTERN,…`)")
	flags.StringSliceVar(&q.Rule, "rule", nil, "names of rules (`PATTERN,…`)")
	flags.StringSliceVar(&q.Upstream, "upstream", nil, "names of upstreams (`PATTERN,…`)")
	flags.DurationVar(&q.Since, "since", 0, "begin with what ended within this time (`TIME`)")
	flags.Int64Var(&limit, "limit", 0, "end after so many (`N`)")
	flags.BoolVar(&untilFirst, "until-first", false, "end after the first")
	return c
}

// tailing is one `llmgw tail`, over as many streams of events as it takes.
type tailing struct {
	app    *app
	talk   talk
	write  func(*api.Exchange) error
	query  api.EventQuery
	limit  int64 // 0: none
	shown  int64
	met    bool // there was a gateway
	lost   bool // and it went away
	wait   time.Duration
	before api.Tally // of streams that have ended
	tally  api.Tally // of this one

	missing *api.Partial // as it was last told
}

// errEnough ends a stream when --limit is reached.
var errEnough = errors.New("enough was shown")

func tail(ctx context.Context, a *app, t talk, q api.EventQuery, limit int64) error {
	write, err := t.output.exchanges(ctx)
	if err != nil {
		return err
	}
	f := &tailing{app: a, talk: t, write: write, query: q, limit: limit, wait: retailFirst}
	for {
		err := f.talk.Events(ctx, f.query, f.take)
		f.before.Filtered += f.tally.Filtered
		f.before.Dropped += f.tally.Dropped
		f.tally = api.Tally{}
		if errors.Is(err, errEnough) {
			return nil
		}
		if i, ok := interrupted(ctx); ok {
			f.sayTally()
			return stopped(i)
		}
		if !f.mayCome(err) {
			return err
		}
		f.waitForGateway(ctx, err)
	}
}

// take takes one event.
func (f *tailing) take(e api.Event) error {
	if e.ID != "" {
		f.query.After = e.ID
	}
	switch {
	case e.Hello != nil:
		if f.lost {
			f.app.note("connected again")
		}
		f.met, f.lost, f.wait = true, false, retailFirst
	case e.Tally != nil:
		f.tally = *e.Tally
	case e.Partial != nil:
		f.sayPartial(e.Partial)
	case e.Exchange != nil:
		if err := f.write(e.Exchange); err != nil {
			return err
		}
		if f.shown++; f.shown == f.limit {
			return errEnough
		}
	}
	return nil
}

// sayPartial says of which gateways nothing is shown.
func (f *tailing) sayPartial(p *api.Partial) {
	if f.missing.Same(p) { // on another stream
		return
	}
	f.missing = p
	switch {
	case p.Problem == "":
		f.app.note("every gateway's requests are shown again")
	case len(p.Nodes) == 0:
		f.app.note("requests of other gateways may be missing: %s", oneLine(p.Problem))
	default:
		f.app.note("requests of %s are not shown: %s", oneLine(strings.Join(p.Nodes, ", ")), oneLine(p.Problem))
	}
}

// mayCome says whether a gateway that was there may come back.
func (f *tailing) mayCome(err error) bool {
	var refusal *api.Error
	return f.met && errors.As(err, &refusal) && (refusal.Code == api.CodeUnreachable || refusal.Code == api.CodeUnavailable)
}

// waitForGateway says once that the gateway is away, and waits before it is asked
// for again. A stream that had its proper end may only have lasted as long as one
// may.
func (f *tailing) waitForGateway(ctx context.Context, err error) {
	if !f.lost && !errors.Is(err, io.EOF) {
		f.lost = true
		f.app.note("lost the gateway: %s; waiting for it", err)
	}
	timer := time.NewTimer(f.wait)
	defer timer.Stop()
	f.wait = min(2*f.wait, retailMost)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// sayTally ends the line on which a terminal shows the ^C.
func (f *tailing) sayTally() {
	indent := ""
	if f.app.errIsTerm {
		indent = "  "
	}
	f.app.note("%s%s shown, %s filtered out, %s dropped", indent,
		humanize.Comma(f.shown), humanize.Comma(f.before.Filtered), humanize.Comma(f.before.Dropped))
}

// exchanges writes exchanges one by one, in the format that was asked for.
func (o *output) exchanges(ctx context.Context) (func(*api.Exchange) error, error) {
	if !o.isTable() {
		if o.format == formatYAML && o.filter == nil {
			return nil, usage("tail writes table, wide, json or jsonl, and no yaml")
		}
		return func(x *api.Exchange) error { return o.value(ctx, x) }, nil
	}
	columns, err := chooseColumns(o, exchangeColumns(o.look))
	if err != nil {
		return nil, err
	}
	l := &exchangeLines{columns: columns}
	return func(x *api.Exchange) error {
		_, err := fmt.Fprintln(o.w, o.look.plain(l.line(x)))
		return err
	}, nil
}
