package tui

import (
	"context"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// upstreamDeed is something that is done to each of several upstreams.
type upstreamDeed struct {
	twin func(name string) []string // the words behind "upstreams"
	call func(*api.Client, context.Context, string) (api.Upstream, error)
	said func(api.Upstream) string
}

// toEach does it to every one that is named.
func (s *upstreamsScreen) toEach(names []string, deed upstreamDeed) tea.Cmd {
	all := make([]tea.Cmd, 0, len(names))
	for _, name := range names {
		all = append(all, s.change(change{
			twin: append([]string{"upstreams"}, deed.twin(name)...), books: []book{bookUpstreams},
			call: func(ctx context.Context, c *api.Client) (string, error) {
				u, err := deed.call(c, ctx, name)
				return deed.said(u), err
			},
		}))
	}
	s.table.unmark()
	return tea.Batch(all...)
}

// drainChosen drains upstreams, or lets them take requests again: as the first of
// them stands.
func (s *upstreamsScreen) drainChosen(chosen []api.Upstream) tea.Cmd {
	if len(chosen) == 0 {
		return nil
	}
	undo := chosen[0].Draining
	names := upstreamsWhere(chosen, func(u *api.Upstream) bool { return u.Draining == undo && (undo || u.Enabled) })
	said := func(u api.Upstream) string {
		return "upstream " + u.Name + " is " + u.State + ", " + count(int64(u.InFlight)) + " in flight"
	}
	if undo {
		return s.toEach(names, upstreamDeed{func(name string) []string { return []string{"drain", name, "--undo"} }, (*api.Client).UndrainUpstream, said})
	}
	return s.toEach(names, upstreamDeed{func(name string) []string { return []string{"drain", name} }, (*api.Client).DrainUpstream, said})
}

// switchChosen puts upstreams to use or takes them out of it: as the first of them
// stands. It asks before it takes away what is used.
func (s *upstreamsScreen) switchChosen(chosen []api.Upstream) tea.Cmd {
	if len(chosen) == 0 {
		return nil
	}
	on := !chosen[0].Enabled
	names := upstreamsWhere(chosen, func(u *api.Upstream) bool { return u.Enabled != on })
	if on {
		return s.toEach(names, upstreamDeed{
			func(name string) []string { return []string{"enable", name} }, (*api.Client).EnableUpstream,
			func(u api.Upstream) string { return "upstream " + u.Name + " enabled" },
		})
	}
	off := func() tea.Cmd {
		return s.toEach(names, upstreamDeed{
			func(name string) []string { return []string{"disable", name} }, (*api.Client).DisableUpstream,
			func(u api.Upstream) string { return "upstream " + u.Name + " disabled" },
		})
	}
	q := &question{look: s.look, title: "Disable " + plural(len(names), "upstream") + "?", answers: []answer{{text: "Disable", danger: true, do: off}}}
	asks := false
	for i := range chosen {
		if u := &chosen[i]; u.Enabled {
			asks = asks || s.used(u)
			q.lines = append(q.lines, s.useLines(u)...)
		}
	}
	if !asks {
		return off()
	}
	q.lines = append(q.lines, "", "New requests go elsewhere, or are refused where there is no other. Those under way go on.")
	s.open(q)
	return nil
}

func upstreamsWhere(upstreams []api.Upstream, wanted func(*api.Upstream) bool) []string {
	var names []string
	for i := range upstreams {
		if wanted(&upstreams[i]) {
			names = append(names, upstreams[i].Name)
		}
	}
	return names
}

// askDelete asks before upstreams are gone for good.
func (s *upstreamsScreen) askDelete(chosen []api.Upstream) *question {
	q := &question{look: s.look, title: "Delete " + plural(len(chosen), "upstream") + "?"}
	for i := range chosen {
		q.lines = append(q.lines, s.useLines(&chosen[i])...)
	}
	q.lines = append(q.lines, "", "Their credentials go with them. It cannot be undone.")
	q.answers = []answer{{text: "Delete", danger: true, do: func() tea.Cmd { return s.deleteUpstreams(chosen) }}}
	return q
}

func (s *upstreamsScreen) deleteUpstreams(chosen []api.Upstream) tea.Cmd {
	all := make([]tea.Cmd, 0, len(chosen))
	for i := range chosen {
		name, etag := chosen[i].Name, chosen[i].ETag
		all = append(all, s.change(change{
			twin: []string{"upstreams", "delete", name, "--yes"}, books: []book{bookUpstreams},
			call: func(ctx context.Context, c *api.Client) (string, error) {
				return "upstream " + name + " deleted", c.If(etag).DeleteUpstream(ctx, name)
			},
			fails: func(err error) tea.Cmd {
				s.open(s.notDone("Upstream "+name+" was not deleted", err))
				return nil
			},
		}))
	}
	s.table.unmark()
	return tea.Batch(all...)
}

// notDone tells why something was not done, where that takes more than a line:
// what names an upstream, above all.
func (s *upstreamsScreen) notDone(title string, err error) *page {
	p := &page{look: s.look, title: clean(title), foot: "esc closes", lines: []string{s.look.bad.Render(s.look.no) + " " + reason(err)}}
	if hint := advice(err); hint != "" {
		p.lines = append(p.lines, "", hint)
	}
	return p
}
