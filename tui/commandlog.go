package tui

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// keptCommands is how many commands the log remembers.
const keptCommands = 200

// commandLog is what was done here, as the commands that do the same.
type commandLog struct{ entries []*logged }

// logged is one of them.
type logged struct {
	at    time.Time
	text  string
	ended bool
	err   error
}

func (l *commandLog) add(at time.Time, text string) *logged {
	entry := &logged{at: at, text: text}
	l.entries = append(l.entries, entry)
	if over := len(l.entries) - keptCommands; over > 0 {
		l.entries = l.entries[over:]
	}
	return entry
}

// end tells the outcome. What is logged by others has no entry.
func (e *logged) end(err error) {
	if e != nil {
		e.ended, e.err = true, err
	}
}

// openLog shows the log, the newest first.
func (d *desk) openLog() {
	p := &page{look: d.look, title: "Commands that do what was done here", foot: "esc closes"}
	for i := len(d.log.entries) - 1; i >= 0; i-- {
		e := d.log.entries[i]
		sign := d.look.dim.Render(d.look.waiting)
		switch {
		case e.err != nil:
			sign = d.look.bad.Render(d.look.no)
		case e.ended:
			sign = d.look.good.Render(d.look.yes)
		}
		p.lines = append(p.lines, d.look.dim.Render(clockOf(e.at))+" "+sign+" "+e.text)
		if e.err != nil {
			p.lines = append(p.lines, "           "+d.look.bad.Render(reason(e.err)))
		}
	}
	if n := len(d.log.entries); n > 0 {
		newest := d.log.entries[n-1].text
		p.foot = "y copies the newest  " + p.foot
		p.keys = map[string]func() tea.Cmd{"y": func() tea.Cmd { return d.copies(newest) }}
	}
	if len(p.lines) == 0 {
		p.lines = []string{"Nothing was changed yet. What is, stands here as the llmgw command that does the same."}
	}
	d.open(p)
}
