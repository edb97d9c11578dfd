package tui

import (
	"net/http"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

func TestRulesShowWhatTheyTakeAndWhereItGoes(t *testing.T) {
	play(t, 120, 32, nil, func(s *stage) {
		s.press("3")
		s.sees("Rules [4/5] rev 41", "fast-lane", "●", "○", "model=gpt-5-m…", "→ groq", "1 of 5", "x-tier: free", "last 15 min")
		s.press("j", "j")
		s.sees("▸3", "{name: openai-eu, weight: 80}", "0.20% errors", "rev 41, dana, 1 h ago")
		fits(t, s.frame(), 120, 32)
	})
}

func TestRulesFitTheSmallestTerminalAndTheLargest(t *testing.T) {
	for _, size := range [][2]int{{60, 16}, {80, 24}, {300, 97}} {
		play(t, size[0], size[1], nil, func(s *stage) {
			for _, keys := range [][]string{{"3"}, {"enter"}, {"G"}, {"esc", "x"}, {"esc", "H"}, {"enter"}, {"esc", "esc", "J"}, {"ctrl+d"}} {
				s.press(keys...)
				fits(t, s.frame(), size[0], size[1])
			}
		})
	}
}

func TestARuleWithANastyNameIsShownWithoutObeyingIt(t *testing.T) {
	nasty := api.Rule{
		Position: 1, Set: "\x1b[2J", Name: "a\x1b]0;x\a" + strings.Repeat("長", 90), Description: "\x1b[31m", YAML: "- name: \x1b[2J\n  match: {}\n",
		Match: map[string]any{"header": map[string]any{"\x1b[1m": "\x1b[2J"}, "not": map[string]any{"path": []any{1.5, "\n"}}}, Action: map[string]any{"upstreams": []any{"x", map[string]any{"name": "\x1b[0m"}}, "fallback": 3},
	}
	play(t, 120, 32, func(_ *Options, f *fake) {
		f.answer("GET /rules", api.RuleList{Items: []api.Rule{nasty}, Revision: 41})
	}, func(s *stage) {
		s.press("3")
		for _, keys := range [][]string{{"enter"}, {"esc", "x"}, {"esc", "ctrl+d"}} {
			fits(t, s.frame(), 120, 32)
			if strings.Contains(s.frame(), "\x1b[2J") || strings.Contains(s.frame(), "\x1b]0;") {
				t.Errorf("an escape sequence of a rule's is obeyed: %q", s.frame())
			}
			s.press(keys...)
		}
	})
}

func TestWithoutRulesItIsSaidWhatMakesOne(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /rules", api.RuleList{Items: []api.Rule{}, Revision: 1}) }, func(s *stage) {
		s.press("3")
		s.sees("No rules yet.", "llmgw rules apply -f examples/basic.yaml")
		s.press("e", " ", "J", "ctrl+d", "ctrl+s")
		s.did()
	})
}

func TestRulesThatCannotBeLoadedSayWhy(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.refuse("GET /rules", api.Error{Status: 503, Code: api.CodeUnavailable, Detail: "the store is away", Hint: "start it"})
	}, func(s *stage) {
		s.press("3")
		s.sees("the store is away", "start it", "r tries again")
		s.press("n", "J")
		s.did()
	})
}

func TestARuleFillsTheScreenAndIsScrolled(t *testing.T) {
	long := sampleRules()[0]
	long.YAML = "- name: fast-lane\n" + strings.Repeat("  x: y\n", 60) + "  last: line\n"
	play(t, 80, 24, func(_ *Options, f *fake) {
		f.answer("GET /rules", api.RuleList{Items: []api.Rule{long}, Revision: 41})
	}, func(s *stage) {
		s.press("3", "enter")
		s.sees("name: fast-lane", "lines more")
		s.seesNot("last: line")
		s.press("G")
		s.sees("last: line")
		s.press("g")
		s.sees("name: fast-lane")
		s.press("pgdown")
		s.seesNot("name: fast-lane")
		s.press("esc")
		s.sees("REQ/MIN")
	})
}

func TestARuleIsTakenOutOfForceAndPutBack(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("POST /rules/fast-lane/disable", api.Rule{Name: "fast-lane"})
		s.fake.answer("POST /rules/old-embed/enable", api.Rule{Name: "old-embed", Enabled: true})
		s.press("3", " ")
		s.did("POST /rules/fast-lane/disable")
		s.logs("llmgw rules disable fast-lane --context prod")
		s.sees("rule fast-lane is not in force any more")
		s.press("j", "j", "j", " ")
		s.did("POST /rules/old-embed/enable")
		s.logs("llmgw rules enable old-embed --context prod")
	})
}

func TestMarkedRulesAreSwitchedTogether(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.answer("POST /rules/fast-lane/disable", api.Rule{})
		s.fake.answer("POST /rules/anthropic/disable", api.Rule{})
		s.press("3", "v", "v", " ")
		got := strings.Join(s.fake.called(), " ")
		if !strings.Contains(got, "/rules/fast-lane/disable") || !strings.Contains(got, "/rules/anthropic/disable") {
			t.Errorf("switched: %s", got)
		}
		s.seesNot("marked")
	})
}

func TestADeletionTellsWhatTheRuleTookAndAsks(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.on("DELETE /rules/fast-lane", func(*http.Request, []byte) (int, any) { return http.StatusNoContent, nil })
		s.press("3", "ctrl+d")
		s.sees("Delete 1 rule?", "12k requests in the last 15 min", "[ Cancel ]")
		s.press("enter")
		s.did()
		s.press("ctrl+d", "tab", "enter")
		s.did("DELETE /rules/fast-lane")
		s.logs("llmgw rules delete fast-lane --yes --context prod")
		s.sees("rule fast-lane deleted")
	})
}

func TestRulesAreFilteredByWhatTheySay(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("3", "/")
		s.write("upstream:azure* state:off")
		s.press("enter")
		s.sees("1 of 5", "old-embed")
		s.seesNot("fast-lane")
	})
}

func TestWhoMayOnlyLookCannotTouchRules(t *testing.T) {
	play(t, 120, 30, func(_ *Options, f *fake) { f.answer("GET /me", api.Me{User: "vic", Role: "viewer"}) }, func(s *stage) {
		s.press("3")
		s.seesNot("on/off", "e edit", "move down")
		s.sees("x explain", "H history")
		for _, key := range []string{" ", "J", "e", "n", "ctrl+d", "ctrl+s"} {
			s.press(key)
			s.did()
			s.sees("read-only")
		}
		s.press("H", "b")
		s.did()
	})
}

func TestWhileTheGatewayIsAwayNoRuleIsChanged(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("3")
		s.fake.goAway()
		s.wait(tickEvery)
		s.press(" ", "J", "ctrl+d")
		s.did()
		s.sees("not reachable", "fast-lane")
	})
}

func TestWhatARuleSaysIsShownAndNotObeyed(t *testing.T) {
	l := &look{signs: asciiSigns()}
	r := api.Rule{Match: map[string]any{"model": "a\x1b[2J"}, Action: map[string]any{"upstream": "b\nc"}}
	if got, want := matchText(r.Match)+"  "+l.ruleAction(&r), "model=a·[2J  -> b·c"; got != want {
		t.Errorf("%q, and not %q", got, want)
	}
}

func TestRulesAreSortedByWhatTheyTake(t *testing.T) {
	play(t, 120, 30, nil, func(s *stage) {
		s.press("3", "s", "s", "s", "g")
		s.sees("REQ/MIN ▾", "▸3  openai")
		s.press("S", "g")
		s.sees("REQ/MIN ▴", "▸4  old-embed")
	})
}

func TestAFilterLooksAtTheFieldsOfARule(t *testing.T) {
	for filter, want := range map[string]string{
		"rule:fast-lane": "fast-lane", "set:default state:off": "old-embed", "model:gpt-5-mini": "fast-lane", "match:path=*": "anthropic old-embed", "upstream:*openai-us*": "openai",
		"-state:on": "old-embed", "nothing:x": "", "-set:default": "", "path:/v1/*": "anthropic old-embed",
	} {
		f, err := parseFilter(filter)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range sampleRules() {
			if f.takes(func(name string) (string, bool) { return ruleField(&r, name) }, func() []string { return nil }) {
				got = append(got, r.Name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, and not %s", filter, got, want)
		}
	}
}
