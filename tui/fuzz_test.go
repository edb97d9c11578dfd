package tui

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/admin/api"
)

// script is what a fuzzed console is put through, read from bytes.
type script struct{ rest []byte }

func (p *script) next() int {
	if len(p.rest) == 0 {
		return 0
	}
	n := int(p.rest[0])
	p.rest = p.rest[1:]
	return n
}

// text is one of the texts that somebody outside may have chosen, or the bytes that
// come next.
func (p *script) text() string {
	all := append(oddTexts(), "\x1b[2J", "\x1b[4mline", "%s", strings.Repeat("A👩‍👩‍👧‍👦\x1b[31m", 100))
	if n := p.next(); n < len(all) {
		return all[n]
	}
	n := min(p.next()%32, len(p.rest))
	text := string(p.rest[:n])
	p.rest = p.rest[n:]
	return text
}

// key is any key, letters and pastes too.
func (p *script) key() tea.KeyMsg {
	switch n := p.next(); {
	case n < 100: // most do something
		const bound = "123456789:/?tr!Mqhjklgsvnexy JKRHdfpcTDCSGV+- bE"
		return keyOf(string(bound[n%len(bound)]))
	case n < 220:
		return tea.KeyMsg{Type: tea.KeyType(p.next() - 100), Runes: []rune{' '}, Alt: n%8 == 0}
	}
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(p.text()), Paste: p.next()%2 == 0, Alt: p.next()%8 == 0}
}

// event is one that a gateway may send.
func (p *script) event() api.Event {
	switch p.next() % 7 {
	case 0:
		return api.Event{ID: "1", Change: &api.Changed{Seq: int64(p.next()), Subjects: []string{p.text(), "key:1"}, Actor: p.text()}}
	case 1:
		return api.Event{Partial: &api.Partial{Nodes: []string{p.text(), p.text()}, Problem: p.text()}}
	case 2:
		return api.Event{Hello: &api.Hello{Node: p.text(), Seq: int64(p.next()), Revision: int64(p.next()) << 40}}
	case 3:
		return api.Event{Tally: &api.Tally{Shown: int64(p.next()) << 50, Dropped: -1}}
	case 4:
		return api.Event{Started: &api.Flight{RequestID: p.text(), Model: p.text(), Key: p.text(), Path: p.text(), StartedAt: time.Unix(int64(p.next())<<29, 0)}}
	}
	x := sampleExchange(p.next())
	x.RequestID, x.Model, x.Key, x.Upstream, x.Error, x.DurationMS, x.Status = p.text(), p.text(), p.text(), p.text(), p.text(), float64(p.next())*1e9-1e3, p.next()*9
	return api.Event{ID: p.text(), Exchange: &x}
}

// answers has the gateway answer otherwise than it did.
func (p *script) answers(f *fake) {
	routes := slices.Sorted(maps.Keys(sample()))
	route := routes[p.next()%len(routes)]
	switch p.next() % 6 {
	case 0:
		f.refuse(route, api.Error{Title: p.text(), Status: 500, Code: "internal", Detail: p.text(), Hint: p.text()})
	case 1:
		f.refuse(route, api.Error{Status: 401, Code: api.CodeDenied, Detail: p.text()})
	case 2:
		f.on(route, func(*http.Request, []byte) (int, any) { return 200, "no list at all" })
	case 3:
		f.empties()
	case 4:
		f.hostile(p.text(), p.text())
	case 5:
		f.answer(route, sample()[route])
	}
}

// hostile has everything be called something odd.
func (f *fake) hostile(a, b string) {
	f.answer("GET /me", api.Me{User: a, Role: "admin", Via: b})
	f.answer("GET /keys", listOf(api.Key{ID: a, Name: a, User: b, State: b, Last4: a, Models: []string{a, b}, Tags: map[string]string{a: b}}, api.Key{Name: b, State: "active"}))
	f.answer("GET /users", listOf(api.User{Name: a, Email: b, Role: a, Tags: map[string]string{a: b}}, api.User{Name: b}))
	f.answer("GET /upstreams", listOf(api.Upstream{ID: a, Name: a, URL: b, Provider: a, State: b, InFlight: -1, Credentials: []api.Credential{{Name: a, Reference: b, Last4: a, Problem: b, LastError: a}}}))
	f.answer("GET /bindings", listOf(api.Binding{ID: a, Key: a, User: b, Tag: a, Upstream: b, Credential: a, Order: -1 << 40, Weight: 1 << 40, Models: []string{a, b}}))
	f.answer("GET /nodes", listOf(api.Node{ID: a, Name: b, Version: a, Bus: b, Problem: a, SilenceS: -5}, api.Node{Name: a}))
	f.answer("GET /rules", api.RuleList{Revision: -1, Items: []api.Rule{{Position: -1, Set: a, Name: b, Match: map[string]any{a: []any{b, map[string]any{b: a}}}, Action: map[string]any{"upstream": a, b: nil, "respond": b}, YAML: a + "\n" + b}}})
	f.answer("GET /streams", api.Streams{Items: []api.Flight{{RequestID: a, Key: b, Model: a, Path: b}}})
	f.answer("GET /audit", listOf(api.AuditEntry{Actor: a, From: b, Action: a, Subject: b, Name: a, Message: b}))
	f.answer("GET /history", listOf(api.HistoryEntry{Actor: a, Kind: b, Message: a, Changes: []api.PlanChange{{Op: a, Set: b, Rule: a, Fields: []string{b, a}}}}))
	f.answer("GET /settings", listOf(api.Setting{Name: a, Value: b, Origin: a, Source: b}))
	w := sampleWindow()
	for i := range w.By {
		w.By[i].Name, w.By[i].Requests, w.By[i].Series = a, -1<<62, []int64{-1 << 63, 1<<63 - 1, 0}
	}
	for i := range w.Recent {
		w.Recent[i].Model, w.Recent[i].Key, w.Recent[i].Error, w.Recent[i].Last = a, b, a, b
	}
	w.WindowS, w.SinceS, w.StepS = -1e18, 1e18, 0
	f.answer("GET /traffic", w)
	f.answer("GET /status", api.Status{Version: a, Node: b, Proxy: a, Admin: b, Data: a, Store: api.StoreStatus{Kind: a, Place: b}, Bus: a})
}

// plays puts a console through a script, and looks at every frame.
func (p *script) plays(t *testing.T) {
	at := size{80, 24}
	play(t, at.w, at.h, func(o *Options, f *fake) {
		switch p.next() % 8 {
		case 0:
			o.ASCII = true
		case 1:
			o.NoColour = true
		case 2:
			withLogin(nil)(o, f)
		case 3:
			o.ReadOnly = true
		case 4:
			f.hostile(p.text(), p.text())
		}
	}, func(s *stage) {
		for steps := 0; len(p.rest) > 0 && steps < 60 && !s.quit; steps++ {
			switch p.next() % 12 {
			case 0:
				at = size{1 + p.next() + p.next()%45, 1 + p.next()%100}
				s.send(tea.WindowSizeMsg{Width: at.w, Height: at.h})
			case 1, 2:
				s.fake.send(p.event())
				s.wait(150 * time.Millisecond)
			case 3:
				p.answers(s.fake)
			case 4:
				s.wait(time.Duration(p.next()) * 20 * time.Millisecond)
			case 5:
				s.send(tea.MouseMsg{X: p.next(), Y: p.next() % 40, Button: tea.MouseButton(p.next() % 8), Action: tea.MouseAction(p.next() % 3)})
			default:
				s.send(p.key())
			}
			if p.next() == 255 && len(p.rest) > 0 {
				s.fake.goAway()
				s.wait(2 * time.Second)
				s.fake.comeBack()
			}
			if !s.console.quitting {
				sound(t, s.console.View(), at)
			}
		}
	})
}

// sound fails where a frame is larger than the terminal, or has a sequence that the
// console does not write itself.
func sound(t *testing.T, frame string, at size) {
	t.Helper()
	if frame == "" {
		return // nothing is drawn yet
	}
	fits(t, frame, at.w, at.h)
	for _, part := range strings.Split(frame, "\x1b")[1:] {
		style, _, found := strings.Cut(part, "m")
		if !found || !ownStyle(strings.TrimPrefix(style, "[")) {
			t.Fatalf("a sequence in a frame that the console does not write: %.40q", part)
		}
	}
	plain := ansi.Strip(frame)
	if at := strings.IndexFunc(plain, func(r rune) bool { return r != '\n' && obeyed(r) }); at >= 0 {
		t.Fatalf("a terminal obeys %q in %.60q", plain[at:min(len(plain), at+4)], plain[max(0, at-20):])
	}
	if t.Failed() {
		t.FailNow()
	}
}

// ownStyle says whether the console draws in a style: bold, faint, reverse and the
// sixteen colours. Texts of the scripts have others, too.
func ownStyle(style string) bool {
	for one := range strings.SplitSeq(style, ";") {
		switch {
		case one == "" || one == "0" || one == "1" || one == "2" || one == "7":
		case len(one) == 2 && (one[0] == '3' || one[0] == '9') && one[1] >= '0' && one[1] <= '7':
		default:
			return false
		}
	}
	return true
}

// seeds are scripts as they come, the same every time.
func seeds() (all [][]byte) {
	for i := range uint64(30) {
		dice := rand.New(rand.NewPCG(i, 7))
		one := make([]byte, 50+20*i)
		for j := range one {
			one[j] = byte(dice.UintN(256))
		}
		all = append(all, one)
	}
	return all
}

// Whatever everything is called, every screen shows it without obeying it.
func TestNamesOfAnyKindAreShownAndNotObeyed(t *testing.T) {
	for _, name := range Screens() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, 60, 16, func(o *Options, _ *fake) { o.Start = name }, func(s *stage) {
				for _, text := range oddTexts() {
					s.fake.hostile(text, "\x1b[4m"+text)
					s.press("r")
					for _, at := range []size{{60, 16}, {200, 60}} {
						s.send(tea.WindowSizeMsg{Width: at.w, Height: at.h})
						sound(t, s.frame(), at)
						s.press("enter")
						sound(t, s.frame(), at)
						s.press("esc")
					}
				}
			})
		})
	}
}

// FuzzConsole: whatever is pressed, whatever a gateway sends, at any size and any
// moment, a frame fits and has nothing in it that a terminal obeys.
func FuzzConsole(f *testing.F) {
	for _, one := range seeds() {
		f.Add(one)
	}
	f.Fuzz(func(t *testing.T, data []byte) { (&script{data}).plays(t) })
}

// FuzzFilter: a filter is read or refused, and then takes rows or leaves them.
func FuzzFilter(f *testing.F) {
	for _, text := range []string{"status>=500 model:claude-* -key:ci", "-", "a:", "x>y", "ttft>2s", "[", "name:[a-", "a!=b", "-state:active*", "日本", ":", ">=5", "a:***", `a:\`, "x:[^]"} {
		f.Add(text, "claude-sonnet-5")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		one, err := parseFilter(text)
		if err != nil {
			if err.Error() == "" {
				t.Error("refused without a reason")
			}
			return
		}
		field := func(name string) (string, bool) { return value, name != "" }
		texts := func() []string { return []string{value} }
		taken := one.takes(field, texts)
		if !one.on() && !taken {
			t.Errorf("%q filters nothing, and leaves %q out", text, value)
		}
		if len(one.terms) == 1 {
			other := one
			other.terms = []term{one.terms[0]}
			other.terms[0].not = !one.terms[0].not
			if other.takes(field, texts) == taken {
				t.Errorf("%q and its opposite say the same of %q", text, value)
			}
		}
	})
}

// tableRow is one of a table that is only tested.
type tableRow struct{ id, text string }

func tableOf(t *rapid.T, l *look) *table[tableRow] {
	one := &table[tableRow]{look: l, id: func(r *tableRow) string { return r.id }, field: func(r *tableRow, _ string) (string, bool) { return r.text, true }}
	for i := range rapid.IntRange(1, 8).Draw(t, "columns") {
		c := column[tableRow]{
			title: rapid.StringMatching(`[A-Z]{0,12}`).Draw(t, "title"), text: func(r *tableRow) string { return clean(r.text) },
			right: rapid.Bool().Draw(t, "right"), grow: rapid.Bool().Draw(t, "grow"),
			least: rapid.IntRange(0, 20).Draw(t, "least"), most: rapid.IntRange(0, 30).Draw(t, "most"), rank: rapid.IntRange(0, 5).Draw(t, "rank"),
		}
		if i%2 == 0 {
			c.order = func(a, b *tableRow) int { return strings.Compare(a.text, b.text) }
		}
		one.columns = append(one.columns, c)
	}
	return one
}

// tableHolds is true of every table: it has the size it is told, and the cursor is
// on a row that is shown.
func tableHolds(t *rapid.T) {
	one := tableOf(t, plainLook())
	actions := []string{"down", "up", "first", "last", "page-down", "page-up", "mark", "mark-range", "sort", "reverse"}
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		switch rapid.IntRange(0, 3).Draw(t, "step") {
		case 0:
			var rows []tableRow
			for i := range rapid.IntRange(0, 30).Draw(t, "rows") {
				rows = append(rows, tableRow{fmt.Sprint(i), odd().Draw(t, "text")})
			}
			one.set(rows)
		case 1:
			if err := one.filterBy(rapid.SampledFrom([]string{"", "a", "-a", "x:*a*"}).Draw(t, "filter")); err != nil {
				t.Fatal(err)
			}
		default:
			one.do(rapid.SampledFrom(actions).Draw(t, "action"))
		}
		w, h := rapid.IntRange(1, 120).Draw(t, "w"), rapid.IntRange(1, 30).Draw(t, "h")
		drawn := one.draw(w, h)
		exactly(t, drawn, w, h)
		if row := one.current(); (row == nil) != (len(one.shown) == 0) {
			t.Fatalf("the cursor is at %d of %d", one.cursor, len(one.shown))
		}
		if h > 1 && w > 1 && len(one.shown) > 0 && !strings.Contains(drawn, one.look.cursor) {
			t.Fatalf("the cursor is not shown:\n%s", drawn)
		}
	}
}

func TestATableHoldsItsSizeAndItsCursor(t *testing.T) { rapid.Check(t, tableHolds) }

// FuzzTable is the same with what the fuzzer makes up.
func FuzzTable(f *testing.F) { f.Fuzz(rapid.MakeFuzz(tableHolds)) }
