package rules_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

func off(u *accounts.Upstream) { u.Enabled = false }

func draining(u *accounts.Upstream) { u.Draining = true }

func anthropic(u *accounts.Upstream) { u.Provider = accounts.ProviderAnthropic }

// candidates names those of a decision, a fallback in brackets.
func candidates(d *rules.Decision) string {
	var names []string
	for _, c := range d.Candidates {
		name := c.Name()
		if c.Fallback {
			name = "[" + name + "]"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// one compiles a file of one rule.
func one(t fatal, rule string, upstreams ...accounts.Upstream) *rules.Set {
	t.Helper()
	return compile(t, "version: 1\nrules:\n  - {name: one, "+rule+"}\n", upstreams...)
}

func TestCandidatesAreTheUsableOnes(t *testing.T) {
	upstreams := []accounts.Upstream{
		upstream("a"), upstream("b"), upstream("c", anthropic), upstream("off", off), upstream("off2", off),
		upstream("drained", draining), upstream("other", draining, anthropic), upstream("both", off, draining),
	}
	for _, c := range []struct {
		name, action string
		wire         accounts.Wire
		outcome      rules.Outcome
		want         string
	}{
		{"one upstream and a fallback", "upstream: a, fallback: [{name: b}]", accounts.WireOpenAIChat, rules.Forward, "a [b]"},
		{"a fallback for a disabled one", "upstream: off, fallback: [{name: off2}, {name: b}]", accounts.WireOpenAIChat, rules.Forward, "[b]"},
		{"a fallback that speaks another format", "upstream: a, fallback: [{name: c}]", accounts.WireOpenAIChat, rules.Forward, "a"},
		{"a fallback that alone speaks the format", "upstream: a, fallback: [{name: c}]", accounts.WireAnthropicMessages, rules.Forward, "[c]"},
		{"a peer that is disabled", "upstreams: [{name: off}, {name: b}]", accounts.WireOpenAIChat, rules.Forward, "b"},
		{"fallbacks in the order of the file", "upstream: c, fallback: [{name: b}, {name: a}, {name: b}]", accounts.WireOpenAIChat, rules.Forward, "[b] [a] [b]"},
		{"a target with a fallback", `target: "https://t.example:8443/x", fallback: [{name: a}]`, accounts.WireOpenAIChat, rules.Forward, "t.example:8443 [a]"},
		{"all are disabled", "upstreams: [{name: off}, {name: off2}]", accounts.WireOpenAIChat, rules.UpstreamOff, "off"},
		{"a fallback for one that is draining", "upstream: drained, fallback: [{name: b}]", accounts.WireOpenAIChat, rules.Forward, "[b]"},
		{"a peer that is draining", "upstreams: [{name: drained}, {name: b}]", accounts.WireOpenAIChat, rules.Forward, "b"},
		{"one is disabled and one draining", "upstreams: [{name: off}, {name: drained}]", accounts.WireOpenAIChat, rules.UpstreamOff, "drained"},
		{"one is draining and the others speak another format", "upstreams: [{name: drained}, {name: c}]", accounts.WireOpenAIChat, rules.WrongWire, "c"},
		{"one that is draining speaks another format", "upstreams: [{name: off}, {name: other}]", accounts.WireOpenAIChat, rules.UpstreamOff, "other"},
		{"one that was drained is disabled", "upstreams: [{name: both}, {name: off}]", accounts.WireOpenAIChat, rules.UpstreamOff, "both"},
		{"those that are enabled speak another format", "upstreams: [{name: off}, {name: c}], fallback: [{name: c}]", accounts.WireOpenAIChat, rules.WrongWire, "c"},
		{"a path of no format is everybody's", "upstream: c, fallback: [{name: a}]", accounts.WireNone, rules.Forward, "c [a]"},
		{"a model to rewrite that is not there", "upstream: a, fallback: [{name: b, model: m}]", accounts.WireOpenAIChat, rules.ModelUnreadable, "[b]"},
		{"a model to rewrite for one that is not usable", "upstream: a, fallback: [{name: off, model: m}]", accounts.WireOpenAIChat, rules.Forward, "a"},
		{"nothing is named", "headers: {remove: [x]}", accounts.WireOpenAIChat, rules.NoDestination, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := one(t, "action: {"+c.action+"}", upstreams...)
			q := &rules.Request{Method: "POST", Path: "/v1/x", Wire: c.wire, Key: "ci-bot"}
			d := decide(set, q)
			if got := candidates(d); d.Outcome != c.outcome || got != c.want {
				t.Errorf("outcome %d, candidates %q", d.Outcome, got)
			}
		})
	}
}

// weighted is a rule over upstreams of given weights.
func weighted(t fatal, weights map[string]int, order ...string) *rules.Set {
	var entries []string
	var upstreams []accounts.Upstream
	for _, name := range order {
		entries = append(entries, fmt.Sprintf("{name: %s, weight: %d}", name, weights[name]))
		upstreams = append(upstreams, upstream(name))
	}
	return one(t, "action: {upstreams: ["+strings.Join(entries, ", ")+"]}", upstreams...)
}

func TestCallersAreSpreadByWeight(t *testing.T) {
	weights := map[string]int{"a": 80, "b": 15, "c": 5}
	set := weighted(t, weights, "a", "b", "c")
	const callers = 20_000
	first, second := map[string]int{}, map[string]int{}
	var d rules.Decision
	for i := range callers {
		set.Decide(&rules.Request{Path: "/", Key: fmt.Sprintf("key-%d", i)}, &d)
		first[d.Candidates[0].Name()]++
		second[d.Candidates[1].Name()]++
	}
	for name, weight := range weights {
		share := float64(first[name]) / callers
		if want := float64(weight) / 100; math.Abs(share-want) > 0.015 {
			t.Errorf("%s has %.3f of the callers, wants %.3f", name, share, want)
		}
	}
	// Behind the first, the others follow by their weights too: of a's callers
	// three quarters go on to b, and so on.
	if want := 0.80*15/20 + 0.05*15/95; math.Abs(float64(second["b"])/callers-want) > 0.015 {
		t.Errorf("b is second for %.3f of the callers, wants %.3f", float64(second["b"])/callers, want)
	}
	for _, c := range d.Candidates {
		if got, want := d.Share(c), float64(weights[c.Name()])/100; math.Abs(got-want) > 1e-9 {
			t.Errorf("the share of %s is %v", c.Name(), got)
		}
	}
}

func TestAnUpstreamThatComesOrGoesMovesOnlyItsOwnCallers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := []string{"a", "b", "c", "d"}
		weights := map[string]int{}
		for _, name := range order {
			weights[name] = rapid.IntRange(1, 100).Draw(t, "weight")
		}
		gone := rapid.SampledFrom(order).Draw(t, "gone")
		var fewer []string
		for _, name := range rapid.Permutation(order).Draw(t, "order") {
			if name != gone {
				fewer = append(fewer, name)
			}
		}
		all, left := weighted(t, weights, order...), weighted(t, weights, fewer...)
		for i := range 50 {
			q := &rules.Request{Path: "/", Key: fmt.Sprintf("%s-%d", rapid.String().Draw(t, "key"), i)}
			before, after := strings.Fields(candidates(decide(all, q))), candidates(decide(left, q))
			var without []string
			for _, name := range before {
				if name != gone {
					without = append(without, name)
				}
			}
			if want := strings.Join(without, " "); after != want {
				t.Fatalf("with %s: %v; without: %s", gone, before, after)
			}
		}
	})
}

func TestAffinity(t *testing.T) {
	upstreams := []accounts.Upstream{upstream("a"), upstream("b"), upstream("c")}
	const entries = "upstreams: [{name: a}, {name: b}, {name: c}]"
	for _, c := range []struct {
		name, affinity string
		change         func(i int, q *rules.Request)
		kept           bool
	}{
		{"a key keeps its upstream", "", func(i int, q *rules.Request) { q.Key, q.Random = "ci-bot", uint64(i) }, true},
		{"key says so too", ", affinity: key", func(i int, q *rules.Request) { q.Key, q.Model, q.Random = "ci-bot", fmt.Sprint(i), uint64(i) }, true},
		{"keys differ", "", func(i int, q *rules.Request) { q.Key = fmt.Sprintf("key-%d", i) }, false},
		{"a header keeps its upstream", ", affinity: header:x-session", func(i int, q *rules.Request) {
			q.Header, q.Key, q.Random = map[string][]string{"X-Session": {"s1"}}, fmt.Sprint(i), uint64(i)
		}, true},
		{"headers differ", ", affinity: header:x-session", func(i int, q *rules.Request) {
			q.Header, q.Key = map[string][]string{"X-Session": {fmt.Sprint(i)}}, "ci-bot"
		}, false},
		{"without the header it is the key", ", affinity: header:x-session", func(i int, q *rules.Request) { q.Key, q.Random = "ci-bot", uint64(i) }, true},
		{"without a key it is drawn", "", func(i int, q *rules.Request) { q.Random = uint64(i) }, false},
		{"none is drawn", ", affinity: none", func(i int, q *rules.Request) { q.Key, q.Random = "ci-bot", uint64(i) }, false},
		{"what is drawn decides", ", affinity: none", func(i int, q *rules.Request) { q.Key, q.Random = fmt.Sprint(i), 7 }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := one(t, "action: {"+entries+c.affinity+"}", upstreams...)
			chosen := map[string]bool{}
			for i := range 60 {
				q := &rules.Request{Path: "/"}
				c.change(i, q)
				chosen[candidates(decide(set, q))] = true
			}
			if (len(chosen) == 1) != c.kept {
				t.Errorf("orders: %v", chosen)
			}
		})
	}
}

func TestOneUpstreamMayBeThereTwice(t *testing.T) {
	set := one(t, `match: {model: ["*"]}, action: {upstreams: [{name: a, weight: 95, model: old}, {name: a, weight: 5, model: new}]}`, upstream("a"))
	models := map[string]int{}
	for i := range 4000 {
		q := &rules.Request{Path: "/", Model: "m", HasModel: true, Key: fmt.Sprint(i)}
		d := decide(set, q)
		model, rewritten := d.Model(q, d.Candidates[0])
		if !rewritten || len(d.Candidates) != 2 {
			t.Fatalf("model %q, candidates %s", model, candidates(d))
		}
		models[model]++
	}
	if models["new"] < 120 || models["new"] > 280 || models["old"]+models["new"] != 4000 {
		t.Errorf("models are %v", models)
	}
}

func TestShares(t *testing.T) {
	set := one(t, "action: {upstreams: [{name: a, weight: 3}, {name: off, weight: 9}, {name: b}], fallback: [{name: c}]}",
		upstream("a"), upstream("b"), upstream("c"), upstream("off", off))
	d := decide(set, &rules.Request{Path: "/", Key: "k"})
	shares := map[string]float64{}
	for _, c := range d.Candidates {
		shares[c.Name()] = d.Share(c)
	}
	if diff := cmp.Diff(map[string]float64{"a": 0.75, "b": 0.25, "c": 0}, shares); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
	d = decide(one(t, "action: {upstream: off, fallback: [{name: c}]}", upstream("c"), upstream("off", off)), &rules.Request{Path: "/"})
	if d.Share(d.Candidates[0]) != 1 {
		t.Errorf("the share of a fallback that alone is left is %v", d.Share(d.Candidates[0]))
	}
}

func TestTheNarrowestTimeoutCounts(t *testing.T) {
	set := compile(t, `version: 1
rules:
  - {name: first, continue: true, action: {timeouts: {connect: 1s, idle: 1s, total: 1s, first_token: 0}}}
  - {name: second, continue: true, action: {timeouts: {idle: 2s, total: 2s}}}
  - name: last
    action:
      upstreams: [{name: a, timeouts: {total: 4s, idle: 0}}]
      timeouts: {total: 3s, response_header: 3s}
`, upstream("a"))
	d := decide(set, &rules.Request{Path: "/"})
	want := accounts.Timeouts{
		Connect: time.Second, ResponseHeader: 3 * time.Second, FirstToken: accounts.NoTimeout, Idle: accounts.NoTimeout, Total: 4 * time.Second,
	}
	if diff := cmp.Diff(want, d.Timeouts(d.Candidates[0])); diff != "" {
		t.Errorf("of the entry (-want +got):\n%s", diff)
	}
	want = accounts.Timeouts{Connect: time.Second, ResponseHeader: 3 * time.Second, FirstToken: accounts.NoTimeout, Idle: 2 * time.Second, Total: 3 * time.Second}
	if diff := cmp.Diff(want, d.Timeouts(nil)); diff != "" {
		t.Errorf("of no entry (-want +got):\n%s", diff)
	}
}

func TestRetry(t *testing.T) {
	for _, c := range []struct {
		name, action string
		want         rules.Retry
	}{
		{"nothing is said", "upstream: a, fallback: [{name: b}, {name: b}]", rules.Retry{On: rules.RetryWhen(rules.OnConnect), Attempts: 3, Within: 10 * time.Second}},
		{"only what is usable is tried", "upstream: a, fallback: [{name: off}, {name: b}]", rules.Retry{On: rules.RetryWhen(rules.OnConnect), Attempts: 2, Within: 10 * time.Second}},
		{"all is said", "upstream: a, retry: {on: [reset, timeout, 429, 503, 599], attempts: 5, within: 3s}",
			rules.Retry{On: rules.RetryWhen(rules.OnReset|rules.OnTimeout, 429, 503, 599), Attempts: 5, Within: 3 * time.Second}},
		{"a budget alone", "upstream: a, retry: {within: 3s}", rules.Retry{On: rules.RetryWhen(rules.OnConnect), Attempts: 1, Within: 3 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := decide(one(t, "action: {"+c.action+"}", upstream("a"), upstream("b"), upstream("off", off)), &rules.Request{Path: "/"})
			if d.Retry != c.want {
				t.Errorf("got %+v (%s)", d.Retry, d.Retry.On)
			}
		})
	}
	on := rules.RetryWhen(rules.OnReset, 429, 503, 404, 600)
	if on.Has(rules.OnConnect) || !on.Has(rules.OnReset) || on.Has(rules.OnReset|rules.OnTimeout) || on.String() != "reset, 429, 503" {
		t.Errorf("the set is %s", on)
	}
	for code := range 700 {
		if on.HasStatus(code) != (code == 429 || code == 503) {
			t.Errorf("status %d: %v", code, on.HasStatus(code))
		}
	}
}

func TestWhatRulesThatGoOnAdd(t *testing.T) {
	set := compile(t, `version: 1
rules:
  - {name: mark, continue: true, match: {path: /v1/**}, action: {limits: [600/min], headers: {set: {x-a: mark}}}}
  - {name: off, continue: true, enabled: false, action: {limits: [1/min]}}
  - {name: other, continue: true, match: {path: /v2/**}, action: {limits: [2/min]}}
  - {name: models, continue: true, match: {path: [/v1/**, /v1/chat/**], model: [m, "m*"]}, action: {limits: ["$5/day per user"]}}
  - {name: decides, match: {model: [m]}, action: {upstream: a, limits: [20 concurrent], on_client_gone: finish}}
  - {name: late, continue: true, match: {path: /**}, action: {limits: [3/min]}}
  - {name: rest, match: {model: [n]}, action: {upstream: a}}
`, upstream("a"))
	for _, c := range []struct {
		request, rule, passed, limits string
		finish                        bool
	}{
		{"POST /v1/chat/x model=m", "decides", "mark models", "600 requests/min, $5/day per user, 20 concurrent", true},
		{"POST /v1/chat/x model=n", "rest", "mark late", "600 requests/min, 3 requests/min", false},
		{"POST /v2/x model=o", "", "other late", "2 requests/min, 3 requests/min", false},
		{"POST /x model=m", "decides", "", "20 concurrent", true},
	} {
		t.Run(c.request, func(t *testing.T) {
			d := decide(set, asked(c.request))
			var limits []string
			for _, l := range d.Limits {
				limits = append(limits, l.String())
			}
			if got := strings.Join(limits, ", "); got != c.limits {
				t.Errorf("limits are %s", got)
			}
			if got := strings.Join(ruleNames(d.Passed), " "); ruleName(d.Rule) != c.rule || got != c.passed || d.FinishWhenGone != c.finish {
				t.Errorf("rule %q behind %q, finish %v", ruleName(d.Rule), got, d.FinishWhenGone)
			}
		})
	}
	names, models := set.ExactModels(), []string{"m", "n"}
	if diff := cmp.Diff(models, names); diff != "" {
		t.Errorf("models that are offered (-want +got):\n%s", diff)
	}
}

func TestWhoseBodiesAreLogged(t *testing.T) {
	set := compile(t, `version: 1
rules:
  - {name: watched, continue: true, match: {key: [ci-*]}, action: {body_log: true}}
  - {name: not-anymore, continue: true, match: {key: [dana]}, action: {body_log: false}}
  - {name: off, enabled: false, match: {path: /v1/**}, action: {body_log: true, upstream: a}}
  - {name: logged, match: {path: /v1/logged}, action: {body_log: true, upstream: a}}
  - {name: answered, match: {path: /v1/answered}, action: {body_log: true, respond: {status: 400}}}
  - {name: rest, match: {path: /v1/**}, action: {upstream: a}}
`, upstream("a"))
	for request, want := range map[string]bool{
		"POST /v1/logged key=dana":   true,
		"POST /v1/answered key=dana": true,
		"POST /v1/x key=dana":        false,
		"POST /v1/x key=ci-bot":      true,
		"POST /v2/x key=ci-bot":      true, // refused, for no rule decides
		"POST /v2/x key=dana":        false,
	} {
		t.Run(request, func(t *testing.T) {
			words, key, _ := strings.Cut(request, " key=")
			q := asked(words)
			q.Key = key
			if d := decide(set, q); d.LogBody != want {
				t.Errorf("logged %v", d.LogBody)
			}
		})
	}
}

func TestADecisionThatIsUsedAgainKeepsNothing(t *testing.T) {
	set := compile(t, `version: 1
rules:
  - {name: mark, continue: true, match: {path: /v1/**}, action: {limits: [600/min]}}
  - {name: many, match: {path: /v1/**}, action: {upstreams: [{name: a}, {name: b}], body_log: true, on_client_gone: finish, retry: {attempts: 7}}}
  - {name: answer, match: {path: /v2}, action: {respond: {status: 400}}}
`, upstream("a"), upstream("b"))
	var d rules.Decision
	for _, path := range []string{"/v1/x", "/v2", "/v3", "/v1/y", "/v3", "/v2"} {
		set.Decide(&rules.Request{Path: path, Key: "k"}, &d)
		fresh := decide(set, &rules.Request{Path: path, Key: "k"})
		if d.Outcome != fresh.Outcome || d.Rule != fresh.Rule || candidates(&d) != candidates(fresh) || len(d.Passed) != len(fresh.Passed) ||
			len(d.Limits) != len(fresh.Limits) || d.FinishWhenGone != fresh.FinishWhenGone || d.LogBody != fresh.LogBody || d.Retry != fresh.Retry {
			t.Errorf("%s: %+v, decided anew %+v", path, d, *fresh)
		}
	}
}

func TestTheUpstreamsOfARule(t *testing.T) {
	f := written(t, "s", "name: a, action: {upstreams: [{name: x}, {name: y}, {name: x}], fallback: [{name: z}, {name: y}]}", "name: b, action: {upstream: u, fallback: [{name: v}]}", "name: c, action: {respond: {status: 400}}")
	var got []string
	for i := range f.Rules {
		got = append(got, strings.Join(f.Rules[i].Upstreams(), " "))
	}
	if diff := cmp.Diff([]string{"x y z", "u v", ""}, got); diff != "" {
		t.Errorf("upstreams (-want +got):\n%s", diff)
	}
}
