package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

// upstreamFlags are what is said about an upstream that is there.
type upstreamFlags struct {
	wires, models []string
	timeouts      api.Timeouts
	maxIdle       int
	websocket     bool
}

func newUpstreamsEdit(a *app) *cobra.Command {
	var f upstreamFlags
	var noTest bool
	c := &cobra.Command{
		Use:   "edit NAME",
		Short: "change where an upstream is and how it is spoken to, and test it",
		Long: "Changes what is given and leaves the rest. Lists are given whole; an empty value takes\n" +
			"away. A URL at another scheme, host or port takes no sealed credential along: give it\n" +
			"anew with `llmgw upstreams credential set`.",
		Args: takes("NAME"), ValidArgsFunction: upstreamNoun().complete(a),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			given := editFlags{a.command.Flags()}
			if err := given.some(a, "no-test"); err != nil {
				return err
			}
			edit, etag, err := f.edit(ctx, t, args[0], given)
			if err != nil {
				return err
			}
			u, err := t.If(etag).EditUpstream(ctx, args[0], edit)
			if err != nil {
				return err
			}
			if err := upstreamNoun().changed(ctx, t, "changed", u); err != nil || noTest || !u.Enabled {
				return err
			}
			return a.testNow(ctx, t, u.Name)
		}),
	}
	flags := c.Flags()
	addNameFlag(flags)
	flags.String("url", "", "where it answers (`URL`)")
	flags.String("auth", "", "where the credential goes: bearer, header:NAME, query:NAME or none (`HOW`)")
	flags.StringSliceVar(&f.wires, "wires", nil, "the wire formats it speaks (`a,b`)")
	flags.StringSliceVar(&f.models, "models", nil, "the models it has (`a,b`)")
	flags.BoolVar(&f.websocket, "websocket", false, "relay WebSockets to it")
	flags.IntVar(&f.maxIdle, "max-idle", 0, "how many connections are kept for the next request (`N`)")
	flags.String("idle-timeout", "", "for how long they are kept (`DURATION`)")
	for name, timeout := range f.timeoutFlags() {
		flags.StringVar(timeout, name, "", timeoutFlagUse(name)+" (`DURATION`)")
	}
	flags.BoolVar(&noTest, "no-test", false, "do not test it")
	return c
}

// timeoutFlags are the deadlines of an upstream by the name of their flag.
func (f *upstreamFlags) timeoutFlags() map[string]*string {
	return timeoutsByFlag(&f.timeouts)
}

func timeoutsByFlag(t *api.Timeouts) map[string]*string {
	return map[string]*string{
		"connect-timeout": &t.Connect, "response-header-timeout": &t.ResponseHeader, "first-token-timeout": &t.FirstToken,
		"stream-idle-timeout": &t.Idle, "total-timeout": &t.Total,
	}
}

func timeoutFlagUse(name string) string {
	return map[string]string{
		"connect-timeout": "until it is connected", "response-header-timeout": "until its answer begins",
		"first-token-timeout": "until the first output", "stream-idle-timeout": "between two pieces of an answer",
		"total-timeout": "for a request and its answer",
	}[name]
}

// edit reads what was given. Deadlines that were not given stay: they are read
// first, for they are one field of the API, and the edit is good for what was
// read alone.
func (f *upstreamFlags) edit(ctx context.Context, t talk, name string, given editFlags) (edit api.EditUpstream, etag string, err error) {
	edit = api.EditUpstream{
		Name: given.text("name"), URL: given.text("url"), Auth: given.text("auth"),
		Wires: given.list("wires", f.wires), Models: given.list("models", f.models), IdleTimeout: given.text("idle-timeout"),
	}
	if given.flags.Changed("websocket") {
		edit.Websocket = &f.websocket
	}
	if given.flags.Changed("max-idle") {
		edit.MaxIdle = &f.maxIdle
	}
	wanted := map[string]string{}
	for flag, value := range f.timeoutFlags() {
		if given.flags.Changed(flag) {
			wanted[flag] = *value
		}
	}
	if len(wanted) == 0 {
		return edit, "", nil
	}
	u, err := t.Upstream(ctx, name)
	if err != nil {
		return edit, "", err
	}
	edit.Timeouts = &api.Timeouts{}
	if u.Timeouts != nil {
		*edit.Timeouts = *u.Timeouts
	}
	for flag, field := range timeoutsByFlag(edit.Timeouts) {
		if value, ok := wanted[flag]; ok {
			*field = value
		}
	}
	return edit, u.ETag, nil
}
