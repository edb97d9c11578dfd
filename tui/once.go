package tui

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/accounts"
)

// once shows a secret that nobody will be shown again. It has the only copy, and
// lets go of it when it closes. Enter does not close it: whoever sent a form with
// enter may have hit it twice.
type once struct {
	desk   *desk
	title  string
	lines  []string // below the secret
	secret accounts.Secret
}

func (o *once) update(msg tea.Msg) (tea.Cmd, bool) {
	key, ok := msg.(tea.KeyMsg)
	if !ok {
		return nil, false
	}
	switch key.String() {
	case "y":
		o.desk.say("copied; if nothing arrives, the terminal does not allow it")
		return o.desk.copiesQuietly(o.secret.Reveal()), false
	case "esc", "q":
		o.secret = accounts.Secret{}
		return nil, true
	}
	return nil, false
}

func (o *once) draw(w, h int) string {
	l := o.desk.look
	wide := min(w, max(44, width(o.secret.Reveal())+6, longest(o.lines)+6, width(o.title)+8))
	lines := []string{""}
	for _, part := range wrap(clean(o.secret.Reveal()), wide-6) {
		lines = append(lines, "  "+l.bold.Render(part))
	}
	lines = append(lines, "")
	for _, line := range append([]string{"It will not be shown again."}, o.lines...) {
		for _, part := range wrap(line, wide-6) {
			lines = append(lines, "  "+part)
		}
	}
	b := box{title: o.title, foot: "y copies  esc closes", focused: true}
	return b.draw(l, strings.Join(lines, "\n"), wide, min(h, len(lines)+2))
}
