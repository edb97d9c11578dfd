package tui

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/admin/api"
)

// moving answers moves, each with the next revision.
func moving(f *fake, names ...string) {
	revision := int64(41)
	for _, name := range names {
		f.on("POST /rules/"+name+"/move", func(*http.Request, []byte) (int, any) {
			revision++
			return http.StatusOK, api.Plan{Applied: true, Revision: revision}
		})
	}
}

// rulesAre has the gateway have rules in another order, at another revision.
func rulesAre(s *stage, revision int64, places ...int) {
	s.fake.answer("GET /rules", api.RuleList{Items: arranged(places...), Revision: revision})
	s.fake.send(api.Event{Change: &api.Changed{Seq: 500, Revision: revision, Subjects: []string{"rules:*"}}})
	s.wait(tickEvery)
}

func TestAnOrderIsMadeHereAndSentOnlyWhenItIsApplied(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		moving(s.fake, "fast-lane", "日本語-catch-all")
		s.press("3", "J", "J")
		s.sees("order changed: 1 rule · ctrl+s apply · esc discard", "▾3", "▴1", "1 → 3, not applied")
		s.press("G", "K", "alt+up")
		s.sees("order changed: 2 rules")
		s.did()
		s.press("ctrl+s")
		s.did(`POST /rules/日本語-catch-all/move {"after":"openai","if_revision":41}`, `POST /rules/fast-lane/move {"after":"日本語-catch-all","if_revision":42}`)
	})
	play(t, 120, 30, nil, func(s *stage) {
		moving(s.fake, "fast-lane", "日本語-catch-all")
		s.press("3", "J", "alt+down", "G", "K")
		s.press("ctrl+s")
		s.did(`POST /rules/fast-lane/move {"after":"openai","if_revision":41}`, `POST /rules/日本語-catch-all/move {"after":"fast-lane","if_revision":42}`)
		s.sees("order applied: 2 rules moved, revision 43")
		s.seesNot("order changed")
		s.logs("llmgw rules move '日本語-catch-all' --after fast-lane --context prod")
	})
}

func TestAnOrderThatIsAsItWasIsNone(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.press("3", "J", "K")
		s.seesNot("order changed")
		s.press("K")
		s.sees("fast-lane is the first of set default")
		s.press("J", "esc")
		s.seesNot("order changed")
		s.sees("▸1  fast-lane")
		s.press("ctrl+s")
		s.did()
	})
}

func TestARuleStaysWithinItsSet(t *testing.T) {
	rules := sampleRules()[:2]
	rules[1].Set = "other"
	play(t, 120, 30, func(_ *Options, f *fake) { f.answer("GET /rules", api.RuleList{Items: rules, Revision: 41}) }, func(s *stage) {
		s.press("3", "J")
		s.sees("fast-lane is the last of set default; a rule moves within its set")
		s.seesNot("order changed")
	})
}

func TestSortedRulesAreNotMoved(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.press("3", "s", "J")
		s.sees("in their own order")
		s.seesNot("order changed")
	})
}

func TestAnOrderStopsAtTheFirstRefusalAndTheRestIsKept(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		moving(s.fake, "fast-lane")
		s.fake.refuse("POST /rules/日本語-catch-all/move", api.Error{Status: 409, Code: api.CodeConflict, Detail: "rules changed since you read them"})
		s.press("3", "J", "J", "G", "K")
		s.fake.answer("GET /rules", api.RuleList{Items: arranged(2, 3, 1, 4, 5), Revision: 43})
		s.press("ctrl+s")
		s.did("POST /rules/fast-lane/move", "POST /rules/日本語-catch-all/move")
		s.sees("1 of 2 moves done, then: rules changed since you read them", "order changed: 1 rule")
		entries := s.console.desk.log.entries
		if len(entries) != 2 || entries[0].err != nil || entries[1].err == nil {
			t.Errorf("the log: %v", entries)
		}
		moving(s.fake, "日本語-catch-all")
		s.press("ctrl+s")
		s.did(`POST /rules/日本語-catch-all/move {"after":"fast-lane","if_revision":43}`)
	})
}

func arranged(places ...int) []api.Rule {
	all := sampleRules()
	var items []api.Rule
	for i, at := range places {
		r := all[at-1]
		r.Position = i + 1
		items = append(items, r)
	}
	return items
}

func TestRulesThatOnlySaySomethingElseLeaveTheOrderAlone(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		moving(s.fake, "anthropic")
		s.press("3", "J")
		rulesAre(s, 42, 1, 2, 3, 4, 5)
		s.sees("the rules were changed meanwhile (revision 42); your order is kept, not applied", "order changed: 1 rule")
		s.did()
		s.press("ctrl+s")
		s.did(`POST /rules/anthropic/move {"before":"fast-lane","if_revision":42}`)
	})
}

func TestWhereSomebodyElseMovedRulesItIsAskedWhoseOrderHolds(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.press("3", "J")
		rulesAre(s, 42, 5, 1, 3, 4)
		s.sees("The rules were changed meanwhile", "[ Keep mine ]", "Take theirs")
		s.press("enter")
		s.sees("order changed")
		s.did()
		rulesAre(s, 43, 1, 3, 4)
		s.sees("[ Keep mine ]")
		s.press("tab", "enter")
		s.seesNot("order changed")
		s.did()
	})
}

func TestQuittingAsksWhereAnOrderIsNotApplied(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.press("3", "J", "h", "q")
		s.sees("Quit?", "The order of 1 rule was changed here and is not applied.")
		s.press("enter")
		if s.quit {
			t.Fatal("it was left by Cancel")
		}
		s.press("q", "tab", "enter")
		if !s.quit {
			t.Fatal("it was not left")
		}
	})
}

func TestMovesMakeOneOrderIntoTheOtherAndAreTheFewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,3}`), 0, 9, rapid.ID[string]).Draw(t, "have")
		want := slices.Clone(have)
		if len(want) > 0 {
			want = rapid.Permutation(have).Draw(t, "want")
		}
		moves := movesTo(have, want)
		got := have
		for _, m := range moves {
			got = m.done(got)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v becomes %v by %v, and not %v", have, got, moves, want)
		}
		if fewest := len(have) - len(commonRun(have, want)); len(moves) != fewest {
			t.Fatalf("%d moves, and %d were enough", len(moves), fewest)
		}
	})
}

// commonRun is the longest common subsequence, found the slow way.
func commonRun(a, b []string) []string {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	if a[0] == b[0] {
		return append([]string{a[0]}, commonRun(a[1:], b[1:])...)
	}
	one, other := commonRun(a[1:], b), commonRun(a, b[1:])
	if len(one) >= len(other) {
		return one
	}
	return other
}

func TestAnOrderHoldsWhateverRulesCome(t *testing.T) {
	rule := func(t *rapid.T, label string) []api.Rule {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-f]{1,2}`), 0, 8, rapid.ID[string]).Draw(t, label)
		split := rapid.IntRange(0, len(names)).Draw(t, label+" split")
		var all []api.Rule
		for i, name := range names {
			set := "one"
			if i >= split {
				set = "two"
			}
			all = append(all, api.Rule{Name: name, Set: set, Position: i + 1})
		}
		return all
	}
	rapid.Check(t, func(t *rapid.T) {
		o := newOrder(rule(t, "before"), 1)
		now := rule(t, "now")
		got := o.arranged(now)
		if len(got) != len(now) {
			t.Fatalf("%d of %d rules", len(got), len(now))
		}
		for i := range got {
			if got[i].Set != now[i].Set || got[i].Position != i+1 {
				t.Fatalf("rule %d of set %s stands at %d in set %s", got[i].Position, got[i].Set, i+1, now[i].Set)
			}
		}
	})
}

func TestAnOrderOnItsWayIsNeitherChangedNorSentTwice(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.fake.on("POST /rules/anthropic/move", func(*http.Request, []byte) (int, any) {
			time.Sleep(2 * time.Second) //nolint:forbidigo // the bubble's time
			return 200, api.Plan{Applied: true, Revision: 42}
		})
		s.press("3", "J", "ctrl+s")
		s.sees("being applied")
		s.press("J")
		s.sees("the order is being applied")
		s.press("ctrl+s", "esc")
		s.wait(3 * time.Second)
		s.did("POST /rules/anthropic/move")
		s.sees("order applied: 1 rule moved, revision 42")
	})
}

func TestEscClosesWhatIsOpenBeforeItThrowsAnOrderAway(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.press("3", "J", "v")
		s.sees("1 rule marked")
		s.press("esc")
		s.sees("order changed")
		s.seesNot("marked")
		s.press("esc")
		s.seesNot("order changed")
	})
}

func TestAnOrderThatTheGatewayCannotBeReachedForIsKept(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.press("3", "J")
		s.fake.goAway()
		s.wait(time.Second)
		s.press("ctrl+s")
		s.did()
		s.sees("order changed: 1 rule", "nothing can be changed")
		if n := len(s.console.desk.log.entries); n != 0 {
			t.Errorf("%d commands are in the log, and none was tried", n)
		}
		s.fake.comeBack()
		s.wait(20 * time.Second)
		moving(s.fake, "anthropic")
		s.press("ctrl+s")
		s.did("POST /rules/anthropic/move")
	})
}
