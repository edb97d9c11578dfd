package tui

import (
	"fmt"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// From this size on all panes are shown at once; on smaller screens the one that
// has the keys, below a few lines that tell the most important.
const (
	systemWide  = 100
	systemHigh  = 26
	systemTall  = 32  // from here on all that is known of the gateway has its line
	systemWider = 180 // from here on the key map has its own place
)

func (s *systemScreen) draw(w, h int) string {
	for i, p := range s.panes() {
		p.blur(i != s.at)
	}
	if w < systemWide || h < systemHigh {
		return s.drawOne(w, h)
	}
	left := w / 2
	top := 9
	if h >= systemTall {
		top = 12
	}
	middle := max(5, min(len(s.books.nodes.value)+3, (h-top)/2))
	bottom := h - top - middle
	return below(
		beside(s.gatewayBox(left, top), s.consoleBox(w-left, top)),
		s.nodes.draw(w, middle),
		s.drawLower(w, bottom),
	)
}

// drawLower puts the audit beside the settings and the key map, or the one of
// those that was looked at last.
func (s *systemScreen) drawLower(w, h int) string {
	if w >= systemWider {
		third := w / 3
		return beside(s.audit.draw(third, h), s.settings.draw(third, h), s.actions.draw(w-2*third, h))
	}
	left, right := w/2, pane(&s.settings)
	if s.at == paneActions {
		right = &s.actions
	}
	return beside(s.audit.draw(left, h), right.draw(w-left, h))
}

func (s *systemScreen) drawOne(w, h int) string {
	glance := s.glance(w)
	var names []string
	for i, name := range []string{s.nodes.heading, s.audit.heading, s.settings.heading, s.actions.heading} {
		if i == s.at {
			name = s.look.selected.Render("[" + name + "]")
		}
		names = append(names, name)
	}
	lines := append(glance, s.look.fit(" "+strings.Join(names, "  ")+"  "+s.look.dim.Render("tab"), w))
	return below(strings.Join(lines, "\n"), s.focused().draw(w, h-len(lines)))
}

// glance is the gateway in two lines.
func (s *systemScreen) glance(w int) []string {
	state := s.books.status.state()
	if !state.there {
		text := s.look.more
		if state.err != nil {
			text = s.look.bad.Render(s.look.no + " " + reason(state.err))
		}
		return []string{s.look.fit(" "+text, w), spaces(w)}
	}
	g := &s.books.status.value
	return []string{
		s.look.fit(" "+s.ready(g)+"  "+clean(g.Version)+"  rev "+count(g.Rules.Revision)+"  calls "+s.calls.text(), w),
		s.look.fit(" store "+s.store(&g.Store), w),
	}
}

// gatewayBox tells how the gateway that was asked stands.
func (s *systemScreen) gatewayBox(w, h int) string {
	b, state := box{title: "Gateway"}, s.books.status.state()
	inW, inH := inside(w, h)
	if !state.there {
		return b.draw(s.look, s.instead(state, emptiness{}, 0, 0, inW, inH), w, h)
	}
	if state.err != nil {
		b.foot = s.look.ill + " not loaded again: " + reason(state.err)
	}
	g := &s.books.status.value
	rules := fmt.Sprintf("revision %d, %s by %s; %d on, %d off", g.Rules.Revision, ago(s.now(), g.Rules.ChangedAt), or(clean(g.Rules.ChangedBy), "nobody"), g.Rules.Enabled, g.Rules.Disabled)
	text := s.facts(inW,
		[2]string{"state", s.ready(g)},
		[2]string{"store", s.store(&g.Store)},
		[2]string{"bus", clean(g.Bus)},
		[2]string{"rules", rules},
		[2]string{"knows", "what was in force " + millis(max(g.ConfigAgeS*1000, 0.01)) + " ago; " + plural(g.Keys, "key")},
		[2]string{"node", clean(g.Node) + ", " + clean(g.Version) + ", up " + span(s.now().Sub(g.StartedAt))},
		[2]string{"proxy", clean(g.Proxy)},
		[2]string{"admin", clean(g.Admin)},
		[2]string{"data", clean(g.Data)},
	)
	return b.toldOf(text, h).draw(s.look, text, w, h)
}

// ready says whether the gateway takes requests, and why not.
func (s *systemScreen) ready(g *api.Status) string {
	l := s.look
	switch {
	case g.Draining:
		return l.warn.Render(l.waiting + " draining")
	case !g.Ready:
		return l.bad.Render(l.gone + " not ready: " + or(clean(g.NotReady), "it does not say why"))
	case g.Problem != "":
		return l.warn.Render(l.ill + " " + clean(g.Problem))
	}
	return l.good.Render(l.on + " ready")
}

// store says how the store stands, since when it is away, and what is served
// meanwhile.
func (s *systemScreen) store(st *api.StoreStatus) string {
	l := s.look
	name := clean(st.Kind)
	if st.Place != "" {
		name += " at " + clean(st.Place)
	}
	if st.OK {
		return l.good.Render(l.on) + " " + name + ", " + millis(st.LatencyMS)
	}
	text := l.gone + " " + name + " is away"
	if st.Since != nil {
		text += " since " + clockOf(*st.Since) + ", " + span(s.now().Sub(*st.Since))
	}
	if why := or(st.Reason, st.Error); why != "" {
		text += " (" + clean(why) + ")"
	}
	if st.CopyOf != nil {
		text += "; served is the copy of " + ago(s.now(), *st.CopyOf)
	}
	return l.bad.Render(text)
}

// consoleBox tells of the console itself.
func (s *systemScreen) consoleBox(w, h int) string {
	inW, _ := inside(w, h)
	l := s.look
	theme, signs := "dark", "unicode signs"
	if l.light {
		theme = "light"
	}
	if l.colourless {
		theme += ", without colours"
	}
	if l.ascii {
		signs = "ASCII signs"
	}
	link := &s.desk.link
	as := clean(s.books.me.value.User) + " (" + clean(s.books.me.value.Role) + "), by " + clean(s.books.me.value.Via)
	if !s.books.me.there() {
		as = unknown
	}
	text := s.facts(inW,
		[2]string{"calls", s.calls.text()},
		[2]string{"events", plural(int(link.missed), "event") + " came too fast to be shown"},
		[2]string{"as", as},
		[2]string{"context", clean(s.gateway.Name) + ", " + clean(s.gateway.Where)},
		[2]string{"theme", theme + ", " + signs + "; :theme light and :theme dark change it"},
		[2]string{"version", clean(s.options.Version)},
	)
	return box{title: "Console"}.draw(l, text, w, h)
}
