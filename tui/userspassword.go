package tui

import (
	"context"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// passwordOf is whose password can be set: the chosen user's, where that is the
// person or in their hands. Whoever is shown no users has at least their own; nil:
// nobody's.
func (s *usersScreen) passwordOf() *api.User {
	me := &s.books.me
	switch row := s.row(); {
	case row != nil && (s.isMe(row.Name) || s.operates() && s.may(row)):
		return row
	case row == nil && isRefused(s.books.users.err) && s.isMe(me.value.User):
		return &api.User{Name: me.value.User}
	}
	return nil
}

// passwordForm asks for a new password twice, and, of whoever changes their own,
// for the one in force.
func (s *usersScreen) passwordForm(u *api.User) *form {
	name, own := u.Name, s.isMe(u.Name)
	f := &form{look: s.look, title: "Password of " + clean(name), intro: []string{"All logins and tokens of " + clean(name) + " end."}}
	if own {
		f.intro = []string{"All your logins and tokens end, this one too."}
		f.fields = append(f.fields, hiddenField("current", "The one in force", ""))
	}
	f.fields = append(f.fields, hiddenField("password", "New password", "at least 10 characters"), hiddenField("again", "Once more", ""))
	f.submit = func(f *form) tea.Cmd { return s.setPassword(name, own, f) }
	return f
}

func (s *usersScreen) setPassword(name string, own bool, f *form) tea.Cmd {
	password, current := accounts.NewSecret(f.value("password")), accounts.NewSecret(f.value("current"))
	switch {
	case password.IsZero():
		f.problem = "a password is needed; llmgw users password " + clean(name) + " --clear takes it away"
		return nil
	case !password.Equal(accounts.NewSecret(f.value("again"))):
		f.problem = "the two passwords differ"
		return nil
	}
	return s.submits(f, change{
		twin: []string{"users", "password", name}, books: []book{bookUsers}, own: own,
		call: func(ctx context.Context, c *api.Client) (string, error) {
			err := c.SetPassword(ctx, name, api.SetPassword{Password: password.Reveal(), Current: current.Reveal()})
			return "the password of " + name + " is set; logins have ended", err
		},
	})
}
