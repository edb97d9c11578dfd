package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newUpstreams(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "upstreams", Aliases: []string{"upstream", "up"},
		Short: "create | list | get | test | enable | disable | delete | credential set",
	}
	c.AddCommand(
		newUpstreamsCreate(a), newUpstreamsList(a), newUpstreamsGet(a), newUpstreamsTest(a),
		newUpstreamsSwitch(a, "enable", "put an upstream to use again", (*api.Client).EnableUpstream),
		newUpstreamsSwitch(a, "disable", "keep requests from an upstream", (*api.Client).DisableUpstream),
		newUpstreamsDelete(a), newCredential(a),
	)
	a.completeNames(c, upstreamNames, "get", "test", "enable", "disable", "delete")
	return c
}

func newUpstreamsList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "the upstreams", Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			upstreams, err := t.Upstreams(ctx)
			if err != nil {
				return err
			}
			return writeList(ctx, t.output, upstreams, api.List[api.Upstream]{Items: nonNil(upstreams)}, upstreamColumns(), "")
		}),
	}
}

func upstreamColumns() []column[api.Upstream] {
	return []column[api.Upstream]{
		{name: "NAME", text: func(u api.Upstream) string { return u.Name }},
		{name: "ON", text: func(u api.Upstream) string { return sign(u.Enabled, usable(u)) }},
		{name: "PROVIDER", text: func(u api.Upstream) string { return u.Provider }},
		{name: "URL", text: func(u api.Upstream) string { return u.URL }},
		{name: "CREDENTIAL", text: credentials},
		{name: "AUTH", wide: true, text: func(u api.Upstream) string { return dash(u.Auth) }},
		{name: "WIRES", wide: true, text: func(u api.Upstream) string { return dash(strings.Join(u.Wires, ",")) }},
		{name: "WEBSOCKET", wide: true, text: func(u api.Upstream) string { return yesNo(u.Websocket) }},
		{name: "ID", wide: true, text: func(u api.Upstream) string { return u.ID }},
		{name: "CREATED", wide: true, text: func(u api.Upstream) string { return date(&u.CreatedAt) }},
	}
}

// sign shows off, on, and on but not working.
func sign(enabled, working bool) string {
	switch {
	case !enabled:
		return "○"
	case !working:
		return "▲"
	}
	return "●"
}

// usable says whether an upstream has a credential that can be read, where it
// needs one.
func usable(u api.Upstream) bool {
	if u.Auth == "none" {
		return true
	}
	for _, c := range u.Credentials {
		if c.Enabled && c.Usable {
			return true
		}
	}
	return false
}

// credentials names an upstream's credentials by where they stand and their
// last characters.
func credentials(u api.Upstream) string {
	all := make([]string, 0, len(u.Credentials))
	for _, c := range u.Credentials {
		all = append(all, credential(c))
	}
	return dash(strings.Join(all, ", "))
}

func credential(c api.Credential) string {
	text := "sealed"
	if c.Reference != "" {
		text = c.Reference
	}
	if c.Last4 != "" {
		text += " …" + c.Last4
	}
	if c.Problem != "" {
		text += " (" + c.Problem + ")"
	}
	return text
}

func newUpstreamsGet(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "get NAME…", Short: "one upstream or several", Args: takesSome("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			return getEach(ctx, a, t, args, t.Upstream, func(w io.Writer, u api.Upstream) {
				fields(w,
					"name", u.Name, "id", u.ID, "provider", u.Provider, "url", u.URL, "auth", dash(u.Auth),
					"enabled", yesNo(u.Enabled), "credential", credentials(u),
					"wires", dash(strings.Join(u.Wires, ", ")), "models", dash(strings.Join(u.Models, ", ")),
					"websocket", yesNo(u.Websocket), "created", date(&u.CreatedAt))
			})
		}),
	}
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func newUpstreamsTest(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "test NAME", Short: "ask an upstream for its models, from the gateway", Args: takes("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			result, err := t.TestUpstream(ctx, args[0])
			if err != nil {
				return err
			}
			err = writeOne(ctx, t.output, result, func(w io.Writer) {
				if result.OK {
					fmt.Fprintln(w, tested(result))
				}
			})
			if err != nil || result.OK {
				return err
			}
			return failed(nil, "upstream %q: %s", args[0], tested(result))
		}),
	}
}

// tested says what a test found in one line.
func tested(r api.UpstreamTest) string {
	if r.Status == 0 {
		return fmt.Sprintf("%s %s: %s", r.Method, r.URL, r.Error)
	}
	text := fmt.Sprintf("%d in %d ms", r.Status, r.DurationMS)
	if r.Models > 0 {
		text += ", " + plural(r.Models, "model")
	}
	if r.Error != "" {
		text += ": " + r.Error
	}
	return text
}

func newUpstreamsSwitch(a *app, verb, short string, do func(*api.Client, context.Context, string) (api.Upstream, error)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME…", Short: short, Args: takesSome("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			names, err := a.names(args)
			if err != nil {
				return err
			}
			return a.forEach(names, func(name string) error {
				u, err := do(t.Client, ctx, name)
				if err == nil {
					a.note("%sd upstream %s", verb, u.Name)
				}
				return err
			})
		}),
	}
}

func newUpstreamsDelete(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME…", Aliases: []string{"rm"}, Short: "remove an upstream and its credentials", Args: takesSome("NAME"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			names, err := a.destroyable(ctx, t, args, "delete upstream", "upstreams delete")
			if err != nil {
				return err
			}
			return a.forEach(names, func(name string) error {
				err := t.DeleteUpstream(ctx, name)
				if err == nil {
					a.note("deleted upstream %s", name)
				}
				return err
			})
		}),
	}
}

// testNow looks at an upstream that was just made or changed. A test that
// fails only warns: the upstream is kept.
func (a *app) testNow(ctx context.Context, t talk, name string) error {
	result, err := t.TestUpstream(ctx, name)
	var refusal *api.Error
	switch {
	case errors.As(err, &refusal):
		a.warn("upstream %q could not be tested: %s", name, refusal.Detail)
		return nil
	case err != nil:
		return err
	case !result.OK:
		a.warn("upstream %q was kept, but its test failed: %s", name, tested(result))
		return nil
	}
	a.note("tested: %s", tested(result))
	return nil
}

func (a *app) warn(format string, args ...any) {
	look := a.errStyle()
	fmt.Fprintf(a.err, "%s %s\n", look.yellow("warning:"), look.plain(fmt.Sprintf(format, args...)))
}
