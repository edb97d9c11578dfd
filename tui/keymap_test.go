package tui

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// onPurpose are the keys that mean something else in a narrower scope, and why.
func onPurpose() map[string]string {
	return map[string]string{
		"traffic.detail x: traffic.rule, not traffic.explain": "the same, of the exchange that is open",
		"bindings enter: bindings.explain, not open":          "who wins is what a binding is opened for",
		"bindings right: bindings.explain, not open":          "the same",
		"bindings l: bindings.explain, not open":              "the same",
		"dashboard tab: dashboard.pane, not next-pane":        "the same, and the footer tells of it",
		"rules.order esc: rules.order-discard, not back":      "an order that was not sent is what is open",
		"rules.history H: rules.only, not rules.history":      "the history is open already: of this rule, or of all",
	}
}

// Screens must say what the screens say of themselves.
func TestTheScreensAreNamedInTheirOrder(t *testing.T) {
	c, err := newConsole(t.Context(), Options{Theme: "dark", Out: &strings.Builder{}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range c.screens {
		names = append(names, s.name())
	}
	if !slices.Equal(names, Screens()) || len(names) != len(digits()) {
		t.Errorf("%q are named %q", names, Screens())
	}
	if _, err := newConsole(t.Context(), Options{Theme: "dark", Out: &strings.Builder{}, Start: "rule"}); err == nil || !strings.Contains(err.Error(), `no screen "rule"`) {
		t.Errorf("a console begins with no screen: %v", err)
	}
}

// partOf says whether a scope is a screen's, or that of a part of it.
func partOf(scope, screen string) bool {
	return scope == screen || strings.HasPrefix(scope, screen+".")
}

func TestEveryActionIsNamedAndExplained(t *testing.T) {
	screens := Screens()
	names := map[string]bool{}
	for _, a := range KeyMap() {
		if a.Name == "" || len(a.Keys) == 0 || a.Short == "" || a.Long == "" {
			t.Errorf("%+v lacks something", a)
		}
		if names[a.Name] {
			t.Errorf("%s is two actions", a.Name)
		}
		names[a.Name] = true
		general := a.Scope == everywhere || a.Scope == inLists
		if !general && !slices.ContainsFunc(screens, func(s string) bool { return partOf(a.Scope, s) && strings.HasPrefix(a.Name, s+".") }) {
			t.Errorf("%s, in %q, is of no screen", a.Name, a.Scope)
		}
		if w := width(a.Short); w > 14 {
			t.Errorf("%s: %q is %d wide in the footer", a.Name, a.Short, w)
		}
	}
}

func TestNoKeyMeansTwoThingsButOnPurpose(t *testing.T) {
	for _, screen := range Screens() {
		scopes := []string{screen}
		for _, a := range KeyMap() {
			if partOf(a.Scope, screen) && !slices.Contains(scopes, a.Scope) {
				scopes = append(scopes, a.Scope)
			}
		}
		for _, scope := range scopes {
			for _, clash := range clashes([]string{scope, screen, inLists, everywhere}) {
				if onPurpose()[clash] == "" {
					t.Errorf("%s", clash)
				}
			}
		}
	}
}

// clashes lists the keys that several actions of a chain of scopes have.
func clashes(scopes []string) (all []string) {
	first := map[string]Action{}
	for _, scope := range slices.Compact(scopes) {
		for _, a := range KeyMap() {
			if a.Scope != scope {
				continue
			}
			for _, key := range a.Keys {
				if other, taken := first[key]; taken {
					all = append(all, fmt.Sprintf("%s %s: %s, not %s", scopes[0], key, other.Name, a.Name))
					continue
				}
				first[key] = a
			}
		}
	}
	return all
}

func TestKeysThatClashAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		keys map[string][]string
		want string // empty: they are taken
	}{
		"another's, everywhere":                   {map[string][]string{"refresh": {"t"}}, `"t" is both refresh and window`},
		"another's, on the screen":                {map[string][]string{"keys.create": {"R"}}, `"R" is both keys.create and keys.rotate`},
		"one that has another meaning in lists":   {map[string][]string{"refresh": {"j"}}, `"j" is both refresh and down`},
		"one that has another meaning somewhere":  {map[string][]string{"window": {"J"}}, `"J" is both window and rules.down`},
		"one of everywhere, for a screen":         {map[string][]string{"rules.edit": {"r"}}, `"r" is both rules.edit and refresh`},
		"one of the screen, for a part of it":     {map[string][]string{"rules.rollback": {"e"}}, `"e" is both rules.rollback and rules.edit`},
		"twice the same":                          {map[string][]string{"help": {"f1", "f1"}}, `help has "f1" twice`},
		"of no action":                            {map[string][]string{"nothing": {"x"}}, `no action "nothing"`},
		"none":                                    {map[string][]string{"refresh": {}}, "refresh has no key"},
		"one that no keyboard has":                {map[string][]string{"refresh": {"F5"}}, `no key "F5"`},
		"of another screen":                       {map[string][]string{"rules.edit": {"T"}}, ""},
		"of another part of the screen":           {map[string][]string{"rules.rollback": {"f2"}, "rules.order-apply": {"f2"}}, ""},
		"what two share, moved together":          {map[string][]string{"traffic.explain": {"X"}, "traffic.rule": {"X"}}, ""},
		"what was free, and what was given up":    {map[string][]string{"refresh": {"f5", "t"}, "window": {"w"}}, ""},
		"with alt, a sign, and in another script": {map[string][]string{"refresh": {"alt+r", "alt+f5", "=", "ж", "ctrl+@", "shift+up"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			switch err := CheckKeys(c.keys); {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, and not %s", err, c.want)
			}
		})
	}
}

func TestScreensHaveOtherKeys(t *testing.T) {
	play(t, 120, 32, func(o *Options, _ *fake) { o.Keys = map[string][]string{"screen": {"f1", "f2", "ß", "f4", "f5"}} }, func(s *stage) {
		s.press("ß")
		s.sees("─ Rules ")
		s.press("5")
		s.sees("─ Rules ")
		s.press("f5")
		s.sees("─ Keys ")
	})
}

func TestOtherKeysTakeThePlaceOfTheOwn(t *testing.T) {
	m, err := newKeymap(map[string][]string{"refresh": {"f5"}})
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := m.find("f5", []string{everywhere}); !ok || name != "refresh" {
		t.Errorf("f5 is %q", name)
	}
	if _, ok := m.find("r", []string{everywhere}); ok {
		t.Error("r still has a meaning")
	}
}

func TestKeysAreToldAsPeopleKnowThem(t *testing.T) {
	l := newLook(&strings.Builder{}, false, false, false)
	ascii := newLook(&strings.Builder{}, true, false, false)
	for key, want := range map[string][2]string{
		" ": {"space", "space"}, "pgdown": {"PgDn", "pgdown"}, "pgup": {"PgUp", "pgup"}, "alt+down": {"alt+↓", "alt+down"}, "up": {"↑", "up"}, "ctrl+d": {"ctrl+d", "ctrl+d"},
	} {
		if got := [2]string{l.keyText(key), ascii.keyText(key)}; got != want {
			t.Errorf("%q is told as %q, and not %q", key, got, want)
		}
	}
}

// wayTo is what is pressed before an action, so that it can do something: by the
// action's name, else by where it holds. A screen's number comes first anyway.
func wayTo(name string) ([]string, bool) {
	ways := map[string][]string{
		"screen": {}, "back": {"enter"}, "up": {"j"}, "first": {"j"}, "page-up": {"G"}, "reverse": {"s"}, "mark-range": {"v", "j"},
		"traffic.follow": {"k"}, "in traffic.detail": {"j", "enter"}, "in traffic.streams": {"tab"}, "in rules.order": {"J"}, "in rules.history": {"H"},
	}
	way, known := ways[name]
	return way, known
}

// whereTo is the screen on which the actions that several have are tried.
func whereTo(a Action, screens []string) string {
	at := slices.IndexFunc(screens, func(s string) bool { return partOf(a.Scope, s) })
	switch {
	case a.Name == "next-pane" || a.Name == "previous-pane":
		return "9"
	case at < 0:
		return "5"
	}
	return fmt.Sprint(at + 1)
}

// filledWorld is a gateway with some of everything, and all that a console can be
// given.
func filledWorld(o *Options, f *fake) {
	o.Doctor = func(context.Context) (string, error) { return "ok", nil }
	f.refuse("POST /upstreams/anthropic/test", api.Error{Status: 503, Code: api.CodeUnavailable, Detail: "not now"})
}

// fill has some exchanges end.
func (s *stage) fill() {
	for i := range 4 {
		x := sampleExchange(i)
		s.fake.send(api.Event{ID: "run-" + x.RequestID, Exchange: &x})
	}
	s.wait(300 * time.Millisecond)
}

// trace is what can be seen of a console, and of what it did.
func (s *stage) trace() string {
	return fmt.Sprint(s.text(), s.fake.called(), s.fake.reads, s.out.String(), s.quit)
}

// after gives the trace of a console in a filled world after some keys.
func after(t *testing.T, keys []string) (trace string) {
	t.Helper()
	play(t, 120, 32, filledWorld, func(s *stage) {
		s.fill()
		for _, k := range keys {
			s.send(keyOf(k))
		}
		s.console.dirty = true
		trace = s.trace()
	})
	return trace
}

// byWay gives the actions by what is pressed before them, the keys of a way between
// spaces.
func byWay(t *testing.T) map[string][]Action {
	t.Helper()
	screens := Screens()
	ways := map[string][]Action{}
	for _, a := range KeyMap() {
		way := []string{whereTo(a, screens)}
		if more, known := wayTo(a.Name); known {
			way = append(way, more...)
		} else if more, known := wayTo("in " + a.Scope); known {
			way = append(way, more...)
		}
		at := strings.Join(way, " ")
		ways[at] = append(ways[at], a)
	}
	return ways
}

func TestEveryKeyOfTheMapDoesSomething(t *testing.T) {
	for at, actions := range byWay(t) {
		t.Run("after "+at, func(t *testing.T) {
			t.Parallel()
			way := strings.Fields(at)
			without := after(t, way)
			for _, a := range actions {
				for _, key := range a.Keys {
					if a.Name == "suspend" || a.Name == "screen" && key == way[0] {
						continue // the runtime's, see TestSuspendIsTheRuntimes; it is there
					}
					if after(t, append(slices.Clone(way), key)) == without {
						t.Errorf("%s: after %v, %q does nothing; wayTo says what comes before", a.Name, way, key)
					}
				}
			}
		})
	}
}

func TestSuspendIsTheRuntimes(t *testing.T) {
	play(t, 80, 24, nil, func(s *stage) {
		cmd := s.console.general("suspend", "ctrl+z")
		if _, ok := cmd().(tea.SuspendMsg); !ok {
			t.Errorf("ctrl+z is %T", cmd())
		}
	})
}

func TestHelpListsEveryActionThatCanBeDone(t *testing.T) {
	for at, actions := range byWay(t) {
		t.Run("after "+at, func(t *testing.T) {
			t.Parallel()
			play(t, 120, 32, filledWorld, func(s *stage) {
				s.fill()
				s.press(strings.Fields(at)...)
				for _, a := range actions {
					s.press("?")
					long := []rune(a.Long)
					s.pastes(string(long[:min(len(long), 16)]))
					s.sees("Keys here", string(long[:min(len(long), 40)]), s.console.desk.look.keyText(a.Keys[0])+" ")
					s.seesNot("nothing is called that")
					s.press("esc")
				}
			})
		})
	}
}

// The marks in docs/console.md between which the key map stands.
const (
	keysBegin = "<!-- keys: made from the key map; UPDATE_FRAMES=1 go test ./tui -run TestThePageTellsOfEveryKey writes it anew -->\n"
	keysEnd   = "<!-- end of keys -->\n"
)

func TestThePageTellsOfEveryKey(t *testing.T) {
	const path = "../docs/console.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), keysBegin)
	_, after, ended := strings.Cut(rest, keysEnd)
	if !found || !ended {
		t.Fatalf("%s lost the marks between which the keys stand", path)
	}
	want := before + keysBegin + "\n" + keyMapMarkdown() + "\n" + keysEnd + after
	if string(page) == want {
		return
	}
	if os.Getenv("UPDATE_FRAMES") == "" {
		t.Fatalf("%s tells of other keys than there are; UPDATE_FRAMES=1 writes them anew", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestThePageIsOfTheKeyMap(t *testing.T) {
	text := keyMapMarkdown()
	for _, a := range KeyMap() {
		if !strings.Contains(text, "`"+a.Name+"` |") {
			t.Errorf("%s is not in it", a.Name)
		}
	}
	for _, want := range []string{"### Everywhere\n", "### In lists\n", "| `1` to `9` | go to a screen by its number |", "| `space` | disable or enable the key | `keys.switch` |", `claude-\*`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in it", want)
		}
	}
	if everywhereAt, keysAt := strings.Index(text, "### Everywhere"), strings.Index(text, "### Keys"); everywhereAt != 0 || keysAt < 0 {
		t.Errorf("the order is another:\n%s", text)
	}
}
