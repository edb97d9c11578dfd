package rules_test

import (
	"fmt"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// manyRules makes a set of n rules, one for each model of one of a hundred
// teams' paths, and behind them one that takes what is left.
func manyRules(b *testing.B, n int) *rules.Set {
	f := rules.File{Set: "default", Order: 100}
	for i := range n - 1 {
		f.Rules = append(f.Rules, rules.Rule{
			Name: fmt.Sprintf("r%d", i),
			Match: rules.Match{
				Path:  rules.Paths{Globs: []string{fmt.Sprintf("/team-%d/**", i%100), "/v1/**"}},
				Model: []string{fmt.Sprintf("model-%d*", i), fmt.Sprintf("!model-%d-pro", i)},
			},
			Action: rules.Action{Upstream: "a"},
		})
	}
	f.Rules = append(f.Rules, rules.Rule{Name: "rest", Action: rules.Action{Upstream: "a"}})
	set, problems := rules.Compile(rules.Config{Files: []rules.File{f}, Upstreams: []accounts.Upstream{upstream("a")}})
	if set == nil {
		b.Fatal(problems)
	}
	return set
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000, 10000} {
		set := manyRules(b, n)
		for _, c := range []struct{ name, model string }{
			{"model of the last rule", fmt.Sprintf("model-%d-mini", n-2)}, {"model of no rule", "gpt-5"},
		} {
			q := &rules.Request{Method: "POST", Path: "/v1/chat/completions", Wire: accounts.WireOpenAIChat, Model: c.model, HasModel: true}
			b.Run(fmt.Sprintf("rules=%d/%s", n, c.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if d := set.Decide(q); d.Outcome != rules.Forward {
						b.Fatal(d.Outcome)
					}
				}
			})
		}
	}
}

func BenchmarkNearestAmongTenThousand(b *testing.B) {
	set := manyRules(b, 10000)
	q := &rules.Request{Method: "POST", Path: "/v1/chat/completions", Model: "modle-77", HasModel: true}
	for b.Loop() {
		set.Nearest(q)
	}
}

func BenchmarkDecodeTenThousand(b *testing.B) {
	f := rules.File{Set: "default", Order: 100}
	for i := range 10000 {
		f.Rules = append(f.Rules, rules.Rule{Name: fmt.Sprintf("r%d", i), Match: rules.Match{Model: []string{fmt.Sprintf("m-%d", i)}}, Action: rules.Action{Upstream: "a"}})
	}
	source := rules.Encode([]rules.File{f})
	for b.Loop() {
		if _, problems := rules.Decode("rules.yaml", source); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}

func BenchmarkCompileTenThousand(b *testing.B) {
	for b.Loop() {
		manyRules(b, 10000)
	}
}
