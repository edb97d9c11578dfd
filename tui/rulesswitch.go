package tui

import (
	"context"
	"slices"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// ruleBooks are what a change of the rules makes old.
func ruleBooks() []book { return []book{bookRules, bookHistory} }

// switchRules takes rules out of force, or, where none of them is in force, puts
// them in force again.
func (s *rulesScreen) switchRules(rows []api.Rule) tea.Cmd {
	off := slices.ContainsFunc(rows, func(r api.Rule) bool { return r.Enabled })
	var all []tea.Cmd
	for i := range rows {
		if rows[i].Enabled == off {
			all = append(all, s.switchRule(rows[i].Name, !off))
		}
	}
	s.table.unmark()
	return tea.Batch(all...)
}

func (s *rulesScreen) switchRule(name string, on bool) tea.Cmd {
	verb, done, call := "disable", " is not in force any more", (*api.Client).DisableRule
	if on {
		verb, done, call = "enable", " is in force", (*api.Client).EnableRule
	}
	return s.change(change{
		twin: []string{"rules", verb, name}, books: ruleBooks(),
		call: func(ctx context.Context, c *api.Client) (string, error) {
			_, err := call(c, ctx, name)
			return "rule " + name + done, err
		},
	})
}

// askDelete asks before rules go.
func (s *rulesScreen) askDelete(rows []api.Rule) *question {
	q := &question{look: s.look, title: "Delete " + plural(len(rows), "rule") + "?"}
	names := make([]string, 0, len(rows))
	for i := range rows {
		names = append(names, rows[i].Name)
		q.lines = append(q.lines, s.look.bold.Render(clean(rows[i].Name))+"  "+s.requests("rule", rows[i].Name))
	}
	q.lines = append(q.lines, "", "Such requests go to the next rule that takes them, or are refused. The history keeps what is deleted: H and b bring it back.")
	q.answers = []answer{{text: "Delete", danger: true, do: func() tea.Cmd { return s.delete(names) }}}
	return q
}

func (s *rulesScreen) delete(names []string) tea.Cmd {
	var all []tea.Cmd
	for _, name := range names {
		all = append(all, s.change(change{
			twin: []string{"rules", "delete", name, "--yes"}, books: ruleBooks(),
			call: func(ctx context.Context, c *api.Client) (string, error) {
				return "rule " + name + " deleted", c.DeleteRule(ctx, name)
			},
		}))
	}
	s.table.unmark()
	return tea.Batch(all...)
}
