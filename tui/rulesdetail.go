package tui

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// drawRule shows one rule: as it is written, and below that what it does.
func (s *rulesScreen) drawRule(r *api.Rule, w, h int) string {
	inW, inH := inside(w, h)
	doing := s.doing(r, inW)
	room := max(0, inH-len(doing)-1)
	text := s.written(r, inW)
	b := box{title: clean(r.Name), foot: s.lastChanged(r), focused: s.opened}
	if s.opened {
		b.right = fmt.Sprintf("%d of %d", r.Position, len(s.table.rows))
	} else {
		s.scroll = 0
	}
	s.scroll = max(0, min(s.scroll, len(text)-room))
	if below := len(text) - s.scroll - room; below > 0 {
		b.count = plural(below, "line") + " more"
	}
	part := text[s.scroll:min(len(text), s.scroll+room)]
	content := s.look.block(strings.Join(part, "\n"), inW, room) + "\n\n" + strings.Join(doing, "\n")
	return b.draw(s.look, content, w, h)
}

// written is the rule and where it stands, line by line.
func (s *rulesScreen) written(r *api.Rule, w int) []string {
	state := s.signStyle(r).Render(s.sign(r)) + " in force"
	if !r.Enabled {
		state = s.signStyle(r).Render(s.sign(r)) + " not in force"
	}
	pairs := [][2]string{{"state", state}, {"set", fmt.Sprintf("%s (order %d)", clean(r.Set), r.Order)}}
	if was := s.order.was(r.Name); was != 0 && was != r.Position {
		pairs = append(pairs, [2]string{"moved", fmt.Sprintf("%d %s %d, not applied", was, s.look.arrow, r.Position)})
	}
	if r.Description != "" {
		pairs = append(pairs, [2]string{"about", clean(r.Description)})
	}
	lines := append(strings.Split(s.facts(w, pairs...), "\n"), "")
	for _, line := range cleanLines(unlisted(r.YAML)) {
		lines = append(lines, " "+line)
	}
	return lines
}

// doing is what the rule did within the window.
func (s *rulesScreen) doing(r *api.Rule, w int) []string {
	window := &s.books.window
	if !window.there() {
		return []string{" " + s.look.dim.Render("its requests are not known")}
	}
	last := "last " + span(time.Duration(window.value.WindowS)*time.Second) + " "
	share := s.share("rule", r.Name)
	if share == nil {
		return []string{" " + s.look.dim.Render(last) + "0 requests"}
	}
	series := make([]float64, len(share.Series))
	for i, n := range share.Series {
		series[i] = float64(n)
	}
	figures := s.perMinute("rule", r.Name) + "/min  " + percent(share.Errors, share.Requests) + " errors"
	room := max(0, min(24, w-width(last)-width(figures)-3))
	lines := []string{" " + s.look.dim.Render(last) + s.look.accent.Render(s.look.spark(series, room)) + " " + figures}
	if share.FirstTokenP50 > 0 {
		lines = append(lines, " "+s.look.dim.Render("first token ")+"p50 "+millis(share.FirstTokenP50)+"  p95 "+millis(share.FirstTokenP95))
	}
	return lines
}

// lastChanged says by whom, as far back as the history is known.
func (s *rulesScreen) lastChanged(r *api.Rule) string {
	for i := range s.books.history.value {
		e := &s.books.history.value[i]
		if changesRule(e, r.Name) {
			return fmt.Sprintf("rev %d, %s, %s", e.Revision, or(clean(e.Actor), unknown), ago(s.now(), e.Time))
		}
	}
	return ""
}

func changesRule(e *api.HistoryEntry, rule string) bool {
	return slices.ContainsFunc(e.Changes, func(c api.PlanChange) bool { return c.Rule == rule })
}

// turn scrolls the rule that fills the screen; false: the action is another.
func (s *rulesScreen) turn(action string) bool {
	const page = 8
	switch action {
	case "page-down":
		s.scroll += page
	case "page-up":
		s.scroll -= page
	case "first":
		s.scroll = 0
	case "last":
		s.scroll = math.MaxInt32 // drawing knows where it ends
	default:
		return false
	}
	return true
}
