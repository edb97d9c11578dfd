package tui

import (
	"fmt"
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
	keeps   string   // what the first answer is called; empty: Cancel
	leave   tea.Cmd  // what esc means where it is not the first answer
	top     int      // the first line that is shown, where there are more than fit
	shown   int
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
	case "down", "j":
		q.top++
	case "up", "k":
		q.top--
	case "pgdown", "ctrl+f":
		q.top += q.shown
	case "pgup", "ctrl+b":
		q.top -= q.shown
	case "esc", "q":
		if q.leave != nil {
			return q.leave, true
		}
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
	lines = q.part(lines, h-4)
	buttons := q.buttons()
	lines = append(lines, "", q.look.fitRight(buttons+spaces(min(2, wide-2-width(buttons))), wide-2))
	return box{title: q.title, focused: true}.draw(q.look, strings.Join(lines, "\n"), wide, min(h, len(lines)+2))
}

// part gives as many lines as there is room for, from where was scrolled to.
func (q *question) part(lines []string, room int) []string {
	if len(lines) <= room {
		q.top = 0
		return lines
	}
	q.shown = max(1, room-1)
	q.top = max(0, min(q.top, len(lines)-q.shown))
	below := len(lines) - q.top - q.shown
	part := append([]string{}, lines[q.top:q.top+q.shown]...)
	return append(part, "  "+q.look.dim.Render(fmt.Sprintf("%d above, %d below: %s %s scroll", q.top, below, q.look.keyText("up"), q.look.keyText("down"))))
}

func (q *question) buttons() string {
	buttons := []string{q.button(or(q.keeps, "Cancel"), 0, false)}
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
