package admin_test

import (
	"bytes"
	"mime/multipart"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

const explained = `version: 1
rules:
- name: mark
  continue: true
  match: {path: /v1/**}
  action:
    headers: {set: {x-request-source: "llmgw ${key.name}"}, remove: [x-internal]}
    limits: [600 requests/min]
- name: trial
  match: {tag: {plan: trial}, model: [gpt-5*]}
  action:
    upstreams:
    - {name: groq-a, weight: 3, model: openai/gpt-oss-120b}
    - {name: groq-b, model: "oss-${model}"}
    fallback:
    - {name: openai, timeouts: {first_token: 20s}}
    retry: {on: [connect, 429], within: 5s}
    headers: {add: {x-tier: free}}
    response_headers: {set: {x-served-by: "${upstream.name}"}, remove: [server]}
    timeouts: {first_token: 10s, total: 0}
    limits: ["2M tokens/day per user"]
- name: claude
  match: {path: /v1/messages/**, header: {x-tier: paid}}
  action: {upstream: openai}
- name: legacy
  match: {path: /legacy/**}
  action: {target: "https://models.internal.example/api", path: {strip_prefix: /legacy}}
- name: broken
  match: {path: /broken/**}
  action: {target: "https://models.internal.example/api", path: {replace: {regex: "^/broken", with: "/a/../b"}}}
- name: retired
  match: {model: ["gpt-3.5*"]}
  action: {respond: {status: 410, message: gpt-3.5 was retired here}}
- name: page
  match: {path: /hello}
  action: {respond: {status: 200, headers: {content-type: text/plain}, body: hello}, response_headers: {set: {x-a: b}}}
- name: off
  enabled: false
  match: {}
  action: {upstream: openai}
- name: bare
  match: {model: [bare]}
  action: {upstream: bare}
- name: gemini
  match: {path: /v1beta/**}
  action: {upstream: google, model: gemini-9}
- name: open
  match: {model: [open]}
`

// explaining gives a gateway with the rules above, two keys, and upstreams of
// every kind.
func explaining(t *testing.T) *gateway {
	t.Helper()
	g := open(t)
	g.env["GROQ"] = "gsk_0123456789x4Qd"
	for _, u := range []api.NewUpstream{
		{Name: "groq-a", Provider: "openai", URL: "https://a.groq.example/openai/v1", Timeouts: &api.Timeouts{Idle: "45s"},
			Credential: &api.NewCredential{Reference: "env:GROQ"}},
		{Name: "groq-b", Provider: "openai", URL: "https://b.groq.example/openai/v1", Credential: &api.NewCredential{Reference: "env:GROQ"}},
		{Name: "openai", Provider: "openai", Auth: "none"},
		{Name: "bare", Provider: "openai"},
		{Name: "google", Provider: "gemini", Auth: "query:key", Credential: &api.NewCredential{Name: "own", Reference: "env:GROQ"}},
	} {
		_, err := g.CreateUpstream(t.Context(), u)
		must(t, err)
	}
	g.apply(t, explained)
	_, err := g.CreateKey(t.Context(), api.NewKey{Name: "ci-bot", Tags: map[string]string{"plan": "trial"}})
	must(t, err)
	_, err = g.CreateKey(t.Context(), api.NewKey{Name: "plain"})
	must(t, err)
	return g
}

func text(s string) *string { return &s }

func (g *gateway) explain(t *testing.T, in api.ExplainRequest) api.Explanation {
	t.Helper()
	answer, err := g.Explain(t.Context(), in)
	must(t, err)
	return answer
}

// verdicts writes what became of each rule in a line.
func verdicts(answer api.Explanation) []string {
	var lines []string
	for _, r := range answer.Rules {
		lines = append(lines, strings.TrimRight(strings.Join([]string{r.Name, r.Verdict, r.Matcher, r.Saw, r.Wants}, "|"), "|"))
	}
	return lines
}

func TestExplainTellsAllThatIsSent(t *testing.T) {
	g := explaining(t)
	before, err := g.store.Head(t.Context())
	must(t, err)
	answer := g.explain(t, api.ExplainRequest{
		Path: "/v1/chat/completions?trace=1&key=AIzaSECRET", Key: "ci-bot", User: "dana", Model: text("gpt-5-mini"),
		Headers: map[string][]string{"X-Tier": {"paid"}, "x-internal": {"1"}, "content-type": {"application/json"}},
	})
	list, err := g.Rules(t.Context())
	must(t, err)
	first := api.CandidateReport{
		Upstream: "groq-a", URL: "https://a.groq.example/openai/v1/chat/completions?trace=1", Model: "openai/gpt-oss-120b",
		Share: 0.75, Credential: "default …x4Qd", Timeouts: &api.Timeouts{FirstToken: "10s", Idle: "45s", Total: "0s"},
		Headers: &api.Header{
			Set: map[string]string{"X-Request-Source": "llmgw ci-bot"}, Add: map[string][]string{"X-Tier": {"free"}}, Removed: []string{"X-Internal"},
		},
	}
	second := first
	second.Upstream, second.URL, second.Share = "groq-b", "https://b.groq.example/openai/v1/chat/completions?trace=1", 0.25
	second.Model, second.Timeouts = "oss-gpt-5-mini", &api.Timeouts{FirstToken: "10s", Total: "0s"}
	third := first
	third.Upstream, third.URL, third.Model, third.Share, third.Fallback = "openai", "https://api.openai.com/v1/chat/completions?trace=1", "gpt-5-mini", 0, true
	third.Credential, third.Timeouts = "", &api.Timeouts{FirstToken: "20s", Total: "0s"}
	want := api.Explanation{
		Method: "POST", Path: "/v1/chat/completions", Wire: "openai-chat", Model: "gpt-5-mini", Key: "ci-bot", User: "dana",
		Revision: list.Revision, Outcome: "forward", Rule: "trial",
		Candidates: []api.CandidateReport{first, second, third},
		Retry:      &api.RetryReport{On: []string{"connect", "429"}, Attempts: 3, Within: "5s"},
		Limits:     []string{"600 requests/min", "2M tokens/day per user"},
		Response:   &api.Header{Set: map[string]string{"X-Served-By": answer.Candidates[0].Upstream}, Removed: []string{"Server"}},
	}
	if answer.Candidates[0].Upstream == "groq-b" { // where this key belongs is for the hash to say
		want.Candidates[0], want.Candidates[1] = want.Candidates[1], want.Candidates[0]
	}
	if diff := cmp.Diff(want, answer, cmpopts.IgnoreFields(api.Explanation{}, "Rules")); diff != "" {
		t.Errorf("explanation (-want +got):\n%s", diff)
	}
	wantRules := []string{
		"mark|continue", "trial|yes", "claude|unreached|path|/v1/chat/completions|/v1/messages/**",
	}
	if diff := cmp.Diff(wantRules, verdicts(answer)[:3]); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	for i, r := range answer.Rules {
		if r.Position != i+1 || r.Set != "default" || (r.Name == "off") != (r.Verdict == "skip") {
			t.Errorf("rule is %+v", r)
		}
	}
	if again := g.explain(t, api.ExplainRequest{Path: "/v1/chat/completions", Key: "ci-bot", Model: text("gpt-5-mini")}); again.Candidates[0].Upstream != answer.Candidates[0].Upstream {
		t.Errorf("the same key goes to %s, then to %s", answer.Candidates[0].Upstream, again.Candidates[0].Upstream)
	}
	if after, err := g.store.Head(t.Context()); err != nil || after.Seq != before.Seq {
		t.Errorf("explaining made a change, %v", err)
	}
}

func TestExplainTellsWhyRulesDidNotMatch(t *testing.T) {
	g := explaining(t)
	answer := g.explain(t, api.ExplainRequest{Path: "/v1/messages", Key: "plain", Model: text("claude-x"), Headers: map[string][]string{"x-tier": {"free"}}})
	want := []string{
		"mark|continue",
		"trial|no|model|claude-x|gpt-5*",
		`claude|no|header x-tier|"free"|"paid"`,
	}
	if diff := cmp.Diff(want, verdicts(answer)[:3]); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

// TestRefusalsAreThoseOfTheProxy holds the texts; that the proxy answers with
// the same is tested where both run.
func TestRefusalsAreThoseOfTheProxy(t *testing.T) {
	g := explaining(t)
	revoked, err := g.CreateKey(t.Context(), api.NewKey{Name: "revoked"})
	must(t, err)
	_, err = g.RevokeKey(t.Context(), revoked.Name, api.RevokeKey{})
	must(t, err)
	soon := g.clock.Now().Add(time.Hour)
	_, err = g.CreateKey(t.Context(), api.NewKey{Name: "expired", ExpiresAt: &soon})
	must(t, err)
	g.clock.Pass(2 * time.Hour)

	for _, c := range []struct {
		name          string
		in            api.ExplainRequest
		status        int
		code, message string
	}{
		{"no rule", api.ExplainRequest{Path: "/v1/chat/completions", Model: text("gpt-55")}, 400, "no_rule",
			`no rule takes model "gpt-55" on /v1/chat/completions; nearest is "gpt-5*" (rule trial). Models you can use: GET /v1/models`},
		{"no rule and no model", api.ExplainRequest{Path: "/other"}, 400, "no_rule", "no rule takes /other without a model. Models you can use: GET /v1/models"},
		{"one /v1 too many", api.ExplainRequest{Path: "/v1/v1/messages", Model: text("x")}, 400, "wrong_base_url",
			`path "/v1/v1/messages": the base URL has "/v1" twice. Claude Code wants http://host:4100 without /v1`},
		{"one /v1 too many for a rule that takes it", api.ExplainRequest{Path: "/v1/v1/chat/completions", Model: text("bare")}, 400, "wrong_base_url",
			`path "/v1/v1/chat/completions": the base URL has "/v1" twice. Claude Code wants http://host:4100 without /v1`},
		{"one /v1 too few", api.ExplainRequest{Path: "/chat/completions", Model: text("x")}, 400, "wrong_base_url", `path "/chat/completions": add /v1 to the base URL`},
		{"no destination", api.ExplainRequest{Path: "/v1/chat/completions", Model: text("open")}, 400, "no_destination",
			`rule "open" names no upstream, and your key is bound to none`},
		{"no credential", api.ExplainRequest{Path: "/v1/chat/completions", Model: text("bare")}, 400, "upstream_without_credential",
			`rule "bare" sends to upstream "bare", which has no credential. Admin: llmgw upstreams credential set bare`},
		{"another wire format", api.ExplainRequest{Path: "/v1/messages", Model: text("x"), Headers: map[string][]string{"x-tier": {"paid"}}}, 400, "wrong_wire_format",
			`upstream "openai" does not speak the Anthropic Messages API (/v1/messages); route this model to one that does`},
		{"a WebSocket where none is taken", api.ExplainRequest{Path: "/v1/realtime?model=gpt-5-realtime", Method: "GET", Key: "ci-bot",
			Headers: map[string][]string{"upgrade": {"websocket"}, "connection": {"keep-alive, Upgrade"}}}, 400, "websocket_not_allowed",
			`upstream "groq-a" does not take WebSockets. Admin: llmgw upstreams create NAME --websocket, and a rule that sends there`},
		{"two models in a query", api.ExplainRequest{Path: "/v1/realtime?model=a&model=b", Method: "GET"}, 400, "duplicate_parameter",
			`the request's query says "model" twice; which one counts is not for the gateway to guess`},
		{"a path that cannot be sent", api.ExplainRequest{Path: "/broken/x"}, 400, "bad_path_rewrite", `rule "broken" rewrites this path into one that cannot be sent`},
		{"a path that is none", api.ExplainRequest{Path: "/v1/../x"}, 400, "bad_path", "the request path is refused: "},
		{"a method that is none", api.ExplainRequest{Path: "/v1/x", Method: "brew"}, 405, "method_not_allowed", `method "BREW" is not served here`},
		{"a model twice", api.ExplainRequest{Path: "/v1/chat/completions", Body: []byte(`{"model":"a","model":"b"}`)}, 400, "duplicate_json_key",
			`the request body says "model" twice; which one counts is not for the gateway to guess`},
		{"two content types", api.ExplainRequest{Path: "/v1/chat/completions", Body: []byte(`{}`), Headers: map[string][]string{"content-type": {"a/b", "c/d"}}}, 400, "malformed_request_body",
			"the request has more than one Content-Type; which one counts is not for the gateway to guess"},
		{"a revoked key", api.ExplainRequest{Path: "/v1/x", Key: "revoked"}, 401, "revoked_api_key", `API key "revoked" was revoked`},
		{"an expired key", api.ExplainRequest{Path: "/v1/x", Key: "expired"}, 401, "expired_api_key", `API key "expired" expired on 2026-11-20`},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := g.explain(t, c.in)
			if answer.Outcome != "refuse" || answer.Status != c.status || answer.Code != c.code || !strings.HasPrefix(answer.Message, c.message) {
				t.Errorf("explanation is %s %d %s %q", answer.Outcome, answer.Status, answer.Code, answer.Message)
			}
		})
	}
}

func TestUpstreamsThatAreNotTriedAreShown(t *testing.T) {
	g := explaining(t)
	_, err := g.DisableUpstream(t.Context(), "groq-b")
	must(t, err)
	g.env["GROQ"] = ""
	answer := g.explain(t, api.ExplainRequest{Path: "/v1/chat/completions", Key: "ci-bot", Model: text("gpt-5-mini")})
	if answer.Outcome != "forward" || len(answer.Candidates) != 3 {
		t.Fatalf("explanation is %+v", answer)
	}
	if c := answer.Candidates[0]; c.Upstream != "openai" || !c.Fallback || c.Share != 1 || c.Problem != "" {
		t.Errorf("the first one is %+v", c)
	}
	if c := answer.Candidates[1]; c.Upstream != "groq-a" || !strings.Contains(c.Problem, "env:GROQ") || c.Share != 0 {
		t.Errorf("the one without a credential is %+v", c)
	}
	if c := answer.Candidates[2]; c.Upstream != "groq-b" || c.Problem != "it is disabled" {
		t.Errorf("the disabled one is %+v", c)
	}

	_, err = g.DisableUpstream(t.Context(), "bare")
	must(t, err)
	answer = g.explain(t, api.ExplainRequest{Path: "/v1/chat/completions", Model: text("bare")})
	if answer.Code != "upstream_disabled" || len(answer.Candidates) != 1 || answer.Candidates[0].Problem != "it is disabled" {
		t.Errorf("explanation is %+v", answer)
	}
}

func TestWhatTheGatewayAnswersByItself(t *testing.T) {
	g := explaining(t)
	retired := g.explain(t, api.ExplainRequest{Path: "/v1/chat/completions", Model: text("gpt-3.5-turbo")})
	if retired.Outcome != "respond" || retired.Rule != "retired" || retired.Status != 410 || retired.Message != "gpt-3.5 was retired here" || retired.Response != nil {
		t.Errorf("explanation is %+v", retired)
	}
	page := g.explain(t, api.ExplainRequest{Path: "/hello", Method: "GET"})
	if page.Status != 200 || page.Message != "hello" || page.Response.Set["X-A"] != "b" {
		t.Errorf("explanation is %+v", page)
	}
	for _, path := range []string{"/v1/models", "/v1/models/gpt-5", "/v1beta/models", "/v1beta/models/gemini-1"} {
		models := g.explain(t, api.ExplainRequest{Path: path, Method: "get"})
		if models.Outcome != "respond" || models.Status != 200 || len(models.Rules) != 0 || models.Message != "the gateway itself answers which models there are; no rule is asked" {
			t.Errorf("%s: explanation is %+v", path, models)
		}
	}
}

func TestPathsOfTargetsAndModelsInPaths(t *testing.T) {
	g := explaining(t)
	legacy := g.explain(t, api.ExplainRequest{Path: "/legacy/v1/x?a=b"})
	if c := legacy.Candidates[0]; c.Upstream != "" || c.URL != "https://models.internal.example/api/v1/x?a=b" || c.Credential != "" {
		t.Errorf("candidate is %+v", c)
	}
	gemini := g.explain(t, api.ExplainRequest{Path: "/v1beta/models/gemini-1:streamGenerateContent?alt=sse"})
	c := gemini.Candidates[0]
	if c.URL != "https://generativelanguage.googleapis.com/v1beta/models/gemini-9:streamGenerateContent?alt=sse" || c.Model != "gemini-9" || c.Credential != "own …x4Qd" {
		t.Errorf("candidate is %+v", c)
	}
	if gemini.Model != "gemini-1" || !gemini.Stream {
		t.Errorf("explanation is %+v", gemini)
	}
}

func TestTheBodyIsLookedIntoAsTheProxyDoes(t *testing.T) {
	g := explaining(t)
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	must(t, parts.WriteField("model", "gpt-5-mini"))
	must(t, parts.Close())
	yes := true
	for name, c := range map[string]struct {
		in     api.ExplainRequest
		model  string
		stream bool
	}{
		"JSON":                {api.ExplainRequest{Path: "/v1/chat/completions", Body: []byte(`{"model":"gpt-5-mini","stream":true}`)}, "gpt-5-mini", true},
		"a model instead":     {api.ExplainRequest{Path: "/v1/chat/completions", Body: []byte(`{"model":"other"}`), Model: text("gpt-5-mini"), Stream: &yes}, "gpt-5-mini", true},
		"a form":              {api.ExplainRequest{Path: "/v1/audio/transcriptions", Body: form.Bytes(), Headers: map[string][]string{"Content-Type": {parts.FormDataContentType()}}}, "gpt-5-mini", false},
		"what is no JSON":     {api.ExplainRequest{Path: "/v1/chat/completions", Body: []byte(`model=gpt-5-mini`)}, "", false},
		"an unclaimed path":   {api.ExplainRequest{Path: "/own", Body: []byte(`{"model":"gpt-5-mini"}`), Headers: map[string][]string{"Content-Type": {"application/vnd.x+json; a=b"}}}, "gpt-5-mini", false},
		"and not said JSON":   {api.ExplainRequest{Path: "/own", Body: []byte(`{"model":"gpt-5-mini"}`)}, "", false},
		"no body and a model": {api.ExplainRequest{Path: "/v1/chat/completions", Model: text("gpt-5-mini")}, "gpt-5-mini", false},
	} {
		t.Run(name, func(t *testing.T) {
			c.in.Key = "ci-bot"
			answer := g.explain(t, c.in)
			if answer.Model != c.model || answer.Stream != c.stream || (answer.Rule == "trial") != (c.model != "") {
				t.Errorf("explanation has model %q, stream %t, rule %q", answer.Model, answer.Stream, answer.Rule)
			}
		})
	}
}

func TestTagsSourceAndHostAreAsked(t *testing.T) {
	g := open(t)
	g.apply(t, `version: 1
rules:
- {name: tag, match: {tag: {plan: gold}}, action: {respond: {status: 201, message: a}}}
- {name: source, match: {source: [10.0.0.0/8]}, action: {respond: {status: 202, message: b}}}
- {name: host, match: {host: [llm.example.com]}, action: {respond: {status: 203, message: c}}}
- {name: user, match: {user: [dana]}, action: {respond: {status: 214, message: d}}}
- {name: big, match: {body_bytes: {gt: 10}}, action: {respond: {status: 205, message: e}}}
- {name: small, match: {body_bytes: {lt: 11}}, action: {respond: {status: 206, message: f}}}
- {name: rest, match: {path: /chunks}, action: {respond: {status: 207, message: g}}}
`)
	_, err := g.CreateKey(t.Context(), api.NewKey{Name: "ci-bot", Tags: map[string]string{"plan": "trial"}})
	must(t, err)
	for name, c := range map[string]struct {
		in     api.ExplainRequest
		status int
	}{
		"a tag before the key's own": {api.ExplainRequest{Path: "/", Key: "ci-bot", Tags: map[string]string{"plan": "gold"}}, 201},
		"a tag without a key":        {api.ExplainRequest{Path: "/", Tags: map[string]string{"plan": "gold"}}, 201},
		"a source":                   {api.ExplainRequest{Path: "/", Source: "::ffff:10.1.2.3"}, 202},
		"a host":                     {api.ExplainRequest{Path: "/", Host: "LLM.example.com:443"}, 203},
		"a host header":              {api.ExplainRequest{Path: "/", Headers: map[string][]string{"host": {"llm.example.com"}}}, 203},
		"a user":                     {api.ExplainRequest{Path: "/", User: "dana"}, 214},
		"a large body":               {api.ExplainRequest{Path: "/", Body: []byte("01234567890")}, 205},
		"no body":                    {api.ExplainRequest{Path: "/", Key: "ci-bot"}, 206},
		"chunks that are not read":   {api.ExplainRequest{Path: "/chunks", Body: []byte("01234567890"), Headers: map[string][]string{"transfer-encoding": {"chunked"}}}, 207},
		"chunks of JSON":             {api.ExplainRequest{Path: "/chunks", Body: []byte("01234567890"), Headers: map[string][]string{"transfer-encoding": {"chunked"}, "content-type": {"application/json"}}}, 205},
	} {
		t.Run(name, func(t *testing.T) {
			if answer := g.explain(t, c.in); answer.Status != c.status {
				t.Errorf("answered by %q with %d, want %d: %v", answer.Rule, answer.Status, c.status, verdicts(answer))
			}
		})
	}
	if answer := g.explain(t, api.ExplainRequest{Path: "/v1/messages", Model: text("x")}); answer.Outcome != "refuse" {
		t.Errorf("the size of a body that is not there is known: %+v", answer)
	}
}

func TestExplainAgainstFilesThatAreNotApplied(t *testing.T) {
	g := explaining(t)
	in := api.ExplainRequest{Path: "/v1/chat/completions", Key: "plain", Model: text("gpt-5-mini"), Files: []api.Source{
		{Name: "new.yaml", Content: "version: 1\nset: early\norder: 1\nrules:\n- {name: new, match: {model: [gpt-5*]}, action: {upstream: openai}}\n"},
	}}
	answer := g.explain(t, in)
	if answer.Rule != "new" || answer.Revision != 0 || len(answer.Rules) != 12 || answer.Rules[0].Set != "early" {
		t.Errorf("explanation is %+v", answer)
	}
	in.Files = nil
	if answer := g.explain(t, in); answer.Rule == "new" || answer.Revision == 0 {
		t.Errorf("the files were stored: %+v", answer)
	}
	in.Files = []api.Source{{Name: "new.yaml", Content: "version: 1\nset: early\nrules:\n- {name: new, action: {upstream: nowhere}}\n"}}
	_, err := g.Explain(t.Context(), in)
	refusedWith(t, err, api.CodeInvalid, 422, `new.yaml:4:`, `unknown upstream "nowhere"`)
	in.Files[0].Content = "version: 1\nrules: 5\n"
	_, err = g.Explain(t.Context(), in)
	refusedWith(t, err, api.CodeInvalid, 422, "new.yaml:2:8: ")
}

func TestQuestionsThatMakeNoSense(t *testing.T) {
	g := explaining(t)
	for name, c := range map[string]struct {
		in           api.ExplainRequest
		code         string
		status       int
		detail, hint string
	}{
		"no path":            {api.ExplainRequest{}, api.CodeInvalid, 422, "path: must begin with /", ""},
		"a URL":              {api.ExplainRequest{Path: "http://x/v1"}, api.CodeInvalid, 422, "path: must begin with /", ""},
		"a source":           {api.ExplainRequest{Path: "/", Source: "10.0.0.0/8"}, api.CodeInvalid, 422, "source: is not an address", ""},
		"an unknown key":     {api.ExplainRequest{Path: "/", Key: "nobody"}, api.CodeNotFound, 404, `no key "nobody"`, "list them: llmgw keys list"},
		"a secret for a key": {api.ExplainRequest{Path: "/", Key: "sk-lgw-SECRET"}, api.CodeNotFound, 404, "no such key", "list them: llmgw keys list"},
		"two models": {api.ExplainRequest{Path: "/v1beta/models/gemini-1:generateContent", Model: text("gemini-2")},
			api.CodeInvalid, 422, "model: the path names another model already", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := g.Explain(t.Context(), c.in)
			if refusal := refusedWith(t, err, c.code, c.status, c.detail); refusal.Hint != c.hint {
				t.Errorf("hint is %q", refusal.Hint)
			}
		})
	}
	g.store.broken = accounts.ErrUnavailable
	_, err := g.Explain(t.Context(), api.ExplainRequest{Path: "/"})
	refusedWith(t, err, api.CodeUnavailable, 503)
}

// TestExplainNeverShowsASecret looks for the credential everywhere in what is
// said of requests that would carry it, and for keys that the request carries.
func TestExplainNeverShowsASecret(t *testing.T) {
	g := explaining(t)
	g.apply(t, explained+`- name: copies
  match: {path: /copy/**, header: {authorization: {exists: false}}}
  action: {upstream: groq-a}
`)
	created, err := g.CreateKey(t.Context(), api.NewKey{Name: "carried"})
	must(t, err)
	for _, path := range []string{"/v1/chat/completions", "/v1beta/models/gemini-1:generateContent?key=" + created.Secret, "/copy/x"} {
		answer := g.explain(t, api.ExplainRequest{Path: path, Key: "ci-bot", Headers: map[string][]string{"authorization": {"Bearer " + created.Secret}}})
		shown := cmp.Diff(api.Explanation{}, answer)
		if strings.Contains(shown, g.env["GROQ"]) || strings.Contains(shown, created.Secret) {
			t.Errorf("%s shows a secret:\n%s", path, shown)
		}
	}
}
