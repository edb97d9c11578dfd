package tui

import (
	"time"

	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func trafficKeys() []Action {
	return []Action{
		{Name: "traffic.follow", Scope: "traffic", Keys: []string{"f"}, Short: "follow", Long: "keep the newest in view"},
		{Name: "traffic.pause", Scope: "traffic", Keys: []string{" "}, Short: "pause", Long: "hold what is shown; what comes meanwhile is shown afterwards"},
		{Name: "traffic.explain", Scope: "traffic", Keys: []string{"x"}, Short: "explain", Long: "which rule such a request takes now, and why no other"},
		{Name: "traffic.rule", Scope: "traffic.detail", Keys: []string{"x"}, Short: "explain", Long: "which rule such a request takes now, and why no other"},
		{Name: "traffic.next", Scope: "traffic.detail", Keys: []string{"n"}, Short: "next", Long: "the exchange after this one"},
		{Name: "traffic.previous", Scope: "traffic.detail", Keys: []string{"p"}, Short: "previous", Long: "the exchange before this one"},
		{Name: "traffic.cut", Scope: "traffic.streams", Keys: []string{"ctrl+d"}, Short: "cut", Long: "end the stream now, for the client too; asks first", Changes: true},
	}
}

// What the screen asks for again as time passes.
const (
	streamsEvery = 3 * time.Second // while streams are shown
	figuresEvery = 5 * time.Second // for the rate in the title
)

// trafficScreen shows exchanges as they end, one of them in detail, and those that
// are in flight.
type trafficScreen struct {
	*desk
	inFlight bool // the pane of streams is in front

	ring   *tailRing
	later  *tailRing // what came while the tail is paused
	filter *exchangeFilter
	stale  bool  // what is kept is of another filter: it goes when the stream begins anew
	before int64 // events that were dropped before it did

	input   *textinput.Model // while a filter is written
	problem string           // with what is written
	typed   int              // counts changes of the filter

	table     table[tailRow] // the rows in view
	following bool
	paused    bool
	cursor    int64 // the place of the row under the cursor; while following, the newest is
	top       int64 // the place of the first row in view
	page      int   // rows that were drawn last

	opened    *tailRow // in detail; nil: none is
	part      detailPart
	scrolled  int // lines of the part that are above what is in view
	explained whyTaken

	streams  list[api.Flight]
	compared time.Time // of the answer that the ring was compared with last
	moved    bool      // something has started or ended since the list of streams was made
}

func newTraffic(d *desk) *trafficScreen {
	s := &trafficScreen{desk: d, following: true, filter: &exchangeFilter{}}
	takes := func(r *tailRow) bool { return s.filter.takes(r) }
	s.ring, s.later = newTailRing(keptExchanges, takes), newTailRing(keptExchanges, takes)
	s.table = table[tailRow]{look: d.look, id: func(r *tailRow) string { return r.id() }}
	s.streams = s.newStreams()
	return s
}

func (s *trafficScreen) name() string  { return "traffic" }
func (s *trafficScreen) title() string { return "Traffic" }

func (s *trafficScreen) scopes() []string {
	switch {
	case s.opened != nil:
		return []string{"traffic.detail", inLists}
	case s.inFlight:
		return []string{"traffic.streams", inLists}
	}
	return []string{"traffic", inLists}
}

// needs asks for what is in flight where that is shown, and where the end of
// something that is shown as under way may have been lost.
func (s *trafficScreen) needs() []need {
	s.compare()
	all := []need{{book: bookWindow, every: figuresEvery}}
	if s.inFlight || len(s.ring.open) > 0 && !s.paused {
		all = append(all, need{book: bookStreams, every: streamsEvery})
	}
	return all
}

// compare holds the answer that came last against what is thought to be under way.
func (s *trafficScreen) compare() {
	book := &s.books.streams
	if !book.there() || book.at.Equal(s.compared) {
		return
	}
	s.compared, s.moved = book.at, true
	if !s.paused {
		s.ring.compare(&book.value, book.at)
	}
}

// hear takes in an exchange that has started or ended. While the tail is paused,
// only rows that are in it already change.
func (s *trafficScreen) hear(e api.Event) {
	switch {
	case e.Hello != nil && s.stale:
		s.stale = false
		s.ring.clear()
		s.later.clear()
	case e.Started != nil:
		s.ringOf(e.Started.RequestID).start(e.Started, s.now())
		s.moved = true
	case e.Exchange != nil:
		x := e.Exchange
		s.ringOf(x.RequestID).end(x, s.now())
		s.moved = true
		if s.opened != nil && s.opened.id() == x.RequestID {
			s.opened.ended = x // it may have left the ring since
		}
	}
}

func (s *trafficScreen) ringOf(id string) *tailRing {
	if s.paused && s.ring.byID[id] == nil {
		return s.later
	}
	return s.ring
}

func (s *trafficScreen) writes() bool { return s.input != nil || s.streams.writes() }

func (s *trafficScreen) update(msg tea.Msg) tea.Cmd {
	switch m := msg.(type) {
	case filterRests:
		if m.typed == s.typed && !s.paused { // else when it goes on: what is held stays
			s.ask()
		}
	case tea.KeyMsg:
		if s.streams.writes() {
			return s.streams.write(m)
		}
		return s.write(m)
	}
	return nil
}

func (s *trafficScreen) can(action string) bool {
	switch {
	case s.opened != nil:
		return s.canDetail(action)
	case s.inFlight:
		return s.canStreams(action)
	}
	switch action {
	case "filter", "traffic.follow", "traffic.pause":
		return true
	case "sort", "reverse", "mark", "mark-range":
		return false // it is in the order in which it came
	}
	return len(s.ring.shown) > 0
}

func (s *trafficScreen) do(action string) tea.Cmd {
	switch {
	case s.opened != nil:
		return s.doDetail(action)
	case action == "next-pane" || action == "previous-pane":
		s.inFlight = !s.inFlight
		return nil
	case s.inFlight:
		return s.doStreams(action)
	}
	return s.doTail(action)
}

// back closes the detail, goes back to the tail, and takes the filter away.
func (s *trafficScreen) back() bool {
	switch {
	case s.opened != nil:
		s.opened = nil
	case s.inFlight:
		if !s.streams.back() {
			s.inFlight = false
		}
	case s.filter.on():
		s.filterTo("")
	default:
		return false
	}
	return true
}

// find goes to an exchange by its id.
func (s *trafficScreen) find(id string) bool {
	row := s.ring.byID[id]
	if row == nil || !row.matches {
		return false
	}
	s.inFlight, s.opened, s.following, s.cursor = false, nil, false, row.place
	return true
}

func (s *trafficScreen) draw(w, h int) string {
	switch {
	case s.opened != nil:
		return s.drawDetail(w, h)
	case s.inFlight:
		return s.drawStreams(w, h)
	}
	return s.drawTail(w, h)
}
