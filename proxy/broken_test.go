package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// streams of each format, whole, without their end mark.
var brokenStreams = map[string]struct {
	path   string
	events []string
	end    string
	mark   string // what the error event begins with
}{
	"OpenAI chat": {"/v1/chat/completions",
		[]string{`data: {"choices":[{"delta":{"content":"é"}}]}` + "\n\n", ": ping\n\n", `data: {"choices":[{"delta":{"content":"b"}}]}` + "\n\n"},
		"data: [DONE]\n\n", `data: {"error":{"message":"`},
	"OpenAI responses": {"/v1/responses",
		[]string{"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{}}\n\n", "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n"},
		"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{}}\n\n", "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{"},
	"Anthropic messages": {"/v1/messages",
		[]string{"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n", "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\r\n\r\n"},
		"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\""},
	"Gemini": {"/v1beta/models/gemini-2.5-pro:streamGenerateContent",
		[]string{"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\r\n\r\n"},
		"data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\r\n\r\n", `data: {"error":{"code":502,"message":"`},
}

// reset cuts a connection so that the other side gets an error.
func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

func TestAnUpstreamResetAtAnyOffsetNeverBecomesACleanEnd(t *testing.T) {
	for name, s := range brokenStreams {
		t.Run(name, func(t *testing.T) {
			body := strings.Join(s.events, "") + s.end
			offset := make(chan int, 1)
			up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
				n := <-offset
				say(c, streamHead)
				for rest := body[:n]; rest != ""; {
					k := min(1+rand.IntN(40), len(rest))
					say(c, chunk(rest[:k]))
					rest = rest[k:]
				}
				if n%2 == 0 {
					reset(c)
				}
				return false
			})
			g := newGateway(t, up.url)
			http := client(t)
			for range 250 {
				n := rand.IntN(len(body))
				offset <- n
				cutAtOffset(t, g, http, s.path, body, s.mark, n)
			}
		})
	}
}

// cutAtOffset checks one stream that was cut after n bytes: what came is a
// prefix of the body, then at most the error event, and no clean end.
func cutAtOffset(t *testing.T, g *gateway, h *http.Client, path, body, mark string, n int) {
	t.Helper()
	response, err := h.Do(g.post(path, `{"model":"m","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	got, err := io.ReadAll(response.Body)
	if response.StatusCode == http.StatusBadGateway {
		return // nothing of it had come; told as an error
	}
	if err == nil {
		t.Fatalf("cut after %d bytes, and the client sees a clean end: %q", n, got)
	}
	text, added := string(got), ""
	if at := strings.Index(text, mark); at >= 0 {
		text, added = text[:at], text[at:]
	}
	if !strings.HasPrefix(body[:n], text) {
		t.Fatalf("cut after %d bytes: %q is not what was sent", n, text)
	}
	events := strings.TrimSuffix(text, ": ping\n") // a whole comment is no part of an event
	boundary := events == "" || strings.HasSuffix(events, "\n\n") || strings.HasSuffix(events, "\r\n\r\n")
	if added != "" && (!boundary || !strings.HasSuffix(added, "}\n\n") || strings.Count(added, "data: ") != 1 || !strings.Contains(added, "cut")) {
		t.Fatalf("after %q was added %q", text, added)
	}
	if line := g.line(response); line["end_reason"] != "upstream_error" || line["error"] != codeStreamCut {
		t.Fatalf("log: %v %v", line["end_reason"], line["error"])
	}
}

func TestABrokenStreamSaysSoAtAnEventBoundary(t *testing.T) {
	for name, s := range brokenStreams {
		t.Run(name, func(t *testing.T) {
			delivered := make(chan struct{})
			up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
				say(c, streamHead, chunk(s.events[0]))
				<-delivered // the client has it: the cut comes after, and alone
				reset(c)
				return false
			})
			g := newGateway(t, up.url)
			response, err := client(t).Do(g.post(s.path, `{"model":"m","stream":true}`))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			first := make([]byte, len(s.events[0]))
			if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != s.events[0] {
				t.Fatalf("%q %v", first, err)
			}
			close(delivered)
			rest, err := io.ReadAll(response.Body)
			if !strings.HasPrefix(string(rest), s.mark) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("then came %q, %v", rest, err)
			}
		})
	}
}

func TestHowAnUpstreamEndsABody(t *testing.T) {
	event, done := `data: {"choices":[{"delta":{"content":"x"}}]}`+"\n\n", "data: [DONE]\n\n"
	closeHead := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
	for name, c := range map[string]struct {
		answer string
		body   string
		reason string
		clean  bool
	}{
		"chunked, with its end mark":               {streamHead + chunk(event+done) + "0\r\n\r\n", event + done, "complete", true},
		"chunked as complete, without an end mark": {streamHead + chunk(event) + "0\r\n\r\n", event, "upstream_truncated", true},
		"up to the close, with its end mark":       {closeHead + event + done, event + done, "complete", true},
		"up to the close, without an end mark":     {closeHead + event, "", "upstream_truncated", false},
		"chunked, cut before the last chunk":       {streamHead + chunk(event+done), "", "upstream_error", false},
		"shorter than announced":                   {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{}", "{}", "upstream_error", false},
		"with an error event of its own":           {streamHead + chunk(`data: {"error":{"message":"no"}}`+"\n\n") + "0\r\n\r\n", `data: {"error":{"message":"no"}}` + "\n\n", "upstream_error", true},
		"text up to the close":                     {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nhello", "hello", "complete", true},
		"without a body":                           {"HTTP/1.1 204 No Content\r\n\r\n", "", "complete", true},
	} {
		t.Run(name, func(t *testing.T) {
			up := newWireUpstream(t, func(conn net.Conn, r *sent) bool {
				say(conn, c.answer)
				return false
			})
			g := newGateway(t, up.url)
			response, body, err := g.do(g.post("/v1/chat/completions", chatRequest))
			if clean := err == nil; clean != c.clean {
				t.Errorf("body ends with %v", err)
			}
			if c.body != "" && string(body) != c.body {
				t.Errorf("body %q", body)
			}
			if line := g.line(response); line["end_reason"] != c.reason {
				t.Errorf("log says %v", line["end_reason"])
			}
		})
	}
}

func TestAnOldClientSeesABrokenStreamAsAReset(t *testing.T) {
	delivered := make(chan struct{})
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead, chunk("data: {}\n"))
		<-delivered
		reset(c)
		return false
	})
	g := newGateway(t, up.url)
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	say(c, "POST /v1/chat/completions HTTP/1.0\r\nAuthorization: Bearer "+g.key+"\r\nContent-Length: 2\r\n\r\n{}")
	in := bufio.NewReader(c)
	for line := ""; line != "data: {}\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	close(delivered)
	if rest, err := io.ReadAll(in); err == nil {
		t.Errorf("a clean end after %q", rest)
	}
}

func TestWhatNeverAnswersIsA502Or504(t *testing.T) {
	nowhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := "http://" + nowhere.Addr().String()
	_ = nowhere.Close()
	silent := newWireUpstream(t, func(c net.Conn, r *sent) bool { <-r.gone; return false }).url
	headOnly := newWireUpstream(t, func(c net.Conn, r *sent) bool { say(c, streamHead); <-r.gone; return false }).url
	pings := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-r.gone:
				tick.Stop()
				return false
			case <-tick.C:
				say(c, chunk(": ping\n\n"))
			}
		}
	}).url
	hangsUp := newWireUpstream(t, func(c net.Conn, r *sent) bool { return false }).url
	stalls := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead, chunk(`data: {"choices":[{"delta":{"content":"x"}}]}`+"\n\n"))
		<-r.gone
		return false
	}).url
	short := accounts.Timeouts{ResponseHeader: 100 * time.Millisecond, Idle: 100 * time.Millisecond, FirstToken: 200 * time.Millisecond, Connect: time.Second}
	total := accounts.Timeouts{Total: 150 * time.Millisecond}
	for name, c := range map[string]struct {
		url      string
		timeouts accounts.Timeouts
		request  string
		status   int
		reason   string
		message  string
	}{
		"connection refused":        {refused, short, chatRequest, 502, "connect_error", `cannot reach upstream "up": connection refused`},
		"a name that nobody has":    {"http://nobody.invalid", short, chatRequest, 502, "connect_error", `cannot reach upstream "up": name "nobody.invalid" does not resolve`},
		"no answer":                 {silent, short, `{"model":"m"}`, 504, "header_timeout", `upstream "up" sent nothing for 100ms (timeouts.response_header)`},
		"a hang-up":                 {hangsUp, short, chatRequest, 502, "upstream_error", `upstream "up" closed the connection before it answered`},
		"no first token":            {headOnly, short, chatRequest, 200, "first_token_timeout", "first_token_timeout"},
		"pings, but no first token": {pings, short, chatRequest, 200, "first_token_timeout", "first_token_timeout"},
		"a stall in the middle":     {stalls, short, chatRequest, 200, "idle_timeout", "idle_timeout"},
		"more than its total":       {stalls, total, chatRequest, 200, "total_timeout", "total_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, c.url, func(s *setup) { s.config.Upstreams[0].Timeouts = c.timeouts })
			response, body, err := g.do(g.post("/v1/chat/completions", c.request))
			if response.StatusCode != c.status || !strings.Contains(string(body), strings.ReplaceAll(c.message, `"`, `\"`)) {
				t.Errorf("%d %s", response.StatusCode, body)
			}
			if c.status == 200 && err == nil {
				t.Error("a clean end")
			}
			if c.status == 502 && response.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if line := g.line(response); line["end_reason"] != c.reason {
				t.Errorf("log says %v", line["end_reason"])
			}
		})
	}
}

func TestAtMostFiveInformationalAnswersPass(t *testing.T) {
	for count, status := range map[int]int{5: 200, 6: 502} {
		up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
			say(c, strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", count), answerText("text/plain", "ok"))
			return true
		})
		g := newGateway(t, up.url)
		if response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest)); response.StatusCode != status {
			t.Errorf("%d of them: %d %s", count, response.StatusCode, body)
		}
	}
}

func TestAnUpstreamsErrorsPassButNotA401ForOurCredential(t *testing.T) {
	for status, want := range map[int]int{400: 400, 401: 502, 403: 403, 404: 404, 429: 429, 500: 500, 529: 529} {
		body := fmt.Sprintf(`{"error":{"message":"as the provider says %d"}}`, status)
		up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
			say(c, fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\nRetry-After: 7\r\nX-Request-Id: theirs\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body))
			return true
		})
		g := newGateway(t, up.url)
		response, got, err := g.do(g.post("/v1/chat/completions", chatRequest))
		if err != nil || response.StatusCode != want {
			t.Fatalf("%d became %d", status, response.StatusCode)
		}
		if want == status && (string(got) != body || response.Header.Get("Retry-After") != "7" || response.Header.Get("X-Request-Id") != "theirs") {
			t.Errorf("%d: %q %v", status, got, response.Header)
		}
		if status == 401 && (!strings.Contains(string(got), "an admin must rotate it") || response.Header.Get("X-Should-Retry") != "false") {
			t.Errorf("%q %v", got, response.Header)
		}
	}
}
