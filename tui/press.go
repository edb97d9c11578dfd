package tui

import (
	"slices"

	tea "github.com/charmbracelet/bubbletea"
)

// press does what a key means here.
func (c *console) press(key tea.KeyMsg) tea.Cmd {
	if name, ok := c.keys.find(key.String(), []string{everywhere}); ok && name == "quit" {
		c.quitting = true
		return tea.Quit
	}
	if n := len(c.overlays); n > 0 {
		top := c.overlays[n-1]
		cmd, done := top.update(key)
		if done {
			c.closeOverlay(top)
		}
		return cmd
	}
	if c.shown().writes() {
		return c.shown().update(key)
	}
	name, ok := c.keys.find(key.String(), c.scopes())
	if !ok {
		return nil
	}
	return c.act(name, key.String())
}

func (c *console) closeOverlay(o overlay) {
	if i := slices.Index(c.overlays, o); i >= 0 {
		c.overlays = slices.Delete(c.overlays, i, i+1) // which lets go of it: it may hold a secret
	}
}

// scopes are the parts of the key map in force, the narrowest first.
func (c *console) scopes() []string { return append(c.shown().scopes(), everywhere) }

// act does an action, if it may be done now.
func (c *console) act(name, key string) tea.Cmd {
	a := c.keys.named(name)
	if a.Changes {
		if why := c.desk.mayChange(a.Own); why != "" {
			c.desk.complain(why)
			return nil
		}
	}
	if a.Scope != everywhere {
		if !c.shown().can(name) {
			return nil
		}
		return tea.Batch(c.shown().do(name), c.need())
	}
	return tea.Batch(c.general(name, key), c.need())
}

// general does an action that every screen has.
func (c *console) general(name, key string) tea.Cmd {
	d := c.desk
	switch name {
	case "screen":
		if n := slices.Index(c.keys.named(name).Keys, key); n >= 0 && n < len(c.screens) {
			c.at = n
		}
	case "command":
		d.open(newCommandLine(c))
	case "help":
		d.open(newHelp(c))
	case "window":
		d.nextWindow()
	case "refresh":
		return c.refresh()
	case "log":
		d.openLog()
	case "mouse":
		return c.switchMouse()
	case "suspend":
		return tea.Suspend
	case "back":
		c.shown().back()
	case "leave":
		if !c.shown().back() {
			return c.leave()
		}
	default: // next-pane, previous-pane: the screen's own
		return c.shown().do(name)
	}
	return nil
}

// refresh asks for what is shown now, and tries what has failed again.
func (c *console) refresh() tea.Cmd {
	d := c.desk
	for _, n := range c.shown().needs() {
		d.books.of(n.book).spoil()
		d.books.of(n.book).forgive()
	}
	switch d.link.state {
	case lost, deaf:
		return c.listen()
	case loggedOut:
		return c.logInAgain()
	}
	return nil
}

// leaver is a screen that has something which would be lost.
type leaver interface{ unsaved() string }

// leave quits, and asks first where something would be lost.
func (c *console) leave() tea.Cmd {
	if lost := c.unsaved(); len(lost) > 0 {
		c.desk.open(&question{look: c.desk.look, title: "Quit?", lines: lost, answers: []answer{{
			text: "Quit", danger: true, do: func() tea.Cmd { c.quitting = true; return tea.Quit },
		}}})
		return nil
	}
	c.quitting = true
	return tea.Quit
}

// unsaved says what is lost, or left behind, where the console ends now.
func (c *console) unsaved() []string {
	var all []string
	for _, s := range c.screens {
		if l, ok := s.(leaver); ok && l.unsaved() != "" {
			all = append(all, l.unsaved())
		}
	}
	return all
}
