package tui

import (
	"context"
	"slices"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// upstreamOvertaken brings an upstream as somebody else has made it while it was
// edited here.
type upstreamOvertaken struct {
	edit    *upstreamEdit
	refusal error // of the change
	theirs  api.Upstream
	err     error // of reading theirs
}

// readAgain asks for the upstream as it is now. It is asked for by its ID: its
// name may be another.
func (e *upstreamEdit) readAgain(refusal error) tea.Cmd {
	d, id := e.screen.desk, e.read.ID
	client := d.gateway.Client
	return d.away(loadLimit, func(ctx context.Context) tea.Msg {
		theirs, err := client.Upstream(ctx, id)
		return upstreamOvertaken{e, refusal, theirs, err}
	})
}

// meet shows both texts, where they are about the same, and asks which one holds.
// Whatever is answered, what was written stays until it was sent or given up.
func (e *upstreamEdit) meet(m upstreamOvertaken) {
	if e.form.closed {
		return // it was given up meanwhile
	}
	e.form.refused(m.refusal)
	if m.err != nil {
		e.form.problem = "it was changed meanwhile, and cannot be read again: " + reason(m.err)
		return
	}
	l := e.screen.look
	was, is := writtenUpstream(&e.read), writtenUpstream(&m.theirs)
	mine := e.differs()
	q := &question{look: l, title: "Somebody else changed it"}
	for _, p := range upstreamParts() {
		if was[p.name] == is[p.name] {
			continue
		}
		q.lines = append(q.lines, l.bold.Render(p.label), "  was     "+or(clean(was[p.name]), unknown), "  theirs  "+or(clean(is[p.name]), unknown))
		if slices.Contains(mine, p) {
			q.lines = append(q.lines, "  yours   "+or(clean(e.form.value(p.name)), unknown))
		}
	}
	if len(q.lines) == 0 {
		q.lines = []string{"What is written here is the same with them; it is its state or its credentials that changed."}
	}
	q.lines = append(q.lines, "", "Cancel keeps what you wrote, unsent.")
	q.answers = []answer{
		{text: "Take theirs", do: func() tea.Cmd { e.merge(&m.theirs, false); return nil }},
		{text: "Send mine", danger: true, do: func() tea.Cmd { e.merge(&m.theirs, true); return e.form.send() }},
	}
	e.screen.open(q)
}

// merge goes on from theirs: of what both changed, mine says whose holds.
func (e *upstreamEdit) merge(theirs *api.Upstream, mine bool) {
	was, is := writtenUpstream(&e.read), writtenUpstream(theirs)
	for _, one := range e.form.fields {
		untouched := one.value() == was[one.name]
		if untouched || !mine && was[one.name] != is[one.name] {
			one.rewrite(is[one.name])
		}
	}
	e.read, e.form.problem = *theirs, ""
}

// rewrite puts another value into a field.
func (f *field) rewrite(value string) {
	if len(f.choices) > 0 {
		f.chosen = max(0, slices.Index(f.choices, value))
		return
	}
	f.input.SetValue(value)
}
