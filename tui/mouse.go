package tui

import tea "github.com/charmbracelet/bubbletea"

func (c *console) switchMouse() tea.Cmd {
	c.mouse = !c.mouse
	if c.mouse {
		c.desk.say("mouse on: a click goes to a row or a screen, the wheel scrolls")
		return tea.EnableMouseCellMotion
	}
	c.desk.say("mouse off")
	return tea.DisableMouse
}

// point does what the mouse means: the wheel moves as the arrows do, and a click
// on the tabs goes there.
func (c *console) point(m tea.MouseMsg) tea.Cmd {
	if len(c.overlays) > 0 {
		return nil
	}
	switch {
	case m.Button == tea.MouseButtonWheelDown:
		return c.act("down", "down")
	case m.Button == tea.MouseButtonWheelUp:
		return c.act("up", "up")
	case m.Button == tea.MouseButtonLeft && m.Action == tea.MouseActionPress && m.Y == 1:
		at := 0
		for i := range c.screens {
			at += width(c.tab(i)) + 1
			if m.X < at {
				c.at = i
				return c.need()
			}
		}
	}
	return nil
}
