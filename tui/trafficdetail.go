package tui

import (
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// detailPart is what of an exchange is shown below its facts.
type detailPart int

const (
	partTiming detailPart = iota
	partRule
	partTokens
	detailParts
)

func (p detailPart) String() string {
	return [detailParts]string{"Timing", "Rule", "Tokens"}[p]
}

// openRow shows a row in detail. The tail stays where it is, so that the rows
// before and after it are those that were seen there.
func (s *trafficScreen) openRow(row *tailRow, explain bool) tea.Cmd {
	if row == nil {
		return nil
	}
	s.opened, s.part, s.scrolled = row, partTiming, 0
	if !s.inFlight {
		s.following, s.cursor = false, row.place
	}
	if explain {
		s.part = partRule
	}
	return s.explainShown()
}

func (s *trafficScreen) canDetail(action string) bool {
	switch action {
	case "down", "up", "page-down", "page-up", "traffic.next", "traffic.previous", "traffic.rule", "copy":
		return true
	}
	return false
}

// detailScroll is how many lines a part of a detail moves at once.
const detailScroll = 5

func (s *trafficScreen) doDetail(action string) tea.Cmd {
	switch action {
	case "page-down":
		s.scrolled += detailScroll
		return nil
	case "page-up":
		s.scrolled = max(0, s.scrolled-detailScroll)
		return nil
	}
	s.scrolled = 0
	switch action {
	case "down", "traffic.next":
		return s.step(1)
	case "up", "traffic.previous":
		return s.step(-1)
	case "copy":
		return s.copies(s.opened.id())
	case "next-pane":
		s.part = (s.part + 1) % detailParts
	case "previous-pane":
		s.part = (s.part + detailParts - 1) % detailParts
	case "traffic.rule":
		s.part = partRule
		if s.explained.err != nil {
			s.explained = whyTaken{}
		}
	}
	return s.explainShown()
}

// step shows the exchange before or after this one, of those that the filter takes.
func (s *trafficScreen) step(by int) tea.Cmd {
	rows := s.ring.shown
	at := s.ring.search(s.opened.place)
	here := at < len(rows) && rows[at] == s.opened
	if by > 0 && !here {
		at-- // it has left: what stands at its place comes after it
	}
	if at += by; at < 0 || at >= len(rows) {
		s.say("there is no other exchange in that direction")
		return nil
	}
	if s.opened = rows[at]; !s.inFlight {
		s.cursor = s.opened.place
	}
	return s.explainShown()
}

// drawDetail gives everything that is known of one exchange.
func (s *trafficScreen) drawDetail(w, h int) string {
	l, row := s.look, s.opened
	b := box{title: clean(row.id()) + " " + l.dash + " " + statusText(l, row), foot: s.parts(), focused: true}
	if model, _ := row.field("model"); model != "" {
		b.title += " " + l.dash + " " + clean(model)
	}
	b.right = s.clockAt(row.time())
	inW, inH := inside(w, h)
	head := s.drawFacts(row, inW)
	var part string
	switch s.part {
	case partRule:
		part = s.drawExplained(inW)
	case partTokens:
		part = s.drawTokens(row, inW)
	default:
		part = s.drawTiming(row, inW)
	}
	part, b.count = s.partInView(part, max(1, inH-strings.Count(head, "\n")-1))
	return b.draw(l, head+"\n"+part, w, h)
}

// partInView gives the lines of a part that there is room for, and how many more
// there are.
func (s *trafficScreen) partInView(part string, room int) (view, more string) {
	lines := strings.Split(part, "\n")
	if len(lines) <= room {
		s.scrolled = 0
		return part, ""
	}
	s.scrolled = min(s.scrolled, len(lines)-room)
	if below := len(lines) - room - s.scrolled; below > 0 {
		more = plural(below, "line") + " more " + s.look.dot + " PgDn"
	}
	return strings.Join(lines[s.scrolled:s.scrolled+room], "\n"), more
}

// parts names the parts, the one in front marked.
func (s *trafficScreen) parts() string {
	var all []string
	for p := range detailParts {
		if p == s.part {
			all = append(all, "["+p.String()+"]")
		} else {
			all = append(all, p.String())
		}
	}
	return "tab: " + strings.Join(all, " ")
}

// drawFacts tells whose it was and where it went.
func (s *trafficScreen) drawFacts(row *tailRow, w int) string {
	var facts []string
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, s.look.dim.Render(name)+" "+value)
		}
	}
	if x := row.ended; x != nil {
		add("key", owned(x.Key, x.User))
		add("rule", clean(x.Rule))
		if x.Rule != "" && x.Revision > 0 {
			facts[len(facts)-1] += fmt.Sprintf(" rev %d", x.Revision)
		}
		add("upstream", clean(x.Upstream))
		if x.UpstreamModel != x.Model {
			add("model there", clean(x.UpstreamModel))
		}
		add("node", clean(x.Node))
		add(clean(x.Method), clean(x.Path)+" "+bytesOf(x.RequestBytes))
		if text := endText(s.look, row); text != "" {
			add("end", s.endStyle(row).Render(text))
		}
		return flow(facts, w)
	}
	f := row.started
	add("key", owned(f.Key, f.User))
	add("rule", clean(f.Rule))
	add("upstream", clean(f.Upstream))
	add("node", clean(f.Node))
	add(clean(f.Method), clean(f.Path))
	add("end", s.endStyle(row).Render(endText(s.look, row)))
	return flow(facts, w)
}

func owned(key, user string) string {
	if user == "" {
		return clean(key)
	}
	return or(clean(key), unknown) + " (" + clean(user) + ")"
}

// flow puts texts one after another on lines of at most w cells.
func flow(texts []string, w int) string {
	var lines []string
	text := ""
	for _, one := range texts {
		if text != "" && width(text)+3+width(one) > w-1 {
			lines = append(lines, text)
			text = ""
		}
		if text != "" {
			text += "   "
		} else {
			text = " "
		}
		text += one
	}
	return strings.Join(append(lines, text), "\n")
}

// drawTokens tells what was counted.
func (s *trafficScreen) drawTokens(row *tailRow, w int) string {
	x := row.ended
	if x == nil {
		return "\n " + s.look.dim.Render("It is under way. What was counted is told when it ends.")
	}
	tokens := func(n *int64) string {
		if n == nil {
			return s.look.dim.Render("not told by the upstream")
		}
		return count(*n)
	}
	text := "\n" + s.facts(w,
		[2]string{"in", tokens(x.InputTokens)},
		[2]string{"  from the cache", tokens(x.CachedTokens)},
		[2]string{"  into the cache", tokens(x.CacheWrites)},
		[2]string{"out", tokens(x.OutputTokens)},
		[2]string{"  reasoning", tokens(x.Reasoning)},
		[2]string{"out, a second", outRate(x)},
		[2]string{"bytes in", bytesOf(x.RequestBytes)},
		[2]string{"bytes out", bytesOf(x.ResponseBytes)},
		[2]string{"attempts", count(int64(x.Attempts))},
	)
	return text
}

// outRate is how many tokens came a second, from the first one on.
func outRate(x *api.Exchange) string {
	seconds := (x.DurationMS - x.FirstTokenMS) / 1000
	if x.OutputTokens == nil || x.FirstTokenMS <= 0 || seconds <= 0 {
		return unknown
	}
	return fmt.Sprintf("%.1f", float64(*x.OutputTokens)/seconds)
}
