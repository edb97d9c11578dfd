package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
)

func TestAnExplanationShowsAllowListAndBinding(t *testing.T) {
	asked := api.Explanation{
		Method: "POST", Path: "/v1/chat/completions", Model: "new", Key: "ci-bot", User: "dana", Allowed: []string{"gpt-*", "new", "!gpt-5-pro"},
		Rules: []api.ExplainedRule{{Position: 1, Name: "open", Verdict: "yes"}, {Position: 2, Name: "claude", Verdict: "no", Matcher: "model", Saw: "new", Wants: "claude-*"}},
	}
	bound := func(rule string) api.Explanation {
		e := asked
		e.Rule, e.Outcome, e.Binding = rule, "forward", &api.ExplainedBinding{ID: "bind_1", Of: "user dana", Order: 100}
		e.Candidates = []api.CandidateReport{
			{Upstream: "openai-us", URL: "https://us.example.com/v1/chat/completions", Model: "new", Share: 0.25, Credential: "default …x4Qd"},
			{Upstream: "openai-eu", URL: "https://eu.example.com/v1/chat/completions", Model: "new", Share: 0.75, Credential: "batch …bAtc"},
			{Upstream: "off", URL: "https://off.example.com", Problem: "it is disabled"},
		}
		return e
	}
	unruled := bound("")
	unruled.Rules = asked.Rules[1:]
	refused := asked
	refused.Model, refused.Rules = "gpt-5-pro", nil
	refused.Outcome, refused.Status, refused.Code = "refuse", 400, "model_not_allowed"
	refused.Message = `key "ci-bot" may not use "gpt-5-pro"; it may use gpt-*, new but gpt-5-pro`
	unread := refused
	unread.Model, unread.Message = "", `key "ci-bot" may use gpt-*, new but gpt-5-pro only, and this request does not show a model`
	twofold := refused
	twofold.Model = "new"

	for _, c := range []struct {
		name string
		told api.Explanation
		want string
	}{
		{"a rule that leaves the destination open", bound("open"), `
request        POST /v1/chat/completions  model new  key ci-bot (user dana)
allow-list     YES   model ✓ (gpt-*, new, !gpt-5-pro)
1 open         YES   takes everything
  -> binding   user dana, order 100
  -> upstream  openai-eu (75%) or openai-us (25%)   by weight; this request's is openai-us
  -> url       https://us.example.com/v1/chat/completions
  -> headers   credential default …x4Qd
  -> then      openai-eu  https://eu.example.com/v1/chat/completions  credential batch …bAtc
  -> not       off: it is disabled
2 claude       no    model new, wants claude-*
nothing was sent
`},
		{"no rule", unruled, `
request        POST /v1/chat/completions  model new  key ci-bot (user dana)
allow-list     YES   model ✓ (gpt-*, new, !gpt-5-pro)
2 claude       no    model new, wants claude-*
  -> binding   user dana, order 100
  -> upstream  openai-eu (75%) or openai-us (25%)   by weight; this request's is openai-us
  -> url       https://us.example.com/v1/chat/completions
  -> headers   credential default …x4Qd
  -> then      openai-eu  https://eu.example.com/v1/chat/completions  credential batch …bAtc
  -> not       off: it is disabled
nothing was sent
`},
		{"a model that is not allowed", refused, `
request       POST /v1/chat/completions  model gpt-5-pro  key ci-bot (user dana)
allow-list    no    model gpt-5-pro, wants gpt-*, new, !gpt-5-pro
  -> refused  400 model_not_allowed  key "ci-bot" may not use "gpt-5-pro"; it may use gpt-*, new but gpt-5-pro
nothing was sent
`},
		{"another model in the query", twofold, `
request       POST /v1/chat/completions  model new  key ci-bot (user dana)
allow-list    no    the query names another model
  -> refused  400 model_not_allowed  key "ci-bot" may not use "gpt-5-pro"; it may use gpt-*, new but gpt-5-pro
nothing was sent
`},
		{"no model", unread, `
request       POST /v1/chat/completions  key ci-bot (user dana)
allow-list    no    model is not there, wants gpt-*, new, !gpt-5-pro
  -> refused  400 model_not_allowed  key "ci-bot" may use gpt-*, new but gpt-5-pro only, and this request does not show a model
nothing was sent
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			e := explanation{Explanation: c.told}
			if err := e.write(&output{w: &out}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, "\n"+out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
