package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func dashboardKeys() []Action {
	return []Action{
		{Name: "dashboard.pane", Scope: "dashboard", Keys: []string{"tab"}, Short: "next pane", Long: "go to the next of the lists: upstreams, keys, problems"},
	}
}

// dashboardNames is how many names of each kind the dashboard has room for.
const dashboardNames = 50

// dashboardScreen shows how the gateway is: figures of the window over time, and
// who and what they come of.
type dashboardScreen struct {
	*desk
	panes [panesOfDashboard]*list[dashboardRow]
	at    int   // the pane that has the keys
	shown []int // the panes that there was room for
	trend int   // the cells of an upstream's trend
}

// The panes, in the order in which tab goes through them.
const (
	paneUpstreams = iota
	paneKeys
	paneProblems
	panesOfDashboard
)

func newDashboard(d *desk) *dashboardScreen {
	s := &dashboardScreen{desk: d, shown: []int{paneUpstreams}}
	s.panes = [...]*list[dashboardRow]{paneUpstreams: s.upstreamsPane(), paneKeys: s.keysPane(), paneProblems: s.problemsPane()}
	return s
}

func (s *dashboardScreen) name() string             { return "dashboard" }
func (s *dashboardScreen) title() string            { return "Dashboard" }
func (s *dashboardScreen) scopes() []string         { return []string{"dashboard", inLists} }
func (s *dashboardScreen) hear(api.Event)           {}
func (s *dashboardScreen) writes() bool             { return s.pane().writes() }
func (s *dashboardScreen) back() bool               { return s.pane().back() }
func (s *dashboardScreen) update(m tea.Msg) tea.Cmd { return s.pane().write(m) }

// pane is the list that has the keys.
func (s *dashboardScreen) pane() *list[dashboardRow] { return s.panes[s.at] }

func (s *dashboardScreen) needs() []need {
	return []need{s.figures(dashboardNames, "upstream", "key"), {book: bookUpstreams}, {book: bookKeys}}
}

func (s *dashboardScreen) can(action string) bool {
	switch action {
	case "dashboard.pane":
		return len(s.shown) > 1
	case "open":
		row := s.pane().row()
		return row != nil && row.opens != nil
	case "mark", "mark-range":
		return false // nothing is done to what is marked
	}
	return s.pane().can(action)
}

func (s *dashboardScreen) do(action string) tea.Cmd {
	switch action {
	case "dashboard.pane", "next-pane":
		s.turn(1)
		return nil
	case "previous-pane":
		s.turn(-1)
		return nil
	case "open":
		if row := s.pane().row(); row != nil && row.opens != nil {
			row.opens()
		}
		return nil
	}
	cmd, _ := s.pane().doList(action)
	return cmd
}

// turn gives the keys to another of the panes that are shown.
func (s *dashboardScreen) turn(by int) {
	for i, pane := range s.shown {
		if pane == s.at {
			s.at = s.shown[(i+by+len(s.shown))%len(s.shown)]
			return
		}
	}
}

// offer says which panes there is room for. The keys go to one of them.
func (s *dashboardScreen) offer(panes ...int) {
	s.shown = panes
	there := false
	for _, pane := range panes {
		there = there || pane == s.at
	}
	if !there {
		s.at = panes[0]
	}
	for i, pane := range s.panes {
		pane.blur(i != s.at)
	}
}

// The least sizes of what the dashboard looks like.
const (
	wideDashboard, highDashboard = 100, 20 // plots with axes, and all panes
	leastCharts, leastLines      = 76, 17  // lines in place of plots
	roomyDashboard               = 27      // lines; from there on what is in flight has a box
	longTrends                   = 140     // cells, for two lists side by side
)

// draw gives the dashboard as it fits.
func (s *dashboardScreen) draw(w, h int) string {
	if state := s.books.window.state(); !state.there && state.err != nil {
		inW, inH := inside(w, h)
		return box{title: "Dashboard", focused: true}.draw(s.look, s.instead(state, emptiness{}, 0, 0, inW, inH), w, h)
	}
	s.panes[paneKeys].heading = "Top keys (" + span(s.lookedOver()) + ")"
	switch {
	case w >= wideDashboard && h >= highDashboard:
		return s.drawWhole(w, h)
	case w >= leastCharts && h >= leastLines:
		return s.drawLines(w, h)
	}
	return s.drawFigures(w, h)
}

// drawWhole has plots above, and all lists below.
func (s *dashboardScreen) drawWhole(w, h int) string {
	s.offer(paneUpstreams, paneKeys, paneProblems)
	if s.trend = shortTrend; w >= longTrends {
		s.trend = trendCells
	}
	strip := 1
	if h >= roomyDashboard {
		strip = 3
	}
	rest := h - strip
	charts := max(7, min(20, rest*7/20))
	problems := max(5, min(13, rest/4))
	middle, left := rest-charts-problems, w/2
	return below(
		s.drawPlots(w, charts),
		s.drawStrip(w, strip),
		beside(s.panes[paneUpstreams].draw(left, middle), s.panes[paneKeys].draw(w-left, middle)),
		s.panes[paneProblems].draw(w, problems),
	)
}

// drawLines has one row of charts that are a line each, and two lists.
func (s *dashboardScreen) drawLines(w, h int) string {
	s.offer(paneUpstreams, paneProblems)
	s.trend = trendCells
	rest := h - 4
	problems := max(5, rest*2/5)
	return below(
		s.drawSparks(w),
		s.drawStrip(w, 1),
		s.panes[paneUpstreams].draw(w, rest-problems),
		s.panes[paneProblems].draw(w, problems),
	)
}

// drawFigures has five numbers, and the upstreams.
func (s *dashboardScreen) drawFigures(w, h int) string {
	s.offer(paneUpstreams)
	s.trend = shortTrend
	const figures = 4
	if h < figures+3 {
		return s.panes[paneUpstreams].draw(w, h)
	}
	return below(s.drawNumbers(w, figures), s.panes[paneUpstreams].draw(w, h-figures))
}
