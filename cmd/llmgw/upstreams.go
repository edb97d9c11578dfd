package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newUpstreams(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "upstreams", Aliases: []string{"upstream", "up"},
		Short: "create | list | get | edit | test | enable | disable | drain | delete | credential",
	}
	n := upstreamNoun()
	c.AddCommand(
		newUpstreamsCreate(a), n.list(a, "the upstreams", nil), n.get(a, "one upstream or several"), newUpstreamsEdit(a),
		newUpstreamsTest(a),
		n.turn(a, "enable", "put an upstream to use again", (*api.Client).EnableUpstream),
		n.turn(a, "disable", "keep requests from an upstream", (*api.Client).DisableUpstream),
		newUpstreamsDrain(a),
		n.delete(a, "remove an upstream and its credentials"), newCredential(a),
	)
	return c
}

func upstreamNoun() *noun[api.Upstream] {
	return &noun[api.Upstream]{
		word: "upstream", columns: upstreamColumns(), show: showUpstream, name: func(u api.Upstream) string { return u.Name },
		all: (*api.Client).Upstreams, one: (*api.Client).Upstream, remove: (*api.Client).DeleteUpstream,
	}
}

func upstreamColumns() []column[api.Upstream] {
	return []column[api.Upstream]{
		{name: "NAME", text: func(u api.Upstream) string { return u.Name }},
		{name: "ON", text: func(u api.Upstream) string { return sign(u.Enabled && !u.Draining, usable(u)) }},
		{name: "STATE", text: func(u api.Upstream) string { return dash(u.State) }},
		{name: "PROVIDER", text: func(u api.Upstream) string { return u.Provider }},
		{name: "URL", text: func(u api.Upstream) string { return u.URL }},
		{name: "CREDENTIAL", text: credentials},
		{name: "AUTH", wide: true, text: func(u api.Upstream) string { return dash(u.Auth) }},
		{name: "WIRES", wide: true, text: func(u api.Upstream) string { return dash(strings.Join(u.Wires, ",")) }},
		{name: "WEBSOCKET", wide: true, text: func(u api.Upstream) string { return yesNo(u.Websocket) }},
		{name: "IN-FLIGHT", wide: true, text: func(u api.Upstream) string { return strconv.Itoa(u.InFlight) }},
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

func showUpstream(w io.Writer, u api.Upstream) {
	lines := []string{
		"name", u.Name, "id", u.ID, "provider", u.Provider, "url", u.URL, "auth", dash(u.Auth), "state", dash(u.State),
		"in flight", strconv.Itoa(u.InFlight),
	}
	for _, c := range u.Credentials {
		lines = append(lines, "credential", credentialLine(c))
	}
	if len(u.Credentials) == 0 {
		lines = append(lines, "credential", "-")
	}
	fields(w, append(lines,
		"wires", dash(strings.Join(u.Wires, ", ")), "models", dash(strings.Join(u.Models, ", ")),
		"websocket", yesNo(u.Websocket), "created", date(&u.CreatedAt))...)
}

// credentialLine tells all that is known of a credential.
func credentialLine(c api.Credential) string {
	text := c.Name + ": " + credential(c)
	if c.Weight > 1 {
		text += ", weight " + strconv.Itoa(c.Weight)
	}
	if !c.Enabled {
		text += ", disabled"
	}
	if c.LastError != "" {
		text += ", last error " + c.LastError
	}
	return text
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
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
	if r.OK && r.Chat != nil {
		text += ": " + timings(r.Chat)
	}
	return text
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
