package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// behaviours of an upstream, by the name that a test gives it.
func behave(kind string) func(c net.Conn, r *sent) bool {
	return func(c net.Conn, r *sent) bool {
		switch kind {
		case "ok":
			say(c, answerText("text/plain", "ok"))
			return true
		case "resets":
			reset(c)
			return false
		case "silent":
			<-r.gone
			return false
		case "head only":
			say(c, streamHead)
			<-r.gone
			return false
		case "head, then reset":
			say(c, streamHead)
			reset(c)
			return false
		case "first event, then reset":
			say(c, streamHead, chunk(firstEvent))
			reset(c)
			return false
		}
		say(c, fmt.Sprintf("HTTP/1.1 %s X\r\nContent-Length: 2\r\n\r\nno", kind))
		return true
	}
}

// newFallbackGateway has one rule: the first upstream, then the others in
// order.
func newFallbackGateway(t *testing.T, retry *rules.Retry, kinds ...string) *gateway {
	t.Helper()
	urls := make([]string, len(kinds))
	for i, kind := range kinds {
		if kind == "refused" {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			urls[i] = "http://" + l.Addr().String()
			_ = l.Close()
			continue
		}
		urls[i] = newWireUpstream(t, behave(kind)).url
	}
	return newGateway(t, urls[0], func(s *setup) {
		s.config.Upstreams = nil
		action := rules.Action{Retry: retry}
		for i, url := range urls {
			u := upstreamAt(fmt.Sprintf("up%d", i), url)
			u.Timeouts = accounts.Timeouts{ResponseHeader: 150 * time.Millisecond, FirstToken: 150 * time.Millisecond}
			s.config.Upstreams = append(s.config.Upstreams, u)
			if i == 0 {
				action.Upstream = u.Name
			} else {
				action.Fallback = append(action.Fallback, rules.Entry{Name: u.Name})
			}
		}
		s.config.Files[0].Rules[0].Action = action
	})
}

// on is a retry for what is named, with nothing else said.
func on(names ...string) *rules.Retry {
	var kinds rules.RetryKind
	var statuses []int
	for _, name := range names {
		switch name {
		case "connect":
			kinds |= rules.OnConnect
		case "reset":
			kinds |= rules.OnReset
		case "timeout":
			kinds |= rules.OnTimeout
		default:
			status, _ := strconv.Atoi(name)
			statuses = append(statuses, status)
		}
	}
	return &rules.Retry{On: rules.RetryWhen(kinds, statuses...)}
}

func TestAnotherAttemptIsMadeOnlyForWhatTheRuleNames(t *testing.T) {
	for name, c := range map[string]struct {
		retry    *rules.Retry
		kinds    []string
		status   int
		attempts float64
		upstream string
	}{
		"refused, by default":                  {nil, []string{"refused", "ok"}, 200, 2, "up1"},
		"reset, by default":                    {nil, []string{"resets", "ok"}, 502, 1, "up0"},
		"reset, when named":                    {on("reset"), []string{"resets", "ok"}, 200, 2, "up1"},
		"refused, when only resets are named":  {on("reset"), []string{"refused", "ok"}, 502, 1, "up0"},
		"a 429, by default":                    {nil, []string{"429", "ok"}, 429, 1, "up0"},
		"a 429, when named":                    {on("429"), []string{"429", "ok"}, 200, 2, "up1"},
		"a 529, then refused, then well":       {on("connect", "529"), []string{"529", "refused", "ok"}, 200, 3, "up2"},
		"no header in time, when named":        {on("timeout"), []string{"silent", "ok"}, 200, 2, "up1"},
		"no header in time, when not":          {on("connect"), []string{"silent", "ok"}, 504, 1, "up0"},
		"no first byte in time, when named":    {on("timeout"), []string{"head only", "ok"}, 200, 2, "up1"},
		"a reset behind the head, when named":  {on("reset"), []string{"head, then reset", "ok"}, 200, 2, "up1"},
		"all of them fail":                     {on("connect", "503"), []string{"refused", "503"}, 503, 2, "up1"},
		"more attempts than candidates":        {&rules.Retry{On: rules.RetryWhen(0, 503), Attempts: 3}, []string{"503"}, 503, 3, "up0"},
		"fewer attempts than candidates":       {&rules.Retry{On: rules.RetryWhen(0, 503), Attempts: 1}, []string{"503", "ok"}, 503, 1, "up0"},
		"what cannot be executed is not named": {on("429"), []string{"500", "ok"}, 500, 1, "up0"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newFallbackGateway(t, c.retry, c.kinds...)
			response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest))
			if response.StatusCode != c.status {
				t.Errorf("%d %s", response.StatusCode, body)
			}
			line := g.line(response)
			if line["attempts"] != c.attempts || line["upstream"] != c.upstream {
				t.Errorf("%v attempts, the last at %v", line["attempts"], line["upstream"])
			}
		})
	}
}

func TestNoOtherAttemptOnceAByteHasGoneToTheClient(t *testing.T) {
	g := newFallbackGateway(t, on("connect", "reset", "timeout"), "first event, then reset", "ok")
	response, body, err := g.do(g.post("/v1/chat/completions", chatRequest))
	if err == nil || !strings.HasPrefix(string(body), firstEvent) {
		t.Errorf("%q %v", body, err)
	}
	if line := g.line(response); line["attempts"] != 1.0 || line["end_reason"] != "upstream_error" {
		t.Errorf("log %v", line)
	}
}

func TestTheBudgetOfAllAttemptsTogether(t *testing.T) {
	g := newFallbackGateway(t, &rules.Retry{On: rules.RetryWhen(rules.OnTimeout), Within: 100 * time.Millisecond}, "silent", "ok")
	response, _, _ := g.do(g.post("/v1/chat/completions", chatRequest))
	if line := g.line(response); response.StatusCode != 504 || line["attempts"] != 1.0 {
		t.Errorf("%d after %v attempts", response.StatusCode, line["attempts"])
	}
}

func TestARetryIsCountedByItsReason(t *testing.T) {
	g := newFallbackGateway(t, on("connect", "429", "reset", "timeout"), "refused", "429", "resets", "silent", "ok")
	if response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest)); response.StatusCode != 200 {
		t.Fatal(response.StatusCode, string(body))
	}
	text := g.metrics()
	for upstream, reason := range map[string]string{"up0": "connect", "up1": "429", "up2": "reset", "up3": "timeout"} {
		if want := fmt.Sprintf(`llmgw_retries_total{reason=%q,upstream=%q} 1`, reason, upstream); !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestAKeyRevokedBetweenAttemptsSendsNothingMore(t *testing.T) {
	var g *gateway
	asked := make(chan struct{}, 2)
	first := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		g.keys.revoke(g.key)
		say(c, "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
		return true
	})
	second := newWireUpstream(t, func(c net.Conn, r *sent) bool { asked <- struct{}{}; return false })
	g = newGateway(t, first.url, func(s *setup) {
		s.config.Upstreams = append(s.config.Upstreams, upstreamAt("other", second.url))
		a := &s.config.Files[0].Rules[0].Action
		a.Fallback, a.Retry = []rules.Entry{{Name: "other"}}, on("503")
	})
	response, _, _ := g.do(g.post("/v1/chat/completions", chatRequest))
	if response.StatusCode != 401 || response.Header.Get("X-Llmgw-Error") != codeRevokedKey || len(asked) != 0 {
		t.Errorf("%d, asked %d times", response.StatusCode, len(asked))
	}
}

func TestAnUpstreamIsReadToItsEndWithoutAClientWhereTheRuleWantsIt(t *testing.T) {
	goOn, whole := make(chan struct{}), make(chan bool, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead, chunk(firstEvent))
		<-goOn
		for range 100 {
			say(c, chunk(firstEvent))
		}
		_, err := io.WriteString(c, chunk(`data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":101}}`+"\n\ndata: [DONE]\n\n")+"0\r\n\r\n")
		whole <- err == nil
		return false
	})
	g := newGateway(t, up.url, func(s *setup) { s.config.Files[0].Rules[0].Action.OnClientGone = "finish" })
	response, err := http.DefaultClient.Do(g.post("/v1/chat/completions", chatRequest))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, len(firstEvent))); err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	g.leavingKnown()
	close(goOn)
	if !waitFor(t, whole) {
		t.Error("the upstream was cut")
	}
	line := g.line(response)
	if line["end_reason"] != "client_gone" || line["output_tokens"] != 101.0 {
		t.Errorf("log: %v, %v tokens", line["end_reason"], line["output_tokens"])
	}
}

func TestWhoIsBelievedAboutASource(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool { say(c, answerText("text/plain", "ok")); return true })
	for name, c := range map[string]struct {
		trusted, forwarded string
		want               string
	}{
		"nobody":                              {"", "9.9.9.9", "127.0.0.1"},
		"a proxy that is trusted":             {"127.0.0.0/8", "9.9.9.9", "9.9.9.9"},
		"the nearest hop that is not trusted": {"127.0.0.0/8,10.0.0.0/8", "1.1.1.1, 9.9.9.9, 10.0.0.1", "9.9.9.9"},
		"another proxy":                       {"10.0.0.0/8", "9.9.9.9", "127.0.0.1"},
		"nonsense":                            {"127.0.0.0/8", "x", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, up.url, func(s *setup) {
				s.options.TrustedProxies = prefixes(t, c.trusted)
				s.config.Files[0].Rules[0].Match.Source = []string{c.want + "/32"}
			})
			r := g.post("/x", "{}")
			r.Header.Set("X-Forwarded-For", c.forwarded)
			if response, body, _ := g.do(r); response.StatusCode != 200 {
				t.Errorf("%d %s", response.StatusCode, body)
			}
		})
	}
}
