package tui

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func usageKeys() []Action {
	return []Action{
		{Name: "usage.kind", Scope: "usage", Keys: []string{"b"}, Short: "by", Long: "count by the next kind: key, user, model, upstream, rule"},
		{Name: "usage.measure", Scope: "usage", Keys: []string{"m"}, Short: "measure", Long: "measure in tokens or in requests"},
		{Name: "usage.export", Scope: "usage", Keys: []string{"E"}, Short: "copy as CSV", Long: "copy the rows that are shown as CSV to the clipboard (OSC 52, works over ssh)"},
	}
}

// usageNames is how many names of a kind are asked for. The rest comes as one row.
const usageNames = 100

// usageKinds are the kinds by which usage is counted, in the order of the key.
func usageKinds() []string { return []string{"key", "user", "model", "upstream", "rule"} }

// usageScreen shows who and what requests and tokens come of, within the window.
type usageScreen struct {
	list[api.Share]
	kind     int
	requests bool // what is measured; false: tokens
}

func newUsage(d *desk) *usageScreen {
	s := &usageScreen{}
	s.list = list[api.Share]{
		desk: d, word: "name",
		empty: emptiness{"No requests within the window.", d.look.key.Render("t") + " looks further back, or: llmgw chat hello"},
		load:  s.rows,
	}
	s.table = table[api.Share]{look: d.look, columns: s.columns(), id: func(r *api.Share) string { return r.Name }, field: s.fieldOf}
	return s
}

// by is the kind that is shown.
func (s *usageScreen) by() string { return usageKinds()[s.kind] }

// rows are the shares of the kind that is shown.
func (s *usageScreen) rows() ([]api.Share, bookState) {
	w := &s.books.window.value
	var rows []api.Share
	for i := range w.By {
		if w.By[i].Kind == s.by() {
			rows = append(rows, w.By[i])
		}
	}
	state := s.books.window.state()
	if state.there && len(rows) == 0 && w.Total.Requests > 0 { // asked for, and not here yet
		state.there, state.at = false, time.Time{}
	}
	return rows, state
}

func (s *usageScreen) columns() []column[api.Share] {
	number := func(title string, rank int, of func(*api.Share) int64) column[api.Share] {
		return column[api.Share]{title: title, text: func(r *api.Share) string { return count(of(r)) }, right: true, rank: rank, flip: true, order: func(a, b *api.Share) int { return cmp.Compare(of(a), of(b)) }}
	}
	return []column[api.Share]{
		{title: "NAME", text: s.nameOf, grow: true, least: 12, order: func(a, b *api.Share) int { return cmp.Compare(a.Name, b.Name) }},
		number("REQUESTS", 0, func(r *api.Share) int64 { return r.Requests }),
		{title: "REQ/MIN", text: func(r *api.Share) string { return rate(r.Requests*60, max(s.seen(), time.Minute)) }, right: true, rank: 5},
		number("IN", 1, func(r *api.Share) int64 { return r.InputTokens }),
		number("OUT", 1, func(r *api.Share) int64 { return r.OutputTokens }),
		number("TOKENS", 0, tokensOf),
		{title: "SHARE", text: func(r *api.Share) string { return percent(s.measure(&r.Counts), s.measure(s.total())) }, right: true, rank: 2},
		{title: "", text: s.shareBar, rank: 3},
		{title: "ERR", text: func(r *api.Share) string { return percent(r.Errors, r.Requests) }, right: true, rank: 4, flip: true, order: func(a, b *api.Share) int {
			return cmp.Compare(float64(a.Errors)/float64(max(1, a.Requests)), float64(b.Errors)/float64(max(1, b.Requests)))
		}},
		number("REFUSED", 6, func(r *api.Share) int64 { return r.Refused }),
	}
}

func tokensOf(r *api.Share) int64 { return r.InputTokens + r.OutputTokens }

// nameOf is a row's name. Without one are the exchanges that had none of the kind,
// and those of names that there was no room for.
func (s *usageScreen) nameOf(r *api.Share) string { return or(clean(r.Name), "(none or other)") }

func (s *usageScreen) total() *api.Counts { return &s.books.window.value.Total }

// measure is what is measured of some exchanges: their tokens, or their number.
func (s *usageScreen) measure(c *api.Counts) int64 {
	if s.requests {
		return c.Requests
	}
	return c.InputTokens + c.OutputTokens
}

func (s *usageScreen) shareBar(r *api.Share) string {
	return s.look.fit(s.look.bar(float64(s.measure(&r.Counts))/float64(max(1, s.measure(s.total()))), shareCells), shareCells)
}

// fieldOf is what a filter looks at.
func (s *usageScreen) fieldOf(r *api.Share, name string) (string, bool) {
	switch name {
	case "name", s.by():
		return r.Name, true
	case "requests":
		return strconv.FormatInt(r.Requests, 10), true
	case "errors":
		return strconv.FormatInt(r.Errors, 10), true
	case "refused":
		return strconv.FormatInt(r.Refused, 10), true
	case "in":
		return strconv.FormatInt(r.InputTokens, 10), true
	case "out":
		return strconv.FormatInt(r.OutputTokens, 10), true
	case "tokens":
		return strconv.FormatInt(tokensOf(r), 10), true
	}
	return "", false
}

func (s *usageScreen) name() string     { return "usage" }
func (s *usageScreen) title() string    { return "Usage" }
func (s *usageScreen) scopes() []string { return []string{"usage", inLists} }
func (s *usageScreen) hear(api.Event)   {}
func (s *usageScreen) needs() []need    { return []need{s.figures(usageNames, s.by())} }

func (s *usageScreen) update(msg tea.Msg) tea.Cmd { return s.write(msg) }

func (s *usageScreen) can(action string) bool {
	switch action {
	case "usage.kind", "usage.measure":
		return true
	case "usage.export":
		s.sync()
		return len(s.table.shown) > 0
	case "open", "mark", "mark-range":
		return false
	}
	return s.list.can(action)
}

func (s *usageScreen) do(action string) tea.Cmd {
	if cmd, ok := s.doList(action); ok {
		return cmd
	}
	switch action {
	case "usage.kind":
		s.kind = (s.kind + 1) % len(usageKinds())
		s.from = bookState{} // the rows are others now
		s.table.at, s.table.cursor = "", 0
	case "usage.measure":
		s.requests = !s.requests
	case "usage.export":
		return s.export()
	}
	return nil
}

// draw gives the chart, what it is of, and the table.
func (s *usageScreen) draw(w, h int) string {
	s.heading = "By " + s.by()
	notes := s.notes(w)
	chart := max(3, min(14, h/3))
	if chart < 5 {
		chart = 3 // one line: there is no room for axes
	}
	rest := h - chart - len(notes)
	if rest < 5 {
		return s.list.draw(w, h)
	}
	return below(s.drawChart(w, chart), s.look.block(strings.Join(notes, "\n"), w, len(notes)), s.list.draw(w, rest))
}

// drawChart draws what is measured over the window.
func (s *usageScreen) drawChart(w, h int) string {
	l := s.look
	from, until := s.pastEnds()
	p := &plot{look: l, from: from, until: until, least: 1, unit: decimal}
	b := box{title: "Requests/s", right: plural(int(s.total().Requests), "request")}
	whole := s.past(perSecond)
	if s.requests {
		p.columns, p.lines = true, []plotted{{values: whole, style: l.accent}}
	} else {
		in, out := s.past(inPerMinute), s.past(outPerMinute)
		p.lines = []plotted{{values: in, style: l.accent}, {values: out, style: l.good, broken: true}}
		b = box{title: "Tokens/min", right: l.line + " in " + count(s.total().InputTokens) + "  " + l.broken + " out " + count(s.total().OutputTokens)}
		whole = s.past(func(p *api.Point, sec float64) float64 { return inPerMinute(p, sec) + outPerMinute(p, sec) })
	}
	if h < 5 {
		return b.draw(l, l.spark(whole, w-2), w, h)
	}
	inW, inH := inside(w, h)
	return b.draw(l, p.draw(inW, inH), w, h)
}

// notes say what the figures are of, and what they are not.
func (s *usageScreen) notes(w int) []string {
	text := "The last " + span(s.lookedOver()) + ", as the gateway keeps it in memory"
	if seen := s.seen(); s.books.window.there() && seen < s.lookedOver() {
		text += "; it has seen " + span(seen) + " of it"
	}
	if doubts := s.doubts(); doubts != "" {
		text += "; " + doubts
	}
	text += ". Cost and history come with a usage ledger, which this version does not have."
	var lines []string
	for _, line := range wrap(text, max(1, w-2)) {
		lines = append(lines, " "+s.look.dim.Render(line))
	}
	return lines
}
