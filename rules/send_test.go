package rules_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

func TestDestination(t *testing.T) {
	set := compile(t, `version: 1
rules:
- {name: gemini, match: {path: /v1beta/**}, action: {upstream: up, model: "new/one"}}
- {name: gone, match: {path: /v1/models/**}, action: {upstream: up, model: new, path: {set: /v1/elsewhere}}}
- {name: dots, match: {path: /dots}, action: {upstream: up, path: {replace: {regex: "^/dots$", with: "/a/../b"}}}}
- {name: chat, match: {model: [old]}, action: {upstream: up, model: new}}
- {name: same, match: {model: [new]}, action: {upstream: up, model: new}}
- {name: rest, action: {upstream: up, path: {add_prefix: /x}}}
`, accounts.Upstream{ID: "1", Name: "up", Provider: accounts.ProviderGeneric, URL: "https://up.example/v1", Enabled: true})
	for name, c := range map[string]struct {
		path, query, model string // the model in the body
		url, sent          string
		inBody, refused    bool
	}{
		"a model in the body":     {"/v1/chat/completions", "", "old", "https://up.example/v1/chat/completions", "new", true, false},
		"the model it has":        {"/v1/chat/completions", "a=b", "new", "https://up.example/v1/chat/completions?a=b", "new", false, false},
		"a model in the path":     {"/v1beta/models/old:generateContent", "alt=sse", "", "https://up.example/v1/v1beta/models/new%2Fone:generateContent?alt=sse", "new/one", false, false},
		"a key in the query":      {"/other", "a=1&key=AIza&b=2&%6bey=AIza", "", "https://up.example/v1/x/other?a=1&b=2", "", false, false},
		"a path that is lost":     {"/v1/models/old:generateContent", "", "", "", "", false, true},
		"a path that goes upward": {"/dots", "", "", "", "", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			read := rules.ReadPath(c.path)
			q := &rules.Request{Method: "POST", Path: c.path, RawQuery: c.query, Wire: read.Wire, Model: read.Model, HasModel: read.HasModel}
			if c.model != "" {
				q.Model, q.HasModel = c.model, true
			}
			var d rules.Decision
			set.Decide(q, &d)
			if d.Outcome != rules.Forward {
				t.Fatalf("outcome is %d", d.Outcome)
			}
			to, model, inBody, err := d.Destination(q, d.Candidates[0], read)
			var refused *rules.PathError
			if c.refused != errors.As(err, &refused) || c.refused == (err == nil) {
				t.Fatalf("error is %v", err)
			}
			if c.refused {
				return
			}
			if to.String() != c.url || model != c.sent || inBody != c.inBody {
				t.Errorf("got %s, model %q, in body %t\nwant %s, model %q, in body %t", to, model, inBody, c.url, c.sent, c.inBody)
			}
		})
	}
}

func TestReadBodyLooksWhereTheWireFormatOrTheTypeSaysSo(t *testing.T) {
	const json = `{"model":"m","stream":true}`
	const form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--\r\n"
	for name, c := range map[string]struct {
		path  string
		types []string
		body  string
		model string
		err   error
	}{
		"a path of a wire format, without a type": {"/v1/messages", nil, json, "m", nil},
		"the same with another type":              {"/v1/messages", []string{"text/plain"}, json, "m", nil},
		"an unknown path with JSON":               {"/own", []string{" Application/JSON ; charset=utf-8"}, json, "m", nil},
		"an unknown path with a kind of JSON":     {"/own", []string{"application/x+json"}, json, "m", nil},
		"an unknown path with something else":     {"/own", []string{"text/plain"}, json, "", nil},
		"an unknown path without a type":          {"/own", nil, json, "", nil},
		"a form":                                  {"/v1/audio/transcriptions", []string{"multipart/form-data; boundary=b"}, form, "m", nil},
		"no body":                                 {"/v1/messages", []string{"a/b", "c/d"}, "", "", nil},
		"two types":                               {"/v1/messages", []string{"a/b", "c/d"}, json, "", rules.ErrTwoContentTypes},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := rules.ReadPath(c.path).ReadBody(c.types, []byte(c.body))
			if !errors.Is(err, c.err) || got.Model != c.model || got.HasModel != (c.model != "") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	var twice *rules.DuplicateKeyError
	if _, err := rules.ReadPath("/v1/messages").ReadBody(nil, []byte(`{"model":"a","model":"b"}`)); !errors.As(err, &twice) || twice.Key != "model" {
		t.Errorf("error is %v", err)
	}
}

func TestWhatIsAskedAboutModels(t *testing.T) {
	list, gemini := rules.ModelsQuestion{}, rules.ModelsQuestion{Gemini: true}
	one := func(name string) rules.ModelsQuestion { return rules.ModelsQuestion{One: true, Model: name} }
	for request, want := range map[string]rules.ModelsQuestion{
		"GET /v1/models": list, "HEAD /v1/models": list, "GET /v1/models/": list,
		"GET /v1/models/gpt-5": one("gpt-5"), "HEAD /v1/models/gpt-5/": one("gpt-5"),
		"GET /v1/models/openai%2Fgpt-5": one("openai/gpt-5"), "GET /v1/models/openai/gpt-5": one("openai/gpt-5"),
		"GET /v1/models/llama3:latest": one("llama3:latest"), "GET /v1/models/%FF": one(""),
		"GET /v1/models/" + strings.Repeat("m", 5000): one(""),
		"GET /v1beta/models":                          gemini, "GET /v1beta/models/": gemini,
		"GET /v1beta/models/gemini-2.5-pro": {Gemini: true, One: true, Model: "gemini-2.5-pro"},
	} {
		method, path, _ := strings.Cut(request, " ")
		q := rules.Request{Method: method, Path: path}
		if got, ok := q.ModelsQuestion(); !ok || got != want || !q.AsksForModels() {
			t.Errorf("%.60s: %+v %t", request, got, ok)
		}
	}
	for _, request := range []string{
		"POST /v1/models", "DELETE /v1/models/ft:gpt", "GET /v1/modelsx", "GET /v1", "GET /openai/v1/models", "GET /v1/model",
		"GET /v1beta/models/gemini-2.5-pro:generateContent", "GET /v1/models/gemini-2.5-pro:countTokens",
		"GET /v1beta/models/veo-3/operations/abc", "GET /v1beta/tunedModels", "GET /v1beta/models.json",
	} {
		method, path, _ := strings.Cut(request, " ")
		q := rules.Request{Method: method, Path: path}
		if got, ok := q.ModelsQuestion(); ok || got != (rules.ModelsQuestion{}) || q.AsksForModels() {
			t.Errorf("%s: %+v", request, got)
		}
	}
}

func TestMethodsThatAreServed(t *testing.T) {
	if rules.KnownMethod("BREW") || rules.KnownMethod("get") || !rules.KnownMethod("PATCH") {
		t.Error("methods are mixed up")
	}
}
