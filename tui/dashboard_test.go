package tui

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func TestTheDashboardTellsHowTheGatewayIs(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.sees("Requests/s", "47.4", "Errors", "0.31%", "p50 310 ms", "p95 1.2 s", "In flight", "57", "94k → 23k", "20:49", "21:04")
		s.sees("● openai-eu", "▲ anthropic", "429 ×31", "◷ openai-us", "draining", "○ azure-eu", "off")
		s.sees("Top keys (15 min)", "ci-bot", "dana", "762k")
		s.sees("21:04:12  429  anthropic  claude-opus-5  web-prod  too many requests", "×31 in 1 min", "gateway    gpt-6          ci-bot    no rule", "upstream unreachable")
		fits(t, s.frame(), 120, 32)
	})
}

func TestADashboardShowsWhatThereIsRoomFor(t *testing.T) {
	all := []string{"Requests/s", "Errors", "TTFT", "In flight", "Tokens/min", "Upstreams", "Top keys", "Last problems"}
	for _, one := range []struct {
		w, h int
		not  []string
	}{
		{60, 16, []string{"Top keys", "Last problems"}},
		{79, 23, []string{"Top keys"}},
		{80, 24, []string{"Top keys"}},
		{99, 50, []string{"Top keys"}},
		{100, 24, nil}, {120, 32, nil}, {200, 60, nil}, {300, 100, nil},
	} {
		for _, ascii := range []bool{false, true} {
			play(t, one.w, one.h, func(o *Options, _ *fake) { o.ASCII = ascii }, func(s *stage) {
				for _, text := range all {
					if slices.Contains(one.not, text) {
						s.seesNot(text)
					} else {
						s.sees(text)
					}
				}
				s.sees("openai-eu")
				fits(t, s.frame(), one.w, one.h)
				if ascii && strings.IndexFunc(s.text(), func(r rune) bool { return r > 126 }) >= 0 {
					t.Errorf("more than ASCII at %dx%d:\n%s", one.w, one.h, s.text())
				}
			})
		}
	}
}

// sought is a screen that remembers what was looked for on it.
type sought struct {
	screen
	row, filter string
}

func (s *sought) find(row string) bool { s.row = row; return row != "nobody" }
func (s *sought) filterTo(text string) { s.filter = text }

func TestEnterOpensWhatIsUnderTheCursor(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		traffic := &sought{screen: s.console.screens[1]}
		upstreams := &sought{screen: s.console.screens[3]}
		s.console.screens[1], s.console.screens[3] = traffic, upstreams

		s.press("down", "enter")
		if s.console.shown().name() != "upstreams" || upstreams.row != "anthropic" {
			t.Errorf("on %s, at %q", s.console.shown().name(), upstreams.row)
		}
		s.press("1", "tab", "j", "enter")
		if s.console.shown().name() != "keys" {
			t.Fatalf("on %s", s.console.shown().name())
		}
		s.sees("▸web-prod")
		s.press("1", "tab", "enter")
		if s.console.shown().name() != "traffic" || traffic.filter != "status:429 upstream:anthropic model:claude-opus-5 key:web-prod" {
			t.Errorf("on %s, filtered to %q", s.console.shown().name(), traffic.filter)
		}
	})
}

func TestARowThatIsNotThereAnyMoreIsSaidToBeMissing(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.console.screens[3] = &sought{screen: s.console.screens[3]}
		s.console.desk.goToRow("upstreams", "nobody")
		s.send(struct{}{})
		s.sees("there is no nobody among them")
	})
}

func TestNothingIsOpenedForWhatHasNoName(t *testing.T) {
	w := sampleWindow()
	w.By = []api.Share{{Kind: "key", Counts: api.Counts{Requests: 5}}}
	play(t, 120, 32, func(_ *Options, f *fake) { f.answer("GET /traffic", w) }, func(s *stage) {
		s.press("tab")
		s.sees("▸(none or other)")
		s.seesNot("enter open")
		s.press("enter", "v")
		s.sees("Top keys")
	})
}

func TestTheKeysGoThroughThePanesAndBack(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		for _, want := range []struct{ key, at string }{
			{"tab", "▸ci-bot"}, {"tab", "▸21:04:12"}, {"tab", "▸● openai-eu"}, {"shift+tab", "▸21:04:12"}, {"shift+tab", "▸ci-bot"},
		} {
			s.press(want.key)
			s.sees(want.at)
			if n := strings.Count(s.text(), "│▸"); n != 1 {
				t.Errorf("%d cursors:\n%s", n, s.text())
			}
		}
	})
}

func TestAPaneThatHasNoRoomAnyMoreHasNotTheKeys(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("tab")
		s.sees("▸ci-bot")
		s.send(tea.WindowSizeMsg{Width: 60, Height: 16})
		s.sees("▸● openai-eu")
		s.seesNot("next pane")
	})
}

func TestAPaneIsFilteredAndSortedAlone(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("/")
		s.write("errors>100")
		s.press("enter")
		s.sees("filter: errors>100", "anthropic", "1 of 5", "ci-bot")
		s.seesNot("groq")
		s.press("esc")
		s.sees("groq")
		s.press("s")
		if text := s.text(); strings.Index(text, "anthropic ") > strings.Index(text, "openai-us") {
			t.Errorf("not sorted by name:\n%s", text)
		}
		s.press("tab", "tab", "/")
		s.write("status:502")
		s.press("enter")
		s.sees("upstream unreachable", "1 of 3")
		s.seesNot("too many requests")
	})
}

func TestWhileNothingIsHeardChartsHaveAGapAndNotZeros(t *testing.T) {
	play(t, 80, 24, nil, func(s *stage) {
		spark := func() string {
			return strings.Split(s.text(), "\n")[strings.Count(s.text()[:strings.Index(s.text(), "─ Requests/s")], "\n")+1]
		}
		if full := []rune(spark()); full[20] == ' ' {
			t.Fatalf("a gap where there is none: %q", string(full))
		}
		s.fake.goAway()
		s.wait(5 * time.Minute)
		s.sees("gateway not reachable since 21:04:14", "47.4")
		line := []rune(spark())[1:21]
		filled := len([]rune(strings.TrimRight(string(line), " ")))
		if filled < 12 || filled > 14 { // 10 minutes of 15 on 20 cells
			t.Errorf("%d of 20 cells have something: %q", filled, string(line))
		}
		s.wait(15 * time.Minute)
		if line := string([]rune(spark())[1:21]); strings.TrimSpace(line) != "" {
			t.Errorf("something is known of a time when nothing was heard: %q", line)
		}
		s.fake.comeBack()
		s.wait(time.Minute)
		s.seesNot("not reachable")
		if back := []rune(spark()); back[20] == ' ' {
			t.Errorf("still a gap: %q", string(back))
		}
	})
}

func TestThePlotsAreDrawnUpToNowWhileNothingIsHeard(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.sees("now 25")
		s.fake.goAway()
		s.wait(2 * time.Minute)
		s.sees("now -", "21:06")
	})
}

func TestFiguresThatAreNotLoadedAgainEndInAGapWithTheReason(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.fake.refuse("GET /traffic", api.Error{Status: 500, Code: "internal", Detail: "out of order"})
		before := s.fake.reads["/traffic"]
		s.wait(2 * time.Minute)
		s.sees("now -", "21:06", "not loaded again: out of order", "● live")
		if n := s.fake.reads["/traffic"] - before; n < 20 || n > 30 {
			t.Errorf("asked for %d times in two minutes", n)
		}
	})
}

func TestAGatewayWithoutTrafficSaysWhatMakesSome(t *testing.T) {
	empty := api.Window{Until: sampleNow(), WindowS: 900, SinceS: 20, StepS: 7.5, Series: make([]api.Point, 120)}
	play(t, 120, 32, func(_ *Options, f *fake) {
		f.answer("GET /traffic", empty)
		f.answer("GET /upstreams", listOf[api.Upstream]())
	}, func(s *stage) {
		s.sees("No upstreams yet", "llmgw upstreams create", "No requests within the window.", "llmgw chat hello", "No problems within the window.")
		fits(t, s.frame(), 120, 32)
	})
}

func TestFiguresThatCannotBeLoadedSayWhyAndAreTriedAgain(t *testing.T) {
	play(t, 100, 24, func(_ *Options, f *fake) {
		f.refuse("GET /traffic", api.Error{Status: 503, Code: "unavailable", Detail: "the store is away", Hint: "llmgw status tells more"})
	}, func(s *stage) {
		s.sees("the store is away", "llmgw status tells more", "r tries again")
		s.fake.answer("GET /traffic", sampleWindow())
		s.press("r")
		s.sees("openai-eu", "47.4")
	})
}

func TestWhatIsWaitedForIsSaidAfterAWhile(t *testing.T) {
	play(t, 100, 24, func(_ *Options, f *fake) {
		f.on("GET /traffic", func(r *http.Request, _ []byte) (int, any) {
			select {
			case <-time.After(8 * time.Second):
			case <-r.Context().Done():
			}
			return http.StatusOK, sampleWindow()
		})
	}, func(s *stage) {
		s.seesNot("openai-eu", "tries again")
		s.wait(6 * time.Second)
		s.sees("waiting for https://llm.example.com")
		s.wait(3 * time.Second)
		s.sees("openai-eu")
	})
}

func TestKeysThatMayNotBeReadHaveNoOwner(t *testing.T) {
	play(t, 120, 32, func(_ *Options, f *fake) {
		f.refuse("GET /keys", api.Error{Status: 403, Code: api.CodeDenied, Detail: "not for members"})
	}, func(s *stage) {
		s.sees("ci-bot", "762k")
		s.seesNot("dana   20.5")
	})
}

func TestAnUpstreamThatIsNotThereAnyMoreIsSaidToBeDeleted(t *testing.T) {
	play(t, 120, 32, func(_ *Options, f *fake) {
		all := sampleUpstreams()
		none := api.Upstream{Name: "lone", Enabled: true, Credentials: []api.Credential{{Name: "default", Problem: "X is not set", Enabled: true}}}
		f.answer("GET /upstreams", listOf(all[0], none))
	}, func(s *stage) {
		s.sees("✕ groq", "deleted", "▲ lone", "no credential")
		s.seesNot("✕ anthropic")
	})
}

func TestAnUpstreamBeyondTheNamesThatWereToldIsNotSaidToBeIdle(t *testing.T) {
	for names, want := range map[int]string{dashboardNames: "lone - -", dashboardNames - 1: "lone 0 -"} {
		w := sampleWindow()
		w.By = nil
		for i := range names {
			w.By = append(w.By, api.Share{Kind: "upstream", Name: fmt.Sprintf("up-%02d", i), Counts: api.Counts{Requests: 9}})
		}
		play(t, 120, 32, func(_ *Options, f *fake) {
			f.answer("GET /traffic", w)
			f.answer("GET /upstreams", listOf(api.Upstream{Name: "lone", Enabled: true}))
		}, func(s *stage) {
			s.press("end")
			if got := strings.Join(strings.Fields(s.text()), " "); !strings.Contains(got, want) {
				t.Errorf("with %d names there is no %q in\n%s", names, want, s.text())
			}
		})
	}
}

func TestTheDashboardAsksForTheWindowThatIsChosen(t *testing.T) {
	var asked []string
	play(t, 120, 32, func(_ *Options, f *fake) {
		f.on("GET /traffic", func(r *http.Request, _ []byte) (int, any) {
			asked = append(asked, r.URL.RawQuery)
			w := sampleWindow()
			if window, err := time.ParseDuration(r.URL.Query().Get("window")); err == nil {
				w.WindowS = window.Seconds()
			}
			return http.StatusOK, w
		})
	}, func(s *stage) {
		s.sees("Top keys (15 min)", "15m ▾", "20:49")
		s.press("t")
		s.sees("Top keys (1 h)", "1h ▾", "20:04")
		if last := asked[len(asked)-1]; !strings.Contains(last, "window=1h0m0s") || !strings.Contains(last, "names=50") || strings.Contains(last, "by=model") {
			t.Errorf("asked for %s", last)
		}
	})
}

func TestAnIdleDashboardAsksForFiguresOnly(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		reads := func() map[string]int {
			s.fake.mu.Lock()
			defer s.fake.mu.Unlock()
			all := map[string]int{}
			for path, n := range s.fake.reads {
				all[path] = n
			}
			return all
		}
		before := reads()
		s.wait(time.Minute)
		for path, n := range reads() {
			if path == "/events" {
				continue // the fake one gives no sign of life
			}
			if more := n - before[path]; path == "/traffic" && more > 31 || path != "/traffic" && more > 0 {
				t.Errorf("%s was asked for %d times in a minute", path, more)
			}
		}
	})
}

func TestWhatIsMissingInTheFiguresIsSaid(t *testing.T) {
	w := sampleWindow()
	w.Partial, w.Unseen = &api.Partial{Nodes: []string{"b1"}}, 1234
	play(t, 160, 40, func(_ *Options, f *fake) { f.answer("GET /traffic", w) }, func(s *stage) {
		s.sees("without b1, 1,234 more not looked at")
		s.press("8")
		s.sees("without b1, 1,234 more not looked at")
	})
}

func TestWhatWentWrongIsSaidInWords(t *testing.T) {
	for want, one := range map[string]api.Trouble{
		"no rule":           {Status: 400, Reason: "rejected", Error: "no_rule"},
		"too many requests": {Status: 429, Reason: "complete"},
		"overloaded":        {Status: 529, Reason: "complete"},
		"answered with 599": {Status: 599, Reason: "complete"},
		"header timeout":    {Status: 504, Reason: "header_timeout"},
		"rejected":          {Reason: "rejected"},
		unknown:             {},
		"a·[2J":             {Status: 500, Error: "a\x1b[2J"},
	} {
		if got := whatOf(&one); got != want {
			t.Errorf("%+v is %q, and not %q", one, got, want)
		}
	}
}

func TestAProblemIsLookedForByHowItEnded(t *testing.T) {
	for want, one := range map[string]api.Trouble{
		"status:400 model:gpt-6 key:ci-bot error:no_rule":         {Status: 400, Reason: "rejected", Error: "no_rule", Model: "gpt-6", Key: "ci-bot"},
		"status:429 upstream:anthropic":                           {Status: 429, Reason: "complete", Upstream: "anthropic"},
		"status:200 upstream:openai end:upstream_truncated":       {Status: 200, Reason: "upstream_truncated", Upstream: "openai"},
		"status:0 upstream:openai key:two*words end:client_stall": {Reason: "client_stall", Upstream: "openai", Key: "two words"},
	} {
		if got := filterFor(&one); got != want {
			t.Errorf("%+v is looked for with %q, and not %q", one, got, want)
		}
	}
}

func TestANameIsOneWordOfAFilterWhateverIsInIt(t *testing.T) {
	for _, name := range []string{"gpt-5", "org/model", "two words", "[odd", "star*", `back\slash`, "tab\there", "Größe", "-dash", "a:b", "!not", strings.Repeat("long", 100), "bad\xffutf"} {
		f, err := parseFilter("model:" + filterWord(name))
		if err != nil || len(f.terms) != 1 {
			t.Errorf("%q: %v, %d words", name, err, len(f.terms))
			continue
		}
		if !f.takes(func(string) (string, bool) { return name, true }, func() []string { return nil }) {
			t.Errorf("%q is not found by %q", name, f.text)
		}
	}
}

// FuzzDashboard draws what a gateway may say, at any size.
func FuzzDashboard(f *testing.F) {
	f.Add("anthropic", "claude", int64(5), int64(2), 900.0, 7.5, uint16(120), uint8(29), uint8(15))
	f.Add("日本語\x1b[31m\n", strings.Repeat("x", 300), int64(math.MinInt64), int64(1)<<62, 0.0, 0.0, uint16(58), uint8(12), uint8(0))
	f.Add("\u202e", "", int64(9), int64(0), -3.0, 1e-300, uint16(300), uint8(97), uint8(240))
	f.Fuzz(func(t *testing.T, name, model string, n, errs int64, window, step float64, w uint16, h, points uint8) {
		for _, ascii := range []bool{false, true} {
			c, err := newConsole(t.Context(), Options{Out: io.Discard, Theme: "dark", ASCII: ascii, Clock: sampleNow})
			if err != nil {
				t.Fatal(err)
			}
			b := &c.desk.books
			counts := api.Counts{Requests: n, Errors: errs, InputTokens: n, OutputTokens: errs, FirstTokenP50: step, FirstTokenP95: window}
			b.window.at, b.upstreams.at, b.keys.at = sampleNow().Add(-time.Hour), sampleNow(), sampleNow()
			b.window.value = api.Window{WindowS: window, SinceS: window / 2, StepS: step, Total: counts, Flights: n, Series: make([]api.Point, points)}
			for i := range b.window.value.Series {
				b.window.value.Series[i] = api.Point{Counts: counts, InFlight: n * int64(i), Unknown: i%5 == 3}
			}
			for _, kind := range usageKinds() {
				b.window.value.By = append(b.window.value.By, api.Share{Kind: kind, Name: name, Counts: counts, Series: []int64{n, errs, 0}}, api.Share{Kind: kind})
			}
			b.window.value.Recent = []api.Trouble{{Status: int(n), Reason: name, Upstream: name, Model: model, Key: model, Count: n}}
			b.upstreams.value = []api.Upstream{{Name: name, Enabled: true}, {Name: model}}
			b.keys.value = []api.Key{{Name: name, User: model}}
			c.desk.link.state = lost
			width, height := 58+int(w)%243, 12+int(h)%86
			for _, screen := range []screen{c.screens[0], c.screens[7]} {
				holdsItsSize(t, screen.draw(width, height), width, height)
			}
		}
	})
}

func holdsItsSize(t *testing.T, block string, w, h int) {
	t.Helper()
	lines := strings.Split(block, "\n")
	if len(lines) != h {
		t.Errorf("%d lines, and not %d", len(lines), h)
	}
	for i, line := range lines {
		if width(line) != w {
			t.Errorf("line %d is %d wide, and not %d: %q", i+1, width(line), w, line)
		}
	}
}

func TestWhatIsNewestStaysInViewUntilSomebodyMovesOn(t *testing.T) {
	now, troubles := sampleWindow(), sampleWindow().Recent
	more := func(f *fake, n int) {
		for range n {
			i := len(now.Recent)
			one := troubles[0]
			one.Last, one.Model = fmt.Sprint("req_", i), fmt.Sprint("model-", i)
			now.Recent = append([]api.Trouble{one}, now.Recent...)
		}
		f.answer("GET /traffic", now)
	}
	play(t, 120, 32, nil, func(s *stage) {
		more(s.fake, 9)
		s.wait(3 * time.Second)
		s.sees("model-11", "1 of 12")
		s.press("tab", "tab", "down")
		s.sees("▸21:04:12", "2 of 12")
		more(s.fake, 6)
		s.wait(3 * time.Second)
		s.sees("8 of 18", "model-10")
		s.seesNot("model-17")
		s.press("tab")
		s.sees("model-17", "1 of 18")
	})
}

func TestWhatWasCutIsNotNotedAsWell(t *testing.T) {
	w := sampleWindow()
	w.Recent = []api.Trouble{{Time: before(time.Second), Count: 6, Status: 200, Reason: "upstream_truncated", Upstream: "groq"}}
	play(t, 120, 32, func(_ *Options, f *fake) { f.answer("GET /traffic", w) }, func(s *stage) {
		s.sees("cut ×6")
		s.seesNot("200 ×6")
	})
}

func TestTheRateIsToldAsItIsNowOnEverySize(t *testing.T) {
	for _, size := range [][2]int{{60, 16}, {80, 24}, {120, 32}} {
		play(t, size[0], size[1], nil, func(s *stage) {
			s.sees("47.4", "now 25")
			fits(t, s.frame(), size[0], size[1])
		})
	}
}
