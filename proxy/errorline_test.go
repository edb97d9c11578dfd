package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// errorLine waits for the error line of an answer.
func (g *gateway) errorLine(response *http.Response) map[string]any {
	g.t.Helper()
	id := response.Header.Get("X-Llmgw-Request-Id")
	return g.log.wait(g.t, "the error line of "+id, func(line map[string]any) bool {
		return line["message"] == "error" && line["request_id"] == id
	})
}

// shown gives the parts of an error line that a test compares.
func shown(line map[string]any) string {
	text := fmt.Sprintf("%v %v rule=%v upstream=%v phase=%v", line["level"], line["code"], line["rule"], line["upstream"], line["phase"])
	for _, name := range []string{"attempt", "retried", "end_reason"} {
		if line[name] != nil {
			text += fmt.Sprintf(" %s=%v", name, line[name])
		}
	}
	return text
}

func TestEveryFailureHasALine(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	quickly := func(change func(*accounts.Timeouts)) func(*setup) {
		return func(s *setup) { change(&s.config.Files[0].Rules[0].Action.Timeouts) }
	}
	for name, c := range map[string]struct {
		answer []string // of the upstream, which then waits for the other side to leave
		stay   bool
		change func(*setup)
		body   string
		want   string
		cause  string
	}{
		"nobody listens": {
			change: func(s *setup) { s.config.Upstreams[0].URL = "http://" + nobody.Addr().String() },
			want:   "error upstream_unreachable rule=everything upstream=up phase=connect attempt=1", cause: "connection refused",
		},
		"the connection breaks": {want: "error upstream_reset rule=everything upstream=up phase=header attempt=1", cause: "ended before an answer came"},
		"no answer in time": {
			stay: true, change: quickly(func(t *accounts.Timeouts) { t.ResponseHeader = 20 * time.Millisecond }),
			want: "error upstream_timeout rule=everything upstream=up phase=header attempt=1", cause: "timeouts.response_header",
		},
		"our credential is refused": {
			answer: []string{"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"},
			want:   "error upstream_refused_credential rule=everything upstream=up phase=header attempt=1", cause: "credential",
		},
		"a stream breaks": {
			answer: []string{streamHead, chunk(firstEvent)},
			want:   "error upstream_stream_cut rule=everything upstream=up phase=body attempt=1 end_reason=upstream_error", cause: "unexpected EOF",
		},
		"a stream falls silent": {
			answer: []string{streamHead, chunk(firstEvent)}, stay: true, change: quickly(func(t *accounts.Timeouts) { t.Idle = 20 * time.Millisecond }),
			want: "error upstream_stream_cut rule=everything upstream=up phase=body attempt=1 end_reason=idle_timeout", cause: "idle_timeout",
		},
		"a stream ends without its last event": {
			answer: []string{streamHead, chunk(firstEvent), "0\r\n\r\n"},
			want:   "error upstream_stream_cut rule=everything upstream=up phase=body attempt=1 end_reason=upstream_truncated", cause: "last event",
		},
		"no body can be taken": {
			change: func(s *setup) { s.options.BodyBudget = 1 },
			want:   "warn gateway_overloaded rule= upstream= phase=request", cause: "as many request bodies as it may",
		},
		"an upstream has no credential": {
			change: func(s *setup) { s.config.Upstreams[0].Credentials[0].Reference = "missing:x" },
			want:   "warn upstream_without_credential rule=everything upstream=up phase=request", cause: "credential reference",
		},
		"nobody can say who calls": {
			change: func(s *setup) {
				s.options.Source.(*keyring).err = fmt.Errorf("asking: %w: %w", accounts.ErrUnavailable, errors.New("store is slow"))
			},
			want: "error store_unavailable rule= upstream= phase=request", cause: "store is slow",
		},
	} {
		t.Run(name, func(t *testing.T) {
			up := newWireUpstream(t, func(conn net.Conn, r *sent) bool {
				say(conn, c.answer...)
				if c.stay {
					<-r.gone
				}
				return false
			})
			changes := []func(*setup){}
			if c.change != nil {
				changes = append(changes, c.change)
			}
			g := newGateway(t, up.url, changes...)
			response, _, _ := g.do(g.post("/v1/chat/completions", `{"stream":true}`))
			line := g.errorLine(response)
			if got := shown(line); got != c.want {
				t.Errorf("line %s\nwant %s", got, c.want)
			}
			if cause := fmt.Sprint(line["cause"]); !strings.Contains(cause, c.cause) {
				t.Errorf("cause %q, want it to tell of %q", cause, c.cause)
			}
			g.noneInFlight()
			if n := strings.Count(g.log.text(), `"message":"error"`); n != 1 {
				t.Errorf("%d error lines:\n%s", n, g.log.text())
			}
		})
	}
}

func TestARetryThatSavesAnExchangeLeavesALine(t *testing.T) {
	for name, c := range map[string]struct{ first, want, cause string }{
		"a status":   {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "warn upstream_status rule=everything upstream=up phase=header attempt=1 retried=true", "answered 503"},
		"a breakage": {"", "warn upstream_reset rule=everything upstream=up phase=header attempt=1 retried=true", "ended before an answer came"},
	} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			up := newWireUpstream(t, func(conn net.Conn, _ *sent) bool {
				if tries++; tries == 1 {
					say(conn, c.first)
					return false
				}
				say(conn, answerText("text/plain", "ok"))
				return true
			})
			g := newGateway(t, up.url, func(s *setup) {
				s.config.Files[0].Rules[0].Action.Retry = &rules.Retry{On: rules.RetryWhen(rules.OnReset, 503), Attempts: 2}
			})
			response, body, err := g.do(g.post("/x", "{}"))
			if err != nil || string(body) != "ok" {
				t.Fatal(string(body), err)
			}
			line := g.errorLine(response)
			if got := shown(line); got != c.want || !strings.Contains(fmt.Sprint(line["cause"]), c.cause) {
				t.Errorf("line %s, cause %v\nwant %s", got, line["cause"], c.want)
			}
		})
	}
}

func TestMistakesOfCallersAreToldAtDebugOnly(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool { say(c, answerText("text/plain", "ok")); return true })
	for _, level := range []zerolog.Level{zerolog.InfoLevel, zerolog.DebugLevel} {
		t.Run(level.String(), func(t *testing.T) {
			g := newGateway(t, up.url, func(s *setup) { s.options.Log = s.options.Log.Level(level) })
			for name, change := range map[string]func(*http.Request){
				"a wrong key":  func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+accounts.KeyPrefix+"wrong") },
				"no key":       func(r *http.Request) { r.Header.Del("Authorization") },
				"a wrong path": func(r *http.Request) { r.URL.Path = "/a//b" },
			} {
				r := g.post("/x", "{}")
				change(r)
				response, _, err := g.do(r)
				if err != nil {
					t.Fatal(name, err)
				}
				g.line(response)
				if level != zerolog.DebugLevel {
					continue
				}
				if line := g.errorLine(response); line["level"] != "debug" || line["code"] != response.Header.Get("X-Llmgw-Error") {
					t.Errorf("%s: %v", name, line)
				}
			}
			if level == zerolog.InfoLevel && strings.Contains(g.log.text(), `"message":"error"`) {
				t.Errorf("log:\n%s", g.log.text())
			}
		})
	}
}

func TestACauseThatQuotesSecrets(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:1")
	x := &exchange{p: g.proxy, id: "req_quoted", secret: "callers-own-key", target: &target{name: "up", usable: []*credential{{secret: accounts.NewSecret(credentialCanary)}}}}
	x.logFailure(upstreamReset("up", fmt.Errorf("malformed answer: %q", credentialCanary+" callers-own-key "+accounts.KeyPrefix+"another "+strings.Repeat("long ", 200))))
	line := g.log.wait(t, "the error line", func(line map[string]any) bool { return line["request_id"] == x.id })
	cause := fmt.Sprint(line["cause"])
	if want := `malformed answer: "‹secret› ‹secret› ‹secret› long`; !strings.HasPrefix(cause, want) || len(cause) > maxCause+len("…") {
		t.Errorf("cause %q", cause)
	}
}

func TestAnErrorLineNamesItsTrace(t *testing.T) {
	up := newWireUpstream(t, func(net.Conn, *sent) bool { return false })
	g := newGateway(t, up.url, newCollector(t).tracing(t))
	r := g.post("/x", "{}")
	r.Header.Set("Traceparent", traceparent)
	response, _, _ := g.do(r)
	if line := g.errorLine(response); line["trace_id"] != callersTrace {
		t.Errorf("line %v", line)
	}
}

func TestADrainIsNoError(t *testing.T) {
	g, response, _ := openStream(t)
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	g.server.Drain(cut, 0, 0)
	_ = response.Body.Close()
	if line := g.errorLine(response); line["level"] != "warn" || line["end_reason"] != "drained" {
		t.Errorf("line %v", line)
	}
}
