package rules_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/rules"
)

func TestExplain(t *testing.T) {
	set := compile(t, `version: 1
rules:
  - {name: mark, continue: true, action: {headers: {remove: [x]}}}
  - {name: fast-lane, match: {header: {x-tier: free}, path: /v1/chat/**}, action: {upstream: a}}
  - {name: anthropic, match: {path: /v1/messages/**}, action: {upstream: a}}
  - {name: old-embed, enabled: false, match: {path: /nowhere}, action: {upstream: a}}
  - {name: openai, match: {path: /v1/**, model: [gpt-*]}, action: {upstream: a}}
  - {name: late, continue: true, action: {headers: {remove: [y]}}}
  - {name: other, match: {model: [claude-*]}, action: {upstream: a}}
`, upstream("a"))
	var lines []string
	for _, r := range set.Explain(asked("POST /v1/chat/completions model=gpt-5-mini x-tier=paid")) {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%d %s %s %s", r.Listed.Position, r.Listed.Rule.Name, r.Verdict, &r)))
	}
	want := []string{
		"1 mark continue",
		`2 fast-lane no header x-tier = "paid", wants "free"`,
		"3 anthropic no path /v1/chat/completions, wants /v1/messages/**",
		"4 old-embed disabled",
		"5 openai yes",
		"6 late unreached",
		"7 other unreached model gpt-5-mini, wants claude-*",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReasons(t *testing.T) {
	full := func(q *rules.Request) {
		q.Key, q.User, q.Tags = "ci-bot", "dana", map[string]string{"plan": "paid", "empty": ""}
		q.Source, q.BodyBytes = netip.MustParseAddr("::ffff:192.0.2.7"), 20_000
	}
	for _, c := range []struct {
		match, request, want string
		caller               bool
	}{
		{"{path: [/a, /b/**]}", "GET /c", "path /c, wants /a, /b/**", false},
		{"{path: {regex: '^/v\\d'}}", "GET /c", `path /c, wants regex ^/v\d`, false},
		{"{method: [POST, PUT]}", "GET /", "method GET, wants POST, PUT", false},
		{"{host: [a.example]}", "GET / host=B.example:80", "host B.example, wants a.example", false},
		{"{host: [a.example]}", "GET /", "host is not there, wants a.example", false},
		{"{header: {X-Tier: free}}", "GET /", `header x-tier is not there, wants "free"`, false},
		{"{header: {x-tier: {in: [free, trial]}}}", "GET / x-tier=a x-tier=b", `header x-tier = "a", "b", wants "free" or "trial"`, false},
		{"{header: {x-tier: {prefix: f}}}", "GET / x-tier=a", `header x-tier = "a", wants one that begins with "f"`, false},
		{"{header: {x-tier: {suffix: f}}}", "GET / x-tier=a", `header x-tier = "a", wants one that ends with "f"`, false},
		{"{header: {x-tier: {contains: f}}}", "GET / x-tier=a", `header x-tier = "a", wants one that contains "f"`, false},
		{"{header: {x-tier: {regex: f+}}}", "GET / x-tier=a", `header x-tier = "a", wants regex f+`, false},
		{"{header: {x-tier: {exists: true}}}", "GET /", "header x-tier is not there, wants any value", false},
		{"{header: {x-tier: {exists: false}}}", "GET / x-tier=a", `header x-tier = "a", wants none`, false},
		{"{header: {x-tier: ''}}", "GET / x-tier=a", `header x-tier = "a", wants ""`, false},
		{"{header: {x-a: b, x-b: c}}", "GET / x-a=b x-b=d", `header x-b = "d", wants "c"`, false},
		{"{header: {x-api-key: {prefix: s3cret}}}", "GET / x-api-key=other", "header x-api-key = ‹secret›, wants ‹secret›", false},
		{"{header: {x-tier: a}}", "GET / x-tier=sk-lgw-s3cret", `header x-tier = ‹secret›, wants "a"`, false},
		{"{query: {beta: 'true'}}", "GET /?beta=no&bet%61=1", `query beta = "no", "1", wants "true"`, false},
		{"{query: {key: a}}", "GET /?key=s3cret", "query key = ‹secret›, wants ‹secret›", false},
		{"{model: [gpt-*, '!gpt-5']}", "POST / model=gpt-5", "model gpt-5, wants gpt-*, !gpt-5", false},
		{"{model: [gpt-*]}", "POST /", "model is not there, wants gpt-*", false},
		{"{model: [gpt-*]}", "POST / model=", `model "", wants gpt-*`, false},
		{"{stream: true}", "POST /", "stream false, wants true", false},
		{"{key: [a, b-*]}", "GET /", "key ci-bot, wants a, b-*", true},
		{"{key: [a]}", "GET /", "key is not there, wants a", false},
		{"{user: [erin]}", "GET /", "user dana, wants erin", true},
		{"{tag: {plan: trial}}", "GET /", "tag plan = paid, wants trial", true},
		{"{tag: {empty: x*}}", "GET /", `tag empty = "", wants x*`, true},
		{"{tag: {team: core}}", "GET /", "tag team is not there, wants core", true},
		{"{source: [10.0.0.0/8, 172.16.0.0/12]}", "GET /", "source 192.0.2.7, wants 10.0.0.0/8, 172.16.0.0/12", true},
		{"{source: [10.0.0.0/8]}", "GET /", "source is not there, wants 10.0.0.0/8", false},
		{"{body_bytes: {gt: 1MB}}", "GET /", "body_bytes 20000, wants more than 1MB", true},
		{"{body_bytes: {gt: 1, lt: 4KiB}}", "GET /", "body_bytes 20000, wants more than 1 and less than 4KiB", true},
		{"{not: {source: [192.0.2.0/24]}}", "GET /", "not source 192.0.2.7, wants not 192.0.2.0/24", true},
		{"{not: {model: [a], header: {x-tier: paid}}}", "GET / x-tier=paid", `not header x-tier = "paid", wants not "paid"`, false},
		{"{not: {not: {model: [a]}}}", "GET /", "not not nothing of it, wants some of it", false},
		{"{path: /a, method: [POST], model: [m]}", "GET /b", "path /b, wants /a", false},
		{"{method: [POST], model: [m]}", "GET /b", "method GET, wants POST", false},
	} {
		t.Run(c.match+" "+c.request, func(t *testing.T) {
			set := one(t, "match: "+c.match+", action: {upstream: a}", upstream("a"))
			q := asked(c.request)
			q.BodyBytes = -1
			if c.caller {
				full(q)
			}
			if r := set.Explain(q)[0]; r.Verdict != rules.No || r.String() != c.want {
				t.Errorf("%s: %s", r.Verdict, &r)
			}
		})
	}
}

func TestReasonsAreOfABearableLength(t *testing.T) {
	long := strings.Repeat("x", 5000)
	set := one(t, "match: {path: /a}, action: {upstream: a}", upstream("a"))
	if r := set.Explain(&rules.Request{Path: "/" + long})[0]; len(r.String()) > 200 {
		t.Errorf("%d bytes", len(r.String()))
	}
	set = one(t, "match: {header: {x: {in: [a, b, c, d, e, f, g, h, i, j]}}}, action: {upstream: a}", upstream("a"))
	if r := set.Explain(&rules.Request{Path: "/", Header: map[string][]string{"X": {long, "a\nb"}}})[0]; len(r.String()) > 300 || strings.Contains(r.String(), "\n") {
		t.Errorf("got %s", &r)
	}
}
