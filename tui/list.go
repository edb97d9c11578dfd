package tui

import (
	"strings"

	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"
)

// list is what the screens that are a table share: the table, the line on which a
// filter is written, and the pane that shows one row.
type list[T any] struct {
	*desk
	table   table[T]
	heading string
	word    string // of one row: "key"
	empty   emptiness
	load    func() ([]T, bookState)       // the rows as they are now, and how they stand
	detail  func(row *T, w, h int) string // nil: rows cannot be opened
	aside   int                           // from this width on the detail stands beside the table; 0: never
	pane    bool                          // it is one of several: the one with the keys has a sign
	opened  bool                          // the detail fills the screen
	filter  *textinput.Model              // while one is written
	problem string                        // with the filter that is written
	wanted  string                        // the id of the row to go to once there are rows
	from    bookState                     // what the rows were taken from
}

// sync takes rows from the books, where there are others now.
func (s *list[T]) sync() bookState {
	rows, state := s.load()
	if state.at != s.from.at || !state.there {
		s.table.set(rows)
	}
	s.from = state
	if wanted := s.wanted; wanted != "" && state.there {
		if s.wanted = ""; !s.table.goTo(wanted) {
			s.complain("there is no " + clean(wanted) + " among them")
		}
	}
	return state
}

// row is the one under the cursor; nil: there is none.
func (s *list[T]) row() *T {
	s.sync()
	return s.table.current()
}

func (s *list[T]) writes() bool { return s.filter != nil }

// find puts the cursor on a row by its id: at once, or when the rows have come.
func (s *list[T]) find(id string) bool {
	if state := s.sync(); !state.there {
		s.wanted = id
		return true
	}
	return s.table.goTo(id)
}

// can says what every list can do; an own action is the screen's.
func (s *list[T]) can(action string) bool {
	switch action {
	case "filter", "sort", "reverse":
		return true
	case "open":
		return s.detail != nil && s.row() != nil
	}
	return s.row() != nil
}

// do does what every list does; false: it is the screen's own.
func (s *list[T]) doList(action string) (tea.Cmd, bool) {
	s.sync()
	switch action {
	case "filter":
		input := line(s.table.filter.text)
		input.CursorEnd()
		s.filter = &input
		return nil, true
	case "open":
		s.opened = s.detail != nil && s.table.current() != nil
		return nil, true
	case "copy":
		if row := s.table.current(); row != nil {
			return s.copies(s.table.id(row)), true
		}
		return nil, true
	case "next-pane", "previous-pane":
		return nil, true
	}
	return nil, s.table.do(action)
}

// back closes what is open: the detail, the marks, the filter.
func (s *list[T]) back() bool {
	switch {
	case s.opened:
		s.opened = false
		return true
	case s.table.unmark():
		return true
	case s.table.filter.on():
		return s.table.filterBy("") == nil
	}
	return false
}

// write takes a key for the filter that is written. It holds while it is written.
func (s *list[T]) write(msg tea.Msg) tea.Cmd {
	key, ok := msg.(tea.KeyMsg)
	if !ok || s.filter == nil {
		return nil
	}
	switch key.String() {
	case "esc":
		s.filter, s.problem = nil, ""
		return s.filterBy("")
	case "enter":
		s.filter, s.problem = nil, ""
		return nil
	}
	*s.filter, _ = s.filter.Update(key)
	return s.filterBy(s.filter.Value())
}

func (s *list[T]) filterBy(text string) tea.Cmd {
	s.problem = ""
	if err := s.table.filterBy(text); err != nil {
		s.problem = err.Error() // the filter before it holds
	}
	return nil
}

// draw gives the table, and the detail of a row beside it or in its place.
func (s *list[T]) draw(w, h int) string {
	state := s.sync()
	row := s.table.current()
	if s.opened && row != nil {
		return s.detail(row, w, h)
	}
	s.opened = false
	if s.detail == nil || row == nil || s.aside == 0 || w < s.aside {
		return s.drawTable(state, w, h)
	}
	left := w * 3 / 5
	return beside(s.drawTable(state, left, h), s.detail(row, w-left, h))
}

func (s *list[T]) drawTable(state bookState, w, h int) string {
	b := box{title: s.heading, focused: !s.table.blurred}
	if state.there {
		b.count = s.table.counted() // before, nobody knows how many there are
	}
	if s.pane && !s.table.blurred {
		b.title = s.look.cursor + " " + b.title
	}
	if n := len(s.table.marks); n > 0 {
		b.foot = plural(n, s.word) + " marked"
	}
	if s.table.filter.on() || s.filter != nil {
		b.title += "  filter: " + s.filterText(w/2)
	}
	if s.problem != "" {
		b.foot = s.look.no + " " + s.problem
	}
	if state.there && state.err != nil {
		b.foot = s.look.ill + " not loaded again: " + reason(state.err)
	}
	inW, inH := inside(w, h)
	content := s.instead(state, s.empty, len(s.table.shown), len(s.table.rows), inW, inH)
	if content == "" {
		content = s.table.draw(inW, inH)
	} else if !state.there && state.err == nil && !(s.link.lost() && state.asked.IsZero()) {
		content = s.table.draw(inW, 1) + "\n" + content
	}
	return b.draw(s.look, content, w, h)
}

func (s *list[T]) filterText(room int) string {
	if s.filter == nil {
		return s.look.cut(clean(s.table.filter.text), room)
	}
	return writtenText(s.look, s.filter.Value(), s.filter.Position(), true, room)
}

// blur takes the keys away from a list, or gives them back.
func (s *list[T]) blur(blurred bool) {
	s.pane = true
	s.table.blur(blurred)
}

// facts draws lines of a name and a value each, as details do.
func (d *desk) facts(w int, pairs ...[2]string) string {
	label := 0
	for _, p := range pairs {
		label = max(label, width(p[0]))
	}
	var lines []string
	for _, p := range pairs {
		if p[1] == "" {
			continue
		}
		for i, part := range wrap(p[1], max(8, w-label-3)) {
			name := p[0]
			if i > 0 {
				name = ""
			}
			lines = append(lines, " "+d.look.dim.Render(d.look.fit(name, label))+"  "+part)
		}
	}
	return strings.Join(lines, "\n")
}
