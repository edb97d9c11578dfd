package tui

import (
	"cmp"
	"net/url"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"github.com/llmgw/llmgw/admin/api"
)

func upstreamsKeys() []Action {
	return []Action{
		{Name: "upstreams.test", Scope: "upstreams", Keys: []string{"T"}, Short: "test", Long: "have the gateway ask it for its models, or one model for a token as a stream"},
		{Name: "upstreams.drain", Scope: "upstreams", Keys: []string{"D"}, Short: "drain", Long: "send it no new requests and leave those under way, or take that back", Changes: true},
		{Name: "upstreams.switch", Scope: "upstreams", Keys: []string{" "}, Short: "on/off", Long: "enable or disable the upstream; asks first where it is used", Changes: true},
		{Name: "upstreams.credential", Scope: "upstreams", Keys: []string{"C"}, Short: "credential", Long: "give it another credential: a hidden secret, or where the gateway finds it", Changes: true},
		{Name: "upstreams.edit", Scope: "upstreams", Keys: []string{"e"}, Short: "edit", Long: "change its address, models, timeouts and connections", Changes: true},
		{Name: "upstreams.create", Scope: "upstreams", Keys: []string{"n"}, Short: "new", Long: "add an upstream", Changes: true},
		{Name: "upstreams.delete", Scope: "upstreams", Keys: []string{"ctrl+d"}, Short: "delete", Long: "remove the upstream and its credentials; asks first", Changes: true},
	}
}

// upstreamsEvery is how often upstreams are asked for again while they are shown:
// of what is under way there, and what they said last, no event tells.
const upstreamsEvery = 5 * time.Second

// upstreamsScreen shows the upstreams.
type upstreamsScreen struct{ list[api.Upstream] }

func newUpstreams(d *desk) *upstreamsScreen {
	s := &upstreamsScreen{}
	s.list = list[api.Upstream]{
		desk: d, heading: "Upstreams", word: "upstream", aside: 150,
		empty: emptiness{"No upstreams yet. It is there that requests are sent.", d.look.key.Render("n") + " adds one, or: llmgw upstreams create openai --provider openai --credential-from-env OPENAI_API_KEY"},
		load:  func() ([]api.Upstream, bookState) { return d.books.upstreams.value, d.books.upstreams.state() },
	}
	s.detail = s.drawUpstream
	s.table = table[api.Upstream]{look: d.look, columns: s.columns(), id: func(u *api.Upstream) string { return u.Name }, field: s.upstreamField}
	return s
}

func (s *upstreamsScreen) columns() []column[api.Upstream] {
	return []column[api.Upstream]{
		{title: "NAME", text: func(u *api.Upstream) string { return clean(u.Name) }, grow: true, least: 10, order: func(a, b *api.Upstream) int { return cmp.Compare(a.Name, b.Name) }},
		{title: "STATE", text: s.state, style: s.stateStyle, most: 22, order: func(a, b *api.Upstream) int { return cmp.Compare(s.urgency(a), s.urgency(b)) }},
		{title: "URL", text: hostOf, most: 32, rank: 4},
		{title: "CRED", text: s.credentials, most: 20, rank: 5},
		{title: "REQ/S", text: s.perSecond, right: true, rank: 1, flip: true, order: func(a, b *api.Upstream) int { return cmp.Compare(s.counts(a).Requests, s.counts(b).Requests) }},
		{title: "ERR", text: s.errors, right: true, rank: 1, flip: true, order: func(a, b *api.Upstream) int { return cmp.Compare(s.errorShare(a), s.errorShare(b)) }},
		{title: "P50/P95 TTFT", text: s.firstToken, right: true, rank: 3, flip: true, order: func(a, b *api.Upstream) int {
			return cmp.Compare(s.counts(a).FirstTokenP95, s.counts(b).FirstTokenP95)
		}},
		{title: "IN FLIGHT", text: func(u *api.Upstream) string { return count(int64(u.InFlight)) }, right: true, rank: 2, flip: true, order: func(a, b *api.Upstream) int { return cmp.Compare(a.InFlight, b.InFlight) }},
	}
}

// troubleFrom is the share of errors in the window from which an upstream is in
// trouble.
const troubleFrom = 0.01

// trouble says in a few words what is wrong with an upstream that is in use;
// empty: nothing that is known of.
func (s *upstreamsScreen) trouble(u *api.Upstream) string {
	if !hasUsable(u) {
		return "no credential"
	}
	if s.errorShare(u) >= troubleFrom {
		return s.errors(u) + " errors"
	}
	for i := range u.Credentials {
		c := &u.Credentials[i]
		switch {
		case c.Enabled && !c.Usable:
			return "a credential"
		case c.Enabled && c.LastError != "":
			return clean(c.LastError)
		}
	}
	return ""
}

// hasUsable says whether an upstream has what its requests need.
func hasUsable(u *api.Upstream) bool {
	if u.Auth == "none" {
		return true
	}
	for i := range u.Credentials {
		if u.Credentials[i].Enabled && u.Credentials[i].Usable {
			return true
		}
	}
	return false
}

// state is how an upstream stands, with a sign that says it without colours.
func (s *upstreamsScreen) state(u *api.Upstream) string {
	switch {
	case !u.Enabled:
		return s.look.off + " off"
	case u.Draining:
		return s.look.waiting + " draining"
	}
	if trouble := s.trouble(u); trouble != "" {
		return s.look.ill + " " + trouble
	}
	return s.look.on + " enabled"
}

// urgency puts those first that somebody should look at.
func (s *upstreamsScreen) urgency(u *api.Upstream) int {
	switch {
	case !u.Enabled:
		return 2
	case u.Draining:
		return 1
	case s.trouble(u) != "":
		return 0
	}
	return 3
}

func (s *upstreamsScreen) stateStyle(u *api.Upstream) lipgloss.Style {
	switch {
	case !u.Enabled:
		return s.look.dim
	case u.Draining:
		return s.look.warn
	case s.trouble(u) != "":
		return s.look.bad
	}
	return s.look.good
}

// hostOf is where an upstream is, without what all addresses have.
func hostOf(u *api.Upstream) string {
	if to, err := url.Parse(u.URL); err == nil && to.Host != "" {
		return clean(to.Host)
	}
	return clean(u.URL)
}

// credentials tells of an upstream's credential, or how many it has.
func (s *upstreamsScreen) credentials(u *api.Upstream) string {
	switch n := len(u.Credentials); {
	case n == 0 && u.Auth == "none":
		return "none needed"
	case n == 0:
		return unknown
	case n > 1:
		return plural(n, "credential")
	}
	c := &u.Credentials[0]
	if c.Last4 == "" {
		return credentialKeptIn(c)
	}
	return lastFour(s.look, c.Last4) + " " + credentialKeptIn(c)
}

// credentialKeptIn says where a credential is: env, file, or sealed with the gateway.
func credentialKeptIn(c *api.Credential) string {
	scheme, _, found := strings.Cut(c.Reference, ":")
	if !found {
		return "sealed"
	}
	return clean(scheme)
}

// upstreamField is what a filter looks at.
func (s *upstreamsScreen) upstreamField(u *api.Upstream, name string) (string, bool) {
	switch name {
	case "upstream", "name":
		return u.Name, true
	case "state":
		return u.State, true
	case "provider":
		return u.Provider, true
	case "url":
		return hostOf(u), true
	}
	return "", false
}

func (s *upstreamsScreen) name() string     { return "upstreams" }
func (s *upstreamsScreen) title() string    { return "Upstreams" }
func (s *upstreamsScreen) scopes() []string { return []string{"upstreams", inLists} }
func (s *upstreamsScreen) hear(api.Event)   {}

func (s *upstreamsScreen) needs() []need {
	return []need{
		{book: bookUpstreams, every: upstreamsEvery}, s.figures(len(s.books.upstreams.value), "upstream"),
		{book: bookRules}, {book: bookBindings}, {book: bookNodes},
	}
}

func (s *upstreamsScreen) can(action string) bool {
	switch action {
	case "upstreams.create":
		return true
	case "upstreams.test":
		return s.row() != nil && s.operates() // it changes nothing, but sends requests in the gateway's name
	case "upstreams.drain":
		row := s.row()
		return row != nil && (row.Enabled || row.Draining || len(s.table.marks) > 0)
	}
	return s.list.can(action)
}

func (s *upstreamsScreen) do(action string) tea.Cmd {
	if cmd, ok := s.doList(action); ok {
		return cmd
	}
	if action == "upstreams.create" {
		s.open(s.newUpstreamForm())
		return nil
	}
	row := s.row()
	if row == nil {
		return nil
	}
	switch action {
	case "upstreams.test":
		s.open(s.testForm(row))
	case "upstreams.drain":
		return s.drainChosen(s.table.chosen())
	case "upstreams.switch":
		return s.switchChosen(s.table.chosen())
	case "upstreams.credential":
		s.open(s.credentialForm(row))
	case "upstreams.edit":
		s.open(newUpstreamEdit(s, row).form)
	case "upstreams.delete":
		s.open(s.askDelete(s.table.chosen()))
	}
	return nil
}

func (s *upstreamsScreen) update(msg tea.Msg) tea.Cmd {
	if m, ok := msg.(upstreamOvertaken); ok {
		m.edit.meet(m)
		return nil
	}
	return s.write(msg)
}
