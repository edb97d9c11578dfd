package tui

import (
	"io"

	"github.com/aymanbagabas/go-osc52/v2"
	tea "github.com/charmbracelet/bubbletea"
)

// copies has the terminal put a text into the clipboard, which it does over ssh,
// too (OSC 52, xterm's control sequences). Not every terminal can, and none says
// whether it did.
func (d *desk) copies(text string) tea.Cmd {
	d.say("copied " + d.look.cut(clean(text), 40))
	return d.copiesQuietly(text)
}

// copiesQuietly is copies for what must not be shown.
func (d *desk) copiesQuietly(text string) tea.Cmd {
	out, sequence := d.options.Out, osc52.New(text)
	if d.options.Getenv != nil && d.options.Getenv("TMUX") != "" {
		sequence = sequence.Tmux()
	}
	return func() tea.Msg {
		if _, err := io.WriteString(out, sequence.String()); err != nil {
			return notCopied{err}
		}
		return nil
	}
}

// notCopied tells that the terminal could not be written to.
type notCopied struct{ err error }
