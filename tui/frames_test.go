package tui

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// size is one of a terminal.
type size struct{ w, h int }

func (s size) String() string { return fmt.Sprintf("%dx%d", s.w, s.h) }

func frameSizes() []size { return []size{{60, 16}, {80, 24}, {120, 32}, {200, 60}} }

// scene is a state in which every screen is looked at.
type scene struct {
	name  string
	setup func(*Options, *fake)
	then  func(*stage) // nil: nothing more happens
	sees  []string     // on every screen
}

func scenes() []scene {
	hang := func(_ *Options, f *fake) { f.hangs = true }
	return []scene{
		{name: "filled", sees: []string{"● prod", "dana (admin)", "rev 41", "● live"}},
		{name: "loading", setup: hang, sees: []string{"○ prod", "○ …"}},
		{name: "loading-long", setup: hang, then: func(s *stage) { s.wait(5 * time.Second) }, sees: []string{"waiting for https://llm.example.com"}},
		{name: "empty", setup: func(_ *Options, f *fake) { f.empties() }, sees: []string{"● live"}},
		{name: "error", setup: func(_ *Options, f *fake) { f.fails() }, sees: []string{"● live"}},
		{name: "disconnected", then: func(s *stage) { s.fake.goAway(); s.wait(12 * time.Second) }, sees: []string{"✕ lost", "gateway not reachable since 21:04:1"}},
		{name: "logged-out", setup: func(o *Options, f *fake) {
			o.Gateway.User, o.Gateway.Login = "dana", func(context.Context, string, accounts.Secret) error { return nil }
			f.deniesAll()
		}, sees: []string{"▲ logged out", "Log in to prod", "Password"}},
		{name: "read-only", setup: func(_ *Options, f *fake) { f.answer("GET /me", api.Me{User: "vic", Role: "viewer", Via: "login"}) }, sees: []string{"vic (viewer)", "read-only"}},
		{name: "partial", then: func(s *stage) {
			s.fake.send(api.Event{Partial: &api.Partial{Nodes: []string{"b1"}, Problem: "no sign for 12 s"}})
			s.wait(time.Second)
		}, sees: []string{"nothing is known of b1"}},
	}
}

// reading are the routes of everything that is read.
func (f *fake) reading() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for route := range f.routes {
		if strings.HasPrefix(route, http.MethodGet+" ") && route != "GET /me" {
			all = append(all, route)
		}
	}
	return all
}

// empties is a gateway on which nothing was made yet.
func (f *fake) empties() {
	for _, route := range f.reading() {
		f.answer(route, api.List[struct{}]{Items: []struct{}{}})
	}
	f.answer("GET /status", api.Status{Version: "0.7.0", Node: "a1", StartedAt: before(time.Minute), Proxy: "http://127.0.0.1:8080", Admin: "http://127.0.0.1:8889", Ready: true, Store: api.StoreStatus{Kind: "sqlite", OK: true}})
	f.answer("GET /nodes", listOf(api.Node{ID: "node_01A", Name: "a1", Version: "0.7.0", Self: true, StartedAt: before(time.Minute)}))
	f.answer("GET /traffic", api.Window{Until: sampleNow(), WindowS: 900, SinceS: 60, StepS: 7.5})
}

// fails is a gateway that cannot read what it is asked for.
func (f *fake) fails() {
	for _, route := range f.reading() {
		f.refuse(route, api.Error{Title: "Internal Server Error", Status: 500, Code: "internal", Detail: "reading the store: disk I/O error", Hint: "llmgw doctor looks at the disk"})
	}
}

// deniesAll is a gateway on which the login has ended.
func (f *fake) deniesAll() {
	denied := api.Error{Title: "Unauthorized", Status: 401, Code: api.CodeDenied, Detail: "the login has ended", Hint: "llmgw login"}
	for _, route := range append(f.reading(), "GET /me", "GET /events") {
		f.refuse(route, denied)
	}
}

// mode is a way to draw.
type mode struct {
	name   string
	change func(*Options)
}

// shots plays a scene on one screen, and gives its frames in all sizes.
func shots(t *testing.T, screen string, sc scene, m mode) map[size]string {
	t.Helper()
	all := map[size]string{}
	setup := func(o *Options, f *fake) {
		o.Start = screen
		m.change(o)
		if sc.setup != nil {
			sc.setup(o, f)
		}
	}
	play(t, frameSizes()[0].w, frameSizes()[0].h, setup, func(s *stage) {
		if sc.then != nil {
			sc.then(s)
		}
		for _, to := range frameSizes() {
			s.send(tea.WindowSizeMsg{Width: to.w, Height: to.h})
			all[to] = s.frame()
			fits(t, all[to], to.w, to.h)
		}
	})
	return all
}

func TestFramesOfEveryScreen(t *testing.T) {
	for _, screen := range Screens() {
		t.Run(screen, func(t *testing.T) {
			t.Parallel()
			var kept strings.Builder
			for _, sc := range scenes() {
				t.Run(sc.name, func(t *testing.T) { kept.WriteString(framesOf(t, screen, sc)) })
			}
			if !t.Failed() {
				golden(t, screen+".txt", kept.String())
			}
		})
	}
}

// framesOf compares the ways to draw with each other, and gives the text that is
// kept.
func framesOf(t *testing.T, screen string, sc scene) string {
	t.Helper()
	plain := shots(t, screen, sc, mode{"no colour", func(o *Options) { o.NoColour = true }})
	dark := shots(t, screen, sc, mode{"dark", func(o *Options) { o.Theme = "dark" }})
	light := shots(t, screen, sc, mode{"light", func(o *Options) { o.Theme = "light" }})
	letters := shots(t, screen, sc, mode{"ascii", func(o *Options) { o.ASCII = true }})
	var kept strings.Builder
	keep := func(title, frame string) {
		fmt.Fprintf(&kept, "-- %s --\n%s\n", title, trimLines(frame))
	}
	for _, at := range frameSizes() {
		text := ansi.Strip(plain[at])
		for _, want := range sc.sees {
			if at.w >= 80 && !strings.Contains(text, want) {
				t.Errorf("%s: not shown: %q\n%s", at, want, text)
			}
		}
		same(t, at.String()+" in colours", text, ansi.Strip(dark[at]))
		same(t, at.String()+" on a light terminal", text, ansi.Strip(light[at]))
		onlyLetters(t, at, ansi.Strip(letters[at]))
		sameLayout(t, at, text, ansi.Strip(letters[at]))
		if strings.Contains(plain[at], "\x1b[3") || strings.Contains(plain[at], "\x1b[9") {
			t.Errorf("%s: a colour where there should be none: %q", at, plain[at])
		}
		keep(at.String()+" "+sc.name, text)
	}
	if at := (size{80, 24}); sc.name == "filled" {
		keep(at.String()+" "+sc.name+" in colours", visible(dark[at]))
		keep(at.String()+" "+sc.name+" on a light terminal", visible(light[at]))
	}
	keep("80x24 "+sc.name+" ascii", ansi.Strip(letters[size{80, 24}]))
	return kept.String()
}

// visible gives a frame with its escape sequences as they can be read.
func visible(frame string) string { return strings.ReplaceAll(frame, "\x1b", "␛") }

// trimLines gives a frame without the ends of lines that are empty, and what is
// repeated once.
func trimLines(frame string) string {
	var lines []string
	again := 0
	told := func() {
		if again > 0 {
			lines = append(lines, fmt.Sprintf("(%d more lines like this)", again))
		}
		again = 0
	}
	for line := range strings.SplitSeq(frame, "\n") {
		line = strings.TrimRight(line, " ")
		if len(lines) > 0 && line == lines[len(lines)-1] {
			again++
			continue
		}
		told()
		lines = append(lines, line)
	}
	told()
	return strings.Join(lines, "\n")
}

// same fails where two frames are not, with the first line that differs. The one
// that names the colours may.
func same(t *testing.T, what, want, got string) {
	t.Helper()
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] && !strings.Contains(a[i], ":theme") {
			t.Errorf("%s, line %d is another\n%s\n%s", what, i+1, a[i], b[i])
			return
		}
	}
	if len(a) != len(b) {
		t.Errorf("%s has %d lines, and not %d", what, len(b), len(a))
	}
}

// onlyLetters fails where a frame has a sign beyond ASCII that no data brought.
func onlyLetters(t *testing.T, at size, frame string) {
	t.Helper()
	text, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(frame, "\n") {
		for _, r := range line {
			if r > unicode.MaxASCII && !strings.ContainsRune(string(text), r) {
				t.Errorf("%s: %q in line %d of ascii: %s", at, r, i+1, line)
				return
			}
		}
	}
}

// sameLayout fails where the corners of the boxes are not in the same places.
func sameLayout(t *testing.T, at size, signs, letters string) {
	t.Helper()
	a, b := strings.Split(signs, "\n"), strings.Split(letters, "\n")
	for i := range min(len(a), len(b)) {
		for _, x := range columnsOf(a[i], "╭╮╰╯") {
			if !slices.Contains(columnsOf(b[i], "+"), x) {
				t.Errorf("%s: no corner at %d,%d in ascii\n%s\n%s", at, x, i+1, a[i], b[i])
				return
			}
		}
	}
}

// columnsOf gives the columns at which one of some signs stands.
func columnsOf(line, of string) (all []int) {
	at := 0
	for _, r := range line {
		if strings.ContainsRune(of, r) {
			all = append(all, at)
		}
		at += ansi.StringWidth(string(r))
	}
	return all
}

func TestATerminalThatIsTooSmallIsToldSoAndTheConsoleGoesOn(t *testing.T) {
	play(t, 40, 10, nil, func(s *stage) {
		fits(t, s.frame(), 40, 10)
		s.sees("60x16 needed, have 40x10")
		s.send(tea.WindowSizeMsg{Width: 80, Height: 24})
		s.sees("dana (admin)")
		for _, to := range []size{{1, 1}, {3, 1}, {59, 100}, {100, 15}, {60, 16}} {
			s.send(tea.WindowSizeMsg{Width: to.w, Height: to.h})
			fits(t, s.frame(), to.w, to.h)
		}
		s.send(tea.WindowSizeMsg{Width: 80})
		if s.frame() != "" {
			t.Errorf("a terminal without lines shows %q", s.frame())
		}
	})
}

// The frames that are kept are of screens that there are, and of nothing else.
func TestEveryKeptFrameIsOfAScreen(t *testing.T) {
	names := Screens()
	kept, err := os.ReadDir("../testdata/console")
	if os.IsNotExist(err) {
		t.Skip("none are kept yet")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range kept {
		if name, found := strings.CutSuffix(one.Name(), ".txt"); !found || !slices.Contains(names, name) {
			t.Errorf("testdata/console/%s is of no screen", one.Name())
		}
	}
}
