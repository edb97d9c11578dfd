package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
)

func plainLook() *look { return newLook(nil, false, true, false) }

func TestTheHelpFindsAnActionAndDoesIt(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5", "?")
		s.sees("Keys here: Keys", "make a key; it is shown once", "every action here")
		s.write("secret; the old")
		s.sees("give the key a new secret")
		s.seesNot("make a key")
		for range "secret; the old" {
			s.press("backspace")
		}
		s.write("shown once")
		s.press("enter")
		s.sees("New key")
		s.seesNot("Keys here")
	})
}

func TestTheHelpThatFindsNothingDoesNothing(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5", "?")
		s.write("zzzz")
		s.sees("nothing is called that")
		s.press("down", "down", "up", "enter")
		s.seesNot("Keys here")
		s.did()
	})
}

func TestTheHelpScrollsToEveryAction(t *testing.T) {
	play(t, 60, 16, nil, func(s *stage) {
		s.press("5", "?")
		h, _ := s.console.overlays[0].(*help)
		all := h.found()
		for i, a := range all {
			s.sees(fmt.Sprintf("%d of %d", i+1, len(all)))
			if name := s.console.desk.look.cut(a.Long, 30); !strings.Contains(s.text(), strings.TrimSuffix(name, "…")) {
				t.Fatalf("%q is not shown:\n%s", a.Long, s.text())
			}
			fits(t, s.frame(), 60, 16)
			s.press("down")
		}
		for range all {
			s.press("up")
		}
		s.sees(fmt.Sprintf("1 of %d", len(all)))
		s.press("esc")
		s.seesNot("Keys here")
	})
}

func TestTheHelpOffersNoChangeToWhoMayOnlyLook(t *testing.T) {
	play(t, 100, 30, func(o *Options, _ *fake) { o.ReadOnly = true }, func(s *stage) {
		s.press("5", "?")
		s.write("make a key")
		s.sees("nothing is called that")
	})
}

func TestTheHelpHasEveryActionOfTheScreen(t *testing.T) {
	play(t, 120, 60, nil, func(s *stage) {
		s.press("5", "?")
		for _, a := range s.console.offered() {
			s.sees(s.console.desk.look.cut(a.Long, 40)[:min(20, len(a.Long))])
		}
	})
}

func TestAQuestionMeansCancelUntilSomethingElseIsChosen(t *testing.T) {
	for keys, want := range map[string]string{
		"enter": "cancelled", "esc": "cancelled", "q": "cancelled", "tab enter": "A", "right enter": "A", "l l l enter": "B", "tab tab enter": "B",
		"tab tab tab enter": "cancelled", "right left enter": "cancelled", "right shift+tab h enter": "cancelled", "right esc": "cancelled", "x y space": "",
	} {
		did := ""
		say := func(what string) func() tea.Cmd {
			return func() tea.Cmd { did = what; return nil }
		}
		q := &question{
			look: plainLook(), title: "Really?", lines: []string{"It cannot be undone."}, cancel: func() tea.Msg { return "cancelled" },
			answers: []answer{{text: "A", danger: true, do: say("A")}, {text: "B", do: say("B")}},
		}
		closed := false
		for _, key := range strings.Fields(keys) {
			if closed {
				t.Fatalf("%s: it was closed before %s", keys, key)
			}
			cmd, done := q.update(keyOf(key))
			if closed = done; cmd != nil {
				did, _ = cmd().(string)
			}
		}
		if did != want || closed != (want != "") {
			t.Errorf("%s did %q (closed: %v), and not %q", keys, did, closed, want)
		}
	}
}

func TestAQuestionShowsItsAnswersHoweverMuchItTells(t *testing.T) {
	q := &question{look: plainLook(), title: strings.Repeat("long ", 60), answers: []answer{{text: "Revoke", danger: true}}}
	for range 100 {
		q.lines = append(q.lines, strings.Repeat("日本語 ", 30))
	}
	for _, at := range []size{{58, 12}, {78, 20}, {300, 97}} {
		box := q.draw(at.w, at.h)
		within(t, box, at.w, at.h)
		if text := ansi.Strip(box); !strings.Contains(text, "[ Cancel ]") || !strings.Contains(text, "Revoke") || !strings.Contains(text, "…") {
			t.Errorf("%s:\n%s", at, text)
		}
	}
}

// within fails where a box is larger than its room.
func within(t *testing.T, box string, w, h int) {
	t.Helper()
	lines := strings.Split(box, "\n")
	if len(lines) > h {
		t.Errorf("%d lines, and room for %d\n%s", len(lines), h, box)
	}
	for i, line := range lines {
		if n := ansi.StringWidth(line); n > w || n != ansi.StringWidth(lines[0]) {
			t.Errorf("line %d is %d wide, the first is %d, there is room for %d: %q", i+1, n, ansi.StringWidth(lines[0]), w, line)
		}
	}
}

func TestAFormHasChoicesAndWritesOnlyWhereItIs(t *testing.T) {
	f := &form{look: plainLook(), title: "New user", intro: []string{"Somebody who logs in."}, fields: []*field{
		writtenField("name", "Name", "", "lee"), choiceField("role", "Role", []string{"admin", "operator", "viewer"}, "operator", ""), hiddenField("password", "Password", "12 letters"),
	}}
	sent := 0
	f.submit = func(*form) tea.Cmd { sent++; return nil }
	for _, key := range []string{"a", "n", "a", "tab", "right", "right", "left", "l", "tab", "s", "3", "shift+tab", "shift+tab", " ", "x"} {
		f.update(keyOf(key))
	}
	if f.value("name") != "ana x" || f.value("role") != "admin" || f.value("password") != "s3" || f.value("other") != "" {
		t.Errorf("%q %q %q", f.value("name"), f.value("role"), f.value("password"))
	}
	box := ansi.Strip(f.draw(78, 20))
	within(t, box, 78, 20)
	if !strings.Contains(box, "[admin]") || strings.Contains(box, "s3") || !strings.Contains(box, "**") {
		t.Errorf("\n%s", box)
	}
	for range 3 {
		f.update(keyOf("enter"))
	}
	if sent != 1 {
		t.Errorf("sent %d times", sent)
	}
	if _, done := f.update(keyOf("esc")); !done || f.value("password") != "" {
		t.Errorf("closed: %v, the password is %q", done, f.value("password"))
	}
}

func TestAFormShowsTheEndOfWhatIsWritten(t *testing.T) {
	l := plainLook()
	for _, text := range []string{strings.Repeat("abc", 5000), strings.Repeat("日本", 4000), "short", "", "👩‍👩‍👧‍👦 and\x1b[31m"} {
		n := len([]rune(text))
		for _, pos := range []int{0, 1, n / 2, n} {
			for _, room := range []int{4, 20, 300} {
				began := time.Now()
				if w := ansi.StringWidth(writtenText(l, text, pos, true, room)); w > room {
					t.Errorf("%.10q at %d is %d wide in %d", text, pos, w, room)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("%.10q took %v to draw", text, took)
				}
			}
		}
	}
	if got := ansi.Strip(writtenText(l, strings.Repeat("x", 50)+"end", 53, true, 10)); got != "xxxxxend " {
		t.Errorf("%q", got)
	}
}

func TestAPageScrollsAndCloses(t *testing.T) {
	p := &page{look: plainLook(), title: "Text", foot: "esc closes"}
	for i := range 30 {
		p.lines = append(p.lines, fmt.Sprintf("line %d", i))
	}
	for _, step := range []struct{ keys, first, more string }{
		{"", "line 0", "20 lines more"}, {"down j", "line 2", "18 lines more"}, {"k up up up", "line 0", "20 lines more"}, {"pgdown", "line 10", "10 lines more"},
		{"pgup", "line 0", "20 lines more"}, {"end", "line 20", "0 lines more"}, {"down pgdown G", "line 20", "0 lines more"}, {"g", "line 0", "20 lines more"},
	} {
		for _, key := range strings.Fields(step.keys) {
			if _, done := p.update(keyOf(key)); done {
				t.Fatalf("%s closes it", key)
			}
			p.draw(60, 12) // as the runtime does after every key
		}
		text := ansi.Strip(p.draw(60, 12))
		within(t, text, 60, 12)
		if lines := strings.Split(text, "\n"); !strings.HasPrefix(lines[1], "│ "+step.first+" ") || !strings.Contains(text, step.more) {
			t.Errorf("after %s:\n%s", step.keys, text)
		}
	}
	for _, key := range []string{"esc", "q", "enter", "left", "h"} {
		if _, done := p.update(keyOf(key)); !done {
			t.Errorf("%s does not close it", key)
		}
	}
}
