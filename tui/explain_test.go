package tui

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

func sampleExplanation() api.Explanation {
	return api.Explanation{
		Method: "POST", Path: "/v1/chat/completions", Model: "gpt-5", Key: "ci-bot", User: "dana", Revision: 41, Outcome: "forward", Rule: "openai",
		Rules: []api.ExplainedRule{
			{Position: 1, Name: "fast-lane", Verdict: "no", Matcher: "header x-tier", Saw: `"paid"`, Wants: `"free"`},
			{Position: 2, Name: "anthropic", Verdict: "no", Matcher: "path", Saw: "/v1/chat/completions", Wants: "/v1/messages/**"},
			{Position: 3, Name: "openai", Verdict: "yes"},
			{Position: 4, Name: "old-embed", Verdict: "skip"},
			{Position: 5, Name: "日本語-catch-all", Verdict: "unreached"},
		},
		Candidates: []api.CandidateReport{
			{Upstream: "openai-eu", URL: "https://eu.api.openai.com/v1/chat/completions", Model: "gpt-5", Share: 0.8, Credential: "default …x4Qd", Headers: &api.Header{Set: map[string]string{"X-A": "b"}, Removed: []string{"Cookie"}}},
			{Upstream: "openai-us", Model: "gpt-5", Share: 0.2, Problem: "it is drained"},
		},
		Limits: []string{"600 requests/min"},
	}
}

func TestExplainTellsWhichRuleTakesARequestAndWhyOthersDoNot(t *testing.T) {
	play(t, 120, 40, nil, func(s *stage) {
		s.fake.answer("POST /explain", sampleExplanation())
		s.press("3", "x")
		s.did(`POST /explain {"method":"POST","path":"/v1/chat/completions","headers":{"X-Tier":["free"]},"model":"gpt-5-mini"}`)
		s.sees("Explain", "x-tier: free", `header x-tier = "paid", wants "free"`, "path /v1/chat/completions, wants /v1/messages/**",
			"YES   model ✓ (gpt-*,o*)", "skip  disabled", "would take it, were it reached",
			"openai-eu (80%)  https://eu.api.openai.com", "default …x4Qd", "x-a: b   removed: cookie", "openai-us (20%): it is drained", "600 requests/min", "nothing was sent")
		fits(t, s.frame(), 120, 40)
		s.press("esc")
		s.logs("llmgw rules explain --path /v1/chat/completions --model gpt-5-mini -H 'x-tier: free' --context prod")
	})
}

func TestExplainAsksAfterAPauseAndNeverTwiceAtOnce(t *testing.T) {
	play(t, 120, 40, nil, func(s *stage) {
		running, most := 0, 0
		s.fake.on("POST /explain", func(_ *http.Request, body []byte) (int, any) {
			running++
			most = max(most, running)
			time.Sleep(2 * time.Second) //nolint:forbidigo // the bubble's time
			running--
			a := sampleExplanation()
			_, rest, _ := strings.Cut(string(body), `"model":"`)
			a.Model, _, _ = strings.Cut(rest, `"`)
			a.Model = "answer to " + a.Model
			return 200, a
		})
		s.press("3", "x", "tab")
		s.fake.called()
		for i := range 5 {
			s.write(fmt.Sprint(i))
			s.wait(100 * time.Millisecond)
		}
		s.did()
		s.wait(1500 * time.Millisecond) // the answer to what was written first has come by then, and is dropped
		s.seesNot("answer to gpt-5-mini ")
		s.wait(3 * time.Second)
		s.did(`POST /explain {"method":"POST","path":"/v1/chat/completions","headers":{"X-Tier":["free"]},"model":"gpt-5-mini01234"}`)
		s.sees("answer to gpt-5-mini01234")
		if most != 1 {
			t.Errorf("%d calls at once", most)
		}
	})
}

func TestExplainAsksAtOnceOnEnterAndShowsARefusal(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.refuse("POST /explain", api.Error{Status: 404, Code: api.CodeNotFound, Detail: `no key "nobody"`, Hint: "see: llmgw keys list"})
		s.press("3", "x")
		s.sees(`no key "nobody"`, "see: llmgw keys list")
		s.fake.answer("POST /explain", api.Explanation{Outcome: "refuse", Status: 400, Code: "no_rule", Message: "no rule takes it", Allowed: []string{"gpt-*"}})
		s.press("enter")
		s.sees("refused", "400 no_rule  no rule takes it", "gpt-*")
		s.press("esc")
	})
}

func TestExplainKeepsCredentialsOutOfTheLog(t *testing.T) {
	words := strings.Join(explainTwin(&api.ExplainRequest{Path: "/v1", Method: "GET", Headers: map[string][]string{"Authorization": {"Bearer sk-lgw-canary"}, "X-Api-Key": {"canary"}}, Tags: map[string]string{"plan": "trial"}, User: "lee"}), " ")
	if strings.Contains(words, "canary") || words != "rules explain --path /v1 --method GET --user lee --tag plan=trial -H authorization: *** -H x-api-key: ***" {
		t.Errorf("the command: %s", words)
	}
}

func TestHeadersAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]map[string][]string{
		"":                         nil,
		"nothing":                  nil,
		"x-a: b":                   {"X-A": {"b"}},
		"x-a: b, X-a: c,x-b:":      {"X-A": {"b", "c"}, "X-B": {""}},
		"accept: a/b, c/d, x-a: 1": {"Accept": {"a/b, c/d"}, "X-A": {"1"}},
		": a, , :":                 nil,
	} {
		if got := readHeaders(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, and not %q", text, got, want)
		}
		if got := readHeaders(headersText(want)); !reflect.DeepEqual(got, want) {
			t.Errorf("%q written and read again: %q", text, got)
		}
	}
}

func TestARequestLikeARuleIsOneThatItMayTake(t *testing.T) {
	for name, c := range map[string]struct {
		match map[string]any
		want  string
	}{
		"nothing is asked for":    {nil, "POST /v1/chat/completions"},
		"the rest of a path":      {map[string]any{"path": "/v1/messages/**", "method": []any{"GET"}}, "GET /v1/messages"},
		"everything":              {map[string]any{"path": "/**"}, "POST /v1/chat/completions"},
		"a segment":               {map[string]any{"path": []any{"/v1/*/x"}}, "POST /v1/x/x"},
		"a pattern is not undone": {map[string]any{"path": map[string]any{"regex": "^/v1"}}, "POST /v1/chat/completions"},
		"what is not excluded":    {map[string]any{"model": []any{"!gpt-4", "gpt-*"}, "key": []any{"ci-bot"}}, "POST /v1/chat/completions gpt-x ci-bot"},
		"keys by a pattern":       {map[string]any{"key": "ci-*"}, "POST /v1/chat/completions"},
		"conditions on headers":   {map[string]any{"header": map[string]any{"a": map[string]any{"in": []any{"1", "2"}}, "b": map[string]any{"exists": true}, "c": map[string]any{"regex": "x"}}}, "POST /v1/chat/completions a: 1, b: x"},
	} {
		q := requestLike(&api.Rule{Match: c.match})
		parts := []string{q.Method + " " + q.Path}
		if q.Model != nil {
			parts = append(parts, *q.Model)
		}
		for _, text := range []string{q.Key, headersText(q.Headers)} {
			if text != "" {
				parts = append(parts, text)
			}
		}
		if got := strings.Join(parts, " "); got != c.want {
			t.Errorf("%s: %q, and not %q", name, got, c.want)
		}
	}
}

func TestExplainIsReadToItsEndOnASmallTerminal(t *testing.T) {
	play(t, 60, 16, nil, func(s *stage) {
		s.fake.answer("POST /explain", sampleExplanation())
		s.press("3", "x")
		s.sees("lines more")
		for range 12 {
			s.press("pgdown")
			fits(t, s.frame(), 60, 16)
		}
		s.sees("nothing was sent")
		s.press("pgup")
		s.sees("lines more")
	})
}

func TestEveryOutcomeIsTold(t *testing.T) {
	l := &look{signs: asciiSigns()}
	yes := []api.ExplainedRule{{Position: 1, Name: "r", Verdict: "yes"}}
	for name, c := range map[string]struct {
		answer api.Explanation
		match  map[string]any
		want   []string
	}{
		"a rule answers":         {api.Explanation{Outcome: "respond", Status: 410, Message: "retired", Rule: "r", Rules: yes}, nil, []string{"YES   takes it", "-> answer", "410  retired"}},
		"a binding decides":      {api.Explanation{Outcome: "forward", Binding: &api.ExplainedBinding{Of: "key ci-bot", Order: 10}, Candidates: []api.CandidateReport{{Upstream: "a", URL: "u", Model: "m"}}}, nil, []string{"-> binding", "key ci-bot, order 10", "a  u  model m"}},
		"the search goes on":     {api.Explanation{Rules: []api.ExplainedRule{{Position: 1, Name: "r", Verdict: "continue"}}}, map[string]any{"header": map[string]any{"x-a": "1"}, "stream": true}, []string{"header x-a y  stream y; the search goes on"}},
		"nothing was there":      {api.Explanation{Rules: []api.ExplainedRule{{Position: 1, Name: "r", Verdict: "no", Matcher: "model", Wants: "gpt-*"}}}, nil, []string{"model is not there, wants gpt-*"}},
		"where it is tried next": {api.Explanation{Outcome: "forward", Rule: "r", Rules: yes, Retry: &api.RetryReport{On: []string{"connect"}, Attempts: 2, Within: "10s"}, Candidates: []api.CandidateReport{{Upstream: "a"}, {URL: "https://t", Fallback: true}}, Response: &api.Header{Add: map[string][]string{"X-B": {"1", "2"}}}}, nil, []string{"a target URL (fallback)  https://t", "on connect, 2 attempts within 10s", "added x-b: 1, 2"}},
	} {
		told := &told{look: l, matches: map[string]map[string]any{"r": c.match}}
		told.explain(&c.answer)
		got := strings.Join(told.lines(100), "\n")
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: not told: %s\n%s", name, want, got)
			}
		}
	}
}
