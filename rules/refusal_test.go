package rules_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

const refusing = `version: 1
rules:
- {name: gpt, match: {model: [gpt-5*]}, action: {upstream: openai}}
- {name: off, match: {model: [off]}, action: {upstreams: [{name: off-a}, {name: off-b}]}}
- {name: drained, match: {model: [drained]}, action: {upstreams: [{name: off-a}, {name: busy}]}}
- {name: open, match: {model: [open]}}
- {name: blind, match: {path: /blind}, action: {upstream: openai, model: x}}
- {name: answers, match: {path: /answers}, action: {respond: {status: 410, message: gone}}}
`

func busyUpstream() accounts.Upstream {
	return accounts.Upstream{ID: "4", Name: "busy", Provider: accounts.ProviderOpenAI, URL: "https://busy.example", Enabled: true, Draining: true}
}

func TestEveryRefusalHasItsText(t *testing.T) {
	set := compile(t, refusing,
		accounts.Upstream{ID: "1", Name: "openai", Provider: accounts.ProviderOpenAI, URL: "https://api.openai.com/v1", Enabled: true},
		accounts.Upstream{ID: "2", Name: "off-a", Provider: accounts.ProviderOpenAI, URL: "https://a.example"},
		accounts.Upstream{ID: "3", Name: "off-b", Provider: accounts.ProviderOpenAI, URL: "https://b.example"}, busyUpstream())
	long := strings.Repeat("é", 80)
	for name, c := range map[string]struct{ path, model, code, message string }{
		"a model that nobody takes": {"/v1/chat/completions", "gtp-5", rules.CodeNoRule,
			`no rule takes model "gtp-5" on /v1/chat/completions; nearest is "gpt-5*" (rule gpt). Models you can use: GET /v1/models`},
		"a model that is like no other": {"/v1/chat/completions", "zzz", rules.CodeNoRule,
			`no rule takes model "zzz" on /v1/chat/completions. Models you can use: GET /v1/models`},
		"a long model": {"/v1/chat/completions", long, rules.CodeNoRule,
			`no rule takes model "` + strings.Repeat("é", 50) + `…" on /v1/chat/completions. Models you can use: GET /v1/models`},
		"no model":               {"/x", "", rules.CodeNoRule, "no rule takes /x without a model. Models you can use: GET /v1/models"},
		"one /v1 too many":       {"/v1/v1/messages", "m", rules.CodeWrongBaseURL, `path "/v1/v1/messages": the base URL has "/v1" twice. Claude Code wants http://host:4100 without /v1`},
		"which a rule takes":     {"/v1/v1/responses", "gpt-5", rules.CodeWrongBaseURL, `path "/v1/v1/responses": the base URL has "/v1" twice. Claude Code wants http://host:4100 without /v1`},
		"one /v1 too few":        {"/messages", "m", rules.CodeWrongBaseURL, `path "/messages": add /v1 to the base URL`},
		"a rule that sends none": {"/v1/chat/completions", "open", rules.CodeNoDestination, `rule "open" names no upstream, and your key is bound to none`},
		"upstreams that are off": {"/v1/chat/completions", "off", rules.CodeUpstreamOff, `rule "off" sends to upstream "off-a", which is disabled. Admin: llmgw upstreams enable off-a`},
		"one that is draining":   {"/v1/chat/completions", "drained", rules.CodeDraining, `rule "drained" sends to upstream "busy", which is draining. Admin: llmgw upstreams drain busy --undo`},
		"the wrong wire":         {"/v1/messages", "gpt-5", rules.CodeWrongWire, `upstream "openai" does not speak the Anthropic Messages API (/v1/messages); route this model to one that does`},
		"no model to rewrite":    {"/blind", "", rules.CodeModelUnreadable, `rule "blind" changes the model, and this request does not show one`},
	} {
		t.Run(name, func(t *testing.T) {
			q := &rules.Request{Method: "POST", Path: c.path, Wire: rules.ReadPath(c.path).Wire, Model: c.model, HasModel: c.model != ""}
			var d rules.Decision
			set.Decide(q, &d)
			got, ok := set.Refusal(q, &d)
			if want := (rules.Refusal{Status: 400, Code: c.code, Message: c.message}); !ok || got != want {
				t.Errorf("got %+v, %t\nwant %+v", got, ok, want)
			}
		})
	}
	for _, q := range []*rules.Request{
		{Method: "POST", Path: "/v1/chat/completions", Model: "gpt-5", HasModel: true}, {Method: "POST", Path: "/answers"},
	} {
		var d rules.Decision
		set.Decide(q, &d)
		if got, ok := set.Refusal(q, &d); ok {
			t.Errorf("%s is refused: %+v", q.Path, got)
		}
	}
}

func TestCodexIsToldWhichFormatItNeeds(t *testing.T) {
	set := compile(t, "version: 1\nrules:\n- {name: all, action: {upstream: groq}}\n",
		accounts.Upstream{ID: "1", Name: "groq", Provider: accounts.ProviderOpenAI, URL: "https://g.example", Wires: []string{"openai-chat"}, Enabled: true})
	q := &rules.Request{Method: "POST", Path: "/v1/responses", Wire: rules.ReadPath("/v1/responses").Wire}
	var d rules.Decision
	set.Decide(q, &d)
	want := `upstream "groq" does not speak the Responses API (/v1/responses), which Codex needs; route this model to one that does`
	if got, ok := set.Refusal(q, &d); !ok || got.Message != want {
		t.Errorf("got %+v, want %s", got, want)
	}
}

func TestRefusalsBeforeAndAfterTheRules(t *testing.T) {
	at := time.Date(2026, 11, 20, 23, 30, 0, 0, time.FixedZone("", -3600))
	for got, want := range map[rules.Refusal]rules.Refusal{
		rules.RefusePath("the path holds .."):                    {Status: 400, Code: "bad_path", Message: "the request path is refused: the path holds .."},
		rules.RefuseMethod("BREW"):                               {Status: 405, Code: "method_not_allowed", Message: `method "BREW" is not served here`},
		rules.RefuseMethod(strings.Repeat("A", 33)):              {Status: 405, Code: "method_not_allowed", Message: `method "` + strings.Repeat("A", 32) + `…" is not served here`},
		rules.RefuseRevoked("ci-bot"):                            {Status: 401, Code: "revoked_api_key", Message: `API key "ci-bot" was revoked`},
		rules.RefuseExpired("ci-bot", at):                        {Status: 401, Code: "expired_api_key", Message: `API key "ci-bot" expired on 2026-11-21`},
		rules.RefuseBody(&rules.DuplicateKeyError{Key: "model"}): {Status: 400, Code: "duplicate_json_key", Message: `the request body says "model" twice; which one counts is not for the gateway to guess`},
		rules.RefuseBody(errors.Join(rules.ErrTwoContentTypes)):  {Status: 400, Code: "malformed_request_body", Message: "the request has more than one Content-Type; which one counts is not for the gateway to guess"},
		rules.RefuseRewrite("r"):                                 {Status: 400, Code: "bad_path_rewrite", Message: `rule "r" rewrites this path into one that cannot be sent`},
		rules.RefuseCredential("openai", "openai-eu"):            {Status: 400, Code: "upstream_without_credential", Message: `rule "openai" sends to upstream "openai-eu", which has no credential. Admin: llmgw upstreams credential set openai-eu`},
	} {
		if got != want {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

func FuzzRefusalsAreText(f *testing.F) {
	f.Add("/v1/chat/completions", "gpt-\xff")
	f.Add("/%FF", strings.Repeat("€", 60))
	set := compile(f, refusing,
		accounts.Upstream{ID: "1", Name: "openai", Provider: accounts.ProviderOpenAI, URL: "https://api.openai.com/v1", Enabled: true},
		accounts.Upstream{ID: "2", Name: "off-a", Provider: accounts.ProviderOpenAI, URL: "https://a.example"},
		accounts.Upstream{ID: "3", Name: "off-b", Provider: accounts.ProviderOpenAI, URL: "https://b.example"}, busyUpstream())
	f.Fuzz(func(t *testing.T, path, model string) {
		canonical, err := rules.CanonicalPath(path)
		if err != nil {
			return
		}
		q := &rules.Request{Method: "POST", Path: canonical, Wire: rules.ReadPath(canonical).Wire, Model: model, HasModel: true}
		var d rules.Decision
		set.Decide(q, &d)
		refusal, ok := set.Refusal(q, &d)
		if ok != (d.Outcome != rules.Forward && d.Outcome != rules.Answer) || ok != (refusal.Code != "") {
			t.Fatalf("outcome %d: %+v, %t", d.Outcome, refusal, ok)
		}
		if !utf8.ValidString(refusal.Message) {
			t.Fatalf("message is no text: %q", refusal.Message)
		}
	})
}
