package tui

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// upstreamPart is one thing that is written about an upstream: what the API calls
// it, what the form does, and the flag of the command line.
type upstreamPart struct {
	name, label, flag, hint string
}

func upstreamParts() []upstreamPart {
	return []upstreamPart{
		{"name", "Name", "name", ""},
		{"url", "URL", "url", "the provider's own"},
		{"auth", "Auth", "auth", "the provider's; or bearer, header:NAME, query:NAME, none"},
		{"wires", "Wires", "wires", "the provider's; or openai-chat, anthropic"},
		{"models", "Models", "models", "not listed: any"},
		{"connect", "Connect within", "connect-timeout", "the gateway's; or 5s; 0s: no bound"},
		{"response_header", "Answer within", "response-header-timeout", "the gateway's"},
		{"first_token", "Output within", "first-token-timeout", "the gateway's"},
		{"idle", "Silent for", "stream-idle-timeout", "the gateway's"},
		{"total", "All within", "total-timeout", "the gateway's"},
		{"max_idle", "Idle conns", "max-idle", "the gateway's; or 64"},
		{"idle_timeout", "Kept for", "idle-timeout", "the gateway's; or 90s"},
		{"websocket", "WebSockets", "websocket", ""},
	}
}

// writtenUpstream gives an upstream as it is written in the form, by names of
// parts.
func writtenUpstream(u *api.Upstream) map[string]string {
	texts := map[string]string{
		"name": u.Name, "url": u.URL, "auth": u.Auth, "wires": strings.Join(u.Wires, ", "), "models": strings.Join(u.Models, ", "),
		"idle_timeout": u.IdleTimeout, "websocket": websocketText(u.Websocket), "max_idle": "",
	}
	if u.MaxIdle > 0 {
		texts["max_idle"] = strconv.Itoa(u.MaxIdle)
	}
	var t api.Timeouts
	if u.Timeouts != nil {
		t = *u.Timeouts
	}
	texts["connect"], texts["response_header"], texts["first_token"], texts["idle"], texts["total"] = t.Connect, t.ResponseHeader, t.FirstToken, t.Idle, t.Total
	return texts
}

func websocketText(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// upstreamEdit is an upstream while it is edited: what was read, and the form.
type upstreamEdit struct {
	screen *upstreamsScreen
	read   api.Upstream
	form   *form
}

func newUpstreamEdit(s *upstreamsScreen, u *api.Upstream) *upstreamEdit {
	e := &upstreamEdit{screen: s, read: *u}
	texts := writtenUpstream(u)
	e.form = &form{look: s.look, title: "Edit " + clean(u.Name)}
	for _, p := range upstreamParts() {
		if p.name == "websocket" {
			e.form.fields = append(e.form.fields, choiceField(p.name, p.label, []string{"no", "yes"}, texts[p.name], p.hint))
			continue
		}
		e.form.fields = append(e.form.fields, writtenField(p.name, p.label, texts[p.name], p.hint))
	}
	e.form.submit = func(*form) tea.Cmd { return e.submit() }
	return e
}

// differs lists what was written otherwise than it was read.
func (e *upstreamEdit) differs() []upstreamPart {
	before := writtenUpstream(&e.read)
	var all []upstreamPart
	for _, p := range upstreamParts() {
		if e.form.value(p.name) != before[p.name] {
			all = append(all, p)
		}
	}
	return all
}

// submit sends what was written, and asks first where a credential would be lost
// by it.
func (e *upstreamEdit) submit() tea.Cmd {
	differing := e.differs()
	if len(differing) == 0 {
		e.form.problem = "nothing was changed; esc closes"
		return nil
	}
	edit, ok := e.edit(differing)
	if !ok {
		return nil
	}
	if sealed := sealedOf(&e.read); sealed > 0 && edit.URL != nil && elsewhere(e.read.URL, *edit.URL) {
		s := e.screen
		s.open(&question{
			look: s.look, title: "Send it to another place?",
			lines: []string{
				"That is another address, and a secret that the gateway keeps sealed goes to no other than it was given for: " + plural(sealed, "credential") + " will be taken away.",
				"Give it anew afterwards, with C.",
			},
			answers: []answer{{text: "Change it", danger: true, do: func() tea.Cmd { return e.send(edit, differing) }}},
		})
		return nil
	}
	return e.send(edit, differing)
}

// sealedOf counts the credentials whose secret the gateway keeps.
func sealedOf(u *api.Upstream) (n int) {
	for i := range u.Credentials {
		if u.Credentials[i].Reference == "" {
			n++
		}
	}
	return n
}

// elsewhere says whether a URL is at another scheme, host or port.
func elsewhere(before, after string) bool {
	a, errA := url.Parse(before)
	b, errB := url.Parse(after)
	return errA != nil || errB != nil || a.Scheme != b.Scheme || a.Host != b.Host
}

// edit makes what is sent of what was written. The deadlines go together.
func (e *upstreamEdit) edit(differing []upstreamPart) (edit api.EditUpstream, ok bool) {
	f := e.form
	text := func(name string) *string { v := f.value(name); return &v }
	list := func(name string) *[]string { v := append([]string{}, f.words(name)...); return &v }
	for _, p := range differing {
		switch p.name {
		case "name":
			edit.Name = text(p.name)
		case "url":
			edit.URL = text(p.name)
		case "auth":
			edit.Auth = text(p.name)
		case "wires":
			edit.Wires = list(p.name)
		case "models":
			edit.Models = list(p.name)
		case "idle_timeout":
			edit.IdleTimeout = text(p.name)
		case "websocket":
			yes := f.value(p.name) == "yes"
			edit.Websocket = &yes
		case "max_idle":
			n, err := strconv.Atoi(or(f.value(p.name), "0"))
			if err != nil {
				f.problem = "Idle conns is a number"
				return edit, false
			}
			edit.MaxIdle = &n
		default:
			edit.Timeouts = &api.Timeouts{
				Connect: f.value("connect"), ResponseHeader: f.value("response_header"), FirstToken: f.value("first_token"),
				Idle: f.value("idle"), Total: f.value("total"),
			}
		}
	}
	return edit, true
}

func (e *upstreamEdit) twin(differing []upstreamPart) []string {
	words := []string{"upstreams", "edit", e.read.Name}
	for _, p := range differing {
		value := e.form.value(p.name)
		switch p.name {
		case "websocket":
			words = append(words, "--websocket="+map[string]string{"yes": "true", "no": "false"}[value])
			continue
		case "max_idle":
			value = or(value, "0")
		case "wires", "models":
			value = strings.Join(e.form.words(p.name), ",")
		}
		words = append(words, "--"+p.flag, value)
	}
	return append(words, "--no-test")
}

// send changes the upstream, if it is still what was read.
func (e *upstreamEdit) send(edit api.EditUpstream, differing []upstreamPart) tea.Cmd {
	name, etag := e.read.Name, e.read.ETag
	e.form.sending = true
	return e.screen.change(change{
		twin: e.twin(differing), books: []book{bookUpstreams, bookRules, bookBindings},
		call: func(ctx context.Context, c *api.Client) (string, error) {
			_, err := c.If(etag).EditUpstream(ctx, name, edit)
			return "upstream " + name + " changed", err
		},
		then: func(said string) tea.Cmd {
			e.screen.say(said)
			return func() tea.Msg { return formDone{e.form} }
		},
		fails: func(err error) tea.Cmd {
			if e.overtaken(err) {
				return e.readAgain(err)
			}
			return func() tea.Msg { return formRefused{e.form, err} }
		},
	})
}

// overtaken says whether a change was refused since somebody else made one
// after what it was about was read (If-Match of RFC 9110, section 13.1.1).
func (*upstreamEdit) overtaken(err error) bool {
	var refusal *api.Error
	return errors.As(err, &refusal) && refusal.Code == api.CodeConflict && refusal.Status == http.StatusPreconditionFailed
}
