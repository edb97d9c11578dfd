package tui

import (
	"strings"

	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"
)

// commandLine is what : opens: screens by name, and what has no key.
type commandLine struct {
	console *console
	input   textinput.Model
	problem string
}

func newCommandLine(c *console) *commandLine { return &commandLine{console: c, input: line("")} }

// written is a command that was entered.
type written struct{ words []string }

func (p *commandLine) update(msg tea.Msg) (tea.Cmd, bool) {
	key, ok := msg.(tea.KeyMsg)
	if !ok {
		return nil, false
	}
	switch key.String() {
	case "esc":
		return nil, true
	case "enter":
		words := strings.Fields(p.input.Value())
		if len(words) == 0 {
			return nil, true
		}
		if p.problem = p.console.refuse(words); p.problem != "" {
			return nil, false
		}
		return func() tea.Msg { return written{words} }, true
	case "tab":
		p.complete()
	default:
		p.input, _ = p.input.Update(key)
		p.problem = ""
	}
	return nil, false
}

// complete writes the rest of a word that is clear.
func (p *commandLine) complete() {
	text := p.input.Value()
	var fits []string
	for _, c := range p.console.commands() {
		if strings.HasPrefix(c, text) {
			fits = append(fits, c)
		}
	}
	if len(fits) == 1 {
		p.input.SetValue(fits[0] + " ")
		p.input.CursorEnd()
	}
}

// commands are the beginnings of everything that can be written.
func (c *console) commands() []string {
	var all []string
	for _, s := range c.screens {
		all = append(all, s.name())
	}
	for _, name := range c.desk.options.Contexts {
		all = append(all, "ctx "+name)
	}
	return append(all, "theme light", "theme dark", "q")
}

// refuse says what is wrong with a command; empty: nothing.
func (c *console) refuse(words []string) string {
	switch words[0] {
	case "q", "quit":
		return ""
	case "theme":
		if len(words) == 2 && (words[1] == "light" || words[1] == "dark") {
			return ""
		}
		return "theme light or theme dark"
	case "ctx", "context":
		if len(words) == 2 {
			return ""
		}
		return "ctx NAME: " + strings.Join(c.desk.options.Contexts, ", ")
	}
	if _, ok := c.screenNamed(words[0]); !ok {
		return "no screen and no command is called " + clean(words[0])
	}
	return ""
}

// finder is a screen that can go to one of its rows.
type finder interface{ find(name string) bool }

// obey does a command.
func (c *console) obey(words []string) tea.Cmd {
	switch words[0] {
	case "q", "quit":
		return c.leave()
	case "theme":
		o := c.desk.options
		o.Theme = words[1]
		*c.desk.look = *newLook(o.Out, o.ASCII, o.NoColour, o.Theme == "light")
		return nil
	case "ctx", "context":
		return c.switchTo(words[1])
	}
	s, ok := c.screenNamed(words[0])
	if !ok {
		return nil
	}
	if f, ok := s.(finder); ok && len(words) > 1 && !f.find(words[1]) {
		c.desk.complain("there is no " + clean(words[1]) + " among them")
	}
	return c.show(s.name())
}

func (p *commandLine) draw(w, _ int) string {
	l := p.console.desk.look
	wide := min(w, 60)
	text := " :" + writtenText(l, p.input.Value(), p.input.Position(), true, wide-6)
	last := " " + l.dim.Render("a screen and a name, ctx NAME, theme light, q")
	if p.problem != "" {
		last = " " + l.bad.Render(p.problem)
	}
	return box{title: "Go to", foot: "tab completes  esc closes", focused: true}.draw(l, text+"\n"+last, wide, 4)
}
