package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	tea "github.com/charmbracelet/bubbletea"
)

// Action is one thing that a key does: the one table from which help, footer,
// documentation and the man page are made.
type Action struct {
	Name    string   // what Options.Keys calls it: "rules.edit"
	Scope   string   // where it holds: "everywhere", "list", a screen, or a part of one: "traffic.detail"
	Keys    []string // as the terminal names them: "ctrl+d", "J", "alt+down"
	Short   string   // one or two words, for the footer
	Long    string   // a sentence's worth, for the help
	Changes bool     // it changes the gateway: not for those who may only look
	Own     bool     // but for what is their own: the screen knows what that is
	Quiet   bool     // not in the footer
}

// The scopes that are not a screen's.
const (
	everywhere = "everywhere"
	inLists    = "list"
)

// KeyMap is every action with its keys.
func KeyMap() []Action {
	return slices.Concat(generalKeys(), listKeys(), screenKeys())
}

func generalKeys() []Action {
	return []Action{
		{Name: "screen", Scope: everywhere, Keys: digits(), Short: "screens", Long: "go to a screen by its number", Quiet: true},
		{Name: "command", Scope: everywhere, Keys: []string{":"}, Short: "go to", Long: "write a command: :keys ci-bot, :ctx prod, :theme light, :q"},
		{Name: "filter", Scope: inLists, Keys: []string{"/"}, Short: "filter", Long: "show what matches: status>=500 model:claude-* -key:ci; esc shows all"},
		{Name: "help", Scope: everywhere, Keys: []string{"?"}, Short: "help", Long: "every action here; write to find one, enter does it"},
		{Name: "next-pane", Scope: everywhere, Keys: []string{"tab"}, Short: "next pane", Long: "go to the next pane", Quiet: true},
		{Name: "previous-pane", Scope: everywhere, Keys: []string{"shift+tab"}, Short: "previous pane", Long: "go to the pane before", Quiet: true},
		{Name: "window", Scope: everywhere, Keys: []string{"t"}, Short: "window", Long: "look back over another time: 1m 5m 15m 1h"},
		{Name: "refresh", Scope: everywhere, Keys: []string{"r"}, Short: "refresh", Long: "ask the gateway again now", Quiet: true},
		{Name: "log", Scope: everywhere, Keys: []string{"!"}, Short: "commands", Long: "the commands that do what was done here", Quiet: true},
		{Name: "mouse", Scope: everywhere, Keys: []string{"M"}, Short: "mouse", Long: "the mouse on or off; off, it marks text as anywhere else", Quiet: true},
		{Name: "back", Scope: everywhere, Keys: []string{"esc", "left", "h"}, Short: "back", Long: "close what is open", Quiet: true},
		{Name: "leave", Scope: everywhere, Keys: []string{"q"}, Short: "quit", Long: "close what is open; with nothing open, quit", Quiet: true},
		{Name: "quit", Scope: everywhere, Keys: []string{"ctrl+c"}, Short: "quit", Long: "quit at once", Quiet: true},
		{Name: "suspend", Scope: everywhere, Keys: []string{"ctrl+z"}, Short: "suspend", Long: "go back to the shell; fg returns", Quiet: true},
	}
}

// digits are the keys of the screens, by their order.
func digits() []string { return []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} }

func listKeys() []Action {
	return []Action{
		{Name: "down", Scope: inLists, Keys: []string{"down", "j"}, Short: "down", Long: "next row", Quiet: true},
		{Name: "up", Scope: inLists, Keys: []string{"up", "k"}, Short: "up", Long: "row before", Quiet: true},
		{Name: "first", Scope: inLists, Keys: []string{"home", "g"}, Short: "first", Long: "first row", Quiet: true},
		{Name: "last", Scope: inLists, Keys: []string{"end", "G"}, Short: "last", Long: "last row", Quiet: true},
		{Name: "page-down", Scope: inLists, Keys: []string{"pgdown", "ctrl+f"}, Short: "page down", Long: "one page down", Quiet: true},
		{Name: "page-up", Scope: inLists, Keys: []string{"pgup", "ctrl+b"}, Short: "page up", Long: "one page up", Quiet: true},
		{Name: "open", Scope: inLists, Keys: []string{"enter", "right", "l"}, Short: "open", Long: "open the row"},
		{Name: "sort", Scope: inLists, Keys: []string{"s"}, Short: "sort", Long: "sort by the next column", Quiet: true},
		{Name: "reverse", Scope: inLists, Keys: []string{"S"}, Short: "reverse", Long: "sort the other way round", Quiet: true},
		{Name: "copy", Scope: inLists, Keys: []string{"y"}, Short: "copy", Long: "copy the row's id to the clipboard (OSC 52, works over ssh)", Quiet: true},
		{Name: "mark", Scope: inLists, Keys: []string{"v"}, Short: "mark", Long: "mark the row; actions then concern all that are marked", Quiet: true},
		{Name: "mark-range", Scope: inLists, Keys: []string{"V"}, Short: "mark to here", Long: "mark every row from the last one that was marked", Quiet: true},
	}
}

// screenKeys are those of the screens, each in its own file.
func screenKeys() []Action {
	return slices.Concat(dashboardKeys(), trafficKeys(), rulesKeys(), upstreamsKeys(), keysKeys(), usersKeys(), bindingsKeys(), usageKeys(), systemKeys())
}

// keymap finds actions by keys, with what Options.Keys says otherwise.
type keymap struct {
	actions []Action
	byKey   map[string]map[string]string // scope → key → name of the action
}

// CheckKeys says what is wrong with other keys of actions, as Options.Keys has them:
// an action or a key that there is not, or a key that would mean two things in one
// place.
func CheckKeys(other map[string][]string) error {
	_, err := newKeymap(other)
	return err
}

// newKeymap makes the map; the error says which key or action is wrong.
func newKeymap(other map[string][]string) (*keymap, error) {
	m := &keymap{actions: KeyMap(), byKey: map[string]map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(other)) {
		at := slices.IndexFunc(m.actions, func(a Action) bool { return a.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("there is no action %q", name)
		}
		if len(other[name]) == 0 {
			return nil, fmt.Errorf("%s has no key", name)
		}
		for _, key := range other[name] {
			if !isKey(key) {
				return nil, fmt.Errorf("%s: there is no key %q; keys are letters, signs, and such as f5, ctrl+g, alt+down, pgup, space", name, key)
			}
		}
		m.actions[at].Keys = other[name]
	}
	for _, name := range slices.Sorted(maps.Keys(other)) {
		if err := m.clash(m.named(name)); err != nil {
			return nil, err
		}
	}
	for _, a := range m.actions {
		if m.byKey[a.Scope] == nil {
			m.byKey[a.Scope] = map[string]string{}
		}
		for _, key := range a.Keys {
			m.byKey[a.Scope][key] = a.Name
		}
	}
	return m, nil
}

// clash says which of an action's keys means something else in the same place. Those
// actions that share a key of their own do so on purpose, and may share another.
func (m *keymap) clash(a Action) error {
	own := KeyMap()
	keysOf := func(name string) []string {
		return own[slices.IndexFunc(own, func(o Action) bool { return o.Name == name })].Keys
	}
	for i, key := range a.Keys {
		if slices.Contains(a.Keys[:i], key) {
			return fmt.Errorf("%s has %q twice", a.Name, key)
		}
		for _, b := range m.actions {
			if b.Name == a.Name || !slices.Contains(b.Keys, key) || !meet(a.Scope, b.Scope) {
				continue
			}
			if a.Scope == b.Scope || !shareAny(keysOf(a.Name), keysOf(b.Name)) {
				return fmt.Errorf("%q is both %s and %s", key, a.Name, b.Name)
			}
		}
	}
	return nil
}

func shareAny(a, b []string) bool {
	return slices.ContainsFunc(a, func(key string) bool { return slices.Contains(b, key) })
}

// meet says whether two scopes can be in force at once.
func meet(a, b string) bool {
	for _, scope := range []string{a, b} {
		if scope == everywhere || scope == inLists {
			return true
		}
	}
	return a == b || strings.HasPrefix(a, b+".") || strings.HasPrefix(b, a+".")
}

// isKey says whether a terminal can send a key of that name.
func isKey(name string) bool {
	name = strings.TrimPrefix(name, "alt+")
	if utf8.RuneCountInString(name) == 1 {
		return true
	}
	const least, most = -128, 128 // around the names that the library gives
	for t := tea.KeyType(least); t < most; t++ {
		if t != tea.KeyRunes && t.String() == name {
			return true
		}
	}
	return false
}

// find gives the action of a key where the scopes hold, the narrowest first.
func (m *keymap) find(key string, scopes []string) (name string, ok bool) {
	for _, scope := range scopes {
		if name, ok := m.byKey[scope][key]; ok {
			return name, true
		}
	}
	return "", false
}

// in lists the actions of the scopes, the narrowest first. Those whose keys all
// mean something else in a narrower one are left out.
func (m *keymap) in(scopes []string) []Action {
	var all []Action
	for _, scope := range scopes {
		for _, a := range m.actions {
			if a.Scope != scope {
				continue
			}
			if slices.ContainsFunc(a.Keys, func(key string) bool { name, _ := m.find(key, scopes); return name == a.Name }) {
				all = append(all, a)
			}
		}
	}
	return all
}

// named gives an action by its name.
func (m *keymap) named(name string) Action {
	at := slices.IndexFunc(m.actions, func(a Action) bool { return a.Name == name })
	if at < 0 {
		return Action{}
	}
	return m.actions[at]
}

// keyText gives keys as people read them.
func (l *look) keyText(key string) string {
	if key == " " {
		return "space"
	}
	if l.ascii {
		return key
	}
	return strings.NewReplacer("pgdown", "PgDn", "pgup", "PgUp", "down", "↓", "up", "↑", "left", "←", "right", "→").Replace(key)
}
