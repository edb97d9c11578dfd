package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// seen is what an upstream saw of a request.
type seen struct {
	Upstream string
	Target   string
	Header   http.Header
	Model    string
}

// mirror is an upstream that answers with what it saw.
func mirror(t *testing.T, name string) string {
	t.Helper()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := seen{Upstream: name, Target: r.RequestURI, Header: r.Header}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.Model = modelIn(r.Header.Get("Content-Type"), body)
		if read := rules.ReadPath(r.URL.EscapedPath()); read.HasModel {
			s.Model = read.Model
		}
		if err := json.NewEncoder(w).Encode(s); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(up.Close)
	return up.URL
}

// modelIn reads the model of a body with other code than the gateway's.
func modelIn(contentType string, body []byte) string {
	if _, boundary, ok := strings.Cut(contentType, "boundary="); ok {
		form, err := multipart.NewReader(bytes.NewReader(body), boundary).ReadForm(1 << 20)
		if err != nil || len(form.Value["model"]) == 0 {
			return ""
		}
		return form.Value["model"][0]
	}
	var asked struct{ Model string }
	if json.Unmarshal(body, &asked) != nil {
		return ""
	}
	return asked.Model
}

// explained is a gateway with three mirrors and an upstream that nobody serves.
type explained struct {
	*served
	client *api.Client
	http   *http.Client
	proxy  string
	key    string
	bases  map[string]string
}

func newExplained(t *testing.T) *explained {
	t.Helper()
	e := &explained{served: serveAt(t, shortDir(t)), http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}, bases: map[string]string{}}
	t.Cleanup(e.http.CloseIdleConnections)
	e.client = api.NewClient(api.Options{Socket: filepath.Join(e.data, socketName), Timeout: 20 * time.Second})
	t.Cleanup(e.client.Close)
	for _, name := range []string{"a", "b", "c"} {
		e.bases[name] = mirror(t, name) + map[string]string{"a": "/v1", "b": "", "c": "/openai/v1"}[name]
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.bases["dead"] = "http://" + l.Addr().String()
	_ = l.Close()
	for name, url := range e.bases {
		if _, err := e.client.CreateUpstream(t.Context(), api.NewUpstream{Name: name, Provider: "generic", Auth: "none", URL: url}); err != nil {
			t.Fatal(err)
		}
	}
	key, err := e.client.CreateKey(t.Context(), api.NewKey{Name: "prop", Tags: map[string]string{"plan": "trial"}})
	if err != nil {
		t.Fatal(err)
	}
	e.key, e.proxy = key.Secret, e.status(t).Proxy
	return e
}

// drawRules makes a random set: every action of the language that decides where
// a request goes and what of it changes.
func drawRules(t *rapid.T) string {
	var text strings.Builder
	text.WriteString("version: 1\nrules:\n")
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	for n := range rapid.IntRange(1, 4).Draw(t, "rules") {
		fmt.Fprintf(&text, "  - name: r%d\n    match: {%s}\n", n, pick("match",
			"", "path: /v1/**", "model: [gpt-*]", `model: ["!claude-*"]`, "header: {x-tier: free}", "tag: {plan: trial}", "key: [prop]", "not: {header: {x-tier: {exists: true}}}", "path: '/legacy/**'", "path: ['/v1/chat/*', '/v1beta/**']"))
		if rapid.IntRange(0, 4).Draw(t, "continue") == 0 {
			fmt.Fprintf(&text, "    continue: true\n    action: {headers: {set: {x-r%d: \"${key.name}/${model}\"}}, response_headers: {set: {x-back-%d: \"${request.id}\"}}}\n", n, n)
			continue
		}
		text.WriteString("    action:\n")
		text.WriteString(pick("to",
			"      upstream: a\n",
			"      upstream: dead\n      fallback: [{name: b, model: fell-back}, {name: c}]\n",
			"      upstreams: [{name: a, weight: 80}, {name: b, weight: 20, model: \"vendor/${model}\"}, {name: c}]\n      affinity: header:x-user\n",
			"      upstreams: [{name: dead, weight: 50}, {name: c, weight: 50}]\n",
			"      upstreams: [{name: b, path: {add_prefix: /deep}}, {name: c}]\n      fallback: [{name: a}]\n",
			"      respond: {status: 403, message: \"not here\"}\n"))
		if !strings.HasSuffix(text.String(), "\"not here\"}\n") {
			text.WriteString(pick("path", "", "", "      path: {strip_prefix: /legacy}\n", "      path: {add_prefix: /x}\n", "      path: {set: \"/set/${header.x-tier}/y\"}\n", "      path: {replace: {regex: '^/v1/(chat|responses)', with: '/v2/$1'}}\n"))
			text.WriteString(pick("model", "", "", "      model: openai/gpt-oss-120b\n", "      model: \"été-${tag.plan}\"\n"))
			text.WriteString(pick("headers", "", "      headers: {set: {x-who: \"${key.name} ${tag.plan}\"}, remove: [x-tier]}\n", "      headers: {add: {x-list: \"${rule.name}\"}}\n", "      headers: {set: {x-bad: \"${header.x-user}\"}}\n"))
		}
	}
	return text.String()
}

// drawRequest makes a random request, as explain is asked about it.
func drawRequest(t *rapid.T) api.ExplainRequest {
	model := rapid.SampledFrom([]string{"gpt-5-mini", "claude-x", "ünï", ""}).Draw(t, "model")
	q := api.ExplainRequest{Method: "POST", Key: "prop", Headers: map[string][]string{"Content-Type": {"application/json"}}}
	for name, values := range map[string][]string{"X-Tier": {"", "free", "paid"}, "X-User": {"", "u1", "u2", "u3", "tab\there"}, "X-List": {"", "one"}} {
		if v := rapid.SampledFrom(values).Draw(t, name); v != "" {
			q.Headers[name] = []string{v}
		}
	}
	q.Path = rapid.SampledFrom([]string{"/v1/chat/completions", "/v1/messages?beta=true", "/legacy/v1/responses", "/v1beta/models/MODEL:generateContent", "/v1/images/edits", "/elsewhere?a=1;b=%20"}).Draw(t, "path")
	switch {
	case strings.Contains(q.Path, "MODEL"):
		if model == "" || model == "ünï" {
			model = "gemini-2.5-pro"
		}
		q.Path, q.Body = strings.Replace(q.Path, "MODEL", model, 1), []byte("{}")
	case strings.Contains(q.Path, "images"):
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		_ = w.WriteField("prompt", "a cat")
		if model != "" {
			_ = w.WriteField("model", model)
		}
		_ = w.Close()
		q.Body, q.Headers["Content-Type"] = form.Bytes(), []string{w.FormDataContentType()}
	case model == "":
		q.Body = []byte(`{"messages":[]}`)
	default:
		q.Body = []byte(fmt.Sprintf(`{"stream":false, "model" : %q,"messages":[{"model":"inner"}]}`, model))
	}
	return q
}

// TestTheProxyDoesWhatExplainSays: over random rules and requests, on real
// sockets.
func TestTheProxyDoesWhatExplainSays(t *testing.T) {
	e := newExplained(t)
	rapid.Check(t, func(rt *rapid.T) {
		text := drawRules(rt)
		if _, err := e.client.ApplyRules(t.Context(), api.ApplyRequest{Files: []api.Source{{Name: "rules.yaml", Content: text}}, Prune: true}); err != nil {
			rt.Fatalf("%s\n%v", text, err)
		}
		for range 5 {
			q := drawRequest(rt)
			said, err := e.client.Explain(t.Context(), q)
			if err != nil {
				rt.Fatal(err)
			}
			e.compare(rt, q, said)
		}
	})
}

func (e *explained) compare(t *rapid.T, q api.ExplainRequest, said api.Explanation) {
	r, err := http.NewRequest(q.Method, e.proxy+q.Path, bytes.NewReader(q.Body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range q.Headers {
		r.Header[name] = values
	}
	r.Header.Set("Authorization", "Bearer "+e.key)
	response, err := e.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if said.Outcome != "forward" {
		if response.StatusCode != said.Status || !strings.Contains(string(body), strings.Trim(string(mustEncode(said.Message)), `"`)) {
			t.Fatalf("said %d %q, was %d %s", said.Status, said.Message, response.StatusCode, body)
		}
		return
	}
	at := slices.IndexFunc(said.Candidates, func(c api.CandidateReport) bool { return c.Upstream != "dead" })
	if at < 0 {
		if response.StatusCode != http.StatusBadGateway {
			t.Fatalf("all candidates are dead, and it was %d %s", response.StatusCode, body)
		}
		return
	}
	c := said.Candidates[at]
	if c.Problem != "" {
		if response.StatusCode != http.StatusBadRequest {
			t.Fatalf("said that %s, was %d %s", c.Problem, response.StatusCode, body)
		}
		return
	}
	var was seen
	if err := json.Unmarshal(body, &was); err != nil {
		t.Fatalf("%d %s", response.StatusCode, body)
	}
	base := strings.SplitN(c.URL, "/", 4)
	if want := "/" + base[3]; was.Upstream != c.Upstream || was.Target != want {
		t.Fatalf("said %s %s, was %s %s", c.Upstream, want, was.Upstream, was.Target)
	}
	if c.Model != was.Model && rules.ReadPath(strings.SplitN(was.Target, "?", 2)[0]).HasModel == (said.Wire == "google-generate") {
		t.Fatalf("said model %q, was %q", c.Model, was.Model)
	}
	if c.Headers == nil {
		return
	}
	for name, value := range c.Headers.Set {
		if was.Header.Get(name) != value {
			t.Fatalf("said %s: %q, was %q", name, value, was.Header[http.CanonicalHeaderKey(name)])
		}
	}
	for name, values := range c.Headers.Add {
		for _, value := range values {
			if !slices.Contains(was.Header[http.CanonicalHeaderKey(name)], value) {
				t.Fatalf("said +%s: %q, was %q", name, value, was.Header[http.CanonicalHeaderKey(name)])
			}
		}
	}
	for _, name := range c.Headers.Removed {
		if values := was.Header[http.CanonicalHeaderKey(name)]; len(values) > 0 {
			t.Fatalf("said -%s, was %q", name, values)
		}
	}
}

func mustEncode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
