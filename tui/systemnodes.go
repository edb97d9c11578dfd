package tui

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/charmbracelet/lipgloss"

	"github.com/llmgw/llmgw/admin/api"
)

func nodesList(d *desk) list[api.Node] {
	style := func(n *api.Node) lipgloss.Style {
		switch {
		case n.Silent:
			return d.look.bad
		case n.Problem != "" || n.Behind != 0 || !n.SameLog:
			return d.look.warn
		}
		return d.look.good
	}
	return list[api.Node]{
		desk: d, heading: "Nodes", word: "node",
		empty: emptiness{"No gateway runs on this store, as far as it knows.", "llmgw serve starts one"},
		load:  func() ([]api.Node, bookState) { return d.books.nodes.value, d.books.nodes.state() },
		table: table[api.Node]{look: d.look, id: func(n *api.Node) string { return n.ID }, field: nodeField, columns: []column[api.Node]{
			{title: "NODE", text: func(n *api.Node) string { return clean(n.Name) + selfSign(n) }, least: 8, most: 24, order: func(a, b *api.Node) int { return cmp.Compare(a.Name, b.Name) }},
			{title: "STATE", text: d.nodeState, style: style, grow: true, least: 10},
			{title: "VERSION", text: func(n *api.Node) string { return clean(n.Version) }, most: 16, rank: 2, order: func(a, b *api.Node) int { return cmp.Compare(a.Version, b.Version) }},
			{title: "REV", text: func(n *api.Node) string { return strconv.FormatInt(n.Revision, 10) }, right: true, rank: 1},
			{title: "APPLIED", text: func(n *api.Node) string { return strconv.FormatInt(n.Applied, 10) }, right: true, rank: 4},
			{title: "SILENCE", text: func(n *api.Node) string { return silence(n) }, right: true, rank: 3, flip: true, order: func(a, b *api.Node) int { return cmp.Compare(a.SilenceS, b.SilenceS) }},
			{title: "UP", text: func(n *api.Node) string { return span(d.now().Sub(n.StartedAt)) }, right: true, rank: 2, order: func(a, b *api.Node) int { return b.StartedAt.Compare(a.StartedAt) }},
			{title: "BUS", text: func(n *api.Node) string { return or(clean(n.Bus), unknown) }, most: 24, rank: 5},
		}},
	}
}

func selfSign(n *api.Node) string {
	if n.Self {
		return " (this)"
	}
	return ""
}

func silence(n *api.Node) string {
	if n.SilenceS == 0 {
		return unknown
	}
	return millis(n.SilenceS * 1000)
}

// nodeState says how a node stands: the worst first.
func (d *desk) nodeState(n *api.Node) string {
	l := d.look
	switch {
	case n.Silent:
		return l.gone + " " + or(clean(n.Problem), "silent")
	case n.Problem != "":
		return l.ill + " " + clean(n.Problem)
	case !n.SameLog:
		return l.ill + " knows another store's changes"
	case n.Behind > 0:
		return l.waiting + " " + plural(int(n.Behind), "change") + " behind"
	}
	return l.on + " in force"
}

func nodeField(n *api.Node, name string) (string, bool) {
	switch name {
	case "node", "name":
		return n.Name, true
	case "version":
		return n.Version, true
	case "revision", "rev":
		return strconv.FormatInt(n.Revision, 10), true
	case "behind":
		return strconv.FormatInt(n.Behind, 10), true
	case "silence":
		return strconv.FormatFloat(n.SilenceS*1000, 'f', -1, 64), true
	case "problem":
		return n.Problem, true
	}
	return "", false
}

// nodePage shows everything that is known of a node.
func (s *systemScreen) nodePage(n *api.Node) *page {
	within := func(seconds float64) string {
		if seconds == 0 {
			return "never"
		}
		return "after " + millis(seconds*1000)
	}
	text := s.facts(pageWidth,
		[2]string{"state", s.nodeState(n)}, [2]string{"version", clean(n.Version)}, [2]string{"id", clean(n.ID)},
		[2]string{"up", span(s.now().Sub(n.StartedAt)) + ", since " + momentOf(&n.StartedAt)}, [2]string{"bus", clean(n.Bus)},
		[2]string{"revision", strconv.FormatInt(n.Revision, 10) + " is in force"},
		[2]string{"changes", "up to " + strconv.FormatInt(n.Applied, 10) + ", " + strconv.FormatInt(max(0, n.Behind), 10) + " to come"},
		[2]string{"last sign", silence(n)},
		[2]string{"refuses", "what it knows being old: " + within(n.MaxStalenessS) + "; a change missing: " + within(n.FencedAfterS)},
		[2]string{"problem", clean(n.Problem)},
	)
	return &page{look: s.look, title: "Node " + clean(n.Name), foot: "esc closes", lines: strings.Split(text, "\n")}
}

// pageWidth is what the text of a page is broken for; narrower terminals break it
// again.
const pageWidth = 74
