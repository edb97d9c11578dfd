package proxy

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// bodyLines takes the lines of a body log.
type bodyLines struct {
	t     testing.TB
	mu    sync.Mutex
	lines []string
	more  chan struct{}
	hold  chan struct{} // not nil: writing waits for it to be closed
	err   error
}

func newBodyLines(t testing.TB) *bodyLines { return &bodyLines{t: t, more: make(chan struct{})} }

func (l *bodyLines) Write(line []byte) (int, error) {
	if l.hold != nil {
		<-l.hold
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	l.lines = append(l.lines, string(line))
	close(l.more)
	l.more = make(chan struct{})
	return len(line), nil
}

// on makes a gateway keep the log, and its rule ask for it.
func (l *bodyLines) on(s *setup) {
	s.options.BodyLog = l
	s.config.Files[0].Rules[0].Action.BodyLog = true
}

// find waits for the line of a request.
func (l *bodyLines) find(id string) (line bodyLine) {
	l.t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		lines, more := l.lines, l.more
		l.mu.Unlock()
		for _, text := range lines {
			if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
				l.t.Fatalf("not one line: %q", text)
			}
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				l.t.Fatal(err)
			}
			if line.RequestID == id {
				return line
			}
		}
		select {
		case <-more:
		case <-deadline:
			l.t.Fatalf("no line of %s in the body log", id)
		}
	}
}

func (l *bodyLines) of(response *http.Response) bodyLine {
	return l.find(response.Header.Get("X-Llmgw-Request-Id"))
}

func TestALineOfTheBodyLog(t *testing.T) {
	const events = firstEvent + "data: [DONE]\n\n"
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool {
		say(c, streamHead, chunk(firstEvent), chunk("data: [DONE]\n\n"), "0\r\n\r\n")
		return true
	})
	log := newBodyLines(t)
	g := newGateway(t, up.url, log.on)
	const question = `{"model":"gpt-x","stream":true,"messages":["<&>","é"]}`
	response, body, err := g.do(g.post("/v1/chat/completions?secret=1", question))
	if err != nil || string(body) != events {
		t.Fatal(string(body), err)
	}
	got := log.of(response)
	if at, err := time.Parse(time.RFC3339Nano, got.Time); err != nil || time.Since(at) > patience {
		t.Errorf("time %q", got.Time)
	}
	got.Time = ""
	want := bodyLine{
		RequestID: response.Header.Get("X-Llmgw-Request-Id"), Key: "ci-bot", Rule: "everything", Upstream: "up",
		Method: "POST", Path: "/v1/chat/completions", Model: "gpt-x", Status: 200, EndReason: "complete",
		Request: loggedBody{Bytes: int64(len(question)), Body: question},
		Answer:  loggedBody{Bytes: int64(len(events)), Body: events},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestOnlyWhatARuleAsksForIsLogged(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool { say(c, answerText("text/plain", "ok")); return true })
	log := newBodyLines(t)
	g := newGateway(t, up.url, log.on, func(s *setup) {
		s.config.Files[0].Rules = []rules.Rule{
			{Name: "watched", Continue: true, Match: rules.Match{Path: rules.Paths{Globs: []string{"/watched/**"}}}, Action: rules.Action{BodyLog: true}},
			{Name: "answered", Match: rules.Match{Path: rules.Paths{Globs: []string{"/answered"}}},
				Action: rules.Action{BodyLog: true, Respond: &rules.Respond{Status: 400, Message: "retired"}}},
			{Name: "literal", Match: rules.Match{Path: rules.Paths{Globs: []string{"/watched/literal"}}},
				Action: rules.Action{Respond: &rules.Respond{Status: 200, Body: "as it stands"}}},
			{Name: "everything", Action: rules.Action{Upstream: "up"}},
		}
	})
	if _, _, err := g.do(g.post("/not-watched", "secret")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/watched/x": "everything: ok", "/answered": "answered: retired", "/watched/literal": "literal: as it stands"} {
		response, _, err := g.do(g.post(path, "{}"))
		if err != nil {
			t.Fatal(err)
		}
		rule, text, _ := strings.Cut(want, ": ")
		if line := log.of(response); line.Rule != rule || !strings.Contains(line.Answer.Body, text) || line.Request.Body != "{}" {
			t.Errorf("%s: %+v", path, line)
		}
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if all := strings.Join(log.lines, ""); len(log.lines) != 3 || strings.Contains(all, "not-watched") {
		t.Errorf("log:\n%s", all)
	}
}

func TestWhatStandsInTheBodyLog(t *testing.T) {
	zipped := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	long := strings.Repeat("a", maxLoggedBody-1) + "éé"
	binary := "\xff\x00" + credentialCanary + "\xfe"
	for name, c := range map[string]struct {
		answer, coding string
		want           loggedBody
	}{
		"text":          {answer: "hello", want: loggedBody{Bytes: 5, Body: "hello"}},
		"nothing":       {},
		"bytes":         {answer: "\xff\x00\xfe", want: loggedBody{Bytes: 3, Body: "/wD+", Encoding: "base64"}},
		"too much":      {answer: long, want: loggedBody{Bytes: int64(len(long)), Body: long[:maxLoggedBody-1], Truncated: true}},
		"gzip":          {answer: zipped("hello"), coding: "gzip", want: loggedBody{Bytes: int64(len(zipped("hello"))), Coding: "gzip", Body: "hello"}},
		"half a gzip":   {answer: zipped("hello")[:10], coding: "GZIP", want: loggedBody{Bytes: 10, Coding: "GZIP", Truncated: true}},
		"a gzip bomb":   {answer: zipped(long + long), coding: "gzip", want: loggedBody{Bytes: int64(len(zipped(long + long))), Coding: "gzip", Body: long[:maxLoggedBody-1], Truncated: true}},
		"no gzip":       {answer: "hello", coding: "gzip", want: loggedBody{Bytes: 5, Coding: "gzip", Truncated: true}},
		"half a brotli": {answer: "\x1b\x03", coding: "br", want: loggedBody{Bytes: 2, Coding: "br", Truncated: true}},
		"another code":  {answer: "hello", coding: "dcb", want: loggedBody{Bytes: 5, Coding: "dcb", Truncated: true}},
		"two codes":     {answer: zipped("hello"), coding: "gzip\r\nContent-Encoding: br", want: loggedBody{Bytes: int64(len(zipped("hello"))), Coding: "gzip, br", Truncated: true}},
	} {
		t.Run(name, func(t *testing.T) {
			up := newWireUpstream(t, func(conn net.Conn, _ *sent) bool {
				head := "HTTP/1.1 200 OK\r\n"
				if c.coding != "" {
					head += "Content-Encoding: " + c.coding + "\r\n"
				}
				say(conn, head, fmt.Sprintf("Content-Length: %d\r\n\r\n", len(c.answer)), c.answer)
				return true
			})
			log := newBodyLines(t)
			g := newGateway(t, up.url, log.on)
			response, body, err := g.do(g.post("/x", "{}"))
			if err != nil || string(body) != c.answer {
				t.Fatalf("the client got %d bytes, %v", len(body), err)
			}
			if diff := cmp.Diff(c.want, log.of(response).Answer); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
	c := capture{bytes: []byte(binary), size: int64(len(binary))}
	if decoded, err := base64.StdEncoding.DecodeString(c.logged([]string{credentialCanary}).Body); err != nil || strings.Contains(string(decoded), "canary") {
		t.Errorf("a secret among bytes: %q %v", decoded, err)
	}
}

func TestNoSecretInTheBodyLog(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		text := "you sent " + r.Header.Get("Authorization") + " and " + accounts.KeyPrefix + "another_key-1, so"
		say(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text))
		return true
	})
	log := newBodyLines(t)
	g := newGateway(t, up.url, log.on)
	response, err := client(t).Do(g.post("/x", "{}"))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	line := log.of(response)
	if want := "you sent Bearer ‹secret› and ‹secret›, so"; line.Answer.Body != want {
		t.Errorf("answer %q, want %q", line.Answer.Body, want)
	}
}

func TestAKeyInARequestIsNotLogged(t *testing.T) {
	log := newBodyLines(t)
	g := newGateway(t, "http://127.0.0.1:1", log.on, func(s *setup) {
		action := &s.config.Files[0].Rules[0].Action
		action.Upstream, action.Respond = "", &rules.Respond{Status: 200, Body: "ok"}
	})
	response, _, err := g.do(g.post("/x", `{"note":"my key is `+g.key+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := log.of(response).Request.Body, `{"note":"my key is ‹secret›"}`; got != want {
		t.Errorf("request %q, want %q", got, want)
	}
}

func TestABodyLogThatIsStuckHoldsNoRequest(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool { say(c, answerText("text/plain", "ok")); return true })
	log := newBodyLines(t)
	log.hold = make(chan struct{})
	g := newGateway(t, up.url, log.on)
	caller := client(t)
	const requests = bodyLogQueue + 20
	for range requests {
		response, err := caller.Do(g.post("/x", "{}"))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	g.noneInFlight()
	const over = requests - bodyLogQueue - 1 // one is being written
	g.until("what is over the queue is dropped", func() bool { return g.proxy.bodyLog.lost() == over })
	if !strings.Contains(g.metrics(), fmt.Sprintf("llmgw_body_log_dropped_total %d\n", over)) {
		t.Error("the metric does not count them")
	}
	close(log.hold)
}

func TestABodyLogThatFailsIsToldOfOnce(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool { say(c, answerText("text/plain", "ok")); return true })
	log := newBodyLines(t)
	log.err = errors.New("no space left on device")
	g := newGateway(t, up.url, log.on)
	for range 3 {
		if response, body, err := g.do(g.post("/x", "{}")); err != nil || string(body) != "ok" || response.StatusCode != 200 {
			t.Fatal(string(body), err)
		}
	}
	g.until("three are lost", func() bool { return g.proxy.bodyLog.lost() == 3 })
	if used := g.proxy.bodyLog.room.used.Load(); used != 0 {
		t.Errorf("%d bytes are still held", used)
	}
	if told := strings.Count(g.log.text(), "no space left"); told != 1 {
		t.Errorf("told %d times", told)
	}
}

func TestTheBodyLogKeepsToItsRoom(t *testing.T) {
	l := &bodyLog{room: budget{limit: 10 << 10}}
	var first, second capture
	first.add(l, bytes.Repeat([]byte("a"), 8<<10))
	second.add(l, bytes.Repeat([]byte("b"), 4<<10))
	second.add(l, []byte("more"))
	if len(first.bytes) != 8<<10 || len(second.bytes) != 0 || second.size != 4<<10+4 || !second.cut() {
		t.Errorf("kept %d and %d bytes of %d", len(first.bytes), len(second.bytes), second.size)
	}
	l.release(&bodies{request: first, answer: second})
	if used := l.room.used.Load(); used != 0 {
		t.Errorf("%d bytes are still held", used)
	}
}

func TestRulesThatAskForALogThatIsNotKept(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool { say(c, answerText("text/plain", "ok")); return true })
	var config rules.Config
	g := newGateway(t, up.url, func(s *setup) {
		s.config.Files[0].Rules[0].Action.BodyLog = true
		config = s.config
	})
	const told = "ask for a body log"
	if text := g.log.text(); strings.Count(text, told) != 1 || !strings.Contains(text, `"rules":["everything"]`) {
		t.Errorf("log: %s", text)
	}
	if _, body, err := g.do(g.post("/x", "{}")); err != nil || string(body) != "ok" {
		t.Fatal(string(body), err)
	}
	config.Revision++
	if err := g.proxy.Reload(context.Background(), config); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(g.log.text(), told); n != 1 {
		t.Errorf("told %d times", n)
	}
}

func TestEveryCodingThatIsLookedIntoIsDecodedForTheBodyLog(t *testing.T) {
	const text = "you sent " + credentialCanary + ", so"
	for name, e := range encodings {
		t.Run(name, func(t *testing.T) {
			encoded := e.encode([]byte(text), never)
			c := capture{bytes: encoded, size: int64(len(encoded)), coding: e.name}
			want := loggedBody{Bytes: c.size, Coding: e.name, Body: "you sent ‹secret›, so"}
			if diff := cmp.Diff(want, c.logged([]string{credentialCanary})); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			c.bytes = encoded[:len(encoded)-len(encoded)/3]
			if cut := c.logged([]string{credentialCanary}); !cut.Truncated || strings.Contains(cut.Body, "canary") || cut.Encoding != "" {
				t.Errorf("of a part: %+v", cut)
			}
		})
	}
}

// A body that is read whole only because its upstream wants a signature over it
// is in the log as any other is.
func TestABodyThatIsReadForASignatureIsLogged(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool { say(c, answerText("text/plain", "ok")); return true })
	log := newBodyLines(t)
	g := newGateway(t, up.url, log.on, func(s *setup) {
		const host = "bedrock-runtime.eu-west-1.amazonaws.com:80"
		s.config.Upstreams = []accounts.Upstream{provided("up", "http://"+host, accounts.ProviderBedrock)}
		s.options.Local = map[string]string{host: strings.TrimPrefix(up.url, "http://")}
		s.options.Vault.References = accounts.References{"test": func(context.Context, string) (accounts.Secret, error) {
			return accounts.NewSecret("AKIAEXAMPLE:very-secret-" + credentialCanary), nil
		}}
	})
	r := g.post("/own", "hello")
	r.Header.Set("Content-Type", "text/plain")
	response, body, err := g.do(r)
	if err != nil || string(body) != "ok" {
		t.Fatal(string(body), err)
	}
	if line := log.of(response); line.Request != (loggedBody{Bytes: 5, Body: "hello"}) {
		t.Errorf("request %+v", line.Request)
	}
}
