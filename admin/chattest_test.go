package admin_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// streaming answers with events.
func streaming(events ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, e := range events {
			_, _ = fmt.Fprintf(w, "data: %s\n\n", e)
			_ = http.NewResponseController(w).Flush()
		}
	})
}

const (
	openaiText = `{"choices":[{"delta":{"content":"pong"}}]}`
	openaiEnd  = `{"choices":[{"delta":{},"finish_reason":"stop"}]}`
)

func TestAChatTestSpeaksTheFormatOfTheUpstream(t *testing.T) {
	for _, c := range []struct {
		name     string
		upstream api.NewUpstream
		path     string // behind the host
		saw      string // path, credential and body, as the upstream saw them
		events   []string
		chunks   int
		text     bool
	}{
		{"openai", api.NewUpstream{Provider: "openai", URL: "/v1"}, "/v1/chat/completions",
			`/v1/chat/completions Authorization=Bearer ` + testSecret + ` {"messages":[{"content":"Answer with the one word: pong","role":"user"}],"model":"m-1","stream":true}`,
			[]string{`{"choices":[{"delta":{"role":"assistant"}}]}`, openaiText, openaiEnd, "[DONE]"}, 4, true},
		{"openai, and all of it is reasoning", api.NewUpstream{Provider: "openai"}, "/v1/chat/completions", "",
			[]string{`{"choices":[{"delta":{"reasoning_content":"hm"}}]}`, openaiEnd}, 2, true},
		{"openai, and there is no text", api.NewUpstream{Provider: "openai"}, "/v1/chat/completions", "", []string{"[DONE]"}, 1, false},
		{"azure", api.NewUpstream{Provider: "azure"}, "/openai/v1/chat/completions", `/openai/v1/chat/completions Api-Key=` + testSecret + ` {"messages":[{"content":"Answer with the one word: pong","role":"user"}],"model":"m-1","stream":true}`,
			[]string{openaiText, openaiEnd}, 2, true},
		{"anthropic", api.NewUpstream{Provider: "anthropic"}, "/v1/messages",
			`/v1/messages X-Api-Key=` + testSecret + ` Anthropic-Version=2023-06-01 {"max_tokens":16,"messages":[{"content":"Answer with the one word: pong","role":"user"}],"model":"m-1","stream":true}`,
			[]string{`{"type":"message_start","message":{}}`, `{"type":"content_block_delta","delta":{"type":"text_delta","text":"pong"}}`, `{"type":"message_stop"}`}, 3, true},
		{"gemini", api.NewUpstream{Provider: "gemini"}, "/v1beta/models/MODEL:streamGenerateContent?alt=sse",
			`/v1beta/models/m-1:streamGenerateContent?alt=sse X-Goog-Api-Key=` + testSecret + ` {"contents":[{"parts":[{"text":"Answer with the one word: pong"}],"role":"user"}]}`,
			[]string{`{"candidates":[{"content":{"parts":[{"text":"pong"}]}}]}`, `{"candidates":[{"finishReason":"STOP"}]}`}, 2, true},
		{"generic that speaks one format, with a query that is not shown", api.NewUpstream{Provider: "generic", Auth: "query:key", Wires: []string{"anthropic-messages"}}, "/v1/messages",
			`/v1/messages?key=` + testSecret + ` Anthropic-Version=2023-06-01 {"max_tokens":16,"messages":[{"content":"Answer with the one word: pong","role":"user"}],"model":"m-1","stream":true}`,
			[]string{`{"type":"content_block_delta","delta":{"thinking":"…"}}`, `{"type":"message_stop"}`}, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := open(t)
			saw := ""
			at := onLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				saw = r.URL.RequestURI()
				for _, h := range []string{"Authorization", "X-Api-Key", "X-Goog-Api-Key", "Api-Key", "Anthropic-Version"} {
					if v := r.Header.Get(h); v != "" {
						saw += " " + h + "=" + v
					}
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				saw += " " + string(body)
				streaming(c.events...).ServeHTTP(w, r)
			}))
			c.upstream.Name, c.upstream.URL, c.upstream.Credential = "up", at+c.upstream.URL, &api.NewCredential{Secret: testSecret}
			_, err := g.CreateUpstream(t.Context(), c.upstream)
			must(t, err)
			test, err := g.TestChat(t.Context(), "up", "m-1")
			must(t, err)
			if c.saw != "" && saw != c.saw {
				t.Errorf("the upstream saw %s\nwant %s", saw, c.saw)
			}
			if !test.OK || test.Status != 200 || test.Method != "POST" || test.URL != at+c.path || test.Error != "" || test.Chat == nil {
				t.Fatalf("test is %+v", test)
			}
			if r := test.Chat; r.Chunks != c.chunks || (r.FirstTokenMS > 0) != c.text || r.FirstByteMS <= 0 || r.ConnectMS <= 0 || r.TotalMS < max(r.FirstByteMS, r.FirstTokenMS) {
				t.Errorf("timings are %+v", r)
			}
		})
	}
}

func TestAFailedChatTestSaysWhatTheProviderDid(t *testing.T) {
	says := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, strings.ReplaceAll(body, "KEY", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
		})
	}
	for _, c := range []struct {
		name    string
		handler http.Handler
		change  func(*api.NewUpstream)
		status  int
		want    string
	}{
		{"a model that is not there", says(404, `{"error":{"message":"The model 'm-1'\n does not exist","code":"x"}}`), nil, 404, `upstream "up" has no such model, or nothing at this path (404); check the model and its URL: The model 'm-1' does not exist`},
		{"a refused credential, whose message is not shown", says(401, `{"error":{"message":"wrong: sk-proj-***"}}`), nil, 401, `upstream "up" refused the credential (401); set another: llmgw upstreams credential set up`},
		{"too many requests", says(429, `{"error":{"message":"quota"}}`), nil, 429, `upstream "up" wants fewer requests (429); try again later: quota`},
		{"a message that quotes the credential", says(400, `{"error":{"message":"header was KEY"}}`), nil, 400, `upstream "up" answered 400`},
		{"a message that quotes a piece of it", says(400, `{"error":{"message":"ends in ret-x4Qd"}}`), nil, 400, `upstream "up" answered 400`},
		{"a long message", says(400, `{"error":{"message":"`+strings.Repeat("é", 400)+`"}}`), nil, 400, `upstream "up" answered 400: ` + strings.Repeat("é", 300) + "…"},
		{"a redirect", says(307, ""), nil, 307, `upstream "up" answered 307, a redirect, which is never followed; check its URL`},
		{"a generic one has nothing there", says(404, "nothing"), func(u *api.NewUpstream) { u.Provider = "generic" }, 404, `upstream "up" has no such model, or nothing at this path (404); check the model and its URL`},
		{"no stream", says(200, `{"choices":[]}`), nil, 200, `upstream "up" answered 200, and not with a stream of events`},
		{"an error within the stream", streaming(openaiText, `{"error":{"message":"overloaded"}}`), nil, 200, `upstream "up" broke the stream off with an error: overloaded`},
		{"a stream without its end", streaming(openaiText), nil, 200, `upstream "up" ended the stream without the end that its format has`},
		{"no JSON", streaming("{"), nil, 200, `upstream "up" sent an event that is not JSON`},
		{"an endless event", streaming(strings.Repeat("x", 2<<20)), nil, 200, `upstream "up" sent an event over 1 MiB`},
		{"an endless stream", streaming(many(openaiText, 110_000)...), nil, 200, `upstream "up" ended the stream without the end that its format has`},
		{"no format that it does", says(200, ""), func(u *api.NewUpstream) { u.Wires = []string{"openai-embeddings"} }, 0, `upstream "up" speaks no format that this test does`},
		{"bedrock", says(200, ""), func(u *api.NewUpstream) { u.Provider = "bedrock" }, 0, "signed one by one"},
		{"no credential", says(200, ""), func(u *api.NewUpstream) { u.Credential = nil }, 0, `upstream "up" has no credential`},
		{"nobody listens", nil, func(u *api.NewUpstream) { u.URL = "http://127.0.0.1:1" }, 0, `cannot reach upstream "up": connection refused`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := open(t)
			up := api.NewUpstream{Name: "up", Provider: "openai", Credential: &api.NewCredential{Secret: testSecret}}
			if c.handler != nil {
				up.URL = onLoopback(t, c.handler)
			}
			if c.change != nil {
				c.change(&up)
			}
			_, err := g.CreateUpstream(t.Context(), up)
			must(t, err)
			test, err := g.TestChat(t.Context(), "up", "m-1")
			must(t, err)
			whole := strings.Contains(c.want, "(") || strings.Contains(c.want, "answered")
			if test.OK || test.Status != c.status || !strings.HasPrefix(test.Error, c.want) && !strings.Contains(test.Error, c.want) || whole && c.status != 0 && test.Error != c.want {
				t.Errorf("test is %+v\nwant %q", test, c.want)
			}
			if shown := fmt.Sprintf("%+v %+v", test, test.Chat); strings.Contains(shown, "CANARY") || strings.Contains(g.log.String(), "CANARY") {
				t.Errorf("the test shows the credential: %s", shown)
			}
		})
	}
}

func many(event string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = event
	}
	return all
}

func TestAChatTestHonoursTheTimeoutsOfTheUpstream(t *testing.T) {
	// hanging sends some events, and then nothing until the client leaves.
	hanging := func(events ...string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if len(events) > 0 {
				streaming(events...).ServeHTTP(w, r)
			}
			<-r.Context().Done()
		})
	}
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	must(t, err)
	t.Cleanup(func() { _ = deaf.Close() })
	for _, c := range []struct {
		name, url string
		handler   http.Handler
		timeouts  api.Timeouts
		want      string
	}{
		{"connect", "https://" + deaf.Addr().String(), nil, api.Timeouts{Connect: "50ms"}, "sent nothing for 50ms (timeouts.connect)"},
		{"response_header", "", hanging(), api.Timeouts{ResponseHeader: "50ms"}, "sent nothing for 50ms (timeouts.response_header)"},
		{"first_token", "", hanging(`{"choices":[]}`), api.Timeouts{FirstToken: "80ms"}, "sent nothing for 80ms (timeouts.first_token)"},
		{"idle", "", hanging(openaiText), api.Timeouts{Idle: "50ms", FirstToken: "10s"}, "sent nothing for 50ms (timeouts.idle)"},
		{"total", "", hanging(openaiText), api.Timeouts{Total: "80ms"}, "sent nothing for 80ms (timeouts.total)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := open(t)
			if c.handler != nil {
				c.url = onLoopback(t, c.handler)
			}
			_, err := g.CreateUpstream(t.Context(), api.NewUpstream{Name: "up", Provider: "openai", Auth: "none", URL: c.url, Timeouts: &c.timeouts})
			must(t, err)
			begun := time.Now()
			test, err := g.TestChat(t.Context(), "up", "m-1")
			must(t, err)
			if test.OK || test.Error != `upstream "up" `+c.want || time.Since(begun) > 10*time.Second {
				t.Errorf("test is %+v", test)
			}
		})
	}
}

func TestAChatTestGoesNoFurtherThanRequests(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "up", onLoopback(t, streaming(openaiText, openaiEnd)))
	g.reach = rules.PublicOnly
	g.restart(t, nil)
	test, err := g.TestChat(t.Context(), "up", "m-1")
	must(t, err)
	if test.OK || test.Status != 0 || !strings.Contains(test.Error, "private_targets: deny") {
		t.Errorf("test is %+v", test)
	}
}

func TestAChatTestOfAnUpstreamThatIsNot(t *testing.T) {
	g := open(t)
	_, err := g.TestChat(t.Context(), "nowhere", "m-1")
	refusedWith(t, err, api.CodeNotFound, 404, `no upstream "nowhere"`)
	_, err = g.TestChat(t.Context(), "nowhere", strings.Repeat("m", 257))
	refusedWith(t, err, api.CodeInvalid, 422, "chat")
}
