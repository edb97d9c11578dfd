package tui

import (
	"cmp"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"github.com/llmgw/llmgw/admin/api"
)

func keysKeys() []Action {
	return []Action{
		{Name: "keys.create", Scope: "keys", Keys: []string{"n"}, Short: "new", Long: "make a key; it is shown once", Changes: true},
		{Name: "keys.edit", Scope: "keys", Keys: []string{"e"}, Short: "edit", Long: "change its name, owner, models, tags or end", Changes: true},
		{Name: "keys.switch", Scope: "keys", Keys: []string{" "}, Short: "on/off", Long: "disable or enable the key", Changes: true},
		{Name: "keys.rotate", Scope: "keys", Keys: []string{"R"}, Short: "rotate", Long: "give the key a new secret; the old one has its grace", Changes: true, Own: true},
		{Name: "keys.revoke", Scope: "keys", Keys: []string{"ctrl+d"}, Short: "revoke", Long: "end the key for good, and its streams; asks first", Changes: true},
	}
}

// The states of a key that more than its text depends on.
const (
	keyActive  = "active"
	keyExpired = "expired"
	keyRevoked = "revoked"
)

// keysScreen shows the gateway keys.
type keysScreen struct{ list[api.Key] }

func newKeys(d *desk) *keysScreen {
	s := &keysScreen{}
	s.list = list[api.Key]{
		desk: d, heading: "Keys", word: "key", aside: 110,
		empty: emptiness{"No keys yet. A program shows one with every request.", d.look.key.Render("n") + " makes one, or: llmgw keys create ci-bot"},
		load:  func() ([]api.Key, bookState) { return d.books.keys.value, d.books.keys.state() },
	}
	s.detail = s.drawKey
	s.table = table[api.Key]{look: d.look, columns: s.columns(), id: func(k *api.Key) string { return k.Name }, field: keyField}
	return s
}

func (s *keysScreen) columns() []column[api.Key] {
	return []column[api.Key]{
		{title: "NAME", text: func(k *api.Key) string { return clean(k.Name) }, grow: true, least: 10, order: func(a, b *api.Key) int { return cmp.Compare(a.Name, b.Name) }},
		{title: "SECRET", text: func(k *api.Key) string { return lastFour(s.look, k.Last4) }, rank: 2},
		{title: "USER", text: func(k *api.Key) string { return or(clean(k.User), unknown) }, most: 20, rank: 1, order: func(a, b *api.Key) int { return cmp.Compare(a.User, b.User) }},
		{title: "STATE", text: s.state, style: s.stateStyle, order: func(a, b *api.Key) int { return cmp.Compare(a.State, b.State) }},
		{title: "LAST USED", text: func(k *api.Key) string { return s.since(k.LastUsedAt) }, rank: 3, flip: true, order: func(a, b *api.Key) int { return timeOf(a.LastUsedAt).Compare(timeOf(b.LastUsedAt)) }},
		{title: "REQ/MIN", text: func(k *api.Key) string { return s.perMinute("key", k.Name) }, right: true, rank: 4},
	}
}

// state is the key's state with the sign that says the same without colours.
func (s *keysScreen) state(k *api.Key) string {
	switch {
	case k.State == keyActive && k.ExpiresAt != nil:
		return s.look.waiting + " ends in " + span(k.ExpiresAt.Sub(s.now()))
	case k.State == keyActive:
		return s.look.on + " active"
	case k.State == keyRevoked, k.State == keyExpired:
		return s.look.gone + " " + k.State
	}
	return s.look.off + " " + clean(k.State)
}

func (s *keysScreen) stateStyle(k *api.Key) lipgloss.Style {
	switch k.State {
	case keyActive:
		return s.look.good
	case keyRevoked, keyExpired:
		return s.look.bad
	}
	return s.look.warn
}

// keyField is what a filter looks at.
func keyField(k *api.Key, name string) (string, bool) {
	switch name {
	case "key", "name":
		return k.Name, true
	case "user":
		return k.User, true
	case "state":
		return k.State, true
	}
	if value, ok := k.Tags[strings.TrimPrefix(name, "tag-")]; ok {
		return value, true
	}
	return "", false
}

func (s *keysScreen) name() string     { return "keys" }
func (s *keysScreen) title() string    { return "Keys" }
func (s *keysScreen) scopes() []string { return []string{"keys", inLists} }
func (s *keysScreen) hear(api.Event)   {}

func (s *keysScreen) needs() []need {
	return []need{{book: bookKeys}, s.figures(len(s.books.keys.value), "key")}
}

func (s *keysScreen) can(action string) bool {
	switch action {
	case "keys.create":
		return true
	case "keys.revoke", "keys.switch":
		return len(s.lasting()) > 0
	case "keys.edit":
		row := s.row()
		return row != nil && row.State != keyRevoked
	case "keys.rotate":
		row := s.row()
		return row != nil && row.State != keyRevoked && row.State != keyExpired && (s.operates() || s.isMe(row.User))
	}
	return s.list.can(action)
}

func (s *keysScreen) do(action string) tea.Cmd {
	if cmd, ok := s.doList(action); ok {
		return cmd
	}
	row := s.row()
	switch action {
	case "keys.create":
		s.open(s.newKeyForm())
	case "keys.edit":
		s.open(s.editKeyForm(row))
	case "keys.rotate":
		s.open(s.rotateForm(row))
	case "keys.revoke":
		s.open(s.askRevoke(s.lasting()))
	case "keys.switch":
		return s.switchKeys(s.lasting())
	}
	return nil
}

// lasting are the chosen keys that can still be changed.
func (s *keysScreen) lasting() []api.Key {
	s.sync()
	return slices.DeleteFunc(s.table.chosen(), func(k api.Key) bool { return k.State == keyRevoked })
}

func (s *keysScreen) update(msg tea.Msg) tea.Cmd { return s.write(msg) }
