package tui

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/admin/api"
)

// ends has the gateway tell that exchanges have ended.
func (s *stage) ends(all ...api.Exchange) {
	s.t.Helper()
	for i := range all {
		s.fake.send(api.Event{ID: "run-" + all[i].RequestID, Exchange: &all[i]})
	}
	s.wait(300 * time.Millisecond)
}

// starts has it tell that they have started.
func (s *stage) starts(all ...api.Flight) {
	s.t.Helper()
	for i := range all {
		s.fake.send(api.Event{Started: &all[i]})
	}
	s.wait(300 * time.Millisecond)
}

// exchanges are n of them, numbered.
func exchanges(n int) []api.Exchange {
	all := make([]api.Exchange, n)
	for i := range all {
		all[i] = sampleExchange(0)
		all[i].RequestID = fmt.Sprintf("req_%04d", i)
		all[i].Model = fmt.Sprintf("model-%04d", i)
	}
	return all
}

func TestTrafficShowsWhatEndedAndHow(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("2")
		s.sees("No requests in the last 2 min", "llmgw chat hello sends one")
		s.ends(sampleExchange(0), sampleExchange(1), sampleExchange(2), sampleExchange(3))
		s.sees("following] ", "/s", "4 · 0 dropped", "57 in flight")
		s.sees("200  claude-sonnet-5", "612 ms", "640 → 212", "429  claude-opus-5", "✕ upstream", "499  gpt-5", "client left", "400  gpt-6", "✕ no_rule")
		fits(t, s.frame(), 120, 32)
	})
}

func TestTheTimeIsThatOfThePersonAndNotOfTheGateway(t *testing.T) {
	east := time.FixedZone("east", 3*60*60)
	change := func(o *Options, _ *fake) {
		clock := o.Clock
		o.Clock = func() time.Time { return clock().In(east) }
	}
	play(t, 120, 32, change, func(s *stage) {
		s.press("2")
		s.ends(sampleExchange(0))
		s.sees("00:04:13  200")
		s.press("enter")
		s.sees("00:04:13 ─")
	})
}

func TestAnExchangeThatStartedBecomesTheOneThatEnded(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("2")
		flight := sampleFlights()[0]
		s.starts(flight)
		s.sees("···  gpt-5", "◐ streaming")
		s.ends(sampleExchange(0))
		x := sampleExchange(2)
		x.RequestID = flight.RequestID
		s.ends(x)
		s.seesNot("◐ streaming")
		s.sees("2 · 0 dropped")
		if text := s.text(); strings.Index(text, "client left") > strings.Index(text, "claude-sonnet-5") {
			t.Errorf("what ended has moved:\n%s", text)
		}
		s.starts(flight) // told late: it has ended
		s.seesNot("◐ streaming")
	})
}

func TestARowWhoseEndWasNotToldGoesWhenNothingOfItIsInFlight(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("2")
		lost := sampleFlights()[0]
		lost.RequestID, lost.Model = "req_lost", "lost-model"
		s.starts(lost, sampleFlights()[1])
		s.wait(loadLimit)
		s.sees("lost-model")
		s.wait(streamsEvery)
		s.sees("– end not told", "claude-sonnet-5")
		s.wait(2 * streamsEvery)
		s.seesNot("lost-model")
		s.sees("claude-sonnet-5") // which is in flight
	})
}

func TestARowStaysWhereItsNodeDidNotAnswer(t *testing.T) {
	play(t, 120, 32, func(_ *Options, f *fake) {
		f.answer("GET /streams", api.Streams{Partial: &api.Partial{Nodes: []string{"b1"}, Problem: "no answer within 2s"}})
	}, func(s *stage) {
		s.press("2")
		here, there := sampleFlights()[0], sampleFlights()[1]
		here.Model, here.Node, there.Model, there.Node = "model-here", "a1", "model-there", "b1"
		s.starts(here, there)
		s.wait(loadLimit + 5*streamsEvery)
		s.seesNot("model-here")
		s.sees("model-there")
	})
}

func TestTheTailFollowsUntilSomethingIsLookedAt(t *testing.T) {
	play(t, 120, 20, nil, func(s *stage) {
		s.press("2")
		all := exchanges(60)
		s.ends(all[:40]...)
		s.sees("▸21:04:13  200  model-0039", "following")
		s.press("up")
		s.sees("▸21:04:13  200  model-0038", "39 of 40")
		s.seesNot("following")
		s.ends(all[40:50]...)
		s.sees("▸21:04:13  200  model-0038", "39 of 50")
		s.press("f")
		s.sees("▸21:04:13  200  model-0049", "following")
		s.press("g")
		s.sees("▸21:04:13  200  model-0000", "1 of 50")
		s.press("down", "pgdown")
		s.seesNot("following")
		s.press("G")
		s.ends(all[50:]...)
		s.sees("▸21:04:13  200  model-0059", "following")
	})
}

func TestAPausedTailCountsWhatComesAndShowsItAfterwards(t *testing.T) {
	play(t, 120, 20, nil, func(s *stage) {
		s.press("2")
		all := exchanges(30)
		flight := sampleFlights()[0]
		flight.RequestID = "req_0000"
		s.starts(flight)
		s.press(" ")
		s.sees("‖ paused, 0 more")
		s.ends(all[0]) // of a row that is shown
		s.ends(all[1:]...)
		s.sees("paused, 29 more", "model-0000", "1 · 0 dropped")
		s.seesNot("model-0001", "streaming")
		s.press(" ")
		s.sees("following", "▸21:04:13  200  model-0029", "30 · 0 dropped")
	})
}

func TestAFilterOfAPausedTailTakesOfWhatIsHeld(t *testing.T) {
	play(t, 120, 20, nil, func(s *stage) {
		s.press("2")
		s.ends(exchanges(30)...)
		s.press(" ", "/")
		s.write("model:model-0007")
		s.wait(2 * filterRest)
		s.sees("paused, 0 more", "model-0007", "1 of 30")
		if n := len(s.fake.asked); n != 1 {
			t.Errorf("%d streams were opened: what is held does not change", n)
		}
		s.press("ctrl+u")
		s.write("model:other")
		s.wait(2 * filterRest)
		s.sees("0 of 30 match")
		s.press("enter", " ")
		s.wait(time.Second)
		if n := len(s.fake.asked); n != 2 || !strings.Contains(s.fake.asked[n-1], "model=other") {
			t.Errorf("the gateway was not asked when the tail went on: %q", s.fake.asked)
		}
		s.sees("Nothing matches yet.")
	})
}

func TestWhatIsKeptHasAnEndAndIsNoDrop(t *testing.T) {
	play(t, 120, 20, nil, func(s *stage) {
		s.press("2")
		all := exchanges(keptExchanges + 100)
		for len(all) > 0 {
			n := min(len(all), 1000)
			s.ends(all[:n]...)
			all = all[n:]
		}
		s.sees("5,000 · 0 dropped", "model-5099")
		s.press("g")
		s.sees("model-0100")
		s.fake.send(api.Event{Tally: &api.Tally{Shown: 5100, Dropped: 1234}})
		s.wait(time.Second)
		s.sees("1,234 dropped")
	})
}

func TestAFilterHoldsWhileItIsWrittenAndTheGatewayIsAskedWhenItRests(t *testing.T) {
	play(t, 160, 24, nil, func(s *stage) {
		s.press("2")
		s.ends(sampleExchange(0), sampleExchange(1), sampleExchange(2), sampleExchange(3))
		s.press("/")
		s.write("status:4xx key:ci-*")
		s.wait(100 * time.Millisecond)
		s.sees("filter: status:4xx key:ci-*", "3 of 4 · 0 dropped")
		s.seesNot("claude-sonnet-5")
		if n := len(s.fake.asked); n != 1 {
			t.Errorf("%d streams were opened before anything rested", n)
		}
		s.wait(filterRest)
		if n := len(s.fake.asked); n != 2 {
			t.Fatalf("%d streams were opened: %q", n, s.fake.asked)
		}
		got, err := url.ParseQuery(s.fake.asked[1])
		if err != nil {
			t.Fatal(err)
		}
		want := url.Values{"kind": {"change", "exchange"}, "key": {"ci-*"}, "status": {"4xx"}, "since": {"15m0s"}}
		if got.Encode() != want.Encode() {
			t.Errorf("asked for %q, and not %q", got.Encode(), want.Encode())
		}
		s.press("enter")
		s.wait(time.Second)
		s.sees("0 match", "filtered at the gateway", "Nothing matches yet")
		s.ends(sampleExchange(1))
		s.sees("1 match · filtered at the gateway · 0 dropped")
		s.press("esc")
		s.wait(time.Second)
		if got := s.fake.asked[len(s.fake.asked)-1]; len(s.fake.asked) != 3 || strings.Contains(got, "status") || !strings.Contains(got, "kind=started") {
			t.Errorf("the stream did not go back: %q", s.fake.asked)
		}
		s.seesNot("filter:", "429")
	})
}

func TestAFilterThatTheGatewayCannotApplyAsksForNothingElse(t *testing.T) {
	play(t, 120, 24, nil, func(s *stage) {
		s.press("2", "/")
		s.write("-model:gpt-* no_rule in>100")
		s.wait(2 * filterRest)
		if len(s.fake.asked) != 1 {
			t.Errorf("another stream was opened: %q", s.fake.asked)
		}
		s.press("esc")
		s.seesNot("filter:")
	})
}

func TestAFilterThatIsWrongSaysSoAndTheOneBeforeItHolds(t *testing.T) {
	play(t, 120, 24, nil, func(s *stage) {
		s.press("2")
		s.ends(sampleExchange(0), sampleExchange(1))
		s.press("/")
		s.write("opus -colour:red")
		s.wait(time.Second)
		s.sees("✕ colour: there are status, model", "1 of 2")
		s.press("enter")
		s.sees("filter: opus -colour ")
		s.press("esc")
		s.sees("2 · 0 dropped")
		s.press("/")
		s.write("total>soon")
		s.sees(`✕ total>soon: "soon" is no number and no time`)
	})
}

func TestAnotherScreenFiltersTraffic(t *testing.T) {
	play(t, 120, 24, nil, func(s *stage) {
		traffic := s.console.screens[1].(interface{ filterTo(string) })
		s.ends(sampleExchange(0), sampleExchange(1))
		s.press("2", "enter")
		s.sees("gateway's own share")
		traffic.filterTo("upstream:anthropic status:429")
		s.send(struct{}{}) // which it does in the course of a key
		s.wait(200 * time.Millisecond)
		s.sees("filter: upstream:anthropic status:429")
		if got := s.fake.asked[len(s.fake.asked)-1]; !strings.Contains(got, "status=429") || !strings.Contains(got, "upstream=anthropic") {
			t.Errorf("asked for %q", got)
		}
		traffic.filterTo("foo:bar")
		s.send(struct{}{})
		s.wait(200 * time.Millisecond)
		s.sees("foo: there are status", "filter: upstream:anthropic status:429")
	})
}

func TestTheFilterOfTheGatewaySurvivesItsLoss(t *testing.T) {
	play(t, 120, 24, nil, func(s *stage) {
		s.press("2", "/")
		s.write("key:ci-bot")
		s.press("enter")
		s.wait(time.Second)
		s.ends(sampleExchange(0))
		s.fake.goAway()
		s.wait(time.Second)
		s.sees("gateway not reachable", "claude-sonnet-5")
		s.press("esc") // while it is away
		s.wait(time.Second)
		s.sees("claude-sonnet-5")
		s.fake.comeBack()
		s.wait(20 * time.Second)
		if got := s.fake.asked[len(s.fake.asked)-1]; strings.Contains(got, "key=") || !strings.Contains(got, "since=2m0s") {
			t.Errorf("asked for %q", got)
		}
		s.sees("● live", "No requests in the last 2 min")
	})
}

func TestAGatewayThatIsNotThereIsSaidInPlaceOfTheTail(t *testing.T) {
	play(t, 100, 24, func(_ *Options, f *fake) { f.away = true }, func(s *stage) {
		s.press("2")
		s.sees("connection refused", "r tries again")
		fits(t, s.frame(), 100, 24)
	})
}

func TestAnExchangeIsToldInPhases(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("2")
		s.ends(sampleExchange(0))
		s.press("enter")
		s.sees("req_01K9ZT2000 – 200 – claude-sonnet-5", "key ci-bot (dana)", "rule anthropic rev 41", "upstream anthropic", "node a1", "POST /v1/messages 75 KB")
		s.sees("body 0.10 ms", "connect 0 (reused)", "waiting 418 ms", "first token 612 ms", "stream 8.6 s, 388 chunks")
		s.sees("chunk gaps ▁▁▁▁▁▁▁▁▁█▁", "longest 1.1 s at 4.0 s, one bar is 400 ms", "gateway's own share 0.40 ms (<0.01%)")
		s.sees("tab: [Timing] Rule Tokens")
		s.press("tab", "tab")
		s.sees("[Tokens]", "640", "212", "not told by the upstream", "out, a second", "24.7")
		s.press("shift+tab", "shift+tab", "y")
		s.sees("copied req_01K9ZT2000")
		if !strings.Contains(s.out.String(), "\x1b]52;") {
			t.Error("nothing was put into the clipboard")
		}
		s.press("esc")
		s.sees("TIME")
	})
}

func TestPhasesSayWhatDidNotHappen(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*api.Exchange)
		want   []string
	}{
		"never sent to an upstream": {
			func(x *api.Exchange) { *x = sampleExchange(3) },
			[]string{"No phases: it was not sent to an upstream", "(no_rule)", "end ✕ no_rule"},
		},
		"of a node that does not measure": {
			func(x *api.Exchange) { x.Timing = nil },
			[]string{"Node a1 did not tell the phases"},
		},
		"a new connection": {
			func(x *api.Exchange) { x.Timing.Connect = 21 },
			[]string{"connect 21 ms"},
		},
		"no answer": {
			func(x *api.Exchange) {
				x.Status, x.EndReason, x.FirstTokenMS, x.Timing = 504, "header_timeout", 0, &api.Timing{Body: 1, Dispatched: 2}
			},
			[]string{"waiting 9.2 s, no answer", "end ✕ upstream silent"},
		},
		"several attempts": {
			func(x *api.Exchange) { x.Attempts, x.Timing.Dispatched = 3, 300 },
			[]string{"2 attempts before 300 ms"},
		},
		"one piece": {
			func(x *api.Exchange) {
				x.Stream, x.FirstTokenMS, x.Timing.Chunks, x.Timing.Gaps = false, 0, 1, nil
			},
			[]string{"answer 8.8 s, 1 chunk"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 120, 32, nil, func(s *stage) {
				x := sampleExchange(0)
				test.change(&x)
				s.press("2")
				s.ends(x)
				s.press("enter")
				s.sees(test.want...)
			})
		})
	}
}

func TestTheNextExchangeIsAKeyAway(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("2")
		all := exchanges(5)
		s.ends(all[:3]...)
		s.press("up", "enter")
		s.sees("req_0001 –")
		s.press("n")
		s.sees("req_0002 –")
		s.press("n")
		s.sees("req_0002 –", "no other exchange")
		s.ends(all[3:]...)
		s.press("down")
		s.sees("req_0003 –")
		s.press("p", "up", "k")
		s.sees("req_0000 –")
		s.press("esc")
		s.sees("▸21:04:13  200  model-0000")
	})
}

func TestADetailStaysWhenItsRowIsGone(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("2")
		flight := sampleFlights()[0]
		s.starts(flight)
		s.press("enter")
		s.sees("Under way for", "11 KB sent", "◐ streaming")
		for i := range 6 {
			all := exchanges(1000)
			for j := range all {
				all[j].RequestID = fmt.Sprintf("req_%d_%d", i, j)
			}
			s.ends(all...)
		}
		s.sees("Under way for")
		x := sampleExchange(0)
		x.RequestID = flight.RequestID
		s.ends(x)
		s.sees("stream 8.6 s, 388 chunks")
	})
}

func TestAnExchangeIsExplainedOnceAndByTheRulesOfNow(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.fake.answer("POST /explain", api.Explanation{
			Method: "POST", Path: "/v1/messages", Revision: 42, Outcome: "forward", Rule: "anthropic",
			Rules: []api.ExplainedRule{
				{Position: 1, Name: "fast-lane", Verdict: "no", Matcher: "model", Saw: "claude-sonnet-5", Wants: "gpt-5-mini"},
				{Position: 2, Name: "anthropic", Verdict: "yes"},
				{Position: 3, Name: "openai", Verdict: "unreached"},
			},
			Candidates: []api.CandidateReport{{Upstream: "anthropic", Share: 0.8}, {Upstream: "groq", Fallback: true, Model: "gpt-oss-120b"}},
			Limits:     []string{"key ci-bot 600 req/min"},
		})
		s.press("2")
		s.ends(sampleExchange(1), sampleExchange(0))
		s.press("x")
		s.did(`POST /explain {"method":"POST","path":"/v1/messages","model":"claude-sonnet-5","stream":true,"key":"ci-bot"}`)
		s.logs("llmgw rules explain --path /v1/messages --model claude-sonnet-5 --stream --key ci-bot --context prod")
		s.sees("[Rule]", "model claude-sonnet-5, wants gpt-5-mini", "YES   takes it", "anthropic", "80%", "groq", "gpt-oss-120b", "key ci-bot 600 req/min", "rev 42")
		s.press("tab", "tab", "tab", "x")
		s.did()
		s.press("p")
		s.did(`POST /explain {"method":"POST","path":"/v1/messages","model":"claude-opus-5","key":"ci-bot"}`)
	})
}

func TestAnExplanationThatFailsIsTriedAgain(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.fake.refuse("POST /explain", api.Error{Title: "Not Found", Status: 404, Code: api.CodeNotFound, Detail: `there is no key "ci-bot"`, Hint: "llmgw keys list"})
		s.press("2")
		s.ends(sampleExchange(0))
		s.press("x")
		s.sees(`there is no key "ci-bot"`, "llmgw keys list")
		s.fake.answer("POST /explain", api.Explanation{Outcome: "refuse", Status: 400, Code: "no_rule", Message: "no rule takes it"})
		s.press("x")
		s.sees("refused", "400 no_rule", "no rule takes it")
	})
}

func TestStreamsInFlightAreListedAndKeptByEvents(t *testing.T) {
	play(t, 120, 24, nil, func(s *stage) {
		s.press("2", "tab")
		s.sees("Streams in flight", "req_01K9ZT1001", "1 min", "claude-sonnet-5", "811 KB", "31.0 s ago", "1 of 2")
		flight := sampleFlights()[0]
		flight.RequestID, flight.Model, flight.SentBytes, flight.StartedAt = "req_new", "モデル-大", 0, sampleNow().Add(time.Second)
		s.starts(flight)
		s.sees("req_new", "モデル-大", "nothing yet", "1 of 3")
		x := sampleExchange(0)
		x.RequestID = "req_01K9ZT1001"
		s.ends(x)
		s.seesNot("req_01K9ZT1001")
		s.sees("of 2")
		before := s.fake.reads["/streams"]
		s.wait(9 * time.Second)
		if n := s.fake.reads["/streams"] - before; n != 3 {
			t.Errorf("asked %d times in 9 s", n)
		}
		s.press("enter")
		s.sees("Under way for")
		s.press("esc", "esc")
		s.sees("Traffic [")
	})
}

func TestStreamsAreSortedAndFiltered(t *testing.T) {
	play(t, 120, 24, nil, func(s *stage) {
		s.press("2", "tab", "s")
		s.sees("AGE")
		s.press("/")
		s.write("age>60s key:ci-bot")
		s.press("enter")
		s.sees("1 of 2", "req_01K9ZT1001")
		s.seesNot("req_01K9ZT1000")
		s.press("esc")
		s.sees("req_01K9ZT1000")
	})
}

func TestWhatMayBeMissingAmongStreamsIsSaid(t *testing.T) {
	for name, test := range map[string]struct {
		streams api.Streams
		want    string
	}{
		"a node that did not answer": {api.Streams{Items: sampleFlights(), Partial: &api.Partial{Nodes: []string{"b1", "b2"}, Problem: "no answer within 2s"}}, "b1, b2 did not answer: no answer within 2s"},
		"nodes that are not known":   {api.Streams{Partial: &api.Partial{Problem: "the bus is away"}}, "not all nodes are known: the bus is away"},
		"more than are listed":       {api.Streams{Items: make([]api.Flight, mostListed)}, "only the oldest 1,000 are listed"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 100, 24, func(_ *Options, f *fake) { f.answer("GET /streams", test.streams) }, func(s *stage) {
				s.press("2", "tab")
				s.sees(test.want)
				fits(t, s.frame(), 100, 24)
			})
		})
	}
}

func TestACutAsksFirstAndMeansCancelByDefault(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("POST /streams/req_01K9ZT1001/cut", sampleFlights()[1])
		s.press("2", "tab", "ctrl+d")
		s.sees("Cut 1 stream?", "claude-sonnet-5 of ci-bot → anthropic, 1 min old, 811 KB sent", "[ Cancel ]")
		s.press("enter")
		s.did()
		s.press("ctrl+d", "tab", "enter")
		s.did("POST /streams/req_01K9ZT1001/cut")
		s.sees("stream req_01K9ZT1001 cut on node a2")
		if n := len(s.console.desk.log.entries); n != 0 {
			t.Errorf("%d commands are in the log, and none does this", n)
		}
	})
}

func TestACutOfWhatHasEndedSaysSo(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.refuse("POST /streams/req_01K9ZT1001/cut", api.Error{Title: "Not Found", Status: http.StatusNotFound, Code: api.CodeNotFound, Detail: "nothing of this id is in flight on any node"})
		s.press("2", "tab", "ctrl+d", "tab", "enter")
		s.sees("stream req_01K9ZT1001 had ended already")
	})
}

func TestWhoMayOnlyLookCutsNothing(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /me", api.Me{User: "vic", Role: "viewer"}) }, func(s *stage) {
		s.fake.answer("POST /explain", api.Explanation{Outcome: "refuse", Status: 400, Message: "no rule takes it"})
		s.press("2", "tab")
		s.seesNot(" cut")
		s.press("ctrl+d")
		s.seesNot("Cut 1 stream?")
		s.press("esc")
		s.ends(sampleExchange(0))
		s.press("x")
		s.did("POST /explain")
		s.sees("no rule takes it")
	})
}

func TestTheCommandLineGoesToAnExchange(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.ends(exchanges(3)...)
		s.press(":")
		s.write("traffic req_0001")
		s.press("enter")
		s.sees("▸21:04:13  200  model-0001")
		s.press(":")
		s.write("traffic req_none")
		s.press("enter")
		s.sees("there is no req_none among them")
	})
}

func TestTrafficFitsEverySizeWhateverIsInIt(t *testing.T) {
	long := strings.Repeat("very-long-", 30)
	hostile := sampleExchange(0)
	hostile.RequestID, hostile.Model, hostile.Key, hostile.Path, hostile.Upstream = "req_\x1b[31m"+long, "\x1b]0;owned\x07モデル"+long, long, "/\u202e"+long, "日本語日本語日本語日本語"
	hostile.Error, hostile.EndReason, hostile.DurationMS, hostile.Timing.Header = long, "upstream_error", 1e12, 5e12
	flight := sampleFlights()[0]
	flight.RequestID, flight.Model, flight.Node = "req_\x1b[2J", "\x1b[2Jモデル"+long, long
	for _, size := range [][2]int{{60, 16}, {80, 24}, {99, 30}, {120, 32}, {151, 40}, {300, 100}} {
		for _, ascii := range []bool{false, true} {
			play(t, size[0], size[1], func(o *Options, f *fake) {
				o.ASCII = ascii
				f.answer("GET /streams", api.Streams{Items: append(sampleFlights(), flight), Partial: &api.Partial{Nodes: []string{long}, Problem: "\x1b[5m" + long}})
				f.answer("POST /explain", api.Explanation{Rule: "a", Rules: []api.ExplainedRule{{Name: "\x1b[1m" + long, Verdict: "no", Matcher: long}, {Name: "a", Verdict: "yes"}}, Limits: []string{long}})
			}, func(s *stage) {
				look := func() {
					t.Helper()
					fits(t, s.frame(), size[0], size[1])
					s.seesNot("\x1b", "\x07", "\u202e")
				}
				s.press("2")
				look()
				s.ends(sampleExchange(0), sampleExchange(1), sampleExchange(2), sampleExchange(3), hostile)
				s.starts(flight)
				look()
				for _, key := range []string{"up", "enter", "tab", "tab", "p", "tab", "p", "esc", "tab", "enter", "esc", "ctrl+d", "esc", "tab", "/"} {
					s.press(key)
					look()
				}
				s.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(strings.Repeat("model:x", 60))})
				look()
			})
		}
	}
}

func TestWhatIsWrittenIsSeenOnASmallTerminal(t *testing.T) {
	play(t, 60, 16, nil, func(s *stage) {
		s.press("2")
		s.ends(sampleExchange(0), sampleExchange(1))
		s.press("/")
		s.write("status>=400 key:c*")
		s.wait(100 * time.Millisecond)
		s.sees("filter: status>=400 key:c*", "1 of 2")
		s.press("enter", " ")
		s.sees("‖0  filter: status", "dropped")
	})
}

func TestAPartThatIsLongerThanTheScreenScrolls(t *testing.T) {
	play(t, 60, 16, nil, func(s *stage) {
		answer := api.Explanation{Outcome: "forward", Rule: "rule-29"}
		for i := range 30 {
			answer.Rules = append(answer.Rules, api.ExplainedRule{Position: i + 1, Name: fmt.Sprintf("rule-%02d", i), Verdict: "no", Matcher: "model", Wants: "x"})
		}
		answer.Rules[29].Verdict = "yes"
		s.fake.answer("POST /explain", answer)
		s.press("2")
		s.ends(sampleExchange(0))
		s.press("x")
		s.sees("rule-00", "lines more · PgDn")
		for range 10 {
			s.press("pgdown")
		}
		s.sees("rule-29", "takes it", "Nothing was")
		s.seesNot("more · PgDn", "rule-00")
		s.press("pgup")
		s.sees("lines more")
		s.press("tab")
		s.sees("[Tokens]", "key ci-bot")
	})
}

func TestNoKeyTearsTrafficApart(t *testing.T) {
	keys := rapid.SampledFrom([]string{
		"up", "down", "enter", "esc", "tab", "shift+tab", "f", " ", "x", "n", "p", "y", "/", "g", "G", "pgup", "pgdown", "ctrl+d", "s", "S", "v", "V", "m", "o", ":", "r", "t", "backspace", "*",
	})
	play(t, 60, 16, nil, func(s *stage) {
		s.press("2")
		n := 0
		rapid.Check(t, func(r *rapid.T) {
			for range 4 {
				switch rapid.IntRange(0, 5).Draw(r, "what") {
				case 0:
					n++
					s.ends(sampleExchange(n))
				case 1:
					s.starts(sampleFlights()[n%2])
				case 2:
					s.wait(streamsEvery)
				default:
					s.press(keys.Draw(r, "key"))
				}
				fits(t, s.frame(), 60, 16)
			}
		})
	})
}
