package tui

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// filterRest is how long nothing is written before the gateway is asked for what
// is.
const filterRest = 500 * time.Millisecond

// filterRests tells that nothing was written for so long.
type filterRests struct{ typed int }

// write takes a key for the filter that is written. It holds while it is written.
func (s *trafficScreen) write(key tea.KeyMsg) tea.Cmd {
	if s.input == nil {
		return nil
	}
	switch key.String() {
	case "esc":
		s.input = nil
		return s.filterBy("")
	case "enter":
		s.input, s.problem = nil, ""
		return nil
	}
	*s.input, _ = s.input.Update(key)
	return s.filterBy(s.input.Value())
}

// filterBy shows what matches, and asks the gateway a little later. Where the text
// is wrong, the filter before it holds.
func (s *trafficScreen) filterBy(text string) tea.Cmd {
	s.problem = ""
	f, err := parseExchangeFilter(text)
	if err != nil {
		s.problem = err.Error()
		return nil
	}
	if f.text == s.filter.text {
		return nil
	}
	s.filter = f
	s.ring.refilter()
	s.later.refilter()
	s.typed++
	typed := s.typed
	return tea.Tick(filterRest, func(time.Time) tea.Msg { return filterRests{typed} })
}

// filterTo shows what matches a text that somebody else wrote, and asks the
// gateway at once.
func (s *trafficScreen) filterTo(text string) {
	s.input, s.opened, s.inFlight = nil, nil, false
	s.resume()
	s.following = true
	s.filterBy(text)
	if s.problem != "" {
		s.complain(s.problem)
		s.problem = ""
		return
	}
	s.ask()
}

// ask has the gateway send what the filter takes, where that is another question
// than the one before. What is kept goes when the answer begins.
func (s *trafficScreen) ask() {
	q := s.filter.query(s.windowQuery.Window)
	if sameQuery(&q, &s.follow) {
		return
	}
	s.stale, s.before = true, s.dropped()
	s.listenTo(q)
}

// filterText is the filter as it stands, or as it is being written.
func (s *trafficScreen) filterText(room int) string {
	if s.input == nil {
		return s.look.cut(clean(s.filter.text), room)
	}
	return writtenText(s.look, s.input.Value(), s.input.Position(), true, room)
}
