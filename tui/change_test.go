package tui

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aymanbagabas/go-osc52/v2"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func TestAChangeIsToldOfAndStandsInTheLogOfCommands(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("PATCH /keys/ci-bot", api.Key{Name: "ci-bot"})
		s.press("5", "!")
		s.sees("Nothing was changed yet")
		s.press("esc")
		s.fake.read()
		s.press(" ")
		s.did(`PATCH /keys/ci-bot {"enabled":false}`)
		s.sees("✓ key ci-bot disabled")
		if _, of := s.fake.read(); of["/keys"] != 1 {
			t.Errorf("read after the change: %v", of)
		}
		s.press("down", " ")
		s.did("PATCH /keys/notebook")
		s.sees("✕ nothing at /keys/notebook")
		s.press("!")
		s.sees("✓ llmgw keys disable ci-bot --context prod", "✕ llmgw keys disable notebook --context prod", "nothing at /keys/notebook")
		if text := s.text(); strings.Index(text, "disable notebook") > strings.Index(text, "disable ci-bot") {
			t.Error("the newest is not the first")
		}
		s.press("esc")
		s.wait(noteStays + 2*time.Second)
		s.seesNot("✕ nothing at")
	})
}

func TestAChangeThatIsUnderWayIsShownAsSuch(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.on("PATCH /keys/ci-bot", func(r *http.Request, _ []byte) (int, any) {
			select {
			case <-r.Context().Done():
			case <-time.After(3 * time.Second):
			}
			return http.StatusOK, api.Key{Name: "ci-bot"}
		})
		s.press("5", " ", "!")
		s.sees("◷ llmgw keys disable ci-bot")
		s.press("esc")
		s.wait(4 * time.Second)
		s.press("!")
		s.sees("✓ llmgw keys disable ci-bot")
	})
}

func TestWhatARefusalAdvisesIsShown(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.refuse("PATCH /keys/ci-bot", api.Error{Status: 409, Code: api.CodeConflict, Detail: "key ci-bot was changed", Hint: "load it again"})
		s.press("5", " ")
		s.sees("✕ key ci-bot was changed. load it again")
	})
}

func TestAConsoleThatMayOnlyLookChangesNothing(t *testing.T) {
	for name, change := range map[string]func(*Options, *fake){
		"read-only: the console was started with --readonly": func(o *Options, _ *fake) { o.ReadOnly = true },
		"read-only: the role viewer changes nothing":         func(_ *Options, f *fake) { f.answer("GET /me", api.Me{User: "vic", Role: "viewer"}) },
	} {
		play(t, 100, 30, change, func(s *stage) {
			s.press("5", " ", "n")
			s.did()
			s.sees("✕ "+name, "read-only")
			if n := len(s.console.overlays); n > 0 {
				t.Errorf("%d things are open", n)
			}
			d, refused := s.console.desk, error(nil)
			d.change(aChange(&refused))
			if refused == nil || len(d.log.entries) > 0 {
				t.Errorf("past the keys: %v, log %v", refused, d.log.entries)
			}
			looks := aChange(&refused)
			looks.only = true
			if d.change(looks) == nil {
				t.Error("not even looking is allowed")
			}
		})
	}
}

func aChange(refused *error) change {
	return change{
		twin: []string{"rules", "history", "41"}, call: func(context.Context, *api.Client) (string, error) { return "", nil },
		fails: func(err error) tea.Cmd { *refused = err; return nil },
	}
}

func TestATwinIsWrittenAsAShellTakesIt(t *testing.T) {
	d := &desk{gateway: Gateway{Twin: "--context prod"}}
	for want, words := range map[string][]string{
		"llmgw keys create ci-bot --context prod":                        {"keys", "create", "ci-bot"},
		"llmgw keys create 'two words' --models gpt-5,o1 --context prod": {"keys", "create", "two words", "--models", "gpt-5,o1"},
		`llmgw x 'it'\''s' --context prod`:                               {"x", "it's"},
		"llmgw x '' '$HOME' 'a;b' 'gpt-*' --context prod":                {"x", "", "$HOME", "a;b", "gpt-*"},
		"llmgw x 'a·[31mb' '日本' --context prod":                          {"x", "a\x1b[31mb", "日本"},
	} {
		if got := d.twin(words); got != want {
			t.Errorf("%s\nand not\n%s", got, want)
		}
	}
}

func TestTheLogOfCommandsForgetsTheOldest(t *testing.T) {
	var l commandLog
	for i := range keptCommands + 5 {
		l.add(sampleNow(), fmt.Sprint(i)).end(errors.New("x"))
	}
	if len(l.entries) != keptCommands || l.entries[0].text != "5" {
		t.Errorf("%d entries, the first is %s", len(l.entries), l.entries[0].text)
	}
}

func TestProblemsStandBesideTheirFieldsAndWhatWasWrittenStays(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.refuse("POST /keys", api.Error{Status: 422, Code: "invalid", Detail: "the key has a mistake", Hint: "names are short", Problems: []api.Problem{
			{Field: "name", Message: "it is taken"}, {Field: "key.models", Message: "gpt-[ misses ]"},
		}})
		s.press("5", "n")
		s.write("ci-bot")
		s.press("tab", "tab")
		s.write("gpt-[")
		s.press("ctrl+s")
		s.did("POST /keys")
		s.sees("the key has a mistake. names are short", "✕ it is taken", "✕ gpt-[ misses ]", "ci-bot", "gpt-[")
		fits(t, s.frame(), 100, 30)
		s.press("shift+tab", "shift+tab")
		s.write("2")
		s.seesNot("it is taken")
		s.sees("ci-bot2", "gpt-[ misses ]")
		s.fake.answer("POST /keys", api.CreatedKey{Key: api.Key{Name: "ci-bot2"}, Secret: "sk-lgw-canary"})
		s.press("ctrl+s")
		s.sees("sk-lgw-canary")
		s.seesNot("New key")
	})
}

func TestAFormThatWasSentTakesNoKeysButEsc(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.on("POST /keys", func(r *http.Request, _ []byte) (int, any) {
			<-r.Context().Done()
			return http.StatusGatewayTimeout, nil
		})
		s.press("5", "n")
		s.write("robot")
		s.press("ctrl+s", "ctrl+s", "x")
		s.did("POST /keys")
		s.sees("waiting for the gateway", "robot")
		s.seesNot("robotx")
		s.press("esc")
		s.seesNot("New key")
	})
}

func TestAPasteGoesWhereItIsWrittenAndDoesNothingElsewhere(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5")
		s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("q"), Paste: true})
		s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("n"), Paste: true})
		if s.quit || len(s.console.overlays) > 0 {
			t.Fatal("a paste was taken for keys")
		}
		s.press("n")
		s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("esc\nrobot\x1b[31m"), Paste: true})
		s.sees("New key", "esc robot")
		fits(t, s.frame(), 100, 30)
	})
}

func TestKeysThatCameTogetherAreTakenOneByOne(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5")
		s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("jjk")})
		s.sees("▸notebook")
		s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("/web")})
		s.sees("▸web-prod", "filter: web")
		s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("esc")}) // letters, not the key
		s.sees("filter: webesc", "0 of 4 match")
	})
}

func TestACommandOfTheLogIsCopiedWholeAndItsFlagsAreNotBroken(t *testing.T) {
	play(t, 60, 16, nil, func(s *stage) {
		for _, length := range []int{3, 5, 7, 9, 11, 13, 15, 17, 19} {
			long := &change{twin: []string{"keys", "create", strings.Repeat("x", length), "--expires", "30d", "--tag", "plan=trial"}, call: func(context.Context, *api.Client) (string, error) { return "", nil }}
			s.run(s.console.desk.change(*long))
			s.wait(time.Second)
			s.press("!")
			for _, line := range strings.Split(s.text(), "\n") {
				line = strings.TrimRight(line, " │")
				if strings.HasSuffix(line, "-") {
					t.Errorf("%d: a flag is broken:\n%s", length, s.text())
				}
			}
			s.sees("y copies the newest")
			s.press("y")
			want := "llmgw keys create " + strings.Repeat("x", length) + " --expires 30d --tag plan=trial --context prod"
			if !strings.Contains(s.out.String(), osc52.New(want).String()) {
				t.Errorf("%q was not copied: %q", want, s.out.String())
			}
		}
	})
}
