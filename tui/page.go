package tui

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

// page is a text to read, which may be longer than the screen.
type page struct {
	look  *look
	title string
	foot  string
	lines []string // they may be styled
	top   int
	shown int
	keys  map[string]func() tea.Cmd // what else can be done; it closes the page
}

func (p *page) update(msg tea.Msg) (tea.Cmd, bool) {
	key, ok := msg.(tea.KeyMsg)
	if !ok {
		return nil, false
	}
	if do, ok := p.keys[key.String()]; ok {
		return do(), true
	}
	switch key.String() {
	case "esc", "q", "enter", "left", "h":
		return nil, true
	case "down", "j":
		p.top++
	case "up", "k":
		p.top--
	case "pgdown", "ctrl+f", " ":
		p.top += p.shown
	case "pgup", "ctrl+b":
		p.top -= p.shown
	case "home", "g":
		p.top = 0
	case "end", "G":
		p.top = len(p.lines)
	}
	return nil, false
}

func (p *page) draw(w, h int) string {
	wide := min(w, max(40, longest(p.lines)+4, width(p.title)+8, width(p.foot)+8))
	var lines []string
	for _, line := range p.lines {
		lines = append(lines, wrap(line, wide-4)...)
	}
	p.shown = max(1, h-2)
	p.top = max(0, min(p.top, len(lines)-p.shown))
	part := lines[p.top:min(len(lines), p.top+p.shown)]
	for i := range part {
		part[i] = " " + part[i]
	}
	b := box{title: p.title, foot: p.foot, focused: true}
	if len(lines) > p.shown {
		b.count = plural(len(lines)-p.top-len(part), "line") + " more"
	}
	return b.draw(p.look, strings.Join(part, "\n"), wide, min(h, len(part)+2))
}
