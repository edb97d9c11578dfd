package tui

import (
	"context"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// askSwitch asks before users are disabled, or enabled where none of them is.
func (s *usersScreen) askSwitch(users []api.User) *question {
	on := true
	for i := range users {
		on = on && !users[i].Enabled
	}
	verb, text, effect := "disable", "Disable", "Their keys are refused and their logins end, until they are enabled."
	if on {
		verb, text, effect = "enable", "Enable", "Their keys are accepted again, and they can log in."
	}
	q := &question{look: s.look, title: text + " " + plural(len(users), "user") + "?"}
	names := s.tellOf(q, users)
	q.lines = append(q.lines, "", effect)
	q.answers = []answer{{text: text, danger: !on, do: func() tea.Cmd {
		s.table.unmark()
		return s.change(change{
			twin: append([]string{"users", verb}, names...), books: []book{bookUsers, bookKeys},
			call: func(ctx context.Context, c *api.Client) (string, error) {
				return each("user", names, verb+"d", func(name string) error {
					_, err := c.EditUser(ctx, name, api.EditUser{Enabled: &on})
					return err
				})
			},
		})
	}}}
	return q
}

// askDelete asks before users are removed.
func (s *usersScreen) askDelete(users []api.User) *question {
	q := &question{look: s.look, title: "Delete " + plural(len(users), "user") + "?"}
	names := s.tellOf(q, users)
	q.lines = append(q.lines, "", "Bindings and logins go, too. Who owns keys is not deleted: revoke them or give them to somebody else first. It cannot be undone.")
	q.answers = []answer{{text: "Delete", danger: true, do: func() tea.Cmd {
		s.table.unmark()
		twin := append([]string{"users", "delete"}, names...)
		return s.change(change{
			twin: append(twin, "--yes"), books: []book{bookUsers, bookBindings},
			call: func(ctx context.Context, c *api.Client) (string, error) {
				return each("user", names, "deleted", func(name string) error { return c.DeleteUser(ctx, name) })
			},
		})
	}}}
	return q
}

// tellOf puts into a question whom it is about, and gives their names.
func (s *usersScreen) tellOf(q *question, users []api.User) (names []string) {
	for i := range users {
		u := &users[i]
		line := s.look.bold.Render(clean(u.Name)) + "  " + clean(u.Role) + ", owns " + plural(u.Keys, "key")
		if s.isMe(u.Name) {
			line += ", and is you"
		}
		q.lines = append(q.lines, line)
		names = append(names, u.Name)
	}
	return names
}
