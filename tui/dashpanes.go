package tui

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"github.com/llmgw/llmgw/admin/api"
)

// dashboardRow is a row of one of the dashboard's lists: an upstream, a key or a
// problem, and where enter leads.
type dashboardRow struct {
	id       string
	name     string // empty: of those without, or without room
	share    *api.Share
	upstream *api.Upstream // nil: there is none of that name any more
	user     string
	trouble  *api.Trouble
	opens    func()
}

// troubledFrom is the share of errors from which an upstream is said to be ill.
const troubledFrom = 0.01

// The width of what is drawn in a cell of a table.
const (
	trendCells, shortTrend = 15, 8
	shareCells             = 14
)

func (s *dashboardScreen) paneOf(heading, word string, empty emptiness, columns []column[dashboardRow], field func(*dashboardRow, string) (string, bool), load func() ([]dashboardRow, bookState)) *list[dashboardRow] {
	p := &list[dashboardRow]{desk: s.desk, heading: heading, word: word, empty: empty, load: load}
	p.table = table[dashboardRow]{look: s.look, columns: columns, id: func(r *dashboardRow) string { return r.id }, field: field, ranked: true}
	return p
}

func (s *dashboardScreen) upstreamsPane() *list[dashboardRow] {
	empty := emptiness{"No upstreams yet. A rule sends requests to one.", "4 shows them, or: llmgw upstreams create openai --provider openai --credential-from-env OPENAI_API_KEY"}
	return s.paneOf("Upstreams", "upstream", empty, []column[dashboardRow]{
		{title: "NAME", text: func(r *dashboardRow) string { return s.stateSign(r) + " " + clean(r.name) }, style: s.stateStyle, grow: true, least: 12, order: byName},
		{title: "REQ/S", text: s.rowRate, right: true, flip: true, order: byRequests},
		{title: "TREND", text: func(r *dashboardRow) string { return s.look.spark(s.parts(r.share), s.trend) }, rank: 3},
		{title: "ERR", text: rowErrors, right: true, flip: true, order: byErrors},
		{title: "P95", text: func(r *dashboardRow) string { return millis(r.counts().FirstTokenP95) }, right: true, rank: 2, flip: true, order: func(a, b *dashboardRow) int { return cmp.Compare(a.counts().FirstTokenP95, b.counts().FirstTokenP95) }},
		{title: "NOTE", text: s.note, most: 16, rank: 1},
	}, rowField, s.upstreamRows)
}

func (s *dashboardScreen) keysPane() *list[dashboardRow] {
	empty := emptiness{"No requests within the window.", "llmgw chat hello sends one"}
	return s.paneOf("Top keys", "key", empty, []column[dashboardRow]{
		{title: "KEY", text: func(r *dashboardRow) string { return or(clean(r.name), "(none or other)") }, grow: true, least: 10, order: byName},
		{title: "USER", text: func(r *dashboardRow) string { return or(clean(r.user), unknown) }, most: 14, rank: 2, order: func(a, b *dashboardRow) int { return cmp.Compare(a.user, b.user) }},
		{title: "REQ/S", text: s.rowRate, right: true, flip: true, order: byRequests},
		{title: "TOKENS", text: func(r *dashboardRow) string { return count(r.counts().InputTokens + r.counts().OutputTokens) }, right: true, rank: 1, flip: true, order: func(a, b *dashboardRow) int {
			return cmp.Compare(a.counts().InputTokens+a.counts().OutputTokens, b.counts().InputTokens+b.counts().OutputTokens)
		}},
		{title: "OF REQUESTS", text: func(r *dashboardRow) string {
			return s.look.fit(s.look.bar(float64(r.counts().Requests)/float64(max(1, s.books.window.value.Total.Requests)), shareCells), shareCells)
		}, rank: 3},
	}, rowField, s.keyRows)
}

func (s *dashboardScreen) problemsPane() *list[dashboardRow] {
	empty := emptiness{"No problems within the window.", ""}
	return s.paneOf("Last problems", "problem", empty, []column[dashboardRow]{
		{title: "TIME", text: func(r *dashboardRow) string { return clockOf(r.trouble.Time.In(s.now().Location())) }, order: func(a, b *dashboardRow) int { return a.trouble.Time.Compare(b.trouble.Time) }, flip: true},
		{title: "ST", text: func(r *dashboardRow) string { return troubleStatus(r.trouble.Status) }, style: s.statusStyle, order: func(a, b *dashboardRow) int { return cmp.Compare(a.trouble.Status, b.trouble.Status) }},
		{title: "UPSTREAM", text: func(r *dashboardRow) string { return or(clean(r.trouble.Upstream), "gateway") }, most: 16},
		{title: "MODEL", text: func(r *dashboardRow) string { return or(clean(r.trouble.Model), unknown) }, most: 22, rank: 1},
		{title: "KEY", text: func(r *dashboardRow) string { return or(clean(r.trouble.Key), unknown) }, most: 16, rank: 2},
		{title: "WHAT", text: func(r *dashboardRow) string { return whatOf(r.trouble) }, grow: true, least: 12},
		{title: "HOW OFTEN", text: s.howOften, rank: 3, flip: true, order: func(a, b *dashboardRow) int { return cmp.Compare(a.trouble.Count, b.trouble.Count) }},
	}, troubleField, s.problemRows)
}

// counts is what the row's name did; nothing where nothing is known.
func (r *dashboardRow) counts() api.Counts {
	if r.share == nil {
		return api.Counts{}
	}
	return r.share.Counts
}

func byName(a, b *dashboardRow) int     { return cmp.Compare(a.name, b.name) }
func byRequests(a, b *dashboardRow) int { return cmp.Compare(a.counts().Requests, b.counts().Requests) }
func byErrors(a, b *dashboardRow) int   { return cmp.Compare(a.errorShare(), b.errorShare()) }

func (r *dashboardRow) errorShare() float64 {
	c := r.counts()
	return float64(c.Errors) / float64(max(1, c.Requests))
}

// rowRate is how many requests of a row ended a second. Who is not among so many
// names as were asked for may have had some all the same.
func (s *dashboardScreen) rowRate(r *dashboardRow) string {
	if r.share == nil && s.namesOf("upstream") >= dashboardNames {
		return unknown
	}
	return rate(r.counts().Requests, max(s.seen(), time.Second))
}

// namesOf counts the names of a kind that the gateway told of.
func (s *dashboardScreen) namesOf(kind string) (n int) {
	for i := range s.books.window.value.By {
		if one := &s.books.window.value.By[i]; one.Kind == kind && one.Name != "" {
			n++
		}
	}
	return n
}

func rowErrors(r *dashboardRow) string { return percent(r.counts().Errors, r.counts().Requests) }

// upstreamRows are the upstreams that there are, and those that there were within
// the window, the busiest first.
func (s *dashboardScreen) upstreamRows() ([]dashboardRow, bookState) {
	known, state := s.books.upstreams.value, s.books.upstreams.state()
	window := s.books.window.state()
	if window.at.After(state.at) {
		state.at = window.at
	}
	if !window.there && window.err == nil {
		state.there, state.at = false, time.Time{} // who is busiest is not known yet
	}
	if !state.there {
		return nil, state
	}
	var rows []dashboardRow
	for i := range known {
		rows = append(rows, dashboardRow{id: known[i].Name, name: known[i].Name, upstream: &known[i], share: s.share("upstream", known[i].Name), opens: func() { s.goToRow("upstreams", known[i].Name) }})
	}
	for i := range s.books.window.value.By {
		one := &s.books.window.value.By[i]
		isKnown := slices.ContainsFunc(known, func(u api.Upstream) bool { return u.Name == one.Name })
		if one.Kind == "upstream" && one.Name != "" && !isKnown { // without one are the requests that were refused
			rows = append(rows, dashboardRow{id: one.Name, name: one.Name, share: one})
		}
	}
	slices.SortStableFunc(rows, func(a, b dashboardRow) int { return byRequests(&b, &a) })
	return rows, state
}

// stateSign is how an upstream is, as a sign.
func (s *dashboardScreen) stateSign(r *dashboardRow) string {
	switch u := r.upstream; {
	case u == nil:
		return s.look.gone
	case !u.Enabled:
		return s.look.off
	case u.Draining:
		return s.look.waiting
	case r.errorShare() >= troubledFrom || !usable(u):
		return s.look.ill
	}
	return s.look.on
}

func (s *dashboardScreen) stateStyle(r *dashboardRow) lipgloss.Style {
	switch s.stateSign(r) {
	case s.look.on:
		return s.look.good
	case s.look.ill, s.look.waiting:
		return s.look.warn
	}
	return s.look.dim
}

// usable says whether an upstream has what it needs to be called.
func usable(u *api.Upstream) bool {
	return len(u.Credentials) == 0 || slices.ContainsFunc(u.Credentials, func(c api.Credential) bool { return c.Usable && c.Enabled })
}

// note says in a word why an upstream is as it is.
func (s *dashboardScreen) note(r *dashboardRow) string {
	switch u := r.upstream; {
	case u == nil:
		return "deleted"
	case !u.Enabled:
		return "off"
	case u.Draining:
		return "draining"
	case !usable(u):
		return "no credential"
	}
	return s.worst(r.name)
}

// worst is the status with which an upstream's exchanges went wrong most often.
func (s *dashboardScreen) worst(upstream string) string {
	times := map[int]int64{}
	for _, t := range s.books.window.value.Recent {
		if t.Upstream == upstream {
			times[t.Status] += t.Count
		}
	}
	most, status := int64(0), 0
	for st, n := range times {
		if n > most || n == most && st > status {
			most, status = n, st
		}
	}
	if most == 0 {
		return ""
	}
	said := troubleStatus(status)
	if status > 0 && status < http.StatusBadRequest { // it began well
		said = "cut"
	}
	return said + " " + s.look.times + count(most)
}

// keyRows are the keys that were used within the window, as the gateway orders
// them: the busiest first.
func (s *dashboardScreen) keyRows() ([]dashboardRow, bookState) {
	state := s.books.window.state()
	keys := s.books.keys.state()
	if state.there && keys.at.After(state.at) {
		state.at = keys.at
	}
	var rows []dashboardRow
	for i := range s.books.window.value.By {
		one := &s.books.window.value.By[i]
		if one.Kind != "key" {
			continue
		}
		row := dashboardRow{id: one.Name, name: one.Name, share: one}
		if one.Name != "" {
			row.opens = func() { s.goToRow("keys", one.Name) }
		}
		known := s.books.keys.value
		if at := slices.IndexFunc(known, func(k api.Key) bool { return k.Name == one.Name }); at >= 0 {
			row.user = known[at].User
		}
		rows = append(rows, row)
	}
	return rows, state
}

// problemRows are what went wrong, the newest first.
func (s *dashboardScreen) problemRows() ([]dashboardRow, bookState) {
	recent := s.books.window.value.Recent
	rows := make([]dashboardRow, len(recent))
	for i := range recent {
		t := &recent[i]
		rows[i] = dashboardRow{id: or(t.Last, strconv.Itoa(i)), name: t.Upstream, trouble: t, opens: func() { s.goToThose("traffic", filterFor(t)) }}
	}
	return rows, s.books.window.state()
}

// troubleStatus is a status, or that there was none.
func troubleStatus(status int) string {
	if status == 0 {
		return "---"
	}
	return strconv.Itoa(status)
}

func (s *dashboardScreen) statusStyle(r *dashboardRow) lipgloss.Style {
	if st := r.trouble.Status; st >= 400 && st < 500 {
		return s.look.warn
	}
	return s.look.bad
}

// whatOf says in words what went wrong: the gateway's own code, or why it ended, or
// what the status means.
func whatOf(t *api.Trouble) string {
	what := t.Error
	if what == "" && !saysNothing(t.Reason) {
		what = t.Reason
	}
	if what == "" {
		what = strings.ToLower(or(http.StatusText(t.Status), ofProviders(t.Status)))
	}
	if what == "" && t.Status >= http.StatusBadRequest { // why it ended says that it is complete
		return "answered with " + strconv.Itoa(t.Status)
	}
	return clean(strings.ReplaceAll(or(what, t.Reason, unknown), "_", " "))
}

// ofProviders is what a status means that providers use and no standard knows.
func ofProviders(status int) string {
	if status == statusOverloaded {
		return "overloaded"
	}
	return ""
}

// statusOverloaded is Anthropic's.
const statusOverloaded = 529

// howOften says how many there were alike, and in how long.
func (s *dashboardScreen) howOften(r *dashboardRow) string {
	t := r.trouble
	if t.Count <= 1 {
		return ""
	}
	text := s.look.times + count(t.Count)
	if took := t.Time.Sub(t.First); took >= time.Second {
		text += " in " + span(took)
	}
	return text
}

// rowField is what a filter looks at in the lists of upstreams and keys.
func rowField(r *dashboardRow, name string) (string, bool) {
	switch name {
	case "name", "upstream", "key":
		return r.name, true
	case "user":
		return r.user, true
	case "requests":
		return strconv.FormatInt(r.counts().Requests, 10), true
	case "errors":
		return strconv.FormatInt(r.counts().Errors, 10), true
	}
	return "", false
}

// troubleField is what a filter looks at in the list of problems.
func troubleField(r *dashboardRow, name string) (string, bool) {
	switch t := r.trouble; name {
	case "status":
		return strconv.Itoa(t.Status), true
	case "upstream":
		return t.Upstream, true
	case "model":
		return t.Model, true
	case "key":
		return t.Key, true
	case "error", "code":
		return t.Error, true
	case "count":
		return strconv.FormatInt(t.Count, 10), true
	}
	return "", false
}
