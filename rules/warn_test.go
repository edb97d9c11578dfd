package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// upstream makes an enabled one with a credential.
func upstream(name string, change ...func(*accounts.Upstream)) accounts.Upstream {
	u := accounts.Upstream{
		ID: "upstream_" + name, Name: name, Provider: accounts.ProviderOpenAI, URL: "https://" + name + ".example/v1", Enabled: true,
		Credentials: []accounts.Credential{{Name: "default", Reference: "env:KEY", Enabled: true}},
	}
	for _, f := range change {
		f(&u)
	}
	return u
}

// warnings gives the messages of the warnings about a file.
func warnings(t *testing.T, source string, upstreams ...accounts.Upstream) string {
	t.Helper()
	files, problems := rules.Decode("rules.yaml", []byte(source))
	if len(problems) > 0 {
		t.Fatalf("decoding: %v", problems)
	}
	set, problems := rules.Compile(rules.Config{Files: files, Upstreams: upstreams})
	if set == nil {
		t.Fatalf("compiling: %v", problems)
	}
	var messages []string
	for _, p := range problems {
		if !p.Warning {
			t.Errorf("an error beside a Set: %v", p)
		}
		messages = append(messages, fmt.Sprintf("%d:%d %s: %s", p.Line, p.Column, p.Field, p.Message))
	}
	return strings.Join(messages, "\n")
}

func TestRulesThatCanNeverMatch(t *testing.T) {
	for _, c := range []struct {
		name, first, second string
		covered             bool
	}{
		{"a rule for everything takes all", "{}", "{model: [a]}", true},
		{"a model does not take everything", "{model: [a]}", "{}", false},
		{"a model does not take requests without one", `{model: ["*"]}`, "{}", false},
		{"a glob takes a name", "{model: [gpt-*]}", "{model: [gpt-5]}", true},
		{"a glob takes a narrower glob", "{model: [gpt-*]}", "{model: [gpt-5*-mini]}", true},
		{"a glob does not take a wider one", "{model: [gpt-5*]}", "{model: [gpt-*]}", false},
		{"a glob with an end does not take one without", "{model: [\"*-mini\"]}", "{model: [\"gpt-*\"]}", false},
		{"a glob with an end takes one with a longer end", "{model: [\"*mini\"]}", "{model: [\"gpt-*-mini\"]}", true},
		{"all alternatives must be taken", "{model: [a*, b*]}", "{model: [a1, b1, c1]}", false},
		{"alternatives may be taken by different ones", "{model: [a*, b*]}", "{model: [a1, b1]}", true},
		{"an exclusion lets its models by", `{model: [gpt-*, "!gpt-5*"]}`, "{model: [gpt-5-mini]}", false},
		{"an exclusion elsewhere lets nothing by", `{model: [gpt-*, "!gpt-5*"]}`, "{model: [gpt-4o]}", true},
		{"an exclusion that overlaps lets something by", `{model: [gpt-*, "!*-mini"]}`, "{model: [gpt-4*]}", false},
		{"an exclusion that the later rule has too", `{model: [gpt-*, "!*-mini"]}`, `{model: [gpt-4*, "!*-mini"]}`, true},
		{"an exclusion within a wider one of the later rule", `{model: [gpt-*, "!gpt-4o-mini"]}`, `{model: [gpt-4*, "!*-mini"]}`, true},
		{"exclusions alone take all others", `{model: ["!a*"]}`, "{model: [b]}", true},
		{"exclusions alone take more exclusions", `{model: ["!a*"]}`, `{model: ["!a*", "!b"]}`, true},
		{"exclusions alone do not take fewer", `{model: ["!a*", "!b"]}`, `{model: ["!a*"]}`, false},
		{"a path takes itself", "{path: /v1/a}", "{path: /v1/a, model: [b]}", true},
		{"a tree takes what is below", "{path: /v1/**}", "{path: /v1/messages/**}", true},
		{"a tree takes its root", "{path: /v1/**}", "{path: /v1}", true},
		{"a tree takes stars", "{path: /v1/**}", "{path: /v1/*/x*}", true},
		{"a star does not take a tree", "{path: /v1/*}", "{path: /v1/**}", false},
		{"a star takes a segment", "{path: /v1/*/b}", "{path: /v1/a/b}", true},
		{"a star does not take two segments", "{path: /v1/*}", "{path: /v1/a/b}", false},
		{"a tree does not take its neighbour", "{path: /v1/**}", "{path: /v10/a}", false},
		{"the whole tree takes rules without a path", "{path: /**}", "{}", true},
		{"the whole tree takes expressions", "{path: /**}", "{path: {regex: a}}", true},
		{"an expression takes itself", "{path: {regex: a}}", "{path: {regex: a}}", true},
		{"an expression takes no other", "{path: {regex: a}}", "{path: {regex: ab}}", false},
		{"methods take fewer methods", "{method: [GET, POST]}", "{method: [POST]}", true},
		{"methods do not take more", "{method: [POST]}", "{method: [GET, POST]}", false},
		{"a wild host takes a name", `{host: ["*.a.example"]}`, "{host: [x.a.example]}", true},
		{"a wild host does not take two labels", `{host: ["*.a.example"]}`, "{host: [x.y.a.example]}", false},
		{"a wild host takes itself", `{host: ["*.a.example"]}`, `{host: ["*.a.example"]}`, true},
		{"stream takes its like", "{stream: true}", "{stream: true, model: [a]}", true},
		{"stream does not take its contrary", "{stream: true}", "{stream: false}", false},
		{"stream does not take both", "{stream: true}", "{}", false},
		{"in takes equals, whatever the case of the name", "{header: {X-T: {in: [a, b]}}}", "{header: {x-t: a}}", true},
		{"in takes fewer", "{header: {x: {in: [a, b, c]}}}", "{header: {x: {in: [c, a]}}}", true},
		{"in does not take others", "{header: {x: {in: [a, b]}}}", "{header: {x: {in: [a, d]}}}", false},
		{"a prefix takes a longer one", "{header: {x: {prefix: a}}}", "{header: {x: {prefix: ab}}}", true},
		{"a prefix does not take an end", "{header: {x: {prefix: a}}}", "{header: {x: {suffix: a}}}", false},
		{"an end takes a longer one", "{header: {x: {suffix: b}}}", "{header: {x: {suffix: ab}}}", true},
		{"contains takes what begins with it", "{header: {x: {contains: b}}}", "{header: {x: {prefix: abc}}}", true},
		{"contains does not take less", "{header: {x: {contains: bc}}}", "{header: {x: {contains: b}}}", false},
		{"an expression takes listed values", "{header: {x: {regex: '^a'}}}", "{header: {x: {in: [ab, ac]}}}", true},
		{"an expression does not take a prefix", "{header: {x: {regex: '^a'}}}", "{header: {x: {prefix: a}}}", false},
		{"exists takes any value", "{header: {x: {exists: true}}}", "{header: {x: {regex: a}}}", true},
		{"exists does not take requests without", "{header: {x: {exists: true}}}", "{header: {y: a}}", false},
		{"a missing header is not a present one", "{header: {x: {exists: false}}}", "{header: {x: a}}", false},
		{"a missing header takes itself", "{header: {x: {exists: false}}}", "{header: {x: {exists: false}}, model: [a]}", true},
		{"equals does not take exists", "{header: {x: a}}", "{header: {x: {exists: true}}}", false},
		{"a key takes a narrower one", "{key: [ci-*]}", "{key: [ci-bot]}", true},
		{"a key does not take a wider one", "{key: [ci-bot]}", "{key: [ci-*]}", false},
		{"a key does not take those without", "{key: [\"*\"]}", "{}", false},
		{"a user takes itself", "{user: [dana]}", "{user: [dana], key: [a]}", true},
		{"a key is no user", "{user: [dana]}", "{key: [dana]}", false},
		{"a tag takes a narrower one", "{tag: {plan: tr*}}", "{tag: {plan: trial, team: a}}", true},
		{"every tag must be taken", "{tag: {plan: tr*, team: a}}", "{tag: {plan: trial}}", false},
		{"another tag is another one", "{tag: {plan: a}}", "{tag: {team: a}}", false},
		{"a network takes one within", "{source: [10.0.0.0/8]}", "{source: [10.1.0.0/16, 10.2.3.4/32]}", true},
		{"a network does not take one around", "{source: [10.1.0.0/16]}", "{source: [10.0.0.0/8]}", false},
		{"IPv4 is not IPv6", `{source: ["::/0"]}`, "{source: [10.0.0.0/8]}", false},
		{"bounds take narrower ones", "{body_bytes: {gt: 10}}", "{body_bytes: {gt: 10, lt: 20}}", true},
		{"bounds do not take wider ones", "{body_bytes: {gt: 10, lt: 20}}", "{body_bytes: {gt: 10}}", false},
		{"bounds do not take bodies of unknown size", "{body_bytes: {gt: 0}}", "{}", false},
		{"not does not take everything", "{not: {model: [a]}}", "{}", false},
		{"everything takes not", "{}", "{not: {model: [a]}}", true},
		{"not takes what the later rule leaves out too", "{not: {model: [gpt-5]}}", "{path: /v1/**, not: {model: [gpt-*]}}", true},
		{"not does not take what only part of it leaves out", "{not: {model: [gpt-*]}}", "{not: {model: [gpt-5]}}", false},
		{"not takes one with more in it", "{not: {key: [a]}}", "{not: {key: [a], header: {x: y}}}", true},
		{"not does not take one with less in it", "{not: {key: [a], header: {x: y}}}", "{not: {key: [a]}}", false},
		{"not of another header", "{not: {header: {x: a}}}", "{not: {header: {y: a}}}", false},
		{"not of a narrower header", "{not: {header: {x: abc}}}", "{not: {header: {x: {prefix: ab}}}}", true},
		{"not not", "{not: {not: {model: [gpt-*]}}}", "{not: {not: {model: [gpt-5]}}}", true},
		{"not not the other way", "{not: {not: {model: [gpt-5]}}}", "{not: {not: {model: [gpt-*]}}}", false},
		{"names in a query differ by case", "{query: {X: a}}", "{query: {x: a}}", false},
		{"a query takes itself", "{query: {x: a}}", "{query: {x: a, y: b}}", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			source := fmt.Sprintf("version: 1\nrules:\n  - {name: openai, match: %s, action: {upstream: a}}\n  - {name: vision, match: %s, action: {upstream: a}}\n", c.first, c.second)
			want := ""
			if c.covered {
				want = `4:12 rules[1].name: rule "vision" can never match: "openai" (position 1) takes every request it would`
			}
			if got := warnings(t, source, upstream("a")); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestOtherWarnings(t *testing.T) {
	noCredential := func(u *accounts.Upstream) { u.Credentials = nil }
	for _, c := range []struct {
		name, rule, want string
		upstream         accounts.Upstream
	}{
		{"exclusions that leave nothing", `{name: one, match: {model: [gpt-5, "!gpt-*"]}, action: {upstream: a}}`, `3:12 rules[0].name: rule "one" can never match: its exclusions take every model it names`, upstream("a")},
		{"an empty action", "{name: one, match: {model: [a]}, action: {}}", `3:38 rules[0].action: rule "one" is without effect: its action is empty`, upstream("a")},
		{"no action at all", "{name: one}", `3:5 rules[0].action: rule "one" is without effect: its action is empty`, upstream("a")},
		{"an answer with a model", "{name: one, action: {respond: {status: 400}, model: b}}", `3:50 rules[0].action.model: action.model of rule "one" is without effect: the rule answers by itself`, upstream("a")},
		{"an answer with request headers", "{name: one, action: {respond: {status: 400}, headers: {remove: [x]}}}", `3:50 rules[0].action.headers: action.headers of rule "one" is without effect: the rule answers by itself`, upstream("a")},
		{"an answer with headers of its own is fine", "{name: one, action: {respond: {status: 400}, response_headers: {set: {x: y}}}}", "", upstream("a")},
		{"a model made itself", "{name: one, match: {model: [b]}, action: {upstream: a, model: b}}", `3:60 rules[0].action.model: action.model of rule "one" is without effect: it is the model that the rule matches`, upstream("a")},
		{"a model that may not be seen", "{name: one, match: {path: /v1/**}, action: {upstream: a, model: b}}", `3:62 rules[0].action.model: rule "one" rewrites a model that it may be unable to see; requests that show none are refused`, upstream("a")},
		{"a model that is seen", "{name: one, match: {model: [\"*\"]}, action: {upstream: a, model: b}}", "", upstream("a")},
		{"an upstream without a credential", "{name: one, action: {upstream: a}}", `3:26 rules[0].action.upstream: rule "one" sends to upstream "a", which has no credential`, upstream("a", noCredential)},
		{"an upstream with a disabled credential", "{name: one, action: {upstream: a}}", `3:26 rules[0].action.upstream: rule "one" sends to upstream "a", which has no credential`, upstream("a", func(u *accounts.Upstream) { u.Credentials[0].Enabled = false })},
		{"an upstream that needs none", "{name: one, action: {upstream: a}}", "", upstream("a", noCredential, func(u *accounts.Upstream) { u.Auth = accounts.AuthNone })},
		{"a generic upstream without auth", "{name: one, action: {upstream: a}}", "", upstream("a", noCredential, func(u *accounts.Upstream) { u.Provider = accounts.ProviderGeneric })},
		{"a not that leaves nothing", "{name: one, match: {model: [gpt-5], not: {model: [gpt-*], key: [a]}}, action: {upstream: a}}", `3:12 rules[0].name: rule "one" can never match: its not takes every request it would`, upstream("a")},
		{"a not that leaves something", "{name: one, match: {model: [gpt-*], not: {model: [gpt-5]}}, action: {upstream: a}}", "", upstream("a")},
		{"a rule that goes on and does nothing", "{name: one, continue: true}", `3:5 rules[0].action: rule "one" is without effect: its action is empty`, upstream("a")},
		{"a rule that goes on with a limit", "{name: one, continue: true, action: {limits: [5/min]}}", "", upstream("a")},
		{"a rule of timeouts alone", "{name: one, action: {timeouts: {idle: 0}}}", "", upstream("a")},
		{"an affinity without a choice", "{name: one, action: {upstream: a, affinity: none}}", `3:39 rules[0].action.affinity: action.affinity of rule "one" is without effect: there is nothing to choose`, upstream("a")},
		{"an affinity among bindings", "{name: one, action: {affinity: none}}", "", upstream("a")},
		{"an affinity with a choice", "{name: one, action: {upstreams: [{name: a}, {name: a}], affinity: none}}", "", upstream("a")},
		{"a weight in the fallback", "{name: one, action: {upstream: a, fallback: [{name: a, weight: 5}]}}", `3:60 rules[0].action.fallback[0].weight: a weight in the fallback of rule "one" is without effect: it is tried in the order in which it is written`, upstream("a")},
		{"an answer that is retried", "{name: one, action: {respond: {status: 400}, retry: {attempts: 2}}}", `3:50 rules[0].action.retry: action.retry of rule "one" is without effect: the rule answers by itself`, upstream("a")},
		{"an answer that is limited is fine", "{name: one, action: {respond: {status: 400}, limits: [5/min]}}", "", upstream("a")},
		{"an upstream's model that may not be seen", "{name: one, action: {upstreams: [{name: a, model: m}, {name: a}], fallback: [{name: a, model: n}]}}",
			`3:48 rules[0].action.upstreams[0].model: rule "one" rewrites a model that it may be unable to see; requests that show none are refused
3:92 rules[0].action.fallback[0].model: rule "one" rewrites a model that it may be unable to see; requests that show none are refused`, upstream("a")},
		{"an entry without a credential", "{name: one, action: {upstreams: [{name: a}], fallback: [{name: a}]}}",
			`3:39 rules[0].action.upstreams[0].name: rule "one" sends to upstream "a", which has no credential
3:62 rules[0].action.fallback[0].name: rule "one" sends to upstream "a", which has no credential`, upstream("a", noCredential)},
		{"a disabled rule", "{name: one, enabled: false, action: {}}", "", upstream("a")},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := warnings(t, "version: 1\nrules:\n  - "+c.rule+"\n", c.upstream)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADisabledRuleCoversNothingButHasAPosition(t *testing.T) {
	got := warnings(t, `version: 1
rules:
  - {name: off, enabled: false, action: {upstream: a}}
  - {name: on, match: {path: /v1/**}, action: {upstream: a}}
  - {name: late, match: {path: /v1/x}, action: {upstream: a}}
`, upstream("a"))
	if want := `5:12 rules[2].name: rule "late" can never match: "on" (position 2) takes every request it would`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTheEarliestOfSeveralCoveringRulesIsNamed(t *testing.T) {
	got := warnings(t, `version: 1
rules:
  - {name: first, match: {model: ["*"]}, action: {upstream: a}}
  - {name: second, match: {path: /v1/**}, action: {upstream: a}}
  - {name: late, match: {path: /v1/x, model: [m]}, action: {upstream: a}}
`, upstream("a"))
	if want := `5:12 rules[2].name: rule "late" can never match: "first" (position 1) takes every request it would`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTheSearchForCoveredRulesHasAnEndAndSaysSo(t *testing.T) {
	var source strings.Builder
	source.WriteString("version: 1\nrules:\n")
	for i := range 1100 {
		fmt.Fprintf(&source, "  - {name: r%d, match: {header: {x-n: n%d}}, action: {upstream: a}}\n", i, i)
	}
	got := warnings(t, source.String(), upstream("a"))
	if want := "0:0 : the rules are too many and too much alike: not all were searched for those that can never match (500000 pairs were)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCheckWarnsWithoutKnowingUpstreams(t *testing.T) {
	files, _ := rules.Decode("rules.yaml", []byte("version: 1\nrules:\n  - {name: a, action: {upstream: somewhere}}\n  - {name: b, match: {model: [x]}, action: {upstream: elsewhere}}\n"))
	problems := rules.Check(files)
	if len(problems) != 1 || !problems[0].Warning || !strings.Contains(problems[0].Message, "can never match") {
		t.Errorf("problems: %v", problems)
	}
	files[0].Rules[0].Match.Method = []string{"FETCH"}
	problems = rules.Check(files)
	if len(problems.Errors()) != 1 || len(problems.Warnings()) != 0 {
		t.Errorf("problems: %v", problems)
	}
}

func TestARuleThatGoesOnCoversNothingButMayBeCovered(t *testing.T) {
	got := warnings(t, `version: 1
rules:
  - {name: mark, continue: true, action: {headers: {remove: [x]}}}
  - {name: all, match: {path: /v1/**}, action: {upstream: a}}
  - {name: late, continue: true, match: {path: /v1/x}, action: {limits: [5/min]}}
  - {name: rest, action: {upstream: a}}
`, upstream("a"))
	if want := `5:12 rules[2].name: rule "late" can never match: "all" (position 2) takes every request it would`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
