package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// after answers parts of an answer with a pause before each.
func after(pause time.Duration, parts ...string) func(net.Conn, *sent) bool {
	return func(c net.Conn, r *sent) bool {
		for _, part := range parts {
			select {
			case <-time.After(pause):
			case <-r.gone:
				return false
			}
			say(c, part)
		}
		return true
	}
}

// A client's write deadline counts from when it is written to, not from when
// it asked: an upstream may think for longer than a client may stall.
func TestAnUpstreamThatThinksLongerThanAClientMayStall(t *testing.T) {
	const stall, pause = 60 * time.Millisecond, 150 * time.Millisecond
	for name, c := range map[string]struct {
		parts  []string
		status int
		reason string
		code   string
	}{
		"before its head":               {[]string{streamHead, chunk(firstEvent), chunk("data: [DONE]\n\n") + "0\r\n\r\n"}, 200, "complete", ""},
		"before the mark of its end":    {[]string{streamHead + chunk("data: [DONE]\n\n"), "0\r\n\r\n"}, 200, "complete", ""},
		"before it says what we refuse": {[]string{"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n"}, 502, "upstream_error", codeCredentialRefused},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, newWireUpstream(t, after(pause, c.parts...)).url, func(s *setup) { s.options.WriteStall = stall })
			response, body, err := g.do(g.post("/v1/chat/completions", chatRequest))
			if err != nil || response.StatusCode != c.status {
				t.Fatalf("%d %q %v", response.StatusCode, body, err)
			}
			if line := g.line(response); line["end_reason"] != c.reason || line["error"] != c.code {
				t.Errorf("log %v", line)
			}
		})
	}
}

// What no server may send as the status of an answer ends as a 502, whether or
// not the body comes at once.
func TestAnAnswerWithAnImpossibleStatusIsA502(t *testing.T) {
	for name, head := range map[string]string{
		"000":              "HTTP/1.1 000 X\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
		"099":              "HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",
		"101 out of hand":  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
		"101 without more": "HTTP/1.1 101 Switching Protocols\r\n\r\nhello",
	} {
		t.Run(name, func(t *testing.T) {
			up := newWireUpstream(t, func(c net.Conn, r *sent) bool { say(c, head); <-r.gone; return false })
			g := newGateway(t, up.url)
			response, body, err := g.do(g.post("/v1/chat/completions", chatRequest))
			if err != nil || response.StatusCode != 502 {
				t.Fatalf("%d %q %v", response.StatusCode, body, err)
			}
			if line := g.line(response); line["end_reason"] != "upstream_error" {
				t.Errorf("log %v", line)
			}
		})
	}
}

func TestTrailersPassHoweverTheBodyArrives(t *testing.T) {
	for name, parts := range map[string][]string{
		"at once":     {streamHead + chunk(firstEvent) + "0\r\nX-Sum: 1\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\n\r\n"},
		"in parts":    {streamHead, chunk(firstEvent), "0\r\nX-Sum: 1\r\n\r\n"},
		"as document": {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("x") + "0\r\nX-Sum: 1\r\n\r\n"},
		"no body":     {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, newWireUpstream(t, after(2*time.Millisecond, parts...)).url)
			response, _, err := g.do(g.post("/v1/chat/completions", chatRequest))
			if err != nil || response.Trailer.Get("X-Sum") != "1" || len(response.Trailer) != 1 {
				t.Errorf("trailers %v, %v", response.Trailer, err)
			}
		})
	}
}

// An upstream's Connection header speaks of its own hop, and of nothing that
// the gateway says.
func TestAnUpstreamCannotTakeBackWhatTheGatewaySays(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, "HTTP/1.1 200 OK\r\nConnection: connection, x-llmgw-request-id, x-gone\r\nX-Gone: 1\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok")
		return true
	})
	g := newGateway(t, up.url)
	r := g.post("/x", "{}")
	r.TransferEncoding = []string{"chunked"}
	response, _, _ := g.do(r)
	h := response.Header
	if h.Get("X-Llmgw-Request-Id") == "" || h.Get("X-Gone") != "" || h.Get("X-Kept") != "1" || !response.Close {
		t.Errorf("%v, close %v", h, response.Close)
	}
	if h.Get("Content-Type") != "" {
		t.Errorf("a type was guessed: %v", h)
	}
}

// Content-Length beside Transfer-Encoding could hide a second request from a
// proxy in front; so every chunked request ends its connection, whatever
// becomes of it.
func TestEveryAnswerToAChunkedRequestEndsItsConnection(t *testing.T) {
	up := newWireUpstream(t, behave("head, then reset"))
	g := newGateway(t, up.url)
	for _, line := range []string{"POST /v1/chat/completions", "GET /v1/models", "GET /healthz", "HEAD /", "GET /readyz"} {
		t.Run(line, func(t *testing.T) {
			c := g.dial()
			say(c, line, " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ", g.key, "\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
			method, _, _ := strings.Cut(line, " ")
			response, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if !response.Close {
				t.Errorf("%d leaves the connection open", response.StatusCode)
			}
		})
	}
}

// What a stranger announces and never sends holds nothing of the gateway for
// longer than a body may stall.
func TestABodyThatNobodyReadsDoesNotHoldItsConnection(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:9", func(s *setup) { s.options.ReadStall = 100 * time.Millisecond })
	for _, head := range []string{
		"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n",
		"GET /healthz HTTP/1.1\r\nHost: x\r\n",
		"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + g.key + "\r\n",
		"POST /a//b HTTP/1.1\r\nHost: x\r\n",
	} {
		t.Run(head[:16], func(t *testing.T) {
			c := g.dial()
			say(c, head, "Content-Length: 1000\r\n\r\n")
			if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("the connection stays: %v", err)
			}
		})
	}
}

func TestAHeadWithoutALengthIsNoBrokenStream(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
		return false
	})
	g := newGateway(t, up.url)
	r := g.post("/v1/chat/completions", "")
	r.Method = http.MethodHead
	response, _, err := g.do(r)
	if err != nil {
		t.Fatal(err)
	}
	if line := g.line(response); line["end_reason"] != "complete" {
		t.Errorf("log %v", line)
	}
}

// Every request that went wrong counts once, at the upstream where it did.
func TestAnErrorCountsOnceAtItsUpstream(t *testing.T) {
	for name, c := range map[string]struct {
		kinds []string
		want  string
	}{
		"refused":          {[]string{"refused"}, "up0 1/1"},
		"reset":            {[]string{"resets"}, "up0 1/1"},
		"503":              {[]string{"503"}, "up0 1/1"},
		"401":              {[]string{"401"}, "up0 1/1"},
		"503, then well":   {[]string{"503", "ok"}, "up0 1/1 up1 1/0"},
		"429, then 503":    {[]string{"429", "503"}, "up0 1/0 up1 1/1"},
		"head, then reset": {[]string{"head, then reset"}, "up0 1/1"},
		"breaks":           {[]string{"first event, then reset"}, "up0 1/1"},
		"well":             {[]string{"ok"}, "up0 1/0"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newFallbackGateway(t, on("429", "503"), c.kinds...)
			response, _, _ := g.do(g.post("/x", "{}"))
			g.line(response)
			var got []string
			for _, u := range g.proxy.Upstreams() {
				got = append(got, fmt.Sprintf("%s %d/%d", u.Name, u.Requests, u.Errors))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%v, want %s", got, c.want)
			}
		})
	}
}

// The time that an earlier upstream took is not the gateway's own.
func TestTheOverheadOfARetriedRequestIsTheGatewaysOwn(t *testing.T) {
	g := newFallbackGateway(t, on("timeout"), "silent", "ok")
	response, _, _ := g.do(g.post("/v1/chat/completions", chatRequest))
	line := g.line(response)
	if overhead, _ := line["overhead_us"].(float64); overhead > 100_000 {
		t.Errorf("overhead_us %v", overhead)
	}
	if upstream, _ := line["upstream_ms"].(float64); upstream < 150 {
		t.Errorf("upstream_ms %v", upstream)
	}
}

// An answer that is given up on for its status is not read first: its body may
// never come.
func TestAnAnswerThatIsGivenUpOnIsNotWaitedFor(t *testing.T) {
	gone := make(chan time.Time, 1)
	stuck := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, "HTTP/1.1 429 X\r\nContent-Length: 1000000000\r\n\r\n")
		<-r.gone
		gone <- time.Now()
		return false
	})
	well := newWireUpstream(t, behave("ok"))
	g := newGateway(t, stuck.url, func(s *setup) {
		s.config.Upstreams = append(s.config.Upstreams, upstreamAt("other", well.url))
		a := &s.config.Files[0].Rules[0].Action
		a.Fallback, a.Retry = []rules.Entry{{Name: "other"}}, on("429", "reset", "timeout")
		a.Timeouts = accounts.Timeouts{FirstToken: 10 * time.Second, Idle: 10 * time.Second}
	})
	began := time.Now()
	response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest))
	waitFor(t, gone)
	if took := time.Since(began); response.StatusCode != 200 || took > 5*time.Second {
		t.Errorf("%d %s after %s", response.StatusCode, body, took)
	}
}

// The body of a request is let go when its answer begins: a stream may go on
// for an hour, and others want the room.
func TestABodyIsLetGoWhenItsAnswerBegins(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead, chunk(firstEvent))
		<-r.gone
		return false
	})
	g := newGateway(t, up.url)
	response, err := client(t).Do(g.post("/v1/chat/completions", chatRequest))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, len(firstEvent))); err != nil {
		t.Fatal(err)
	}
	if held := g.proxy.budget.used.Load(); held != 0 {
		t.Errorf("%d bytes are held while the answer streams", held)
	}
	_ = response.Body.Close()
	g.noneInFlight()
}

// A client that has left between two attempts was not refused.
func TestAClientThatLeavesBetweenAttemptsIsGone(t *testing.T) {
	asked := make(chan struct{}, 100)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool { asked <- struct{}{}; reset(c); return false })
	g := newGateway(t, up.url, func(s *setup) {
		s.config.Files[0].Rules[0].Action.Retry = &rules.Retry{On: rules.RetryWhen(rules.OnReset), Attempts: 20, Within: time.Minute}
	})
	c := g.dial()
	say(c, g.head(len(chatRequest)), chatRequest)
	for range 4 {
		waitFor(t, asked) // the next pause is 800 ms
	}
	_ = c.Close()
	line := g.log.wait(t, "an access line", func(line map[string]any) bool { return line["message"] == "request" })
	if line["end_reason"] != "client_gone" || line["status"] != 499.0 {
		t.Errorf("log %v", line)
	}
}

// Reading on for the usage of a client that has left is bounded, and ends with
// the gateway.
func TestReadingOnWithoutAClientEndsWithTheGateway(t *testing.T) {
	gone := make(chan time.Time, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead, chunk(firstEvent))
		<-r.gone
		gone <- time.Now()
		return false
	})
	g := newGateway(t, up.url, func(s *setup) { s.config.Files[0].Rules[0].Action.OnClientGone = "finish" })
	c := g.dial()
	say(c, g.head(len(chatRequest)), chatRequest)
	if _, err := bufio.NewReader(c).Discard(200); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	g.leavingKnown()
	g.proxy.flights.cut(endDrained)
	waitFor(t, gone)
	g.noneInFlight()
}

func TestReadingOnForAStalledClientIsBoundedToo(t *testing.T) {
	enough := make(chan struct{})
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead)
		event := chunk("data: " + strings.Repeat("x", 32<<10) + "\n\n")
		for {
			select {
			case <-enough:
				return false
			default:
			}
			if _, err := io.WriteString(c, event); err != nil {
				return false
			}
		}
	})
	g := newGateway(t, up.url, func(s *setup) {
		s.options.WriteStall = 200 * time.Millisecond
		s.config.Files[0].Rules[0].Action.OnClientGone = "finish"
	})
	c := g.dial()
	say(c, g.head(len(chatRequest)), chatRequest)
	g.inFlight(1)
	g.until("the bound has begun", func() (known bool) {
		g.proxy.flights.each(func(x *exchange) { known = known || endedBy(x.ctx) == endClientGone })
		return known
	})
	close(enough)
	g.noneInFlight()
	line := g.log.wait(t, "an access line", func(line map[string]any) bool { return line["message"] == "request" })
	if line["end_reason"] != "client_stalled" {
		t.Errorf("log %v", line["end_reason"])
	}
}

// A key that is deleted or runs out between two attempts sends nothing more.
func TestAKeyThatEndsBetweenAttemptsSendsNothingMore(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*keyring, string)
		code string
	}{
		"it runs out": {func(k *keyring, key string) {
			k.mu.Lock()
			defer k.mu.Unlock()
			who := *k.known[accounts.HashKey(key)]
			who.ExpiresAt = time.Now().Add(-time.Second)
			k.known[accounts.HashKey(key)] = &who
		}, "expired_api_key"},
		"it is no more": {func(k *keyring, key string) {
			k.mu.Lock()
			defer k.mu.Unlock()
			delete(k.known, accounts.HashKey(key))
		}, codeInvalidKey},
	} {
		t.Run(name, func(t *testing.T) {
			var g *gateway
			asked := make(chan struct{}, 9)
			up := newWireUpstream(t, func(conn net.Conn, r *sent) bool {
				asked <- struct{}{}
				c.end(g.keys, g.key)
				return behave("503")(conn, r)
			})
			g = newGateway(t, up.url, func(s *setup) {
				s.config.Files[0].Rules[0].Action.Retry = &rules.Retry{On: rules.RetryWhen(0, 503), Attempts: 3}
			})
			response, _, _ := g.do(g.post("/v1/chat/completions", chatRequest))
			if response.StatusCode != 401 || response.Header.Get("X-Llmgw-Error") != c.code || len(asked) != 1 {
				t.Errorf("%d %s, asked %d times", response.StatusCode, response.Header.Get("X-Llmgw-Error"), len(asked))
			}
		})
	}
}

// What is no HTTP may be an echo of the request; the transport quotes it.
func TestAnEchoOfTheRequestPutsNoCredentialIntoTheLog(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, r.Method, " ", r.RequestURI, "\r\n")
		return false
	})
	g := newGateway(t, up.url, func(s *setup) { s.config.Upstreams[0].Auth = "query:token" })
	response, _, _ := g.do(g.post("/x", "{}"))
	if response.StatusCode != 502 || !strings.Contains(up.arrived(), credentialCanary) {
		t.Fatalf("%d", response.StatusCode)
	}
	g.line(response)
	if !strings.Contains(g.log.text(), "malformed") { // and stop looks for the credential in it
		t.Errorf("log %s", g.log.text())
	}
}

// careless is a Source with a mistake in it, which takes a secret along.
type careless struct {
	Source
	with any
}

func (c careless) Identify(context.Context, accounts.KeyHash) (*accounts.Identity, error) {
	panic(c.with)
}

func TestAPanicIsA500WithOneLineAndHoldsNothing(t *testing.T) {
	for name, with := range map[string]any{ // stop looks for it in log and metrics, do in the answer
		"a text":     "a mistake with " + credentialCanary,
		"an error":   fmt.Errorf("a mistake: %w", errors.New(credentialCanary)),
		"a value":    struct{ key, secret string }{accounts.KeyPrefix + "0123456789", credentialCanary},
		"a pointer":  &accounts.Identity{KeyName: credentialCanary},
		"a request":  &http.Request{Header: http.Header{"Authorization": {"Bearer " + credentialCanary}}},
		"some bytes": []byte(credentialCanary),
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, "http://127.0.0.1:9", func(s *setup) { s.options.Source = careless{s.options.Source, with} })
			response, body, err := g.do(g.post("/v1/chat/completions", chatRequest))
			if err != nil || response.StatusCode != 500 || response.Header.Get("X-Llmgw-Error") != codeInternal {
				t.Fatalf("%d %s %v", response.StatusCode, body, err)
			}
			if line := g.line(response); line["end_reason"] != "rejected" || line["error"] != codeInternal {
				t.Errorf("log %v", line)
			}
			if !strings.Contains(g.log.text(), "panic of type") {
				t.Errorf("the log does not tell of a panic: %s", g.log.text())
			}
			g.noneInFlight()
			g.oneLineEach(t)
		})
	}
}

// A key that somebody put under a name of their own does not cross over either.
func TestAKeyUnderAnyParameterStaysHere(t *testing.T) {
	asked := make(chan string, 9)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		asked <- r.URL.RawQuery
		say(c, answerText("text/plain", "ok"))
		return true
	})
	g := newGateway(t, up.url)
	escaped := strings.Replace(g.key, "-", "%2D", 2)
	for query, want := range map[string]string{
		"a=1&token=" + g.key + "&b=%zz":  "a=1&b=%zz",
		"token=" + escaped:               "",
		"a=1&a=2;3&c=%20":                "a=1&a=2;3&c=%20",
		"key=" + g.key + "&x=" + escaped: "",
	} {
		if response, body, err := g.do(g.post("/x?"+query, "{}")); err != nil || response.StatusCode != 200 {
			t.Fatalf("%d %s %v", response.StatusCode, body, err)
		}
		if got := waitFor(t, asked); got != want {
			t.Errorf("sent on as %q", got)
		}
	}
}
