package tui

import (
	"fmt"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// doTail does an action of the tail.
func (s *trafficScreen) doTail(action string) tea.Cmd {
	switch action {
	case "traffic.follow":
		s.resume()
		s.following = true
		s.ask()
	case "traffic.pause":
		s.pause()
		if !s.paused {
			s.ask()
		}
	case "traffic.explain", "open":
		return s.openRow(s.current(), action == "traffic.explain")
	case "filter":
		input := line(s.filter.text)
		input.CursorEnd()
		s.input = &input
	case "copy":
		if row := s.current(); row != nil {
			return s.copies(row.id())
		}
	default:
		s.moveBy(action)
	}
	return nil
}

// moveBy moves the cursor. Going up is to look at something, so that it stays.
func (s *trafficScreen) moveBy(action string) {
	switch action {
	case "down":
		s.move(1)
	case "up":
		s.move(-1)
	case "page-down":
		s.move(max(1, s.page-1))
	case "page-up":
		s.move(-max(1, s.page-1))
	case "first":
		s.move(-len(s.ring.shown))
	case "last":
		s.move(len(s.ring.shown))
		s.following = !s.paused
	}
}

func (s *trafficScreen) move(by int) {
	at := s.index()
	if at < 0 {
		return
	}
	if by < 0 {
		s.following = false
	}
	s.cursor = s.ring.shown[max(0, min(at+by, len(s.ring.shown)-1))].place
}

// index is where the cursor is among the rows that are shown; -1: there are none.
func (s *trafficScreen) index() int {
	last := len(s.ring.shown) - 1
	if s.following {
		return last
	}
	return min(s.ring.search(s.cursor), last)
}

// current is the row under the cursor; nil: there is none.
func (s *trafficScreen) current() *tailRow {
	if at := s.index(); at >= 0 {
		return s.ring.shown[at]
	}
	return nil
}

// pause holds the tail, or goes on with it.
func (s *trafficScreen) pause() {
	if s.paused {
		s.resume()
		return
	}
	if row := s.current(); row != nil {
		s.cursor = row.place
	}
	s.paused, s.following = true, false
}

// resume shows what came while the tail was held, and follows.
func (s *trafficScreen) resume() {
	if !s.paused {
		return
	}
	s.paused, s.following = false, true
	for i := range int64(s.later.most) {
		row := s.later.slots[(s.later.next+i)%int64(s.later.most)]
		if row != nil {
			s.ring.add(row)
		}
	}
	s.later.clear()
}

// drawTail gives the rows in view, in a box that tells how they come.
func (s *trafficScreen) drawTail(w, h int) string {
	b := box{title: s.tailTitle(w), right: s.tailCounts(w), focused: true}
	b.foot = "tab: streams in flight"
	if s.books.window.there() {
		b.foot = "tab: " + count(s.books.window.value.Flights) + " in flight"
	}
	if at := s.index(); at >= 0 && !s.following {
		b.count = count(int64(at+1)) + " of " + count(int64(len(s.ring.shown)))
	}
	if s.problem != "" {
		b.foot = s.look.no + " " + s.problem
	}
	inW, inH := inside(w, h)
	content := s.insteadOfTail(inW, inH)
	if content == "" {
		content = s.drawRows(inW, inH)
	}
	return b.draw(s.look, content, w, h)
}

// drawRows draws only what is in view: it costs the same however much is kept.
func (s *trafficScreen) drawRows(w, h int) string {
	at := s.index()
	s.page = max(1, h-1)
	top := s.ring.search(s.top)
	if s.following {
		top = len(s.ring.shown)
	}
	top = max(0, min(top, len(s.ring.shown)-s.page))
	if at < top {
		top = at
	} else if at >= top+s.page {
		top = at - s.page + 1
	}
	view := s.ring.shown[top:min(len(s.ring.shown), top+s.page)]
	s.top = view[0].place
	t := &s.table
	t.columns, t.rows, t.shown, t.top, t.cursor = s.tailColumns(w), t.rows[:0], t.shown[:0], 0, at-top
	for i, row := range view {
		t.rows, t.shown = append(t.rows, *row), append(t.shown, i)
	}
	return t.draw(w, h)
}

// insteadOfTail is what stands where there are no rows.
func (s *trafficScreen) insteadOfTail(w, h int) string {
	state := bookState{there: s.ring.len() > 0 || s.link.state == live, asked: s.link.since, at: s.now()}
	if s.link.state == lost || s.link.state == deaf {
		state.err = s.link.err
	}
	empty := emptiness{"No requests in the last " + span(feedBacklog) + ". They stand here as they come.", "llmgw chat hello sends one"}
	if s.filter.on() {
		empty = emptiness{"Nothing matches yet. What does will stand here.", s.look.key.Render("esc") + " clears the filter"}
	}
	return s.instead(state, empty, len(s.ring.shown), s.ring.len(), w, h)
}

// tailTitle tells whether the tail moves, how much comes, and what is left out.
func (s *trafficScreen) tailTitle(w int) string {
	title := "Traffic"
	filtered := s.filter.on() || s.input != nil
	short := filtered && w < wideTraffic // what is written must be seen
	switch {
	case s.paused && short:
		title += " " + s.look.paused + count(int64(len(s.later.shown)))
	case s.paused:
		title += fmt.Sprintf(" [%s paused, %s more]", s.look.paused, count(int64(len(s.later.shown))))
	case s.following && short:
		title += " " + s.look.following
	case s.following:
		title += " [" + s.look.following + " following]"
	}
	if r := s.recentRate(); r != "" && !short {
		title += " " + r + "/s"
	}
	if filtered {
		title += "  filter: "
		title += s.filterText(max(8, w-width(title)-width(s.tailCounts(w))-9))
	}
	return title
}

// rateOver is the time over which the rate in the title is taken.
const rateOver = 10 * time.Second

// recentRate is how many exchanges end a second on all nodes, shown here or not.
func (s *trafficScreen) recentRate() string {
	w := &s.books.window.value
	if w.StepS <= 0 || len(w.Series) < 2 {
		return ""
	}
	var requests int64
	var seconds float64
	for i := len(w.Series) - 2; i >= 0 && seconds < rateOver.Seconds() && !w.Series[i].Unknown; i-- { // the last one is under way
		requests += w.Series[i].Requests
		seconds += w.StepS
	}
	if seconds == 0 {
		return ""
	}
	return rate(requests, time.Duration(seconds*float64(time.Second)))
}

// tailCounts tells how much of what is kept is shown, and what is missing of it.
func (s *trafficScreen) tailCounts(w int) string {
	parts := []string{count(int64(s.ring.len()))}
	switch {
	case s.filter.on() && narrows(&s.follow):
		parts[0] = count(int64(len(s.ring.shown))) + " match"
		if w >= widestTraffic {
			parts = append(parts, "filtered at the gateway")
		}
	case s.filter.on():
		parts[0] = count(int64(len(s.ring.shown))) + " of " + parts[0]
	}
	if s.input != nil && w < 80 {
		return parts[0]
	}
	return strings.Join(append(parts, count(s.dropped()-s.before)+" dropped"), " "+s.look.dot+" ")
}

// dropped is how many events were not shown, by the gateway or here.
func (s *trafficScreen) dropped() int64 { return s.link.missed + s.link.tally.Dropped }
