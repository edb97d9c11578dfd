package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// screen is one of the nine pages. What it shows is in the books of the desk, and
// in itself only what a person did to it: where the cursor is, what is open.
type screen interface {
	// name is what :name goes to and what the key map calls it; title is on its tab.
	name() string
	title() string

	// needs is what it shows now. It is asked for whenever that may have changed.
	needs() []need

	// scopes are the parts of the key map in force now, the narrowest first,
	// without "everywhere".
	scopes() []string

	// can says whether an action makes sense now. What does not is left out of the
	// footer and the help, and does nothing.
	can(action string) bool

	// do does an action of the key map.
	do(action string) tea.Cmd

	// hear is told of every event. It must be quick.
	hear(api.Event)

	// update is given the answers to what it asked for itself, and, while it
	// writes, keys.
	update(tea.Msg) tea.Cmd

	// writes says that a text is being written, so that keys are letters.
	writes() bool

	// back leaves what is open within the screen; false: nothing is.
	back() bool

	// draw gives w times h cells.
	draw(w, h int) string
}

// overlay is what is opened over a screen: a question, a form, a text. It has all
// keys while it is on top.
type overlay interface {
	// update is given keys and the answers to what it asked for itself. done
	// closes it.
	update(tea.Msg) (cmd tea.Cmd, done bool)

	// draw gives a box of at most w times h cells.
	draw(w, h int) string
}
