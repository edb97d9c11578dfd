package rules

import (
	"slices"
	"strings"
	"testing"
)

func TestWhatAnOlderProgramDoesNotKnow(t *testing.T) {
	since := map[string]int{"action.retry": 3, "match.not.model": 2, "action.upstreams.weight": 2}
	retrying := Rule{Name: "r", Action: Action{Upstream: "u", Retry: &Retry{Attempts: 2}}}
	negated := Rule{Name: "n", Match: Match{Not: &Match{Model: []string{"gpt-*"}}}, Action: Action{Upstream: "u"}}
	weighted := Rule{Name: "w", Action: Action{Upstreams: []Entry{{Name: "a"}, {Name: "b", Weight: 2}}}}
	plain := Rule{Name: "p", Match: Match{Model: []string{"gpt-*"}}, Action: Action{Upstream: "u"}}
	for name, c := range map[string]struct {
		knows int
		rules []Rule
		want  []string
	}{
		"it knows every field":                      {3, []Rule{retrying, negated, weighted, plain}, nil},
		"one field is newer":                        {2, []Rule{retrying, negated, weighted, plain}, []string{"r action.retry"}},
		"a field within not, and one within a list": {1, []Rule{plain, negated, weighted}, []string{"n match.not.model", "w action.upstreams.weight"}},
		"it knows no rules at all":                  {0, []Rule{plain}, []string{"p name"}},
		"there are no rules":                        {0, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			problems, err := newerThan(c.knows, `node "a2"`, []File{{Set: "default", Rules: c.rules}}, since)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range problems {
				got = append(got, p.Rule+" "+p.Field)
				if p.Set != "default" || p.Warning || !strings.Contains(p.Message, `node "a2"`) {
					t.Errorf("problem %+v", p)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestLanguageIsThatOfTheNewestField(t *testing.T) {
	newest := 1
	for _, language := range cameLater() {
		newest = max(newest, language)
	}
	if newest != Language {
		t.Errorf("the newest field came with language %d, and Language is %d", newest, Language)
	}
}
