package rules_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// caller is a request that has something for every placeholder.
func caller() *rules.Request {
	return &rules.Request{
		ID: "req_01", Method: "POST", Path: "/v1/models/x", RawQuery: "tier=a%20b&tier=c&bad=a%0Ab&k%65y=sk-lgw-x", Model: "openai/gpt-5", HasModel: true,
		Header: map[string][]string{"X-Team": {"search", "ads"}, "X-Nested": {"sk-lgw-abc"}},
		Key:    "ci-bot", User: "dana", Tags: map[string]string{"plan": "trial", "empty": ""}, UserTags: map[string]string{"plan": "paid", "team": "core $1", "nul": "a\x00b"},
	}
}

func TestPlaceholders(t *testing.T) {
	for _, c := range []struct{ written, want string }{
		{"plain $ {text} $1", "plain $ {text} $1"},
		{"llmgw ${key.name}", "llmgw ci-bot"},
		{"${user.name}:${request.id}", "dana:req_01"},
		{"${tag.plan}", "trial"},
		{"${tag.team}", "core $1"},
		{"[${tag.empty}${tag.none}]", "[]"},
		{"${model}", "openai/gpt-5"},
		{"${header.x-TEAM}", "search"},
		{"[${header.x-none}]", "[]"},
		{"${query.tier}", "a b"},
		{"[${query.none}]", "[]"},
		{"${rule.name}/${upstream.name}", "one/a"},
		{"${model}${model}", "openai/gpt-5openai/gpt-5"},
		{"${tag.nul}", "left out"},
		{"x ${query.bad}", "left out"},
		{"${header.x-nested}", "left out"},
	} {
		t.Run(c.written, func(t *testing.T) {
			set := one(t, `action: {upstream: a, headers: {set: {x-out: "`+c.written+`"}}}`, upstream("a"))
			q := caller()
			d := decide(set, q)
			h := map[string][]string{"X-Out": {"left out"}}
			skipped := d.EditHeaders(q, d.Candidates[0], h)
			if h["X-Out"][0] != c.want || (skipped == 1) != (c.want == "left out") {
				t.Errorf("got %q, %d left out", h["X-Out"], skipped)
			}
		})
	}
}

func TestEditsOfSeveralRulesApplyInOrder(t *testing.T) {
	set := compile(t, `version: 1
rules:
  - {name: first, continue: true, action: {headers: {set: {x-a: "first ${rule.name}", x-b: first}, add: {via: first}}, response_headers: {set: {x-r: "${upstream.name}"}}}}
  - {name: second, continue: true, match: {header: {x-a: caller}}, action: {headers: {remove: [x-b], add: {via: second, x-bad: "${tag.nul}"}}}}
  - {name: last, action: {upstream: a, headers: {set: {x-a: last}, add: {via: last}, remove: [x-c]}, response_headers: {add: {x-r: last}, remove: [server]}}}
`, upstream("a"))
	q := caller()
	q.Header["X-A"] = []string{"caller"}
	d := decide(set, q)
	shared := make([]string, 1, 8)
	shared[0] = "caller"
	h := map[string][]string{"X-A": {"caller"}, "X-C": {"c"}, "Via": shared}
	if skipped := d.EditHeaders(q, d.Candidates[0], h); skipped != 1 {
		t.Errorf("%d edits are left out", skipped)
	}
	want := map[string][]string{"X-A": {"last"}, "Via": {"caller", "first", "second", "last"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if full := shared[:2]; full[1] != "" {
		t.Errorf("somebody else's values were written into: %q", full)
	}
	h = map[string][]string{"Server": {"x"}, "X-R": {"theirs"}}
	if skipped := d.EditResponseHeaders(q, d.Candidates[0], h); skipped != 0 {
		t.Errorf("%d edits are left out", skipped)
	}
	if diff := cmp.Diff(map[string][]string{"X-R": {"a", "last"}}, h); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestAnAnswersHeadersAreEditedWithoutACandidate(t *testing.T) {
	set := one(t, `action: {respond: {status: 400}, response_headers: {set: {x-a: "[${upstream.name}] ${key.name}"}}}`)
	q := caller()
	h := map[string][]string{}
	if d := decide(set, q); d.EditResponseHeaders(q, nil, h) != 0 || h["X-A"][0] != "[] ci-bot" {
		t.Errorf("headers are %v", h)
	}
}

func TestModels(t *testing.T) {
	for _, c := range []struct{ name, action, want string }{
		{"none", "upstreams: [{name: a}]", ""},
		{"the rule's", "upstreams: [{name: a}], model: m", "m"},
		{"the entry's own", "upstreams: [{name: a, model: own}], model: m", "own"},
		{"one made of parts", `upstreams: [{name: a, model: "${tag.plan}/${model}@${upstream.name}"}]`, "trial/openai/gpt-5@a"},
		{"the same as it is", "upstreams: [{name: a}], model: openai/gpt-5", ""},
		{"one that comes out empty", `upstreams: [{name: a}], model: "${tag.none}"`, "left out"},
		{"one that must not be passed on", `upstreams: [{name: a}], model: "x${query.bad}"`, "left out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := caller()
			d := decide(one(t, "action: {"+c.action+"}", upstream("a")), q)
			model, rewritten := d.Model(q, d.Candidates[0])
			skipped := d.SkippedEdits(q, d.Candidates[0])
			want, kept := c.want, c.want == "" || c.want == "left out"
			if kept {
				want = q.Model
			}
			if model != want || rewritten == kept || (skipped == 1) != (c.want == "left out") {
				t.Errorf("model %q, rewritten %v, %d left out", model, rewritten, skipped)
			}
		})
	}
}

func TestPathsWithPlaceholders(t *testing.T) {
	for _, c := range []struct{ name, action, path, want, refused string }{
		{"a segment", `upstream: a, path: {add_prefix: "/t/${tag.plan}"}`, "/v1/x", "/t/trial/v1/x", ""},
		{"a value that needs escapes", `upstream: a, path: {set: "/t/${tag.team}"}`, "/v1/x", "/t/core%20%241", ""},
		{"a value with a slash where a model is named", `upstream: a, path: {set: "/v1/models/${model}"}`, "/v1/x", "/v1/models/openai%2Fgpt-5", ""},
		{"a value with a slash anywhere else", `upstream: a, path: {set: "/v1/${model}"}`, "/v1/x", "", "the path has an escaped slash outside the name of a model"},
		{"a value that is not there", `upstream: a, path: {set: "/v1/${tag.none}/x"}`, "/v1/x", "", "the path has an empty segment (//)"},
		{"a prefix to strip", `upstream: a, path: {strip_prefix: "/${key.name}"}`, "/ci-bot/v1", "/v1", ""},
		{"beside groups", `upstream: a, path: {replace: {regex: "^/v1/(.*)$", with: "/${tag.plan}/${1}/$1/${tag.team}"}}`, "/v1/x", "/trial/x/x/core%20%241", ""},
		{"a value that must not be passed on", `upstream: a, path: {add_prefix: "/${tag.nul}", strip_prefix: /v1}`, "/v1/x", "/v1/x", ""},
		{"the rule's, then the entry's", `upstreams: [{name: a, path: {add_prefix: "/${upstream.name}"}}], path: {strip_prefix: /v1}`, "/v1/x", "/a/x", ""},
		{"the entry's alone", `upstreams: [{name: a, path: {set: /y}}]`, "/v1/x", "/y", ""},
		{"what only together is a path", `upstreams: [{name: a, path: {replace: {regex: "^x", with: /x}}}], path: {replace: {regex: "^/", with: ""}}`, "/x", "/x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := caller()
			q.Path = c.path
			d := decide(one(t, "action: {"+c.action+"}", upstream("a")), q)
			got, err := d.Path(q, d.Candidates[0])
			if refused := (*rules.PathError)(nil); c.refused != "" && (!errors.As(err, &refused) || refused.Reason != c.refused) {
				t.Errorf("error is %v", err)
			}
			if c.refused == "" && err != nil || got != c.want {
				t.Errorf("path is %q, error %v", got, err)
			}
			if left := strings.Contains(c.action, "tag.nul"); (d.SkippedEdits(q, d.Candidates[0]) == 1) != left {
				t.Errorf("left out: %d", d.SkippedEdits(q, d.Candidates[0]))
			}
		})
	}
}

// Whatever a caller has in tags, models and queries, it gets into one segment
// of a path and into one line of a header, or nowhere.
func TestNoValueBreaksOutOfItsPlace(t *testing.T) {
	set := one(t, `action: {upstream: a, model: "m-${tag.t}", path: {set: "/v1/models/${tag.t}/${query.q}"}, headers: {set: {x-a: "${tag.t}"}}}`, upstream("a"))
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"..", "a/../b", "a?b#c", "%2e%2e", "\r\nx: y", "$1${key.name}", "sk-lgw-a"})).Draw(t, "value")
		q := caller()
		q.Tags, q.RawQuery = map[string]string{"t": value}, "q="+url.QueryEscape(value)
		d := decide(set, q)
		c := d.Candidates[0]
		if path, err := d.Path(q, c); err == nil && path != q.Path {
			canonical, err := rules.CanonicalPath(path)
			if err != nil || canonical != path || strings.Count(path, "/") != 4 {
				t.Fatalf("path %q: %v", path, err)
			}
		}
		h := map[string][]string{}
		skipped := d.EditHeaders(q, c, h)
		if bad := strings.ContainsAny(value, "\r\n\x00") || strings.Contains(value, accounts.KeyPrefix); bad && skipped != 1 || skipped == 0 && h["X-A"][0] != value {
			t.Fatalf("%q is sent as %q", value, h["X-A"])
		}
	})
}
