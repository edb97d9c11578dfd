package tui

import (
	"cmp"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func usersKeys() []Action {
	return []Action{
		{Name: "users.create", Scope: "users", Keys: []string{"n"}, Short: "new", Long: "make a user, with or without a password", Changes: true},
		{Name: "users.edit", Scope: "users", Keys: []string{"e"}, Short: "edit", Long: "change the user's name, role, address or tags", Changes: true},
		{Name: "users.switch", Scope: "users", Keys: []string{" "}, Short: "on/off", Long: "disable or enable the user, keys and logins; asks first", Changes: true},
		{Name: "users.password", Scope: "users", Keys: []string{"P"}, Short: "password", Long: "set the user's password, and end the user's logins", Changes: true, Own: true},
		{Name: "users.delete", Scope: "users", Keys: []string{"ctrl+d"}, Short: "delete", Long: "remove the user, who owns no key any more; asks first", Changes: true},
	}
}

// usersScreen shows those who own keys and run the gateway.
type usersScreen struct{ list[api.User] }

func newUsers(d *desk) *usersScreen {
	s := &usersScreen{}
	s.list = list[api.User]{
		desk: d, heading: "Users", word: "user", aside: 110,
		empty: emptiness{"No users yet. They own keys, and those with a password can log in here.", d.look.key.Render("n") + " makes one, or: llmgw users create dana"},
		load:  func() ([]api.User, bookState) { return d.books.users.value, d.books.users.state() },
	}
	s.detail = s.drawUser
	s.table = table[api.User]{look: d.look, columns: s.columns(), id: func(u *api.User) string { return u.Name }, field: userField}
	return s
}

func (s *usersScreen) columns() []column[api.User] {
	return []column[api.User]{
		{title: "NAME", text: func(u *api.User) string { return clean(u.Name) }, grow: true, least: 10, order: func(a, b *api.User) int { return cmp.Compare(a.Name, b.Name) }},
		{title: "ROLE", text: func(u *api.User) string { return clean(u.Role) }, order: func(a, b *api.User) int { return roleRank(a.Role) - roleRank(b.Role) }},
		{title: "STATE", text: s.state, style: s.stateStyle, order: func(a, b *api.User) int { return cmp.Compare(s.state(a), s.state(b)) }},
		{title: "KEYS", text: func(u *api.User) string { return count(int64(u.Keys)) }, right: true, rank: 1, flip: true, order: func(a, b *api.User) int { return a.Keys - b.Keys }},
		{title: "PASSWORD", text: func(u *api.User) string { return s.yesOrNo(u.HasPassword) }, rank: 3},
		{title: "LAST LOGIN", text: func(u *api.User) string { return s.since(u.LastLoginAt) }, rank: 2, flip: true, order: func(a, b *api.User) int { return timeOf(a.LastLoginAt).Compare(timeOf(b.LastLoginAt)) }},
		{title: "EMAIL", text: func(u *api.User) string { return or(clean(u.Email), unknown) }, most: 30, rank: 4},
	}
}

// roleRank orders roles, the one that may do most first.
func roleRank(role string) int {
	if at := slices.Index(accounts.Roles(), accounts.Role(role)); at >= 0 {
		return at
	}
	return len(accounts.Roles())
}

func (s *usersScreen) state(u *api.User) string {
	if u.Enabled {
		return s.look.on + " enabled"
	}
	return s.look.off + " disabled"
}

func (s *usersScreen) stateStyle(u *api.User) lipgloss.Style {
	if u.Enabled {
		return s.look.good
	}
	return s.look.warn
}

func (d *desk) yesOrNo(yes bool) string {
	if yes {
		return d.look.yes + " yes"
	}
	return d.look.no + " no"
}

// userField is what a filter looks at.
func userField(u *api.User, name string) (string, bool) {
	switch name {
	case "user", "name":
		return u.Name, true
	case "role":
		return u.Role, true
	case "email":
		return u.Email, true
	case "keys":
		return count(int64(u.Keys)), true
	case "state":
		if u.Enabled {
			return "enabled", true
		}
		return "disabled", true
	case "password":
		if u.HasPassword {
			return "yes", true
		}
		return "no", true
	}
	value, tagged := u.Tags[strings.TrimPrefix(name, "tag-")]
	return value, tagged
}

func (s *usersScreen) name() string     { return "users" }
func (s *usersScreen) title() string    { return "Users" }
func (s *usersScreen) scopes() []string { return []string{"users", inLists} }
func (s *usersScreen) hear(api.Event)   {}

// needs asks for more of the user who fills the screen.
func (s *usersScreen) needs() []need {
	all := []need{{book: bookUsers}}
	row := s.row()
	if !s.opened || row == nil {
		return all
	}
	all = append(all, need{book: bookKeys})
	if !s.mayLookInto(row) {
		return all
	}
	held := &s.books.sessions
	if s.sessionsOf != row.Name {
		s.sessionsOf = row.Name
		held.value, held.err, held.stale = sessions{}, nil, true
	}
	if of := held.value.user; of != "" && of != row.Name { // the answer about the one before came late
		held.value, held.stale = sessions{}, true
	}
	return append(all, need{book: bookSessions})
}

// mayLookInto says whether the gateway tells the person of a user's logins.
func (s *usersScreen) mayLookInto(u *api.User) bool {
	me := &s.books.me
	return me.there() && (me.value.User == u.Name || accounts.Role(me.value.Role).Covers(accounts.RoleAdmin))
}

// may says whether the person's role covers that of a user, without which nothing
// of the user can be changed.
func (s *usersScreen) may(u *api.User) bool {
	me := &s.books.me
	return !me.there() || accounts.Role(me.value.Role).Covers(accounts.Role(u.Role))
}

// mine are the chosen users whom the person may change.
func (s *usersScreen) mine() []api.User {
	s.sync()
	return slices.DeleteFunc(s.table.chosen(), func(u api.User) bool { return !s.may(&u) })
}

func (s *usersScreen) can(action string) bool {
	switch action {
	case "users.create":
		return true
	case "users.edit":
		row := s.row()
		return row != nil && s.may(row)
	case "users.password":
		return s.passwordOf() != nil
	case "users.switch", "users.delete":
		return len(s.mine()) > 0
	}
	return s.list.can(action)
}

func (s *usersScreen) do(action string) tea.Cmd {
	if cmd, ok := s.doList(action); ok {
		return cmd
	}
	switch action {
	case "users.create":
		s.open(s.newUserForm())
	case "users.edit":
		s.open(s.editUserForm(s.row()))
	case "users.password":
		s.open(s.passwordForm(s.passwordOf()))
	case "users.switch":
		s.open(s.askSwitch(s.mine()))
	case "users.delete":
		s.open(s.askDelete(s.mine()))
	}
	return nil
}

func (s *usersScreen) update(msg tea.Msg) tea.Cmd { return s.write(msg) }
