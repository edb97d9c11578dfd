package proxy

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// withinAMinute refuses requests where what it knows is older than a minute.
func withinAMinute(s *setup) { s.options.MaxStaleness = time.Minute }

func TestRequestsAreRefusedWhereChangesCouldNotBeLookedForTooLong(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
		return true
	})
	for name, c := range map[string]struct {
		change  func(*setup)
		age     time.Duration
		refused bool
	}{
		"nobody asked for a bound":         {func(*setup) {}, 24 * time.Hour, false},
		"what is known is young enough":    {withinAMinute, time.Minute, false},
		"it was looked since it came":      {withinAMinute, -time.Second, false},
		"what is known is older than that": {withinAMinute, time.Minute + time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, up.url, c.change)
			g.keys.age.Store(int64(c.age))
			response, body, err := g.do(g.post("/v1/chat/completions", `{"model":"gpt-5"}`))
			if err != nil {
				t.Fatal(err)
			}
			ready, said, _ := g.do(get(t, "http://"+g.addr+"/readyz"))
			if !c.refused {
				if response.StatusCode != http.StatusOK || ready.StatusCode != http.StatusOK || g.proxy.Ready() != nil {
					t.Errorf("%d %s, ready %d %s", response.StatusCode, body, ready.StatusCode, said)
				}
				return
			}
			var answer openAIError
			if err := json.Unmarshal(body, &answer); err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "2" ||
				response.Header.Get("X-Llmgw-Error") != "stale_configuration" || response.Header.Get("X-Should-Retry") != "" ||
				answer.Error.Message != "the gateway has not been able to look for changes of keys and rules for too long; try again" {
				t.Errorf("%d %v %s", response.StatusCode, response.Header, body)
			}
			if ready.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(said), "longer than 1m0s (--max-staleness)") {
				t.Errorf("ready: %d %s", ready.StatusCode, said)
			}
			if line := g.line(response); line["error"] != "stale_configuration" || line["status"] != 503.0 {
				t.Errorf("line %v", line)
			}
			if !strings.Contains(g.metrics(), `llmgw_errors_total{code="stale_configuration"} 1`) {
				t.Error("it is not counted")
			}
		})
	}
}

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A key that was made, or brought back, since is not to be called invalid.
func TestStalenessIsNeverA401AndIsToldInEveryWireFormat(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:9", withinAMinute)
	g.keys.age.Store(int64(time.Hour))
	stranger, err := g.keys.issuer.Issue()
	if err != nil {
		t.Fatal(err)
	}
	g.key = stranger.Reveal()
	for path, want := range map[string]string{
		"/v1/chat/completions":                      `"code":"stale_configuration"`,
		"/v1/messages":                              `"type":"overloaded_error"`,
		"/v1beta/models/gemini-2.5:generateContent": `"status":"UNAVAILABLE"`,
	} {
		response, body, err := g.do(g.post(path, "{}"))
		if err != nil || response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s, %v", path, response.StatusCode, body, err)
		}
	}
	if g.keys.asked != 0 {
		t.Errorf("whose key it is was asked %d times", g.keys.asked)
	}
}

// A stream that began in time is not cut: it began with what was known then.
func TestAStreamThatBeganInTimeGoesOn(t *testing.T) {
	more := make(chan struct{})
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", "8\r\ndata: 1\n\r\n")
		<-more
		say(c, "9\r\n\ndata: 2\n\r\n0\r\n\r\n")
		return false
	})
	g := newGateway(t, up.url, withinAMinute)
	response, err := client(t).Do(g.post("/v1/chat/completions", `{"model":"gpt-5","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	g.keys.age.Store(int64(time.Hour))
	close(more)
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "data: 1\n\ndata: 2\n" {
		t.Errorf("%q, %v", body, err)
	}
}

// BenchmarkStale is what --max-staleness adds to each request, off and on.
func BenchmarkStale(b *testing.B) {
	for name, limit := range map[string]time.Duration{"off": 0, "on": time.Minute} {
		b.Run(name, func(b *testing.B) {
			p := &Proxy{options: Options{Source: &keyring{known: map[accounts.KeyHash]*accounts.Identity{}}, MaxStaleness: limit}}
			at := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				if p.stale(at) {
					b.Fatal("it is stale")
				}
			}
		})
	}
}
