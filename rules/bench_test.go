package rules_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

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
				var d rules.Decision
				for b.Loop() {
					if set.Decide(q, &d); d.Outcome != rules.Forward {
						b.Fatal(d.Outcome)
					}
				}
			})
		}
	}
}

// Weighted upstreams behind rules that go on, over as many rules.
func BenchmarkDecideWeighted(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000, 10000} {
		f := rules.File{Set: "default", Order: 100}
		f.Rules = append(f.Rules, rules.Rule{Name: "mark", Continue: true, Action: rules.Action{Headers: rules.HeaderEdits{Remove: []string{"x-a"}}}})
		for i := range n {
			f.Rules = append(f.Rules, rules.Rule{
				Name:   fmt.Sprintf("r%d", i),
				Match:  rules.Match{Model: []string{fmt.Sprintf("model-%d-*", i)}, Tag: map[string]string{"plan": "trial"}, Not: &rules.Match{Source: []string{"10.0.0.0/8"}}},
				Action: rules.Action{Upstreams: []rules.Entry{{Name: "a", Weight: 80}, {Name: "b", Weight: 15}, {Name: "c", Weight: 5}}},
			})
		}
		set, problems := rules.Compile(rules.Config{Files: []rules.File{f}, Upstreams: []accounts.Upstream{upstream("a"), upstream("b"), upstream("c")}})
		if set == nil {
			b.Fatal(problems)
		}
		q := &rules.Request{
			Method: "POST", Path: "/v1/chat/completions", Wire: accounts.WireOpenAIChat, Model: fmt.Sprintf("model-%d-mini", n-1), HasModel: true,
			Key: "ci-bot", Tags: map[string]string{"plan": "trial"}, Source: netip.MustParseAddr("192.0.2.7"),
		}
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var d rules.Decision
			for b.Loop() {
				if set.Decide(q, &d); len(d.Candidates) != 3 || len(d.Passed) != 1 {
					b.Fatal(d.Outcome)
				}
			}
		})
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

// The aim is a second; the bound is what tells a search that grows with the
// square of the rules from a slow machine with the race detector on.
func TestTenThousandRulesCompileInBoundedTime(t *testing.T) {
	f := rules.File{Set: "default", Order: 100}
	for i := range 10_000 {
		f.Rules = append(f.Rules, rules.Rule{
			Name: fmt.Sprintf("r%d", i), Continue: i%100 == 0,
			Match: rules.Match{
				Path: rules.Paths{Globs: []string{"/v1/**"}}, Model: []string{fmt.Sprintf("model-%d*", i), fmt.Sprintf("!model-%d-pro", i)},
				Tag: map[string]string{"plan": "trial"}, Not: &rules.Match{Source: []string{"10.0.0.0/8"}},
			},
			Action: rules.Action{
				Headers: rules.HeaderEdits{Set: map[string]string{"x-source": "llmgw ${key.name}"}},
				Limits:  []accounts.Limit{{Amount: 600, Unit: accounts.Requests, Window: accounts.PerMinute, Per: accounts.ByKey}},
			},
		})
		if r := &f.Rules[i]; !r.Continue {
			r.Action.Upstreams = []rules.Entry{{Name: "a", Weight: 80}, {Name: "b", Weight: 20, Model: "org/${model}"}}
		}
	}
	started := time.Now()
	set, problems := rules.Compile(rules.Config{Files: []rules.File{f}, Upstreams: []accounts.Upstream{upstream("a"), upstream("b")}})
	took := time.Since(started)
	if set == nil {
		t.Fatal(problems)
	}
	t.Logf("10,000 rules compiled in %v", took)
	if took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}
