package tui

import (
	"context"
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// ruleHelp is over every rule that is written.
const ruleHelp = `# match:   model path method host header query stream key user tag source body_bytes not
# action:  upstream | upstreams: [{name, weight, model}] | target | respond: {status, message};
#          with fallback retry model path headers response_headers timeouts limits
# The first rule that takes a request decides. All fields: llmgw rules schema
`

// edit opens a rule in the editor.
func (s *rulesScreen) edit(r *api.Rule) tea.Cmd {
	d := s.newDraft()
	if d == nil {
		return nil
	}
	d.name, d.original = r.Name, unlisted(r.YAML)
	d.text = d.original
	d.heading = fmt.Sprintf("# rule %s, revision %d: save and close to see what would change; as it is, nothing does\n", clean(r.Name), d.revision) + ruleHelp
	return d.editFile()
}

// create opens the editor for a rule that goes beside the one under the cursor.
func (s *rulesScreen) create(before bool) tea.Cmd {
	d := s.newDraft()
	if d == nil {
		return nil
	}
	to, where := "UPSTREAM", "at the end of set default"
	if len(s.books.upstreams.value) > 0 {
		to = clean(s.books.upstreams.value[0].Name)
	}
	if r := s.row(); r != nil {
		if upstream, ok := r.Action["upstream"].(string); ok {
			to = clean(upstream)
		}
		d.place.After, where = r.Name, "behind "+clean(r.Name)
		if before {
			d.place.Before, d.place.After, where = r.Name, "", "before "+clean(r.Name)
		}
	}
	d.original = "name: new-rule\nmatch:\n  path: /v1/**\n  model: [gpt-5*]\naction:\n  upstream: " + to + "\n"
	d.text = d.original
	d.heading = fmt.Sprintf("# a new rule, %s: save and close to see what would change; as it is, nothing does\n", where) + ruleHelp
	return d.editFile()
}

// newDraft begins a draft, where one can be written; nil: it cannot, and why was
// said.
func (s *rulesScreen) newDraft() *draft {
	switch {
	case s.options.Editor == nil:
		s.complain("there is no editor; set VISUAL or EDITOR")
		return nil
	case s.draft.open():
		s.complain(s.draft.title() + " is being written")
		return nil
	case !s.books.rules.there():
		s.complain("the rules are not loaded yet")
		return nil
	}
	s.draft = &draft{desk: s.desk, generation: s.generation, revision: s.books.rules.value.Revision}
	return s.draft
}

// check asks the gateway what the text would change.
func (d *draft) check() tea.Cmd {
	d.say("asking what " + d.title() + " would change")
	client, q := d.gateway.Client, d.request(true)
	return d.elsewhere(loadLimit, func(ctx context.Context) func() tea.Cmd {
		plan, err := d.send(ctx, client, q)
		if !isCode(err, api.CodeConflict) && !isCode(err, api.CodeNotFound) {
			return func() tea.Cmd { return d.checked(plan, err) }
		}
		now, listing := client.Rules(ctx) // what it is that has changed
		return func() tea.Cmd {
			if listing != nil || now.Revision == d.revision {
				return d.checked(plan, err)
			}
			return d.conflict(&now, err)
		}
	})
}

// checked goes on with the plan of a draft, or with what is wrong with it.
func (d *draft) checked(plan api.Plan, err error) tea.Cmd {
	d.notes = notes{}
	switch {
	case len(problemsOf(err)) > 0:
		return d.mistaken(problemsOf(err))
	case err != nil:
		return d.refused("Not accepted", err)
	case len(plan.Changes) == 0:
		return d.drop("nothing would change: " + d.title() + " is left as it is")
	}
	d.review(&plan)
	return nil
}

// review shows what would change, and asks.
func (d *draft) review(plan *api.Plan) {
	q := &question{look: d.look, title: "Apply to " + clean(d.gateway.Name) + "?"}
	if d.name == "" {
		for _, line := range cleanLines(d.text) {
			q.lines = append(q.lines, d.look.added.Render("+"+line))
		}
	} else {
		q.lines = d.look.diff(d.original, d.text)
	}
	q.lines = append(q.lines, "")
	for i := range plan.Changes {
		if c := &plan.Changes[i]; d.name == "" || c.Rule != d.name || c.Op != "change" {
			q.lines = append(q.lines, d.planLine(c))
		}
	}
	if d.name != "" {
		q.lines = append(q.lines, "The rule took "+d.requests("rule", d.name)+".")
	}
	if d.meanwhile > 0 {
		q.lines = append(q.lines, fmt.Sprintf("Other rules were changed meanwhile; this is looked at on top of revision %d.", d.meanwhile))
	}
	q.lines = append(q.lines, d.warnings(plan)...)
	d.tries = 0
	q.answers = []answer{{text: "Apply", do: d.apply}, {text: "Edit again", do: d.again("")}}
	q.cancel = d.then(func() tea.Cmd { return d.leave("Nothing was changed.") })
	d.desk.open(q)
}

// planLine is one change of a plan: + vision (position 3).
func (d *desk) planLine(c *api.PlanChange) string {
	name := clean(c.Rule)
	if name == "" { // the order of a set
		name = "set " + clean(c.Set)
	}
	switch c.Op {
	case "add":
		return d.look.added.Render(fmt.Sprintf("+ %s (position %d of set %s)", name, c.Position, clean(c.Set)))
	case "delete":
		return d.look.removed.Render("- " + name)
	case "move":
		return d.look.accent.Render(fmt.Sprintf("~ %s (to position %d)", name, c.Position))
	}
	return d.look.accent.Render("~ " + name + "  " + clean(strings.Join(c.Fields, "; ")))
}

// warnings are those of a plan, one a line.
func (d *desk) warnings(plan *api.Plan) []string {
	var lines []string
	for _, w := range plan.Warnings {
		text := clean(w.Message)
		if w.Rule != "" {
			text = clean(w.Rule) + ": " + text
		}
		lines = append(lines, d.look.warn.Render(d.look.ill+" "+text))
		if w.Hint != "" {
			lines = append(lines, "  "+clean(w.Hint))
		}
	}
	return lines
}

// apply sends the draft.
func (d *draft) apply() tea.Cmd {
	q := d.request(false)
	return d.change(change{
		twin: d.twin("-"), books: ruleBooks(),
		call: func(ctx context.Context, c *api.Client) (string, error) {
			plan, err := d.send(ctx, c, q)
			return fmt.Sprintf("%s applied, revision %d", d.named(&plan), plan.Revision), err
		},
		then: d.drop,
		fails: func(err error) tea.Cmd {
			if isCode(err, api.CodeConflict) || isCode(err, api.CodeNotFound) {
				return d.check() // finds out what has changed, and asks
			}
			return d.refused("Not applied", err)
		},
	})
}

// named is title, with the name that a new rule was given.
func (d *draft) named(plan *api.Plan) string {
	for i := range plan.Changes {
		if c := &plan.Changes[i]; d.name == "" && c.Op == "add" {
			return "new rule " + clean(c.Rule)
		}
	}
	return d.title()
}

// mistaken shows what is wrong with the text, by line.
func (d *draft) mistaken(problems []api.Problem) tea.Cmd {
	text := strings.Split(d.text, "\n")
	q := &question{look: d.look, title: plural(len(problems), "problem") + " in " + d.title(), keeps: "Edit again"}
	for i := range problems {
		p := &problems[i]
		q.lines = append(q.lines, d.look.bad.Render(d.look.no+" "+problemText(p, d.above)))
		if p.Line > 0 && p.Line <= len(text) {
			q.lines = append(q.lines, "    "+clean(text[p.Line-1]))
		}
		if p.Hint != "" {
			q.lines = append(q.lines, "    "+clean(p.Hint))
		}
	}
	q.cancel = d.then(d.again(problemComment(problems)))
	q.leave = d.then(func() tea.Cmd { return d.leave("It has mistakes, and nothing was changed.") })
	q.answers = []answer{{text: "Leave", do: func() tea.Cmd { return d.leave("It has mistakes, and nothing was changed.") }}}
	d.desk.open(q)
	return nil
}

// problemText says what is wrong where, in a text with lines above it.
func problemText(p *api.Problem, above int) string {
	text := clean(p.Message)
	if p.Field != "" {
		text = clean(p.Field) + ": " + text
	}
	if p.Suggestion != "" {
		text += " (" + clean(p.Suggestion) + "?)"
	}
	if p.Line > 0 {
		text = fmt.Sprintf("line %d: ", p.Line+above) + text
	}
	return text
}

// problemComment is the heading under which the text is corrected. Its own lines
// are counted.
func problemComment(problems []api.Problem) string {
	above := len(problems) + 1
	var b strings.Builder
	for i := range problems {
		b.WriteString("# " + problemText(&problems[i], above) + "\n")
	}
	return b.String() + "# correct it and save\n"
}

// refused shows why something was not done. What was written stays.
func (d *draft) refused(title string, err error) tea.Cmd {
	if !d.written() {
		cmd := d.drop("")
		d.complain(reason(err))
		return cmd
	}
	leave := func() tea.Cmd { return d.leave("Nothing was changed: " + reason(err)) }
	q := &question{look: d.look, title: title, keeps: "Edit again", lines: []string{d.look.bad.Render(d.look.no + " " + reason(err))}}
	if hint := advice(err); hint != "" {
		q.lines = append(q.lines, hint)
	}
	q.lines = append(q.lines, "", "What you wrote is in "+clean(d.path))
	q.cancel, q.leave = d.then(d.again("")), d.then(leave)
	q.answers = []answer{{text: "Try again", do: d.check}, {text: "Leave", do: leave}}
	d.desk.open(q)
	return nil
}

// again opens the editor anew, under another heading where there is one.
func (d *draft) again(heading string) func() tea.Cmd {
	return func() tea.Cmd {
		if heading != "" {
			d.heading = heading
		}
		return d.editFile()
	}
}
