package tui

import tea "github.com/charmbracelet/bubbletea"

// way is to another screen, and what is looked for there.
type way struct {
	screen string
	row    string // the cursor goes to it
	filter string // what does not match is not shown
}

// filterer is a screen that can be told what to show.
type filterer interface{ filterTo(text string) }

// goTo shows another screen, by its name.
func (d *desk) goTo(name string) { d.going = way{screen: name} }

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
