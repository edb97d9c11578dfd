package tui

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

// way is to another screen, and what is looked for there.
type way struct {
	screen string
	row    string // the cursor goes to it
	filter string // what does not match is not shown
}

// filterer is a screen that can be told what to show.
type filterer interface{ filterTo(text string) }

// goToRow shows another screen with the cursor on one of its rows.
func (d *desk) goToRow(screen, row string) { d.going = way{screen: screen, row: row} }

// goToThose shows what matches a filter on another screen.
func (d *desk) goToThose(screen, filter string) { d.going = way{screen: screen, filter: filter} }

// walk goes where the desk was told to, if it was.
func (c *console) walk() tea.Cmd {
	to := c.desk.going
	c.desk.going = way{}
	s, ok := c.screenNamed(to.screen)
	if !ok {
		return nil
	}
	if f, ok := s.(finder); ok && to.row != "" && !f.find(to.row) {
		c.desk.complain("there is no " + clean(to.row) + " among them")
	}
	if f, ok := s.(filterer); ok && to.filter != "" {
		f.filterTo(to.filter)
	}
	return c.show(s.name())
}

// show goes to a screen by its name.
func (c *console) show(name string) tea.Cmd {
	for i, s := range c.screens {
		if s.name() == name {
			c.at = i
			return c.need()
		}
	}
	return nil
}

// screenNamed finds a screen by its name, or by the beginning of it.
func (c *console) screenNamed(name string) (screen, bool) {
	for _, s := range c.screens {
		if name != "" && strings.HasPrefix(s.name(), name) {
			return s, true
		}
	}
	return nil, false
}
