package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

func TestEveryMistakeOfACallerGetsItsStatusAndText(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool { t.Error("the upstream was asked"); return false })
	g := newGateway(t, up.url, func(s *setup) {
		s.options.MaxBody = 1 << 20
		off, bare, groq := upstreamAt("off", up.url), upstreamAt("bare", up.url), upstreamAt("groq", up.url)
		off.Enabled, bare.Credentials, groq.Wires = false, nil, []string{"openai-chat"}
		s.config.Upstreams = append(s.config.Upstreams, off, bare, groq)
		s.config.Files[0].Rules = []rules.Rule{
			{Name: "openai", Match: rules.Match{Model: []string{"gpt-5*"}}, Action: rules.Action{Upstream: "up"}},
			{Name: "off", Match: rules.Match{Model: []string{"off"}}, Action: rules.Action{Upstream: "off"}},
			{Name: "bare", Match: rules.Match{Model: []string{"bare"}}, Action: rules.Action{Upstream: "bare"}},
			{Name: "groq", Match: rules.Match{Model: []string{"llama"}}, Action: rules.Action{Upstream: "groq"}},
			{Name: "retired", Match: rules.Match{Model: []string{"gpt-3.5*"}}, Action: rules.Action{Respond: &rules.Respond{Status: 400, Message: "gpt-3.5 was retired here; use gpt-5-mini"}}},
		}
	})
	revoked := g.keys.issue(t, "old-bot", func(i *accounts.Identity) { i.RevokedAt = time.Now() })
	expired := g.keys.issue(t, "late-bot", func(i *accounts.Identity) { i.ExpiresAt = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC) })
	stranger, err := g.keys.issuer.Issue()
	if err != nil {
		t.Fatal(err)
	}
	with := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Del("Authorization"); r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		path, body string
		change     func(*http.Request)
		status     int
		code       string
		message    string
		retry      bool
	}{
		"no key":                  {change: with("X-None", ""), status: 401, code: "missing_api_key", message: `no API key in the request; send "Authorization: Bearer sk-lgw-…" or "x-api-key". Create one with: llmgw keys create`},
		"basic instead of bearer": {change: with("Authorization", "Basic eDp5"), status: 401, code: "missing_api_key", message: `no API key in the request; send "Authorization: Bearer sk-lgw-…" or "x-api-key". Create one with: llmgw keys create`},
		"Anthropic's key":         {change: with("X-Api-Key", "sk-ant-api03-canary"), status: 401, code: "provider_api_key", message: `this looks like an Anthropic key ("sk-ant-…"); the gateway wants its own key ("sk-lgw-…"). In Claude Code set ANTHROPIC_AUTH_TOKEN and leave ANTHROPIC_API_KEY empty`},
		"OpenAI's key":            {change: with("Authorization", "Bearer sk-proj-canary"), status: 401, code: "provider_api_key", message: `this looks like an OpenAI key ("sk-proj-…"); the gateway wants its own key ("sk-lgw-…"). Create one with: llmgw keys create`},
		"a cut key":               {change: with("X-Goog-Api-Key", g.key[:40]), status: 401, code: "malformed_api_key", message: `API key is malformed (checksum does not match): was it cut when copied?`},
		"an unknown key":          {change: with("Api-Key", stranger.Reveal()), status: 401, code: "invalid_api_key", message: `API key is not valid`},
		"any other text":          {change: with("Authorization", "bearer whatever"), status: 401, code: "invalid_api_key", message: `API key is not valid`},
		"a revoked key":           {change: with("Authorization", "Bearer "+revoked), status: 401, code: "revoked_api_key", message: `API key "old-bot" was revoked`},
		"an expired key":          {change: with("Authorization", "Bearer "+expired), status: 401, code: "expired_api_key", message: `API key "late-bot" expired on 2026-11-20`},
		"two keys":                {change: func(r *http.Request) { r.Header.Set("X-Api-Key", revoked) }, status: 400, code: "two_api_keys", message: "the request carries two different API keys; send one (Authorization, x-api-key, x-goog-api-key, api-key or ?key=)"},
		"a model nobody takes":    {body: `{"model":"gpt-6"}`, status: 400, code: "no_rule", message: `no rule takes model "gpt-6" on /v1/chat/completions; nearest is "gpt-5*" (rule openai). Models you can use: GET /v1/models`},
		"a body that is no JSON":  {body: `{"model":"gpt-5"`, status: 400, code: "no_rule", message: `no rule takes /v1/chat/completions without a model. Models you can use: GET /v1/models`},
		"/v1 twice":               {path: "/v1/v1/messages", status: 400, code: "wrong_base_url", message: `path "/v1/v1/messages": the base URL has "/v1" twice. Claude Code wants http://host:4100 without /v1`},
		"/v1 twice for a rule":    {path: "/v1/v1/chat/completions", body: `{"model":"gpt-5"}`, status: 400, code: "wrong_base_url", message: `path "/v1/v1/chat/completions": the base URL has "/v1" twice. Claude Code wants http://host:4100 without /v1`},
		"/v1 missing":             {path: "/chat/completions", body: `{"model":"x"}`, status: 400, code: "wrong_base_url", message: `path "/chat/completions": add /v1 to the base URL`},
		"another wire format":     {path: "/v1/responses", body: `{"model":"llama"}`, status: 400, code: "wrong_wire_format", message: `upstream "groq" does not speak the Responses API (/v1/responses), which Codex needs; route this model to one that does`},
		"a disabled upstream":     {body: `{"model":"off"}`, status: 400, code: "upstream_disabled", message: `rule "off" sends to upstream "off", which is disabled. Admin: llmgw upstreams enable off`},
		"no credential":           {body: `{"model":"bare"}`, status: 400, code: "upstream_without_credential", message: `rule "bare" sends to upstream "bare", which has no credential. Admin: llmgw upstreams credential set bare`},
		"a rule's own answer":     {body: `{"model":"gpt-3.5-turbo"}`, status: 400, code: "rule_response", message: `gpt-3.5 was retired here; use gpt-5-mini`},
		"too large a body":        {body: strings.Repeat("x", 1<<20+1), status: 413, code: "request_too_large", message: `request body is over 1 MB (--max-body)`},
		"model twice":             {body: `{"model":"gpt-5","mod\u0065l":"off"}`, status: 400, code: "duplicate_json_key", message: `the request body says "model" twice; which one counts is not for the gateway to guess`},
		"two content types":       {change: func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }, body: "{}", status: 400, code: "malformed_request_body", message: "the request has more than one Content-Type"},
		"dot segments":            {path: "/v1/%2e%2e/admin", status: 400, code: "bad_path", message: "the request path is refused: "},
		"a double slash":          {path: "/v1//chat/completions", status: 400, code: "bad_path", message: "the request path is refused: "},
		"an odd method":           {change: func(r *http.Request) { r.Method = "BREW" }, status: 405, code: "method_not_allowed", message: `method "BREW" is not served here`},
		"a long target":           {path: "/v1/" + strings.Repeat("x", 17<<10), status: 414, code: "uri_too_long", message: `the request target is over 16 KiB`},
		"many headers": {change: func(r *http.Request) {
			for n := range 101 {
				r.Header.Set(fmt.Sprintf("X-H%d", n), "1")
			}
		}, status: 431, code: "too_many_headers", message: `the request has more than 100 header fields`},
	} {
		t.Run(name, func(t *testing.T) {
			path, body := c.path, c.body
			if path == "" {
				path = "/v1/chat/completions"
			}
			r := g.post(path, body)
			if c.change != nil {
				c.change(r)
			}
			response, text, err := g.do(r)
			if err != nil {
				t.Fatal(err)
			}
			var shape struct {
				Error struct{ Message, Type, Code string }
			}
			if err := json.Unmarshal(text, &shape); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if response.StatusCode != c.status || (shape.Error.Code != c.code && !strings.Contains(path, "/messages")) || response.Header.Get("X-Llmgw-Error") != c.code || !strings.HasPrefix(shape.Error.Message, c.message) {
				t.Errorf("%d %s %q", response.StatusCode, shape.Error.Code, shape.Error.Message)
			}
			id := response.Header.Get("X-Llmgw-Request-Id")
			if id == "" || response.Header.Get("X-Request-Id") != id || response.Header.Get("X-Should-Retry") != "false" {
				t.Errorf("headers %v", response.Header)
			}
			if line := g.line(response); line["end_reason"] != "rejected" && c.code != codeRule || line["error"] != c.code && c.code != codeRule {
				t.Errorf("log: %v %v", line["end_reason"], line["error"])
			}
		})
	}
	for _, canary := range []string{"sk-ant-api03", "sk-proj-canary", stranger.Reveal()} {
		if strings.Contains(g.log.text(), canary) {
			t.Errorf("the log holds %s", canary)
		}
	}
}

func TestAFailureHasTheShapeOfTheFormatThatWasCalled(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:9")
	for path, want := range map[string]string{
		"/v1/chat/completions": `{"error":{"message":"API key is not valid","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`,
		"/v1/messages":         `{"type":"error","error":{"type":"authentication_error","message":"API key is not valid"},"request_id":"ID"}`,
		"/v1beta/models/gemini-2.5-pro:generateContent": `{"error":{"code":401,"message":"API key is not valid","status":"UNAUTHENTICATED"}}`,
		"/model/nova/converse":                          `{"message":"API key is not valid"}`,
		"/nobody/knows":                                 `{"error":{"message":"API key is not valid","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`,
	} {
		r := g.post(path, "{}")
		r.Header.Set("Authorization", "Bearer nobody")
		response, body, err := g.do(r)
		got := strings.ReplaceAll(string(body), response.Header.Get("X-Llmgw-Request-Id"), "ID")
		if err != nil || got != want || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestTheModelsThatCanBeAskedForByName(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:9", func(s *setup) {
		s.config.Upstreams[0].Models = []string{"mock-big", "nobody-takes-it"}
		s.config.Files[0].Rules = []rules.Rule{{Name: "r", Match: rules.Match{Model: []string{"mock", "mock-*", "!mock-429"}}, Action: rules.Action{Upstream: "up"}}}
	})
	entry := func(id string) string {
		return `{"id":"` + id + `","object":"model","created":0,"owned_by":"llmgw","type":"model","display_name":"` + id + `","created_at":"1970-01-01T00:00:00Z"}`
	}
	both := entry("mock") + "," + entry("mock-big")
	for version, want := range map[string]string{
		"":           `{"object":"list","data":[` + both + `]}`,
		"2023-06-01": `{"data":[` + both + `],"has_more":false,"first_id":"mock","last_id":"mock-big"}`,
	} {
		r := g.post("/v1/models?limit=1000", "")
		r.Method = http.MethodGet
		if version != "" {
			r.Header.Set("Anthropic-Version", version)
		}
		if response, body, err := g.do(r); err != nil || string(body) != want {
			t.Errorf("version %q: %d %s", version, response.StatusCode, body)
		}
		r.Header.Del("Authorization")
		if response, _, _ := g.do(r); response.StatusCode != 401 {
			t.Errorf("without a key: %d", response.StatusCode)
		}
	}
}

func TestAStoreThatIsAwayIsNeverA401(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:9")
	for _, err := range []error{accounts.ErrUnavailable, context.DeadlineExceeded, fmt.Errorf("reading: %w", net.ErrClosed)} {
		g.keys.fail(err)
		response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest))
		if response.StatusCode != 503 || response.Header.Get("Retry-After") == "" || response.Header.Get("X-Should-Retry") != "" {
			t.Errorf("%v: %d %s", err, response.StatusCode, body)
		}
	}
}

func TestAMalformedKeyAsksNobody(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:9")
	for n := range 500 {
		r := g.post("/v1/chat/completions", chatRequest)
		r.Header.Set("Authorization", "Bearer "+g.key[:50]+fmt.Sprintf("-%06d", n))
		if response, _, _ := g.do(r); response.StatusCode != 401 {
			t.Fatal(response.StatusCode)
		}
	}
	if g.keys.asked != 0 {
		t.Errorf("asked %d times", g.keys.asked)
	}
}

func TestBodiesTogetherStayWithinTheBudget(t *testing.T) {
	hold, arrived := make(chan struct{}), make(chan struct{})
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		arrived <- struct{}{}
		<-hold
		say(c, answerText("text/plain", "ok"))
		return true
	})
	g := newGateway(t, up.url, func(s *setup) { s.options.BodyBudget = 100_000 })
	first := make(chan int, 1)
	go func() {
		response, _, _ := g.do(g.post("/x", strings.Repeat("a", 80_000)))
		first <- response.StatusCode
	}()
	waitFor(t, arrived)
	response, body, _ := g.do(g.post("/x", strings.Repeat("a", 30_000)))
	if response.StatusCode != 503 || response.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	close(hold)
	if status := waitFor(t, first); status != 200 {
		t.Errorf("the first got %d", status)
	}
	g.noneInFlight()
	if used := g.proxy.budget.used.Load(); used != 0 {
		t.Errorf("%d bytes are still reserved", used)
	}
}

func TestWithoutAConfigurationTheProxyIsNotReady(t *testing.T) {
	keys := newKeyring(t)
	p, err := New(Options{Source: keys, Issuer: keys.issuers})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if p.Ready() == nil {
		t.Error("ready")
	}
	if err := p.Reload(t.Context(), rules.Config{Files: []rules.File{{Set: "s", Rules: []rules.Rule{{Name: "bad", Action: rules.Action{Upstream: "nobody"}}}}}}); err == nil || p.Ready() == nil {
		t.Errorf("a set with an error was taken: %v", err)
	}
	if err := p.Reload(t.Context(), rules.Config{}); err != nil || p.Ready() != nil {
		t.Errorf("%v %v", err, p.Ready())
	}
}
