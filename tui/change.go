package tui

import (
	"context"
	"errors"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// changeLimit bounds a change. A test of an upstream may take most of it.
const changeLimit = 60 * time.Second

// change is something that is done to the gateway.
type change struct {
	twin  []string // the words of the command that does the same: rules disable openai; nil: none does, or whoever asked logs it
	books []book   // what is loaded again afterwards
	own   bool     // it changes what is the person's own: any role may
	only  bool     // it looks and changes nothing: whoever may read may do it
	call  func(context.Context, *api.Client) (said string, err error)
	then  func(said string) tea.Cmd // where it was done; nil: what it said is shown
	fails func(error) tea.Cmd       // where it was not; nil: the reason is shown
}

// changed tells the outcome of a change.
type changed struct {
	change change
	entry  *logged // nil: no command does the same
	said   string
	err    error
}

// change does it, if that may be, and tells in the log of commands.
func (d *desk) change(c change) tea.Cmd {
	if why := d.mayChange(c.own); why != "" && !c.only {
		d.complain(why)
		if c.fails != nil {
			return c.fails(errors.New(why))
		}
		return nil
	}
	var entry *logged
	if c.twin != nil {
		entry = d.log.add(d.now(), d.twin(c.twin))
	}
	client := d.gateway.Client
	return d.away(changeLimit, func(ctx context.Context) tea.Msg {
		said, err := c.call(ctx, client)
		return changed{c, entry, said, err}
	})
}

// settle takes in the outcome of a change.
func (d *desk) settle(m changed) tea.Cmd {
	m.entry.end(m.err)
	var all []tea.Cmd
	for _, b := range m.change.books {
		d.books.of(b).spoil()
	}
	switch {
	case m.err != nil && m.change.fails != nil:
		all = append(all, m.change.fails(m.err))
	case m.err != nil:
		text := reason(m.err)
		if hint := advice(m.err); hint != "" {
			text += ". " + hint
		}
		d.complain(text)
	case m.change.then != nil:
		all = append(all, m.change.then(m.said))
	default:
		d.say(m.said)
	}
	for _, b := range m.change.books {
		all = append(all, d.load(b))
	}
	return tea.Batch(all...)
}

// submits makes what a form sends: the form closes when it is done, and says why
// when it is not.
func (d *desk) submits(f *form, c change) tea.Cmd {
	then := c.then
	c.then = func(said string) tea.Cmd {
		closing := func() tea.Msg { return formDone{f} }
		if then != nil {
			return tea.Batch(closing, then(said))
		}
		d.say(said)
		return closing
	}
	fails := c.fails
	c.fails = func(err error) tea.Cmd {
		if f.closed { // nobody waits for it there
			d.complain(reason(err))
			return nil
		}
		var first tea.Cmd
		if fails != nil {
			first = fails(err)
		}
		return tea.Batch(first, func() tea.Msg { return formRefused{f, err} })
	}
	return d.change(c)
}

// twin is the command that does the same, as it is typed.
func (d *desk) twin(words []string) string {
	quoted := make([]string, 0, len(words)+2)
	quoted = append(quoted, "llmgw")
	for _, w := range words {
		quoted = append(quoted, shellWord(w))
	}
	if d.gateway.Twin != "" {
		quoted = append(quoted, d.gateway.Twin)
	}
	return strings.Join(quoted, " ")
}

// shellWord gives a word as a shell takes it.
func shellWord(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@%+,", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(clean(word), "'", `'\''`) + "'"
}

// problemsOf is what the gateway found wrong, one by one.
func problemsOf(err error) []api.Problem {
	var refusal *api.Error
	if errors.As(err, &refusal) {
		return refusal.Problems
	}
	return nil
}
