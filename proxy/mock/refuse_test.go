package mock_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestBadRequestsAreRefusedAsTheProviderDoes(t *testing.T) {
	const chat, responses, messages = "/v1/chat/completions", "/v1/responses", "/v1/messages"
	const gemini = "/v1beta/models/mock:generateContent"
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"chat: no JSON", "POST", chat, `{"model":`, 400, `"invalid_request_error"`},
		{"chat: no body", "POST", chat, ``, 400, `could not parse the JSON body`},
		{"chat: no model", "POST", chat, `{"messages":[{"role":"user","content":"x"}]}`, 400, `you must provide a model parameter`},
		{"chat: no messages", "POST", chat, `{"model":"mock"}`, 400, `'messages'`},
		{"chat: a model that is a number", "POST", chat, `{"model":4}`, 400, `model: a JSON number cannot stand here`},
		{"chat: content that is a number", "POST", chat, `{"model":"mock","messages":[{"content":4}]}`, 400, `content: must be a string or a list`},
		{"chat: a part that is a string", "POST", chat, `{"model":"mock","messages":[{"content":["x"]}]}`, 400, `every part must be an object`},
		{"chat: asked with GET", "GET", chat, ``, 405, `"method_not_supported"`},
		{"chat: a path that nobody knows", "POST", "/v1/completion", `{}`, 404, `Invalid URL (POST /v1/completion)`},
		{"responses: no input", "POST", responses, `{"model":"mock"}`, 400, `'input'`},
		{"responses: input that is a number", "POST", responses, `{"model":"mock","input":4}`, 400, `"invalid_request_error"`},
		{"responses: tools that are numbers", "POST", responses, `{"model":"mock","input":"x","tools":[4]}`, 400, `"invalid_request_error"`},
		{"responses: no JSON", "POST", responses, `{`, 400, `could not parse`},
		{"responses: a tool's output of a number", "POST", responses, `{"model":"mock","input":[{"type":"function_call_output","output":4}]}`, 400, `content: must be`},
		{"responses: a choice that is no choice", "POST", responses, `{"model":"mock","input":"x","tool_choice":{"name":4}}`, 400, `"invalid_request_error"`},
		{"responses: no model", "POST", responses, `{"input":"x"}`, 400, `you must provide a model parameter`},
		{"responses: asked with DELETE", "DELETE", responses, ``, 405, `"method_not_supported"`},
		{"anthropic: no JSON", "POST", messages, `no`, 400, `{"type":"error","error":{"type":"invalid_request_error"`},
		{"anthropic: no max_tokens", "POST", messages, `{"model":"mock","messages":[{"role":"user","content":"x"}]}`, 400, `max_tokens: Field required`},
		{"anthropic: max_tokens of 0", "POST", messages, `{"model":"mock","max_tokens":0,"messages":[{"role":"user","content":"x"}]}`, 400, `max_tokens: must be greater`},
		{"anthropic: no messages", "POST", messages, `{"model":"mock","max_tokens":1}`, 400, `messages: at least one`},
		{"anthropic: a tool result of a number", "POST", messages, `{"model":"mock","max_tokens":1,"messages":[{"role":"user","content":[{"type":"tool_result","content":4}]}]}`, 400, `content: must be`},
		{"anthropic: asked with PUT", "PUT", messages, `{}`, 405, `{"type":"error"`},
		{"anthropic: count_tokens without messages", "POST", messages + "/count_tokens", `{"model":"mock"}`, 400, `messages: at least one`},
		{"anthropic: count_tokens without a model", "POST", messages + "/count_tokens", `{"messages":[{"role":"user","content":"x"}]}`, 400, `you must provide a model`},
		{"gemini: no JSON", "POST", gemini, `]`, 400, `"status":"INVALID_ARGUMENT"`},
		{"gemini: no contents", "POST", gemini, `{}`, 400, `contents is not specified`},
		{"gemini: countTokens of nothing", "POST", "/v1beta/models/mock:countTokens", `{}`, 400, `contents is not specified`},
		{"gemini: countTokens of no JSON", "POST", "/v1beta/models/mock:countTokens", `{`, 400, `"status":"INVALID_ARGUMENT"`},
		{"gemini: countTokens refused", "POST", "/v1beta/models/mock-429:countTokens", `{"contents":[{"parts":[]}]}`, 429, `"status":"RESOURCE_EXHAUSTED"`},
		{"gemini: asked with GET", "GET", gemini, ``, 405, `"status":"UNIMPLEMENTED"`},
		{"gemini: an action that nobody knows", "POST", "/v1beta/models/mock:fly", `{}`, 405, `Not allowed to POST`},
		{"gemini: nothing before the colon", "POST", "/v1beta/models/:generateContent", `{}`, 405, `Not allowed to POST`},
		{"embeddings: no input", "POST", "/v1/embeddings", `{"model":"m"}`, 400, `'$.input' is invalid`},
		{"embeddings: null", "POST", "/v1/embeddings", `{"model":"m","input":null}`, 400, `'$.input' is invalid`},
		{"embeddings: an object", "POST", "/v1/embeddings", `{"model":"m","input":{}}`, 400, `'$.input' is invalid`},
		{"embeddings: too many dimensions", "POST", "/v1/embeddings", `{"model":"m","input":"x","dimensions":5000}`, 400, `'dimensions' = 5000`},
		{"embeddings: too many texts", "POST", "/v1/embeddings", `{"model":"m","input":[""` + strings.Repeat(`,""`, 2048) + `]}`, 400, `at most 2048`},
		{"embeddings: an encoding that nobody knows", "POST", "/v1/embeddings", `{"model":"m","input":"x","encoding_format":"hex"}`, 400, `'encoding_format'`},
		{"embeddings: no model", "POST", "/v1/embeddings", `{"input":"x"}`, 400, `you must provide a model`},
		{"models: one that is not listed", "GET", "/v1/models/gpt-5", ``, 404, `model: gpt-5`},
		{"models: posted to", "POST", "/v1/models", `{}`, 405, `"method_not_supported"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, quick())
			answer := s.ask(c.method, c.path, c.body)
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != c.status || !strings.Contains(string(text), c.want) {
				t.Errorf("%d %s", answer.StatusCode, text)
			}
			if parse(t, string(text)).text("error", "message") == "" {
				t.Errorf("no message: %s", text)
			}
			if allow := answer.Header.Get("Allow"); (allow != "") != (c.status == 405) {
				t.Errorf("allow %q", allow)
			}
			if strings.Contains(string(text), "mock.") {
				t.Errorf("names a type of ours: %s", text)
			}
		})
	}
}

func TestUnknownPathsAreRefusedInTheShapesOfWhoIsMeant(t *testing.T) {
	s := start(t, quick())
	_, text := s.post("/v1/nothing", `{}`, "anthropic-version", "2023-06-01")
	if n := parse(t, text); n.text("error", "type") != "not_found_error" || !strings.HasPrefix(n.text("request_id"), "req_") {
		t.Error(text)
	}
	_, text = s.post("/v1beta/nothing", `{}`)
	if parse(t, text).text("error", "status") != "NOT_FOUND" {
		t.Error(text)
	}
}

func TestABodyBeyondTheLimitIsRefused(t *testing.T) {
	s := start(t, quick())
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		r, _ := http.NewRequest("POST", s.url+"/v1/messages", io.LimitReader(spaces{}, 65<<20))
		_ = r.Write(conn) // the mock stops reading, and answers
	}()
	head := make([]byte, 512)
	n, err := conn.Read(head)
	if err != nil || !strings.HasPrefix(string(head[:n]), "HTTP/1.1 413 ") || !strings.Contains(string(head[:n]), "request_too_large") {
		t.Errorf("%q, %v", head[:n], err)
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestARequestHasAnIDWhereTheProviderGivesOne(t *testing.T) {
	s := start(t, quick())
	for i, name := range []string{"X-Request-Id", "X-Request-Id", "Request-Id"} {
		f := formats()[i]
		first, _ := s.post(f.path("mock", false), f.ask("mock", "hi", false))
		second, _ := s.post(f.path("mock-500", false), f.ask("mock-500", "hi", false))
		a, b := first.Header.Get(name), second.Header.Get(name)
		if !strings.HasPrefix(a, "req_") || !strings.HasPrefix(b, "req_") || a == b {
			t.Errorf("%s: %q and %q", f.name, a, b)
		}
	}
}
