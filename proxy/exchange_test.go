package proxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

const chatRequest = `{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"hi"}]}`

func TestARequestArrivesAsItWasSentLessWhatIsTheGateways(t *testing.T) {
	got := make(chan *sent, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		got <- r
		say(c, answerText("application/json", `{"ok":true}`))
		return true
	})
	g := newGateway(t, up.url+"/openai/v1")
	r := g.post("/v1/chat/completions?a=1;b=2&key="+g.key+"&c=%20d", chatRequest)
	for name, value := range map[string]string{
		"X-Api-Key": g.key, "Cookie": "session=1", "Proxy-Authorization": "Basic eA==", "Connection": "x-hop",
		"X-Hop": "1", "Te": "trailers", "Anthropic-Beta": "one,two", "X-Stainless-Lang": "js",
		"User-Agent": "claude-cli/2.1 (external)", "X-Forwarded-For": "10.0.0.9", "X-Odd": "has " + g.key + " in it",
		"Accept-Encoding": "gzip, deflate, br, zstd", "X-Request-Id": "mine",
	} {
		r.Header.Set(name, value)
	}
	response, body, err := g.do(r)
	if err != nil || response.StatusCode != 200 || string(body) != `{"ok":true}` {
		t.Fatalf("answer %d %q %v", response.StatusCode, body, err)
	}
	s := <-got
	if s.RequestURI != "/openai/v1/chat/completions?a=1;b=2&c=%20d" {
		t.Errorf("target %q", s.RequestURI)
	}
	if string(s.body) != chatRequest || s.ContentLength != int64(len(chatRequest)) {
		t.Errorf("body %q", s.body)
	}
	want := http.Header{
		"Authorization": {"Bearer " + credentialCanary}, "Anthropic-Beta": {"one,two"}, "X-Stainless-Lang": {"js"},
		"User-Agent": {"claude-cli/2.1 (external)"}, "Content-Type": {"application/json"},
		"Accept-Encoding": {"gzip, deflate, br, zstd"}, "X-Request-Id": {"mine"}, "Content-Length": {"80"},
	}
	want.Set("Content-Length", s.Header.Get("Content-Length"))
	for name := range s.Header {
		if want[name] == nil {
			t.Errorf("unwanted %s: %q", name, s.Header[name])
		}
	}
	for name, values := range want {
		if s.Header.Get(name) != values[0] {
			t.Errorf("%s is %q, want %q", name, s.Header[name], values)
		}
	}
	line := g.line(response)
	for name, value := range map[string]any{
		"level": "info", "method": "POST", "path": "/v1/chat/completions", "status": 200.0, "end_reason": "complete",
		"key": "ci-bot", "user": "", "rule": "everything", "upstream": "up", "wire": "openai-chat", "model": "gpt-5-mini",
		"upstream_model": "gpt-5-mini", "stream": true, "request_bytes": float64(len(chatRequest)), "response_bytes": 11.0,
		"attempts": 1.0, "revision": 7.0, "node": "test", "error": "",
	} {
		if line[name] != value {
			t.Errorf("log %s is %v, want %v", name, line[name], value)
		}
	}
	for _, name := range []string{"duration_ms", "upstream_ms", "first_token_ms", "overhead_us"} {
		if _, ok := line[name].(float64); !ok {
			t.Errorf("log %s is %v", name, line[name])
		}
	}
	if _, said := line["input_tokens"]; said {
		t.Error("tokens that nobody counted are in the log")
	}
}

func TestAModelIsRewrittenAndNothingElse(t *testing.T) {
	got := make(chan *sent, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		got <- r
		say(c, answerText("application/json", `{}`))
		return true
	})
	g := newGateway(t, up.url, func(s *setup) { s.config.Files[0].Rules[0].Action.Model = "openai/gpt-oss-120b" })
	for name, c := range map[string]struct{ path, body, wantPath, wantBody string }{
		"in a JSON body": {
			"/v1/chat/completions", ` {"a": [1,{"model":"x"}],  "model"` + "\t" + `: "gpt-5", "z":"é\n"}`,
			"/v1/chat/completions", ` {"a": [1,{"model":"x"}],  "model"` + "\t" + `: "openai/gpt-oss-120b", "z":"é\n"}`,
		},
		"in a path": {
			"/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", `{"contents":[]}`,
			"/v1beta/models/openai%2Fgpt-oss-120b:streamGenerateContent?alt=sse", `{"contents":[]}`,
		},
	} {
		response, _, err := g.do(g.post(c.path, c.body))
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("%s: %d %v", name, response.StatusCode, err)
		}
		s := <-got
		if s.RequestURI != c.wantPath || string(s.body) != c.wantBody {
			t.Errorf("%s: %s %s", name, s.RequestURI, s.body)
		}
		if line := g.line(response); line["upstream_model"] != "openai/gpt-oss-120b" {
			t.Errorf("%s: log says %v", name, line["upstream_model"])
		}
	}
	response, body, _ := g.do(g.post("/v1/chat/completions", `{"no":"model"}`))
	if response.StatusCode != 400 || response.Header.Get("X-Llmgw-Error") != codeModelUnreadable {
		t.Errorf("a model that cannot be seen: %d %s", response.StatusCode, body)
	}
}

func TestHeadersAreEditedOnBothWays(t *testing.T) {
	got := make(chan *sent, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		got <- r
		say(c, "HTTP/1.1 201 Created\r\nX-From: up\r\nX-Drop: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: x-gone\r\nX-Gone: 1\r\nContent-Length: 2\r\n\r\n{}")
		return true
	})
	g := newGateway(t, up.url, func(s *setup) {
		a := &s.config.Files[0].Rules[0].Action
		a.Headers = rules.HeaderEdits{Set: map[string]string{"x-tier": "gold"}, Add: map[string]string{"x-list": "b"}, Remove: []string{"x-secret-tag"}}
		a.ResponseHeaders = rules.HeaderEdits{Set: map[string]string{"x-served-by": "llmgw"}, Remove: []string{"x-drop"}}
	})
	r := g.post("/v1/chat/completions", chatRequest)
	r.Header.Set("X-Tier", "free")
	r.Header.Set("X-List", "a")
	r.Header.Set("X-Secret-Tag", "1")
	response, _, err := g.do(r)
	if err != nil || response.StatusCode != 201 {
		t.Fatal(response.StatusCode, err)
	}
	s := <-got
	if s.Header.Get("X-Tier") != "gold" || strings.Join(s.Header["X-List"], ",") != "a,b" || s.Header.Get("X-Secret-Tag") != "" {
		t.Errorf("request header %v", s.Header)
	}
	h := response.Header
	if h.Get("X-Served-By") != "llmgw" || h.Get("X-Drop") != "" || h.Get("X-Gone") != "" || len(h["Set-Cookie"]) != 2 || h.Get("X-From") != "up" {
		t.Errorf("answer header %v", h)
	}
}

func TestATargetURLGetsNoCredentialAndTheCallersNone(t *testing.T) {
	got := make(chan *sent, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		got <- r
		say(c, answerText("text/plain", "hi"))
		return true
	})
	g := newGateway(t, up.url, func(s *setup) {
		s.config.Files[0].Rules[0].Action = rules.Action{Target: up.url + "/api", Path: &rules.PathEdit{StripPrefix: "/legacy"}}
	})
	response, body, err := g.do(g.post("/legacy/v2/x", "{}"))
	if err != nil || string(body) != "hi" {
		t.Fatal(response.StatusCode, string(body), err)
	}
	s := <-got
	if s.RequestURI != "/api/v2/x" || s.Header.Get("Authorization") != "" {
		t.Errorf("%s with Authorization %q", s.RequestURI, s.Header.Get("Authorization"))
	}
}

func TestAPostWithAnIdempotencyKeyIsSentOnce(t *testing.T) {
	for name, body := range map[string]string{"with a body": chatRequest, "without one": ""} {
		t.Run(name, func(t *testing.T) {
			count := make(chan struct{}, 10)
			up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
				if len(r.Header["X-First"]) > 0 {
					say(c, answerText("text/plain", "ok"))
					return true
				}
				count <- struct{}{}
				return false // the connection ends without an answer
			})
			g := newGateway(t, up.url)
			first := g.post("/v1/chat/completions", chatRequest)
			first.Header.Set("X-First", "1")
			if response, _, err := g.do(first); err != nil || response.StatusCode != 200 {
				t.Fatal(err)
			}
			r := g.post("/v1/chat/completions", body) // goes out on the kept connection
			r.Header.Set("Idempotency-Key", "k1")
			response, text, _ := g.do(r)
			if response.StatusCode != 502 || len(count) != 1 {
				t.Errorf("%d, sent %d times: %s", response.StatusCode, len(count), text)
			}
			if line := g.line(response); line["end_reason"] != "upstream_error" || line["attempts"] != 1.0 {
				t.Errorf("log: %v", line)
			}
		})
	}
}

func TestAChunkedRequestEndsItsConnection(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, answerText("text/plain", "n="+r.Header.Get("X-N")))
		return true
	})
	g := newGateway(t, up.url)
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	// The second request is smuggled behind a body whose Content-Length covers it.
	smuggled := "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + g.key + "\r\nX-N: 2\r\nContent-Length: 0\r\n\r\n"
	say(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+g.key+"\r\nX-N: 1\r\nContent-Length: 500\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"+smuggled)
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(all, []byte("n=1")) || bytes.Contains(all, []byte("n=2")) || !bytes.Contains(all, []byte("Connection: close")) {
		t.Errorf("answered %q", all)
	}
}

func TestAnAnonymousPathNeedsNoKey(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:9")
	for target, want := range map[string]int{"HEAD /": 200, "GET /healthz": 200, "GET /readyz": 200, "HEAD /readyz": 200, "GET /": 401, "POST /healthz": 401} {
		method, path, _ := strings.Cut(target, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+g.addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, _, _ := g.do(r); response.StatusCode != want {
			t.Errorf("%s: %d", target, response.StatusCode)
		}
	}
}

func TestEveryPlacementOfACredential(t *testing.T) {
	got := make(chan *sent, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		got <- r
		say(c, answerText("text/plain", "ok"))
		return true
	})
	for name, c := range map[string]struct {
		provider accounts.Provider
		auth     accounts.Auth
		header   string
		query    string
	}{
		"OpenAI":               {provider: accounts.ProviderOpenAI, header: "Authorization"},
		"Anthropic":            {provider: accounts.ProviderAnthropic, header: "X-Api-Key"},
		"Gemini":               {provider: accounts.ProviderGemini, header: "X-Goog-Api-Key"},
		"Azure":                {provider: accounts.ProviderAzure, header: "Api-Key"},
		"Bedrock, API key":     {provider: accounts.ProviderBedrock, header: "Authorization"},
		"generic, own header":  {provider: accounts.ProviderGeneric, auth: "header:x-secret", header: "X-Secret"},
		"generic, own query":   {provider: accounts.ProviderGeneric, auth: "query:token", query: "token"},
		"generic, without any": {provider: accounts.ProviderGeneric, auth: accounts.AuthNone},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, up.url, func(s *setup) {
				s.config.Upstreams[0].Provider, s.config.Upstreams[0].Auth = c.provider, c.auth
				s.config.Upstreams[0].Wires = accounts.WireNames()
			})
			if response, body, err := g.do(g.post("/v1/anything?x=1", "{}")); err != nil || response.StatusCode != 200 {
				t.Fatal(response.StatusCode, string(body), err)
			}
			s := <-got
			found := ""
			for header, values := range s.Header {
				if strings.Contains(values[0], credentialCanary) {
					found = header
				}
			}
			if found != c.header {
				t.Errorf("credential in header %q, want %q", found, c.header)
			}
			if has := s.URL.Query().Get("token") == credentialCanary; has != (c.query != "") {
				t.Errorf("query %q", s.URL.RawQuery)
			}
		})
	}
}
