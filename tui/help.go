package tui

import (
	"strings"

	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"
)

// help lists every action that can be done now. Writing finds some, enter does
// one.
type help struct {
	console *console
	input   textinput.Model
	at      int
	top     int
}

func newHelp(c *console) *help {
	return &help{console: c, input: line("")}
}

// line makes a line to write on.
func line(value string) textinput.Model {
	f := writtenField("", "", value, "")
	f.input.Focus()
	return f.input
}

// found lists what matches.
func (h *help) found() []Action {
	want := strings.ToLower(strings.TrimSpace(h.input.Value()))
	var all []Action
	for _, a := range h.console.offered() {
		if want == "" || strings.Contains(strings.ToLower(a.Short+" "+a.Long+" "+strings.Join(a.Keys, " ")), want) {
			all = append(all, a)
		}
	}
	return all
}

func (h *help) update(msg tea.Msg) (tea.Cmd, bool) {
	key, ok := msg.(tea.KeyMsg)
	if !ok {
		return nil, false
	}
	found := h.found()
	switch key.String() {
	case "esc":
		return nil, true
	case "down":
		h.at = max(0, min(h.at+1, len(found)-1))
	case "up":
		h.at = max(h.at-1, 0)
	case "enter":
		if h.at < len(found) {
			a := found[h.at]
			return func() tea.Msg { return chosenAction{a.Name, a.Keys[0]} }, true
		}
		return nil, true
	default:
		h.input, _ = h.input.Update(key)
		h.at = 0
	}
	return nil, false
}

// chosenAction is an action that was chosen from the help.
type chosenAction struct{ name, key string }

func (h *help) draw(w, height int) string {
	l := h.console.desk.look
	wide := min(w, 76)
	found := h.found()
	rows := max(1, min(height-4, len(found)))
	if h.at < h.top {
		h.top = h.at
	} else if h.at >= h.top+rows {
		h.top = h.at - rows + 1
	}
	h.top = max(0, min(h.top, len(found)-rows))
	lines := []string{" " + l.dim.Render("find:") + " " + writtenText(l, h.input.Value(), h.input.Position(), true, wide-12), ""}
	for i := h.top; i < min(len(found), h.top+rows); i++ {
		a := found[i]
		var keys []string
		for _, k := range a.Keys {
			keys = append(keys, l.keyText(k))
		}
		text := l.fit(strings.Join(keys, " "), 18) + " " + a.Long
		if i == h.at {
			lines = append(lines, l.selected.Render(l.fit(l.cursor+text, wide-2)))
		} else {
			lines = append(lines, " "+text)
		}
	}
	if len(found) == 0 {
		lines = append(lines, " nothing is called that")
	}
	b := box{title: "Keys here: " + h.console.shown().title(), foot: "enter does it  esc closes", focused: true}
	if len(found) > rows {
		b.count = count(int64(h.at+1)) + " of " + count(int64(len(found)))
	}
	return b.draw(l, strings.Join(lines, "\n"), wide, min(height, len(lines)+2))
}
