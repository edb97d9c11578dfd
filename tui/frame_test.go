package tui

import (
	"net/http"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/llmgw/llmgw/admin/api"
)

// unsavedScreen is a screen with something that would be lost.
type unsavedScreen struct{ screen }

func (unsavedScreen) unsaved() string { return "The order of 2 rules was changed and not applied." }

func TestQuittingAsksOnlyWhereSomethingWouldBeLost(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.console.screens[2] = unsavedScreen{s.console.screens[2]}
		s.press("q")
		s.sees("Quit?", "The order of 2 rules was changed", "[ Cancel ]")
		s.press("enter")
		s.seesNot("Quit?")
		if s.quit {
			t.Fatal("Cancel quits")
		}
		s.press("q", "tab", "enter")
		if !s.quit || s.frame() != "" {
			t.Errorf("quit: %v, and what is left is %q", s.quit, s.frame())
		}
	})
	for _, key := range []string{"q", "ctrl+c"} {
		play(t, 100, 30, nil, func(s *stage) {
			s.press(key)
			if !s.quit {
				t.Errorf("%s goes on", key)
			}
		})
	}
	play(t, 100, 30, nil, func(s *stage) {
		s.console.screens[2] = unsavedScreen{s.console.screens[2]}
		s.press("5", "n", "ctrl+c")
		if !s.quit {
			t.Error("ctrl+c asks")
		}
	})
}

func TestLeavingClosesWhatIsOpenFirst(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5", "v", "enter")
		s.sees("owner")
		s.press("q")
		s.sees("1 key marked")
		s.press("q")
		s.seesNot("marked")
		if s.quit {
			t.Fatal("it quit with something open")
		}
		s.press("q")
		if !s.quit {
			t.Error("with nothing open it goes on")
		}
	})
}

func TestTheMouseGoesToScreensAndScrolls(t *testing.T) {
	play(t, 80, 24, nil, func(s *stage) {
		at := strings.Index(strings.Split(s.text(), "\n")[1], " 5 ")
		click := tea.MouseMsg{X: at + 1, Y: 1, Button: tea.MouseButtonLeft, Action: tea.MouseActionPress}
		s.send(click)
		s.wait(time.Second)
		s.sees("5 Keys", "▸ci-bot")
		s.send(tea.MouseMsg{X: 5, Y: 8, Button: tea.MouseButtonWheelDown, Action: tea.MouseActionPress})
		s.sees("▸notebook")
		s.send(tea.MouseMsg{X: 5, Y: 8, Button: tea.MouseButtonWheelUp, Action: tea.MouseActionPress})
		s.sees("▸ci-bot")
		s.send(tea.MouseMsg{X: 79, Y: 1, Button: tea.MouseButtonLeft, Action: tea.MouseActionPress})
		s.sees("5 Keys")
		s.press("n")
		s.send(tea.MouseMsg{X: 1, Y: 1, Button: tea.MouseButtonLeft, Action: tea.MouseActionPress})
		s.sees("New key", "5 Keys")
		s.press("esc", "M")
		s.sees("mouse on")
		s.press("M")
		s.sees("mouse off")
	})
}

// Every number shows the screen whose tab has it, at every width.
func TestClicksOnTabsGoWhereTheyPoint(t *testing.T) {
	for _, w := range []int{60, 80, 120, 200} {
		play(t, w, 24, nil, func(s *stage) {
			for i := range s.console.screens {
				tabs := strings.Split(s.text(), "\n")[1]
				number := " " + string(rune('1'+i)) + " "
				before, _, found := strings.Cut(tabs, number)
				if !found {
					t.Fatalf("no %q in %q", number, tabs)
				}
				s.send(tea.MouseMsg{X: ansi.StringWidth(before) + 1, Y: 1, Button: tea.MouseButtonLeft, Action: tea.MouseActionPress})
				if s.console.at != i {
					t.Errorf("%d wide: a click on %d goes to %d", w, i+1, s.console.at+1)
				}
			}
		})
	}
}

func TestNothingIsDrawnBeforeAMomentHasPassedAndThenTheFrame(t *testing.T) {
	play(t, 100, 30, func(o *Options, f *fake) { o.Start, f.hangs = "keys", true }, func(s *stage) {
		c, err := newConsole(s.console.desk.ctx, *s.console.desk.options)
		if err != nil {
			t.Fatal(err)
		}
		other := &stage{t: t, fake: s.fake, console: c, out: s.out, mail: make(chan tea.Msg, 64)}
		defer c.close()
		other.run(c.Init())
		other.send(tea.WindowSizeMsg{Width: 100, Height: 30})
		other.wait(100 * time.Millisecond)
		if frame := other.frame(); frame != "" {
			t.Errorf("after 100 ms:\n%s", frame)
		}
		other.wait(60 * time.Millisecond)
		other.sees("llmgw ○ prod", "NAME", "…")
		fits(t, other.frame(), 100, 30)
	})
}

func TestAFrameIsDrawnOnlyWhenSomethingHappened(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		first := s.console.View()
		s.console.frame = "as it was"
		if got := s.console.View(); got != "as it was" {
			t.Error("drawn again, and nothing had happened")
		}
		s.send(tea.WindowSizeMsg{Width: 100, Height: 30})
		if got := s.console.View(); got != first {
			t.Errorf("another frame:\n%s", got)
		}
	})
}

func TestWhatIsOpenFitsIntoTheSmallestTerminal(t *testing.T) {
	long := strings.Repeat("a very long name 日本語 ", 20)
	for _, at := range []size{{60, 16}, {61, 17}, {80, 24}, {300, 100}} {
		play(t, at.w, at.h, func(_ *Options, f *fake) {
			f.answer("GET /keys", listOf(api.Key{Name: long, State: "active", Enabled: true, User: long, Tags: map[string]string{long: long}}))
		}, func(s *stage) {
			for _, keys := range [][]string{{"5"}, {"ctrl+d"}, {"esc", "n"}, {"esc", "?"}, {"esc", ":"}, {"esc", "!"}, {"esc", "enter"}, {"esc", "/"}} {
				s.press(keys...)
				fits(t, s.frame(), at.w, at.h)
				for i, line := range strings.Split(s.frame(), "\n") {
					if n := ansi.StringWidth(line); n != at.w {
						t.Errorf("%s after %v: line %d has %d cells", at, keys, i+1, n)
					}
				}
			}
		})
	}
}

func TestAnOverlayOnTopOfAnotherIsClosedAlone(t *testing.T) {
	play(t, 100, 30, withLogin(nil), func(s *stage) {
		s.press("5", "n")
		s.write("robot")
		s.fake.refuse("POST /keys", api.Error{Status: http.StatusUnauthorized, Code: api.CodeDenied, Detail: "the login has ended"})
		s.press("ctrl+s")
		s.did("POST /keys")
		s.sees("Log in to prod")
		s.write("right")
		s.press("enter")
		s.wait(time.Second)
		s.sees("New key", "robot", "● live")
		s.seesNot("Log in to prod")
	})
}

func TestTheFooterOffersWhatCanBeDone(t *testing.T) {
	play(t, 200, 30, func(o *Options, _ *fake) { o.Gateway.Requests = func() int64 { return 4182 } }, func(s *stage) {
		s.press("5")
		s.sees("R rotate", "4,182 calls")
		s.press("end") // it is revoked
		s.sees("▸old-laptop", "n new")
		s.seesNot("R rotate")
	})
}

func TestTheHeaderLeavesOutWholeWhatHasNoRoom(t *testing.T) {
	for _, c := range []struct {
		w             int
		name          string
		readOnly      bool
		shown, hidden []string
	}{
		{60, "prod", false, []string{"● prod  dana (admin)  rev 41", "● live"}, []string{"…"}},
		{60, "production-eu", false, []string{"● production-eu  ", "● live"}, []string{"dana (a…", "re…", "rev…"}},
		{60, "prod", true, []string{"● prod   read-only ", "● live"}, []string{"dana", "…"}},
		{120, "prod", true, []string{"https://llm.example.com   read-only   dana (admin)  rev 41", "● live"}, []string{"…"}},
		{80, "a-context-with-a-long-name", true, []string{"a-context-with-a-long-name   read-only "}, []string{"dana", "…"}},
	} {
		play(t, c.w, 16, func(o *Options, _ *fake) { o.ReadOnly, o.Gateway.Name = c.readOnly, c.name }, func(s *stage) {
			header := firstLine(s.text())
			for _, text := range c.shown {
				if !strings.Contains(header, text) {
					t.Errorf("%q is not in %q", text, header)
				}
			}
			for _, text := range c.hidden {
				if strings.Contains(header, text) {
					t.Errorf("%q is in %q", text, header)
				}
			}
		})
	}
}
