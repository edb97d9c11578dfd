package rules_test

import (
	"errors"
	"fmt"
	"net/netip"
	"net/textproto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// fatal is what helpers need of a testing.TB or a rapid.T.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

// compile makes a Set of a file that has no errors.
func compile(t fatal, source string, upstreams ...accounts.Upstream) *rules.Set {
	t.Helper()
	files, problems := rules.Decode("rules.yaml", []byte(source))
	if len(problems) > 0 {
		t.Fatalf("decoding: %v", problems)
	}
	set, problems := rules.Compile(rules.Config{Revision: 7, Files: files, Upstreams: upstreams})
	if set == nil {
		t.Fatalf("compiling: %v", problems)
	}
	return set
}

// decide is Decide with a Decision of its own.
func decide(s *rules.Set, q *rules.Request) *rules.Decision {
	d := &rules.Decision{}
	s.Decide(q, d)
	return d
}

// asked makes a request of words such as "POST /v1/x?a=b model=m host=h x-tier=free stream".
func asked(words string) *rules.Request {
	fields := strings.Fields(words)
	q := &rules.Request{Method: fields[0], Header: map[string][]string{}}
	q.Path, q.RawQuery, _ = strings.Cut(fields[1], "?")
	for _, word := range fields[2:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "model":
			q.Model, q.HasModel = value, true
		case "host":
			q.Host = value
		case "stream":
			q.Stream = true
		default:
			canonical := textproto.CanonicalMIMEHeaderKey(name)
			q.Header[canonical] = append(q.Header[canonical], value)
		}
	}
	return q
}

func TestMatchers(t *testing.T) {
	for _, c := range []struct {
		match      string
		takes, not []string
	}{
		{"{}", []string{"GET /", "POST /v1/x model=m stream"}, nil},
		{"{path: /v1/messages}", []string{"POST /v1/messages"}, []string{"POST /v1/messages/", "POST /v1/messages/x", "POST /v1/message", "POST /"}},
		{"{path: /v1/messages/**}", []string{"POST /v1/messages", "POST /v1/messages/", "POST /v1/messages/a/b"}, []string{"POST /v1/messagesx", "POST /v1", "POST /x/v1/messages"}},
		{"{path: /**}", []string{"GET /", "GET /a/b"}, nil},
		{"{path: /v1/*/x}", []string{"GET /v1/a/x", "GET /v1//x"}, []string{"GET /v1/a/b/x", "GET /v1/x", "GET /v1/a/x/"}},
		{"{path: /v1/a*c/x}", []string{"GET /v1/ac/x", "GET /v1/abc/x"}, []string{"GET /v1/a/c/x", "GET /v1/ab/x"}},
		{"{path: /v1/*}", []string{"GET /v1/", "GET /v1/a%2Fb"}, []string{"GET /v1", "GET /v1/a/b"}},
		{"{path: /v1/*/**}", []string{"GET /v1/a", "GET /v1/a/b/c"}, []string{"GET /v1"}},
		{"{path: [/a, /b/**]}", []string{"GET /a", "GET /b/c"}, []string{"GET /c"}},
		{"{path: {regex: '^/v1/(chat|responses)'}}", []string{"GET /v1/chat/completions", "GET /v1/responses"}, []string{"GET /x/v1/chat", "GET /v1/messages"}},
		{"{path: {regex: 'chat'}}", []string{"GET /v1/chat/completions"}, []string{"GET /v1/CHAT"}},
		{"{method: [GET, POST]}", []string{"GET /", "POST /"}, []string{"PUT /", "get /"}},
		{"{host: [llm.example.com]}", []string{"GET / host=llm.example.com", "GET / host=LLM.Example.com:8080", "GET / host=llm.example.com."}, []string{"GET /", "GET / host=xllm.example.com", "GET / host=example.com"}},
		{`{host: ["*.example.com"]}`, []string{"GET / host=a.example.com", "GET / host=A.EXAMPLE.com:1"}, []string{"GET / host=example.com", "GET / host=a.b.example.com", "GET / host=.example.com"}},
		{`{host: ["::1"]}`, []string{"GET / host=[::1]:8080", "GET / host=[::1]"}, []string{"GET / host=[::2]"}},
		{"{header: {X-Tier: free}}", []string{"GET / x-tier=free", "GET / x-tier=a x-tier=free"}, []string{"GET /", "GET / x-tier=FREE", "GET / x-tier=freely"}},
		{`{header: {x-tier: ""}}`, []string{"GET / x-tier="}, []string{"GET /", "GET / x-tier=a"}},
		{"{header: {x-tier: {equals: free}}}", []string{"GET / x-tier=free"}, []string{"GET / x-tier=fre"}},
		{"{header: {x-tier: {prefix: fr}}}", []string{"GET / x-tier=fr", "GET / x-tier=free"}, []string{"GET / x-tier=afr"}},
		{"{header: {x-tier: {suffix: ee}}}", []string{"GET / x-tier=free"}, []string{"GET / x-tier=eea"}},
		{"{header: {x-tier: {contains: re}}}", []string{"GET / x-tier=free"}, []string{"GET / x-tier=fe"}},
		{"{header: {x-tier: {regex: '^f.*e$'}}}", []string{"GET / x-tier=free"}, []string{"GET / x-tier=frees"}},
		{"{header: {x-tier: {in: [free, trial]}}}", []string{"GET / x-tier=trial"}, []string{"GET / x-tier=paid", "GET /"}},
		{"{header: {x-tier: {exists: true}}}", []string{"GET / x-tier="}, []string{"GET /"}},
		{"{header: {x-tier: {exists: false}}}", []string{"GET /"}, []string{"GET / x-tier="}},
		{"{header: {x-a: b, x-c: d}}", []string{"GET / x-a=b x-c=d"}, []string{"GET / x-a=b", "GET / x-c=d"}},
		{"{query: {beta: 'true'}}", []string{"GET /?beta=true", "GET /?a=b&beta=true", "GET /?beta=no&beta=true", "GET /?bet%61=tru%65"}, []string{"GET /", "GET /?Beta=true", "GET /?a=b;beta=true", "GET /?xbeta=true"}},
		{"{query: {a: {equals: 'x y'}}}", []string{"GET /?a=x+y", "GET /?a=x%20y"}, []string{"GET /?a=xy"}},
		{"{query: {a: '100%'}}", []string{"GET /?a=100%", "GET /?a=100%25"}, nil},
		{"{query: {a: '%zz'}}", []string{"GET /?a=%zz"}, nil},
		{"{query: {a: {exists: true}}}", []string{"GET /?a", "GET /?a=", "GET /?&&a=1"}, []string{"GET /", "GET /?b=a"}},
		{"{query: {a: {exists: false}}}", []string{"GET /", "GET /?b=a"}, []string{"GET /?a", "GET /?%61=1"}},
		{"{model: [gpt-5]}", []string{"POST / model=gpt-5"}, []string{"POST / model=gpt-5-mini", "POST / model=GPT-5", "POST /"}},
		{"{model: [gpt-5*, claude-*]}", []string{"POST / model=gpt-5", "POST / model=claude-x"}, []string{"POST / model=gpt-4"}},
		{`{model: ["*"]}`, []string{"POST / model=a/b:c", "POST / model="}, []string{"POST /"}},
		{`{model: ["openai/*-mini"]}`, []string{"POST / model=openai/a/b-mini"}, []string{"POST / model=openai/mini", "POST / model=x/openai/a-mini"}},
		{`{model: ["*a*b*"]}`, []string{"POST / model=ab", "POST / model=xaybz"}, []string{"POST / model=ba"}},
		{`{model: ["a*a"]}`, []string{"POST / model=aa", "POST / model=aba"}, []string{"POST / model=a"}},
		{`{model: [gpt-5*, "!gpt-5-pro*"]}`, []string{"POST / model=gpt-5", "POST / model=gpt-5-mini"}, []string{"POST / model=gpt-5-pro", "POST / model=gpt-5-pro-x"}},
		{`{model: ["!gpt-*", "!o1"]}`, []string{"POST / model=claude", "POST / model=o1-mini"}, []string{"POST / model=gpt-5", "POST / model=o1", "POST /"}},
		{"{stream: true}", []string{"POST / stream"}, []string{"POST /"}},
		{"{stream: false}", []string{"POST /"}, []string{"POST / stream"}},
		{"{path: /v1/**, method: [POST], model: [m], stream: true, header: {x-a: b}, query: {c: d}, host: [h]}",
			[]string{"POST /v1/x?c=d model=m stream x-a=b host=h"},
			[]string{"POST /v2/x?c=d model=m stream x-a=b host=h", "GET /v1/x?c=d model=m stream x-a=b host=h", "POST /v1/x?c=d model=n stream x-a=b host=h", "POST /v1/x?c=d model=m x-a=b host=h", "POST /v1/x?c=d model=m stream host=h", "POST /v1/x model=m stream x-a=b host=h", "POST /v1/x?c=d model=m stream x-a=b"}},
	} {
		t.Run(c.match, func(t *testing.T) {
			set := compile(t, "version: 1\nrules:\n  - {name: one, match: "+c.match+", action: {upstream: a}}\n", upstream("a", generic))
			for _, words := range c.takes {
				if d := decide(set, asked(words)); d.Outcome != rules.Forward || d.Rule.Name != "one" {
					t.Errorf("%s was not taken", words)
				}
			}
			for _, words := range c.not {
				if d := decide(set, asked(words)); d.Outcome != rules.NoRule || d.Rule != nil || len(d.Candidates) != 0 {
					t.Errorf("%s was taken", words)
				}
			}
		})
	}
}

func generic(u *accounts.Upstream) { u.Provider = accounts.ProviderGeneric }

func TestOutcomes(t *testing.T) {
	set := compile(t, `version: 1
rules:
  - {name: answer, match: {model: [old]}, action: {respond: {status: 410, message: gone}}}
  - {name: nowhere, match: {model: [open]}, action: {headers: {remove: [x-a]}}}
  - {name: off, match: {model: [off]}, action: {upstream: off}}
  - {name: away, match: {model: [away]}, action: {target: "https://t.example/api", model: there}}
  - {name: renamed, match: {path: /r/**}, action: {upstream: on, model: other}}
  - {name: healed, match: {model: [healed]}, action: {upstream: on, path: {strip_prefix: /v1}}}
  - {name: entry, match: {model: [entry]}, action: {upstreams: [{name: on, path: {strip_prefix: /v1}}]}}
  - {name: plain, match: {path: /v1/**}, action: {upstream: on}}
`, upstream("on"), upstream("off", func(u *accounts.Upstream) { u.Enabled = false }))
	for _, c := range []struct {
		name, request string
		wire          accounts.Wire
		outcome       rules.Outcome
		rule, base    string
		model         string
		index         int
	}{
		{"a rule answers", "POST /v1/x model=old", 0, rules.Answer, "answer", "", "", 0},
		{"a rule leaves the destination open", "POST /v1/x model=open", 0, rules.NoDestination, "nowhere", "", "", 0},
		{"an upstream is disabled", "POST /v1/x model=off", 0, rules.UpstreamOff, "off", "https://off.example/v1", "", 1},
		{"a target takes any wire format", "POST /v1/x model=away", accounts.WireBedrock, rules.Forward, "away", "https://t.example/api", "there", -1},
		{"a model is rewritten", "POST /r/x model=a", accounts.WireOpenAIChat, rules.Forward, "renamed", "https://on.example/v1", "other", 0},
		{"a model to rewrite is not there", "POST /r/x", accounts.WireOpenAIChat, rules.ModelUnreadable, "renamed", "https://on.example/v1", "other", 0},
		{"a model to rewrite is not there on a path of no format", "POST /r/x", accounts.WireNone, rules.ModelUnreadable, "renamed", "https://on.example/v1", "other", 0},
		{"an upstream speaks another wire format", "POST /v1/x", accounts.WireAnthropicMessages, rules.WrongWire, "plain", "https://on.example/v1", "", 0},
		{"an upstream is called", "POST /v1/x", accounts.WireOpenAIChat, rules.Forward, "plain", "https://on.example/v1", "", 0},
		{"the base URL has one /v1 too many", "POST /v1/v1/messages model=claude", accounts.WireAnthropicMessages, rules.WrongBaseURL, "plain", "", "", 0},
		{"and so for a target", "POST /v1/v1/messages model=away", accounts.WireAnthropicMessages, rules.WrongBaseURL, "away", "", "", 0},
		{"unless the rule mends the path", "POST /v1/v1/chat/completions model=healed", accounts.WireOpenAIChat, rules.Forward, "healed", "https://on.example/v1", "", 0},
		{"or its entry does", "POST /v1/v1/chat/completions model=entry", accounts.WireOpenAIChat, rules.Forward, "entry", "https://on.example/v1", "", 0},
		{"a rule answers it", "POST /v1/v1/messages model=old", accounts.WireAnthropicMessages, rules.Answer, "answer", "", "", 0},
		{"no rule takes it", "POST /v2/x", 0, rules.NoRule, "", "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := asked(c.request)
			q.Wire = c.wire
			d := decide(set, q)
			if d.Outcome != c.outcome {
				t.Errorf("outcome is %d", d.Outcome)
			}
			if (d.Rule == nil) != (c.rule == "") || d.Rule != nil && d.Rule.Name != c.rule {
				t.Errorf("rule is %v", d.Rule)
			}
			if (len(d.Candidates) == 0) != (c.base == "") || len(d.Candidates) > 1 {
				t.Fatalf("candidates are %v", d.Candidates)
			}
			for _, k := range d.Candidates {
				if model, rewritten := d.Model(q, k); k.Base.String() != c.base || rewritten != (c.model != "") || rewritten && model != c.model || k.Index != c.index || (k.Upstream == nil) != (c.index < 0) {
					t.Errorf("candidate is %+v, model %q", k, model)
				}
			}
		})
	}
}

func TestTheOrderIsOfSetsThenOfNamesThenOfPlaces(t *testing.T) {
	set := compile(t, `version: 1
set: zulu
order: 50
rules:
  - {name: z1, action: {upstream: a}}
---
version: 1
set: bravo
rules:
  - {name: b1, enabled: false, action: {upstream: a}}
  - {name: b2, action: {upstream: a}}
---
version: 1
set: alpha
rules:
  - {name: a1, action: {upstream: a}}
---
version: 1
set: builtin
order: 1000
rules: []
`, upstream("a"))
	var listed, enabled []string
	for _, l := range set.All() {
		listed = append(listed, fmt.Sprintf("%d %s/%s %d", l.Position, l.Set, l.Rule.Name, l.Order))
	}
	for i, r := range set.Rules() {
		enabled = append(enabled, fmt.Sprintf("%d %s/%s", r.Position, r.Set, r.Name))
		if r.Index != i {
			t.Errorf("rule %s has index %d at %d", r.Name, r.Index, i)
		}
	}
	if diff := cmp.Diff([]string{"1 zulu/z1 50", "2 alpha/a1 100", "3 bravo/b1 100", "4 bravo/b2 100"}, listed); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1 zulu/z1", "2 alpha/a1", "4 bravo/b2"}, enabled); diff != "" {
		t.Errorf("enabled (-want +got):\n%s", diff)
	}
	if d := decide(set, asked("GET /")); d.Rule.Name != "z1" {
		t.Errorf("%s decides", d.Rule.Name)
	}
}

func TestCompileGivesASetOrErrors(t *testing.T) {
	files, _ := rules.Decode("rules.yaml", []byte("version: 1\nrules:\n  - {name: a, action: {upstream: opnai}}\n  - {name: b, enabled: false, action: {upstream: gone}}\n"))
	set, problems := rules.Compile(rules.Config{Files: files, Upstreams: []accounts.Upstream{upstream("openai"), upstream("mock")}})
	want := `3:34 rules[0].action.upstream: unknown upstream "opnai" | upstreams are mock, openai
4:50 rules[1].action.upstream: unknown upstream "gone" | upstreams are mock, openai
`
	if diff := cmp.Diff(want, shown(problems)); set != nil || diff != "" {
		t.Errorf("a set: %v; problems (-want +got):\n%s", set != nil, diff)
	}
	if problems[0].Suggestion != "openai" {
		t.Errorf("suggestion is %q", problems[0].Suggestion)
	}

	files[0].Rules = files[0].Rules[:0]
	set, problems = rules.Compile(rules.Config{Revision: 3, Files: files, Upstreams: []accounts.Upstream{upstream("openai")}})
	if set == nil || len(problems) > 0 || set.Revision() != 3 || decide(set, asked("GET /")).Outcome != rules.NoRule {
		t.Errorf("an empty configuration: %v, %v", set, problems)
	}
	u, index, ok := set.Upstream("openai")
	if !ok || index != 0 || u != set.Upstreams()[0] || u.Name != "openai" {
		t.Errorf("upstream openai: %v, %d, %v", u, index, ok)
	}
	if u, index, ok := set.Upstream("mock"); ok || u != nil || index != -1 {
		t.Errorf("upstream mock: %v, %d, %v", u, index, ok)
	}
}

func TestRulesThatCameFromNoFileAreNamedByNameAndField(t *testing.T) {
	files := []rules.File{{Set: "builtin", Order: 1000, Rules: []rules.Rule{
		{Name: "mock", Match: rules.Match{Path: rules.Paths{Globs: []string{"v1"}}}, Action: rules.Action{Upstream: "mock"}},
		{Name: "no name", Action: rules.Action{Respond: &rules.Respond{Status: 0}}},
	}}}
	_, problems := rules.Compile(rules.Config{Files: files})
	want := `rule "mock": match.path[0]: a path pattern begins with a slash
rule "mock": action.upstream: unknown upstream "mock"
rule "no name": name: "no name" is not a name
rule "no name": action.respond.status: must be a whole number from 200 to 599, found 0`
	if diff := cmp.Diff(want, problems.Error()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if problems[0].Set != "builtin" {
		t.Errorf("set is %q", problems[0].Set)
	}
}

func TestUpstreamsThatCannotBeCalledAreRefused(t *testing.T) {
	_, problems := rules.Compile(rules.Config{Upstreams: []accounts.Upstream{
		upstream("a", func(u *accounts.Upstream) { u.URL = "ftp://s3cret@a" }),
		upstream("b", func(u *accounts.Upstream) { u.URL = "http://169.254.169.254" }),
		upstream("c"), upstream("c"),
	}})
	want := `upstream "a": url: must begin with http:// or https://
upstream "b": url: is a link-local or cloud-metadata address
there are two upstreams "c"`
	if diff := cmp.Diff(want, problems.Error()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestEditsAreCompiledInTheOrderOfApplication(t *testing.T) {
	set := compile(t, `version: 1
rules:
  - name: one
    action:
      upstream: a
      headers: {remove: [x-old, x-older], set: {x-b: "2", x-a: "1"}, add: {via: llmgw}}
      response_headers: {set: {set-cookie: "a=b"}}
`, upstream("a"))
	r, unexported := set.Rules()[0], cmpopts.IgnoreUnexported(rules.HeaderEdit{})
	want := []rules.HeaderEdit{
		{Op: rules.RemoveHeader, Name: "X-Old"}, {Op: rules.RemoveHeader, Name: "X-Older"},
		{Op: rules.SetHeader, Name: "X-A", Value: "1"}, {Op: rules.SetHeader, Name: "X-B", Value: "2"},
		{Op: rules.AddHeader, Name: "Via", Value: "llmgw"},
	}
	if diff := cmp.Diff(want, r.Headers, unexported); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]rules.HeaderEdit{{Op: rules.SetHeader, Name: "Set-Cookie", Value: "a=b"}}, r.ResponseHeaders, unexported); diff != "" {
		t.Errorf("response headers (-want +got):\n%s", diff)
	}
}

func TestPathEdits(t *testing.T) {
	for _, c := range []struct{ name, edit, path, want, refused string }{
		{"no edit", "", "/v1/x", "/v1/x", ""},
		{"set", "path: {set: /v1/y}", "/v1/x", "/v1/y", ""},
		{"strip a prefix", "path: {strip_prefix: /legacy}", "/legacy/v1/x", "/v1/x", ""},
		{"strip all of a path", "path: {strip_prefix: /legacy}", "/legacy", "/", ""},
		{"strip whole segments only", "path: {strip_prefix: /legacy}", "/legacyx/a", "/legacyx/a", ""},
		{"strip what is not there", "path: {strip_prefix: /legacy}", "/v1/x", "/v1/x", ""},
		{"add a prefix", "path: {add_prefix: /openai}", "/v1/x", "/openai/v1/x", ""},
		{"add a prefix to the root", "path: {add_prefix: /openai}", "/", "/openai", ""},
		{"strip, then add", "path: {strip_prefix: /a, add_prefix: /b}", "/a/c", "/b/c", ""},
		{"replace", "path: {replace: {regex: '^/v(\\d)/', with: '/api/$1/'}}", "/v1/x", "/api/1/x", ""},
		{"replace what is not there", "path: {replace: {regex: zz, with: y}}", "/v1/x", "/v1/x", ""},
		{"replace after the others", "path: {add_prefix: /b, replace: {regex: '^/b/a', with: /c}}", "/a/x", "/c/x", ""},
		{"a result with a dot segment", "path: {replace: {regex: a, with: '..'}}", "/a/x", "", "the path has a dot segment"},
		{"a result without a slash", "path: {replace: {regex: '^/', with: ''}}", "/a/x", "", "the path does not begin with a slash"},
		{"a result with an empty segment", "path: {replace: {regex: a, with: ''}}", "/a/x", "", "the path has an empty segment (//)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			action := "{target: \"https://t.example\"}"
			if c.edit != "" {
				action = "{target: \"https://t.example\", " + c.edit + "}"
			}
			set := compile(t, "version: 1\nrules:\n  - {name: one, action: "+action+"}\n")
			q := asked("POST " + c.path)
			d := decide(set, q)
			got, err := d.Path(q, d.Candidates[0])
			if refused := (*rules.PathError)(nil); c.refused != "" && (!errors.As(err, &refused) || refused.Reason != c.refused) {
				t.Errorf("error is %v", err)
			}
			if c.refused == "" && err != nil || got != c.want {
				t.Errorf("path is %q, error %v", got, err)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	set := compile(t, `version: 1
rules:
  - {name: anthropic, match: {path: /v1/messages/**, model: [gpt-6x, claude-*]}, action: {upstream: a}}
  - {name: openai, match: {model: ["gpt-5*", "!gpt-5-pro"]}, action: {upstream: a}}
  - {name: local, match: {path: /v1/**, model: ["org/llama-*-instruct"]}, action: {upstream: a}}
`, upstream("a"))
	for _, c := range []struct{ name, request, pattern, rule string }{
		{"one character off", "POST /v1/chat/completions model=gpt-6", "gpt-5*", "openai"},
		{"nearer, but for another path", "POST /v1/chat/completions model=gpt-6x", "gpt-5*", "openai"},
		{"nearer, and for this path", "POST /v1/messages model=gpt-6xx", "gpt-6x", "anthropic"},
		{"only for another path", "POST /v1/chat/completions model=cluade-opus-5", "claude-*", "anthropic"},
		{"a star in the middle", "POST /v1/chat/completions model=org/llama-4-70b-instrcut", "org/llama-*-instruct", "local"},
		{"nothing like it", "POST /v1/chat/completions model=mistral-large", "", ""},
		{"no model", "POST /v1/chat/completions", "", ""},
		{"an endless model", "POST /v1/chat/completions model=" + strings.Repeat("gpt-5", 1000), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			pattern, rule, ok := set.Nearest(asked(c.request))
			if pattern != c.pattern || rule != c.rule || ok != (c.pattern != "") {
				t.Errorf("nearest is %q (rule %s), %v", pattern, rule, ok)
			}
		})
	}
}

func TestDecidingAllocatesNothing(t *testing.T) {
	set := compile(t, `version: 1
rules:
  - {name: mark, continue: true, match: {key: [ci-*]}, action: {limits: [600/min], headers: {remove: [x-a]}}}
  - {name: mark-gpt, continue: true, match: {model: [gpt-*]}, action: {limits: [20 concurrent]}}
  - {name: expr, match: {path: {regex: "^/v2/"}}, action: {upstream: a}}
  - {name: head, match: {header: {x-tier: {in: [free, trial]}}, host: ["*.example.com"], query: {beta: {prefix: t}}}, action: {upstream: a}}
  - {name: caller, match: {tag: {plan: tri*}, source: [10.0.0.0/8], body_bytes: {lt: 10KB}, not: {user: [dana], header: {x-a: b}}}, action: {upstreams: [{name: a, weight: 3}, {name: b}], fallback: [{name: b}]}}
  - {name: glob, match: {path: /v1/**, model: ["gpt-*-x*", "!gpt-5-x"], method: [POST]}, action: {upstream: a}}
  - {name: rest, action: {upstreams: [{name: a, weight: 80}, {name: b, weight: 20}, {name: off}], affinity: header:x-session, retry: {on: [reset, 503]}}}
`, upstream("a"), upstream("b"), upstream("off", off))
	var d rules.Decision
	for _, words := range []string{
		"POST /v1/chat/completions?beta=true model=gpt-5-xy x-tier=free host=a.example.com:443 stream",
		"POST /v1/chat/completions model=gpt-5-xy", "GET /v2/x", "GET /v1/models?beta=no x-tier=trial host=b.example.com",
		"GET /v1/models", "GET /v1/models x-session=s1", "POST /v1/chat/completions model=gpt-5 x-plan=1",
	} {
		q := asked(words)
		q.Key, q.User, q.UserTags, q.Source = "ci-bot", "erin", map[string]string{"plan": "trial"}, netip.MustParseAddr("10.1.2.3")
		if !strings.Contains(words, "plan") {
			q.Source = netip.MustParseAddr("2001:db8::1")
		}
		if allocated := testing.AllocsPerRun(100, func() {
			set.Decide(q, &d)
			if d.Outcome != rules.Forward {
				t.Fatal(d.Outcome)
			}
			c := d.Candidates[0]
			if _, err := d.Path(q, c); err != nil {
				t.Fatal(err)
			}
			d.Model(q, c)
			d.Timeouts(c)
		}); allocated != 0 {
			t.Errorf("%s: %v allocations", words, allocated)
		}
		if len(d.Passed) == 0 || len(d.Limits) == 0 {
			t.Errorf("%s: nothing passed", words)
		}
	}
}
