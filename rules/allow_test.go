package rules_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

func TestTheAllowListIsAskedBeforeTheRules(t *testing.T) {
	set := compileBound(t, `version: 1
rules:
  - {name: all, continue: true, action: {limits: [600/min]}}
  - {name: swap, match: {model: [allowed]}, action: {upstream: a, model: forbidden}}
  - {name: answer, match: {model: [forbidden]}, action: {respond: {status: 200, message: hi}}}
`, bindingsOf("key_ci -> a"), upstream("a"))
	long := strings.Repeat("m", 200)
	for _, c := range []struct {
		name, request string
		allowed       string
		message       string // "" where it is not refused
	}{
		{"no list", "POST /v1/x", "", ""},
		{"a model on the list, which a rule changes", "POST /v1/x model=allowed", "allowed", ""},
		{"a model that a rule would answer for", "POST /v1/x model=forbidden", "gpt-5*,claude-sonnet-*", `key "ci-bot" may not use "forbidden"; it may use gpt-5*, claude-sonnet-*`},
		{"a model that a binding would send on", "POST /v1/x model=new", "gpt-5*", `key "ci-bot" may not use "new"; it may use gpt-5*`},
		{"an excluded model", "POST /v1/x model=gpt-5-pro", "gpt-5*,!gpt-5-pro*", `key "ci-bot" may not use "gpt-5-pro"; it may use gpt-5* but gpt-5-pro*`},
		{"exclusions alone", "POST /v1/x model=new", "!gpt-5-pro*", ""},
		{"exclusions alone, and one of them", "POST /v1/x model=gpt-5-pro", "!gpt-5-pro*,!o1", `key "ci-bot" may not use "gpt-5-pro"; it may use all models but gpt-5-pro*, o1`},
		{"no model", "POST /v1/x", "gpt-5*", `key "ci-bot" may use gpt-5* only, and this request does not show a model`},
		{"no model, and all are allowed", "POST /v1/x", "*", `key "ci-bot" may use * only, and this request does not show a model`},
		{"an empty model", "POST /v1/x model=", "gpt-5*", `key "ci-bot" may not use ""; it may use gpt-5*`},
		{"case", "POST /v1/x model=GPT-5", "gpt-5", `key "ci-bot" may not use "GPT-5"; it may use gpt-5`},
		{"another model in the query", "GET /v1/realtime?a=b&mod%65l=gpt%2D6 model=allowed", "allowed", `key "ci-bot" may not use "gpt-6"; it may use allowed`},
		{"the same model in the query", "GET /v1/realtime?model=allowed&Model=x model=allowed", "allowed", ""},
		{"a long model", "POST /v1/x model=" + long, "a,b,c,d,e,f,g,h,i", `key "ci-bot" may not use "` + long[:100] + `…"; it may use a, b, c, d, e, f, g, h, …`},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := ciBot(c.request)
			if c.allowed != "" {
				q.Allowed = strings.Split(c.allowed, ",")
			}
			d := decide(set, q)
			refusal, refused := set.Refusal(q, d)
			if refused != (c.message != "") || refused != (d.Outcome == rules.ModelNotAllowed) {
				t.Fatalf("outcome %d, %+v", d.Outcome, refusal)
			}
			if refused && (refusal != rules.Refusal{Status: 400, Code: "model_not_allowed", Message: c.message} || d.Rule != nil || len(d.Candidates)+len(d.Passed)+len(d.Limits) > 0) {
				t.Errorf("got %+v of rule %q\nwant %s", refusal, d.RuleName(), c.message)
			}
		})
	}
}

// allowedNaively is ModelAllowed over again, with regular expressions.
func allowedNaively(patterns []string, model string) bool {
	take := func(pattern string) bool {
		expression := "(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$"
		return regexp.MustCompile(expression).MatchString(model)
	}
	some, taken := false, false
	for _, pattern := range patterns {
		if strings.HasPrefix(pattern, "!") {
			if take(pattern[1:]) {
				return false
			}
			continue
		}
		some, taken = true, taken || take(pattern)
	}
	return taken || !some
}

func TestAnAllowListReadsPatternsAsRulesDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`!?[ab*/-]{1,8}`)
		patterns := rapid.SliceOfN(pattern, 1, 4).Draw(t, "patterns")
		model := rapid.StringMatching(`[ab/-]{0,8}`).Draw(t, "model")
		got := rules.ModelAllowed(patterns, model)
		if want := allowedNaively(patterns, model); got != want {
			t.Fatalf("%q takes %q: %v, wants %v", patterns, model, got, want)
		}
		f := rules.File{Set: "default", Rules: []rules.Rule{{Name: "one", Match: rules.Match{Model: patterns}, Action: rules.Action{Respond: &rules.Respond{Status: 200}}}}}
		set, problems := rules.Compile(rules.Config{Files: []rules.File{f}})
		if set == nil {
			t.Skip(problems) // "!" alone
		}
		if d := decide(set, &rules.Request{Path: "/", Model: model, HasModel: true}); got != (d.Outcome == rules.Answer) {
			t.Fatalf("%q takes %q: %v, and not so in a rule", patterns, model, got)
		}
	})
}

// escaped writes a text as a JSON string, some of its characters as escapes.
func escaped(t *rapid.T, text string) string {
	var out strings.Builder
	for _, r := range text {
		if r < 0x10000 && rapid.IntRange(0, 2).Draw(t, "escape") == 0 {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		quoted, err := json.Marshal(string(r))
		if err != nil {
			t.Fatal(err)
		}
		out.Write(quoted[1 : len(quoted)-1])
	}
	return `"` + out.String() + `"`
}

// drawModelBody writes an object that names its model once, twice, in another
// case, within something else, or not at all, and gives every model that a
// server could read at its top level.
func drawModelBody(t *rapid.T) (body string, models []string) {
	var members []string
	for range rapid.IntRange(0, 4).Draw(t, "members") {
		key := rapid.SampledFrom([]string{"model", "model", "Model", "MODEL", "models", "stream", "a"}).Draw(t, "key")
		value := escaped(t, rapid.SampledFrom([]string{"gpt-5", "gpt-5-pro", "gpt-6", "a/b", "é", ""}).Draw(t, "value"))
		if rapid.IntRange(0, 6).Draw(t, "other value") == 0 {
			value = rapid.SampledFrom([]string{"null", "1", `{"model":"gpt-5"}`, `["gpt-5"]`}).Draw(t, "no text")
		}
		members = append(members, escaped(t, key)+":"+value)
		var text string
		if strings.EqualFold(key, "model") && json.Unmarshal([]byte(value), &text) == nil && value != "null" {
			models = append(models, text)
		}
	}
	behind := rapid.SampledFrom([]string{"", "", "", `{"model":"gpt-6"}`, " x", "\n"}).Draw(t, "behind")
	return "{" + strings.Join(members, ",") + "}" + behind, models
}

func TestNoModelGetsPastTheAllowList(t *testing.T) {
	set := compile(t, "version: 1\nrules: [{name: all, action: {upstream: a}}]\n", upstream("a", generic))
	allLists := []string{"gpt-5*", "!gpt-5-pro", "gpt-*", "!gpt-6", "*", "a*b", "!é*", "!"}
	sent := 0
	rapid.Check(t, func(t *rapid.T) {
		body, models := drawModelBody(t)
		path := rapid.SampledFrom([]string{
			"/v1/chat/completions", "/v1/messages", "/v1/responses", "/other", "/v1/files", "/v1/realtime",
			"/v1beta/models/MODEL:generateContent", "/model/MODEL/converse", "/openai/deployments/MODEL/chat/completions",
		}).Draw(t, "path")
		if inPath := rapid.SampledFrom([]string{"gpt-5", "gpt-6", "gpt-5-pro", "a/b", "é"}).Draw(t, "model in the path"); strings.Contains(path, "MODEL") {
			path, models = strings.Replace(path, "MODEL", percent(t, inPath), 1), []string{inPath}
		}
		if path == "/v1/realtime" {
			models = nil // the query names it there, and nothing else
		}
		query := url.Values{}
		for range rapid.IntRange(0, 2).Draw(t, "parameters") {
			value := rapid.SampledFrom([]string{"gpt-5", "gpt-6", "a/b"}).Draw(t, "parameter")
			query.Add("model", value)
			models = append(models, value)
		}
		rawQuery := query.Encode()
		canonical, err := rules.CanonicalPath(path)
		if err != nil {
			return // refused before any list is asked
		}
		read := rules.ReadTarget(canonical, rawQuery)
		found, err := read.ReadBody([]string{"application/json"}, []byte(body))
		if err != nil {
			return // refused: the model is there twice
		}
		q := &rules.Request{Path: canonical, Wire: read.Wire, Model: read.Model, HasModel: read.HasModel, Key: "ci-bot"}
		if !q.HasModel {
			q.Model, q.HasModel = found.Model, found.HasModel
		}
		q.Allowed = rapid.SliceOfNDistinct(rapid.SampledFrom(allLists), 1, 3, rapid.ID[string]).Draw(t, "allowed")
		q.RawQuery = rawQuery
		if d := decide(set, q); d.Outcome == rules.ModelNotAllowed {
			return
		}
		sent++
		if len(models) == 0 {
			t.Fatalf("%s %s without a model got past %q", path, body, q.Allowed)
		}
		for _, model := range models {
			if !allowedNaively(q.Allowed, model) {
				t.Fatalf("%q of %s?%s %s got past %q", model, path, q.RawQuery, body, q.Allowed)
			}
		}
	})
	if sent == 0 {
		t.Error("nothing was let through")
	}
}

// percent writes a model as a segment of a path, some of it escaped.
func percent(t *rapid.T, text string) string {
	var out strings.Builder
	for i := range len(text) {
		if c := text[i]; c > 'z' || c == '/' || rapid.IntRange(0, 2).Draw(t, "percent") == 0 {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

func TestCheckModels(t *testing.T) {
	if err := rules.CheckModels([]string{"gpt-5*", "!gpt-5-pro"}); err != nil {
		t.Error(err)
	}
	for pattern, want := range map[string]string{
		"":        `"": the pattern is empty`,
		"!":       `"!": the pattern is empty`,
		"gpt-?":   `"gpt-?": in a pattern only * is special, and this one holds ?`,
		"gpt\x00": `"gpt\x00": the pattern holds a control character`,
	} {
		if err := rules.CheckModels([]string{"a", pattern}); err == nil || err.Error() != want {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func TestADisabledKeySaysSo(t *testing.T) {
	for state, want := range map[accounts.KeyState]string{
		accounts.KeyDisabled:   `API key "ci-bot" is disabled`,
		accounts.OwnerDisabled: `API key "ci-bot" belongs to a user who is disabled`,
	} {
		if got := rules.RefuseDisabled("ci-bot", state); got != (rules.Refusal{Status: 401, Code: rules.CodeDisabledKey, Message: want}) {
			t.Errorf("%+v", got)
		}
	}
}
