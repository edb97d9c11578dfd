package tui

import (
	"context"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// roles are those that the person may give.
func (s *usersScreen) roles() []string {
	var all []string
	for _, r := range accounts.Roles() {
		if me := &s.books.me; !me.there() || accounts.Role(me.value.Role).Covers(r) {
			all = append(all, string(r))
		}
	}
	return all
}

// userFields are what can be written about a user.
func (s *usersScreen) userFields(texts map[string]string) []*field {
	return []*field{
		writtenField("name", "Name", texts["name"], exampleFor(texts["name"], "dana")),
		writtenField("email", "Email", texts["email"], "none"),
		choiceField("role", "Role", s.roles(), texts["role"], ""),
		writtenField("tags", "Tags", texts["tags"], "none; or team=web"),
	}
}

// userTexts is a user as the form says it.
func userTexts(u *api.User) map[string]string {
	return map[string]string{"name": u.Name, "email": u.Email, "role": u.Role, "tags": tagsText(u.Tags)}
}

// newUserForm asks for what a new user needs.
func (s *usersScreen) newUserForm() *form {
	f := &form{
		look: s.look, title: "New user", intro: []string{"Without a password the user owns keys, but cannot log in."},
		fields: append(s.userFields(map[string]string{"role": string(accounts.RoleMember)}),
			hiddenField("password", "Password", "none"), hiddenField("again", "Once more", "")),
	}
	f.submit = func(f *form) tea.Cmd { return s.createUser(f) }
	return f
}

func (s *usersScreen) createUser(f *form) tea.Cmd {
	tags, err := tagsIn(f.value("tags"))
	if err != nil {
		f.problem = err.Error()
		return nil
	}
	if f.value("password") != f.value("again") {
		f.problem = "the two passwords differ"
		return nil
	}
	wanted := api.NewUser{Name: f.value("name"), Email: f.value("email"), Role: f.value("role"), Tags: tags}
	password := accounts.NewSecret(f.value("password"))
	twin := []string{"users", "create", wanted.Name, "--role", wanted.Role}
	if wanted.Email != "" {
		twin = append(twin, "--email", wanted.Email)
	}
	if len(tags) > 0 {
		twin = append(twin, tagFlags(tags)...)
	}
	if !password.IsZero() {
		twin = append(twin, "--password-file", "-")
	}
	return s.submits(f, change{twin: twin, books: []book{bookUsers}, call: func(ctx context.Context, c *api.Client) (string, error) {
		wanted.Password = password.Reveal()
		_, err := c.CreateUser(ctx, wanted)
		return "user " + wanted.Name + " made", err
	}})
}

// editUserForm asks what a user is to be.
func (s *usersScreen) editUserForm(u *api.User) *form {
	name := u.Name
	f := &form{look: s.look, title: "User " + clean(name), fields: s.userFields(userTexts(u))}
	e := &editing[api.User]{
		desk: s.desk, form: f, base: userTexts(u), etag: u.ETag, texts: userTexts, tag: func(u *api.User) string { return u.ETag },
		read: func(ctx context.Context, c *api.Client) (api.User, error) { return c.User(ctx, name) },
	}
	f.submit = func(*form) tea.Cmd { return s.editUser(name, e) }
	return f
}

// editUser sends what was changed. Another role is asked about first.
func (s *usersScreen) editUser(name string, e *editing[api.User]) tea.Cmd {
	edit, flags, err := userEdit(e)
	switch {
	case err != nil:
		e.form.problem = err.Error()
		return nil
	case len(flags) == 0:
		e.form.problem = "nothing was changed"
		return nil
	}
	c := change{twin: append([]string{"users", "edit", name}, flags...), books: []book{bookUsers, bookKeys, bookBindings, bookMe}}
	send := func() tea.Cmd {
		return e.send(c, "user "+name+" changed", func(ctx context.Context, c *api.Client) error {
			_, err := c.EditUser(ctx, name, edit)
			return err
		})
	}
	if edit.Role == nil {
		return send()
	}
	s.open(&question{
		look: s.look, title: "Another role?", lines: []string{s.look.bold.Render(clean(name)) + " has the role " + clean(e.base["role"]) + " and gets the role " + *edit.Role + "."},
		answers: []answer{{text: "Give it", danger: true, do: func() tea.Cmd {
			cmd := send()
			e.form.sending = cmd != nil
			return cmd
		}}},
	})
	return nil
}

// userEdit gives what was changed in the form, and the flags that say the same.
func userEdit(e *editing[api.User]) (edit api.EditUser, flags []string, err error) {
	for _, one := range []struct {
		name string
		to   **string
	}{{"name", &edit.Name}, {"email", &edit.Email}, {"role", &edit.Role}} {
		if e.changed(one.name) {
			value := e.form.value(one.name)
			*one.to, flags = &value, append(flags, "--"+one.name, value)
		}
	}
	if e.changed("tags") {
		tags, err := tagsIn(e.form.value("tags"))
		if err != nil {
			return edit, nil, err
		}
		edit.Tags, flags = &tags, append(flags, tagFlags(tags)...)
	}
	return edit, flags, nil
}
