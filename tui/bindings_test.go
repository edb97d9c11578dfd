package tui

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/admin/api"
)

func TestBindingsStandByCallerInTheOrderInWhichTheyAreTried(t *testing.T) {
	play(t, 110, 30, nil, func(s *stage) {
		s.press("7")
		s.sees("key ci-bot", "openai-eu/default", "user lee", "tag plan=trial", "gpt-oss-*", "75%", "25%", "1 of 4")
		shown := s.text()
		at := func(text string) int { return strings.Index(shown, text) }
		if !slices.IsSorted([]int{at("key ci-bot"), at("anthropic "), at("openai-us "), at("tag plan")}) {
			t.Errorf("not in order:\n%s", shown)
		}
		s.seesNot("Order × weight")
	})
}

func TestAMatrixStandsBesideThemWhereThereIsRoom(t *testing.T) {
	play(t, 160, 30, nil, func(s *stage) {
		s.press("7")
		s.sees("Order × weight", "▸10×1", "100×1", "a low order is tried first")
		s.press("j")
		s.sees("▸100×3")
		fits(t, s.frame(), 160, 30)
	})
}

func TestTheMatrixShowsWhereTheCursorIs(t *testing.T) {
	var many []api.Binding
	for i := range 40 {
		many = append(many, api.Binding{ID: fmt.Sprintf("bind_%02d", i), Key: fmt.Sprintf("key-%02d", i), Upstream: fmt.Sprintf("upstream-%02d", i), Order: 500 + i, Weight: 1})
	}
	many = append(many, api.Binding{ID: "bind_99", Key: "key-39", Upstream: "upstream-39", Credential: "batch", Order: 900, Weight: 1})
	play(t, 120, 24, func(_ *Options, f *fake) { f.answer("GET /bindings", listOf(many...)) }, func(s *stage) {
		s.press("7")
		s.sees("▸500×1", "38 upstreams more")
		s.press("G")
		s.sees("▸539×1 +1", "upstream-39")
	})
}

func TestABindingIsMadeForTheCallerUnderTheCursor(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.on("POST /bindings", func(*http.Request, []byte) (int, any) {
			made := api.Binding{ID: "bind_NEW", User: "lee", Upstream: "groq", Credential: "batch", Order: 5, Weight: 2}
			f.answer("GET /bindings", listOf(append(sampleBindings(), made)...))
			return http.StatusCreated, made
		})
	}, func(s *stage) {
		s.press("7", "j", "n")
		s.sees("New binding", "[user]", "lee")
		s.press("ctrl+s")
		s.sees("say whom to bind, and to which upstream")
		s.press("tab", "tab")
		s.sees("anthropic, openai-eu")
		s.write("groq")
		s.press("tab")
		s.write("batch")
		s.press("tab")
		s.write("five")
		s.press("ctrl+s")
		s.sees("five is no number")
		s.press("backspace", "backspace", "backspace", "backspace")
		s.write("5")
		s.press("tab")
		s.write("2")
		s.press("tab")
		s.write("gpt-*")
		s.press("enter")
		s.did(`POST /bindings {"user":"lee","upstream":"groq","credential":"batch","order":5,"weight":2,"models":["gpt-*"]}`)
		s.logs("llmgw bindings create --user lee --upstream groq/batch --order 5 --weight 2 --models 'gpt-*' --context prod")
		s.sees("user lee bound to groq/batch", "2 of 5") // the cursor is on it
	})
}

func TestABindingOfATagIsMade(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.answer("GET /bindings", listOf[api.Binding]())
		f.refuse("POST /bindings", api.Error{Status: 404, Code: api.CodeNotFound, Detail: `no upstream "groqq"`})
	}, func(s *stage) {
		s.press("7")
		s.sees("No bindings yet", "llmgw bindings create")
		s.press("n", "left", "tab")
		s.write("env=ci")
		s.press("tab")
		s.write("groqq")
		s.press("ctrl+s")
		s.did(`POST /bindings {"tag":"env=ci","upstream":"groqq"}`)
		s.logs("llmgw bindings create --tag env=ci --upstream groqq --context prod")
		s.sees("New binding", `no upstream "groqq"`, "env=ci")
	})
}

func TestABindingIsMoved(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.on("POST /bindings/bind_01B/move", func(r *http.Request, _ []byte) (int, any) {
			if r.Header.Get("If-Match") != `"2"` {
				t.Errorf("If-Match: %q", r.Header.Get("If-Match"))
			}
			all := sampleBindings()
			all[1].Order, all[1].ETag = 110, "9"
			f.answer("GET /bindings", listOf(all...))
			return http.StatusOK, all[1]
		})
		f.refuse("POST /bindings/bind_01C/move", api.Error{Status: 412, Code: api.CodeConflict, Detail: `binding "bind_01C" was changed since you read it`})
	}, func(s *stage) {
		s.press("7", "K")
		s.sees("it is the first of its caller already")
		s.press("j", "J")
		s.did(`POST /bindings/bind_01B/move {"order":110}`)
		s.logs("llmgw bindings move bind_01B --order 110 --context prod")
		s.sees("user lee: anthropic has order 110", "3 of 4") // the cursor goes with it
		s.press("k", "alt+down")
		s.did(`POST /bindings/bind_01C/move {"order":120}`)
		s.sees("was changed since you read it")
	})
}

func TestASecondMoveWaitsForTheFirst(t *testing.T) {
	var answers chan struct{}
	play(t, 100, 30, func(_ *Options, f *fake) {
		answers = make(chan struct{})
		f.on("POST /bindings/bind_01B/move", func(*http.Request, []byte) (int, any) {
			<-answers
			return http.StatusOK, api.Binding{}
		})
	}, func(s *stage) {
		s.press("7", "j", "J", "J")
		s.did("POST /bindings/bind_01B/move")
		s.sees("the last move is not back yet")
		close(answers)
		s.wait(time.Second)
		s.press("J")
		s.did("POST /bindings/bind_01B/move")
	})
}

func TestAMoveThatFailedCanBeTriedAgain(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.refuse("POST /bindings/bind_01B/move", api.Error{Status: 503, Code: api.CodeUnavailable, Detail: "the store is away"})
	}, func(s *stage) {
		s.press("7", "j", "J")
		s.sees("the store is away")
		s.did("POST /bindings/bind_01B/move")
		s.press("J")
		s.did("POST /bindings/bind_01B/move")
	})
}

func TestAnOrderIsWritten(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.answer("POST /bindings/bind_01A/move", api.Binding{ID: "bind_01A"})
	}, func(s *stage) {
		s.press("7", "e")
		s.sees("Order of openai-eu/default for key ci-bot")
		s.write("x")
		s.press("enter")
		s.sees("an order is a number")
		s.press("backspace")
		s.write("5")
		s.press("enter")
		s.did(`POST /bindings/bind_01A/move {"order":105}`)
		s.seesNot("Order of")
	})
}

func TestPlacesAmongOthers(t *testing.T) {
	for name, c := range map[string]struct {
		order  int
		others []int
		way    int
		want   int
	}{
		"behind the next":                       {10, []int{20, 30}, 1, 25},
		"behind the last":                       {10, []int{20}, 1, 30},
		"out of its peers":                      {10, []int{10, 20}, 1, 15},
		"out of its peers, the only ones":       {10, []int{10}, 1, 20},
		"before the one before":                 {30, []int{10, 20}, -1, 15},
		"before the first":                      {30, []int{20}, -1, 10},
		"before the first, near the least":      {30, []int{4}, -1, 1},
		"before its peers":                      {30, []int{20, 30}, -1, 25},
		"several of one order are passed whole": {10, []int{20, 20, 30}, 1, 25},
	} {
		t.Run(name, func(t *testing.T) {
			if got, problem := placeBeside(c.order, c.others, c.way); got != c.want || problem != "" {
				t.Errorf("order %d, %q", got, problem)
			}
		})
	}
	for name, c := range map[string]struct {
		order  int
		others []int
		way    int
		want   string
	}{
		"the last":             {30, []int{10, 20}, 1, "the last"},
		"the first":            {10, []int{20}, -1, "the first"},
		"the only one":         {10, nil, 1, "the last"},
		"no room between":      {10, []int{20, 21}, 1, "no order is free beside 20"},
		"no room below":        {10, []int{0}, -1, "no order is free beside 0"},
		"no room above":        {10, []int{mostOrder}, 1, "no order is free beside"},
		"peers without a room": {10, []int{10, 11}, 1, "no order is free beside 10"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, problem := placeBeside(c.order, c.others, c.way); got != c.order || !strings.Contains(problem, c.want) {
				t.Errorf("order %d, %q", got, problem)
			}
		})
	}
}

func TestAMoveGoesPastExactlyOneOrderAndMeetsNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.IntRange(leastOrder, 60).Draw(t, "order")
		others := rapid.SliceOfN(rapid.IntRange(leastOrder, 60), 0, 8).Draw(t, "others")
		way := rapid.SampledFrom([]int{1, -1}).Draw(t, "way")
		got, problem := placeBeside(order, others, way)
		if problem != "" {
			if got != order {
				t.Fatalf("refused and moved to %d", got)
			}
			return
		}
		if got < leastOrder || got > mostOrder || (got-order)*way <= 0 || slices.Contains(others, got) {
			t.Fatalf("moved to %d", got)
		}
		passed := map[int]bool{}
		for _, o := range others {
			if (o-order)*way >= 0 && (got-o)*way > 0 {
				passed[o] = true
			}
		}
		if len(passed) != 1 {
			t.Fatalf("%d passes %v", got, passed)
		}
	})
}

func TestBindingsAreDeletedAfterAQuestion(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		for _, id := range []string{"bind_01A", "bind_01B"} {
			f.on("DELETE /bindings/"+id, func(*http.Request, []byte) (int, any) { return http.StatusNoContent, nil })
		}
	}, func(s *stage) {
		s.press("7", "v", "v", "ctrl+d")
		s.sees("Delete 2 bindings?", "key ci-bot → openai-eu/default, order 10", "user lee → anthropic", "[ Cancel ]")
		s.press("enter")
		s.did()
		s.press("ctrl+d", "tab", "enter")
		if got := s.fake.called(); len(got) != 2 {
			t.Errorf("changes: %q", got)
		}
		s.seesNot("marked")
	})
}

func sampleBound() api.Explanation {
	return api.Explanation{
		Method: "POST", Path: "/v1/chat/completions", Model: "gpt-5", Key: "ci-bot", User: "lee", Outcome: "forward",
		Binding: &api.ExplainedBinding{ID: "bind_01A", Of: "key ci-bot", Order: 10},
		Candidates: []api.CandidateReport{
			{Upstream: "openai-eu", Model: "gpt-5", Share: 1, Credential: "default …x4Qd"},
			{Upstream: "anthropic", Model: "claude", Share: 0.75, Fallback: true},
			{Upstream: "openai-us", Problem: "it is draining"},
		},
	}
}

func TestItIsToldWhichBindingWins(t *testing.T) {
	play(t, 120, 40, func(_ *Options, f *fake) {
		f.answer("POST /explain", sampleBound())
		keys := sampleKeys()
		keys[0].Tags = map[string]string{"plan": "trial"}
		f.answer("GET /keys", listOf(keys...))
	}, func(s *stage) {
		s.press("7", "enter")
		s.sees("Who wins?", "ci-bot", "/v1/chat/completions")
		s.press("tab", "tab")
		s.write("env=ci")
		s.press("tab")
		s.write("gpt-5")
		s.press("ctrl+s")
		s.did(`POST /explain {"path":"/v1/chat/completions","model":"gpt-5","key":"ci-bot","tags":{"env":"ci"}}`)
		s.logs("llmgw rules explain --path /v1/chat/completions --model gpt-5 --key ci-bot --tag env=ci --context prod")
		s.sees("✓ openai-eu by the binding of key ci-bot, order 10", "no rule takes it",
			"1 openai-eu  credential default …x4Qd", "2 anthropic  first for 75% of such callers", "as model claude", "✕ openai-us  it is draining",
			"✓ key ci-bot → openai-eu/default  order 10, weight 1", "user lee → anthropic  order 100, weight 3", "tag plan=trial → groq", "models gpt-oss-*", "nothing was sent")
		s.press("esc", "x")
		s.sees("Who wins?")
	})
}

func TestWhatElseAnExplanationMaySay(t *testing.T) {
	for name, c := range map[string]struct {
		told api.Explanation
		want []string
	}{
		"a rule decides":          {api.Explanation{Outcome: "forward", Rule: "openai", Candidates: []api.CandidateReport{{URL: "https://x.example"}}}, []string{"✓ https://x.example by the rule openai", "no binding is asked", "none"}},
		"a rule leaves it open":   {func() api.Explanation { e := sampleBound(); e.Rule = "open"; return e }(), []string{"the rule open takes it and leaves open where it goes"}},
		"a rule answers":          {api.Explanation{Outcome: "respond", Status: 400, Rule: "retired"}, []string{"the gateway itself answers 400 by the rule retired"}},
		"nobody takes it":         {api.Explanation{Outcome: "refuse", Status: 400, Code: "no_rule", Message: "no rule \x1b[31mmatches"}, []string{"✕ it is refused: 400 no_rule no rule ·[31mmatches"}},
		"nothing but an outcome":  {api.Explanation{Outcome: "forward"}, []string{"✕ it is refused"}},
		"all of it is passed by":  {api.Explanation{Outcome: "refuse", Status: 503, Code: "upstream_off", Candidates: []api.CandidateReport{{Upstream: "groq", Problem: "it is disabled"}}}, []string{"✕ groq  it is disabled", "it is refused: 503"}},
		"a key that nobody named": {api.Explanation{Outcome: "refuse", Status: 400, Key: "stranger"}, []string{"Bindings of this caller", "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 120, 40, func(_ *Options, f *fake) { f.answer("POST /explain", c.told) }, func(s *stage) {
				s.press("7", "x", "ctrl+s")
				s.sees(c.want...)
			})
		})
	}
}

func TestAQuestionThatCannotBeAskedStaysInTheForm(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.refuse("POST /explain", api.Error{Status: 404, Code: api.CodeNotFound, Detail: `no key "ci-bott"`})
	}, func(s *stage) {
		s.press("7", "x", "tab", "tab")
		s.write("nonsense")
		s.press("ctrl+s")
		s.sees("nonsense is no tag; NAME=VALUE is")
		s.did()
		for range len("nonsense") {
			s.press("backspace")
		}
		s.press("up", "up")
		s.write("t")
		s.press("ctrl+s")
		s.sees("Who wins?", `no key "ci-bott"`)
	})
}

func TestWhoMayOnlyLookMayAskWhoWins(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.answer("GET /me", api.Me{User: "vic", Role: "viewer"})
		f.answer("POST /explain", sampleBound())
	}, func(s *stage) {
		s.press("7", "J", "K", "n", "e", "ctrl+d")
		s.did()
		s.wait(2 * noteStays)
		s.sees("who wins")
		s.seesNot("e order", "delete", "New binding")
		s.press("enter", "ctrl+s")
		s.did("POST /explain")
		s.sees("by the binding of key ci-bot")
	})
}

func TestTheCommandLineGoesToABinding(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("7", ":")
		s.write("bindings lee")
		s.press("enter")
		s.sees("2 of 4")
		s.press(":")
		s.write("bindings nobody")
		s.press("enter")
		s.sees("there is no nobody among them")
	})
}

func TestBindingsFitEveryTerminal(t *testing.T) {
	odd := []api.Binding{
		{ID: "b1", Key: strings.Repeat("鍵", 60), Upstream: "up\x1b[2J", Credential: strings.Repeat("c", 90), Order: 1_000_000, Weight: 1_000_000, Models: []string{strings.Repeat("m", 200)}},
		{ID: "b2", Tag: "研究=\x1b]0;x\x07", Upstream: strings.Repeat("語", 40)},
	}
	for _, size := range [][2]int{{60, 16}, {80, 24}, {120, 32}, {200, 60}, {300, 100}} {
		for name, bindings := range map[string][]api.Binding{"the sample": sampleBindings(), "odd ones": odd, "none": {}} {
			t.Run(fmt.Sprintf("%s in %dx%d", name, size[0], size[1]), func(t *testing.T) {
				play(t, size[0], size[1], func(_ *Options, f *fake) {
					f.answer("GET /bindings", listOf(bindings...))
					f.answer("POST /explain", sampleBound())
				}, func(s *stage) {
					for _, key := range []string{"7", "G", "enter", "ctrl+s", "esc", "esc", "n", "esc", "e", "esc", "ctrl+d", "esc"} {
						s.press(key)
						fits(t, s.frame(), size[0], size[1])
						if strings.Contains(s.frame(), "\x1b]0;") || strings.Contains(s.frame(), "\x1b[2J") {
							t.Fatalf("after %s the terminal is told something: %q", key, s.frame())
						}
					}
				})
			})
		}
	}
}

func TestBindingsAreReadAgainWhenWhatTheyNameIsCalledOtherwise(t *testing.T) {
	play(t, 110, 30, nil, func(s *stage) {
		s.press("7")
		renamed := sampleBindings()
		renamed[0].Upstream = "openai-europe"
		s.fake.answer("GET /bindings", listOf(renamed...))
		s.fake.send(api.Event{Change: &api.Changed{Subjects: []string{"upstream:up_01B"}, Seq: 42}})
		s.wait(time.Second)
		s.sees("openai-europe/default")
	})
}

func TestBindingsAreFilteredByWhatTheySay(t *testing.T) {
	for filter, want := range map[string]string{
		"key:ci-*": "1 of 4", "user:lee": "2 of 4", "tag:plan=*": "1 of 4", "caller:*lee": "2 of 4", "upstream:openai-*": "2 of 4",
		"credential:default": "1 of 4", "order<100": "1 of 4", "weight>=3": "1 of 4", "colour:red": "0 of 4 match", "-user:lee": "2 of 4",
	} {
		t.Run(filter, func(t *testing.T) {
			play(t, 110, 30, nil, func(s *stage) {
				s.press("7", "/")
				s.write(filter)
				s.press("enter")
				s.sees(want)
			})
		})
	}
}

func TestBindingsAreSortedByOtherColumns(t *testing.T) {
	play(t, 110, 30, nil, func(s *stage) {
		s.press("7")
		for _, first := range []string{"bind_01A", "bind_01B", "bind_01A"} {
			s.press("s", "g")
			if row := s.console.screens[6].(*bindingsScreen).row(); row.ID != first {
				t.Errorf("the first is %s, and not %s:\n%s", row.ID, first, s.text())
			}
		}
	})
}

func TestAnExplanationWantsAPath(t *testing.T) {
	play(t, 110, 30, nil, func(s *stage) {
		s.press("7", "x", "up")
		for range len("/v1/chat/completions") {
			s.press("backspace")
		}
		s.press("ctrl+s")
		s.sees("say which path")
		s.did()
		s.press("esc", "j", "x", "ctrl+s")
		s.logs("llmgw rules explain --path /v1/chat/completions --user lee --context prod")
	})
}
