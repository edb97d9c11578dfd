package tui

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

// question asks before something is done. The first answer is Cancel, and is what
// enter means until another is chosen.
type question struct {
	look    *look
	title   string
	lines   []string // what is about to happen; they may be styled
	answers []answer // beside Cancel
	chosen  int      // 0: Cancel
	cancel  tea.Cmd  // nil: nothing follows
}

// answer is one way to go on.
type answer struct {
	text   string
	danger bool
	do     func() tea.Cmd
}

func (q *question) update(msg tea.Msg) (tea.Cmd, bool) {
	key, ok := msg.(tea.KeyMsg)
	if !ok {
		return nil, false
	}
	switch key.String() {
	case "left", "h", "shift+tab":
		q.chosen = max(0, q.chosen-1)
	case "right", "l":
		q.chosen = min(len(q.answers), q.chosen+1)
	case "tab":
		q.chosen = (q.chosen + 1) % (len(q.answers) + 1)
	case "esc", "q":
		return q.cancel, true
	case "enter":
		if q.chosen == 0 {
			return q.cancel, true
		}
		return q.answers[q.chosen-1].do(), true
	}
	return nil, false
}

func (q *question) draw(w, h int) string {
	wide := min(w, max(44, width(q.title)+6, longest(q.lines)+6, width(q.buttons())+6))
	var lines []string
	for _, line := range q.lines {
		for _, part := range wrap(line, wide-6) {
			lines = append(lines, "  "+part)
		}
	}
	if room := h - 4; len(lines) > room {
		lines = append(lines[:max(0, room-1)], "  "+q.look.dim.Render(q.look.more))
	}
	lines = append(lines, "", q.look.fitRight(q.buttons()+"  ", wide-2))
	return box{title: q.title, focused: true}.draw(q.look, strings.Join(lines, "\n"), wide, min(h, len(lines)+2))
}

func (q *question) buttons() string {
	buttons := []string{q.button("Cancel", 0, false)}
	for i, a := range q.answers {
		buttons = append(buttons, q.button(a.text, i+1, a.danger))
	}
	return strings.Join(buttons, "  ")
}

func (q *question) button(text string, at int, danger bool) string {
	if q.chosen == at {
		return q.look.selected.Render("[ " + text + " ]")
	}
	if danger {
		return q.look.bad.Render("  " + text + "  ")
	}
	return "  " + text + "  "
}

func longest(lines []string) (w int) {
	for _, line := range lines {
		w = max(w, width(line))
	}
	return w
}
