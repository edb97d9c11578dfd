package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// newSlowUpstream starts an upstream that is handed each request before its body
// has come.
func newSlowUpstream(t testing.TB, handle func(c net.Conn, r *http.Request)) (url string) {
	t.Helper()
	return rawUpstream(t, func(c net.Conn, in *bufio.Reader) {
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			handle(c, r)
		}
	})
}

// uploadHead is a request whose body is nothing that is looked into.
func (g *gateway) uploadHead(framing string) string {
	return fmt.Sprintf("POST /own HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/octet-stream\r\n%s\r\n\r\n", g.key, framing)
}

const chunkedHead = "Transfer-Encoding: chunked"

// answerOn reads the answer on a bare connection.
func answerOn(t testing.TB, c net.Conn) *http.Response {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// accessLine waits for the one access line there is.
func (g *gateway) accessLine() map[string]any {
	g.t.Helper()
	return g.log.wait(g.t, "an access line", func(line map[string]any) bool { return line["message"] == "request" })
}

func TestABodyThatIsNotLookedIntoPassesAsItComes(t *testing.T) {
	type arrived struct {
		sum    [32]byte
		length int64
		coding []string
	}
	got := make(chan arrived, 1)
	up := newSlowUpstream(t, func(c net.Conn, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- arrived{sha256.Sum256(body), r.ContentLength, r.TransferEncoding}
		say(c, answerText("text/plain", "ok"))
	})
	// A budget far below the body: what passes is not held.
	g := newGateway(t, up, func(s *setup) { s.options.BodyBudget = 1 << 10 })
	body := bytes.Repeat([]byte("0123456789abcdef"), 8<<20/16)
	form := "multipart/form-data; boundary=b"
	for name, c := range map[string]struct {
		path, kind string
		chunked    bool
		status     int
	}{
		"bytes with a length":           {"/own", "application/octet-stream", false, 200},
		"bytes in chunks":               {"/own", "application/octet-stream", true, 200},
		"a file":                        {"/v1/files", form, false, 200},
		"a form on an unknown path":     {"/own", form, true, 200},
		"JSON, which is held":           {"/own", "application/json", false, 503},
		"JSON in chunks, which is held": {"/own", "application/json", true, 503},
		"a form of a format, held":      {"/v1/audio/transcriptions", form, false, 503},
		"bytes for a format, held":      {"/v1/chat/completions", "application/octet-stream", false, 503},
	} {
		t.Run(name, func(t *testing.T) {
			r := g.post(c.path, "")
			r.Header.Set("Content-Type", c.kind)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			if c.chunked {
				r.ContentLength = -1
			}
			response, text, err := g.do(r)
			if err != nil || response.StatusCode != c.status {
				t.Fatalf("%d %q %v", response.StatusCode, text, err)
			}
			if c.status != 200 {
				return
			}
			a := waitFor(t, got)
			if a.sum != sha256.Sum256(body) || c.chunked != (len(a.coding) > 0) || !c.chunked && a.length != int64(len(body)) {
				t.Errorf("length %d, coding %v", a.length, a.coding)
			}
			line := g.line(response)
			if line["request_bytes"] != float64(len(body)) || line["end_reason"] != "complete" {
				t.Errorf("log %v", line)
			}
			if response.Close != c.chunked { // a chunked request ends its connection, whatever becomes of it
				t.Errorf("close %t", response.Close)
			}
		})
	}
}

// The upstream sets the pace: what it does not take, the gateway does not read.
func TestAnUploadGoesAsFastAsTheUpstreamTakesIt(t *testing.T) {
	const most = 32 << 20 // far more than the buffers of two connections
	release := make(chan struct{})
	up := newSlowUpstream(t, func(c net.Conn, r *http.Request) {
		<-release
		if n, err := io.Copy(io.Discard, r.Body); n != most || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		say(c, answerText("text/plain", "ok"))
	})
	g := newGateway(t, up)
	c := g.dial()
	say(c, g.uploadHead(fmt.Sprint("Content-Length: ", most)))
	piece, sent := make([]byte, 64<<10), 0
	for sent < most {
		_ = c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := c.Write(piece)
		sent += n
		if err != nil {
			break
		}
	}
	if sent == most {
		t.Error("the gateway took what nobody wanted")
	}
	close(release)
	_ = c.SetWriteDeadline(time.Time{})
	if _, err := c.Write(make([]byte, most-sent)); err != nil {
		t.Fatal(err)
	}
	if response := answerOn(t, c); response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}
}

// 100 Continue is said when the upstream wants the body, and so to nobody who
// gets no further.
func TestAnUploadIsAskedForWhenItIsWanted(t *testing.T) {
	up := newSlowUpstream(t, func(c net.Conn, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		say(c, answerText("text/plain", string(body)))
	})
	g := newGateway(t, up, func(s *setup) {
		s.config.Files[0].Rules = []rules.Rule{
			{Name: "no", Match: rules.Match{Path: rules.Paths{Globs: []string{"/refused"}}}, Action: rules.Action{Respond: &rules.Respond{Status: 400, Message: "no"}}},
			{Name: "own", Match: rules.Match{Path: rules.Paths{Globs: []string{"/refused/body"}}}, Action: rules.Action{Respond: &rules.Respond{Status: 403, Body: "own"}}},
			{Name: "yes", Match: rules.Match{Path: rules.Paths{Globs: []string{"/own"}}}, Action: rules.Action{Upstream: "up"}},
			{Name: "away", Match: rules.Match{Path: rules.Paths{Globs: []string{"/away"}}}, Action: rules.Action{Target: "http://127.0.0.1:1"}},
		}
	})
	for name, c := range map[string]struct {
		path, key string
		status    int
	}{
		"by a stranger":             {"/own", "nobody", 401},
		"for a rule that refuses":   {"/refused", g.key, 400},
		"for a rule with an answer": {"/refused/body", g.key, 403},
		"for no rule":               {"/none", g.key, 400},
		"for no upstream":           {"/away", g.key, 502},
		"for an upstream":           {"/own", g.key, 100},
	} {
		t.Run(name, func(t *testing.T) {
			conn := g.dial()
			say(conn, "POST ", c.path, " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\nAuthorization: Bearer ", c.key, "\r\n\r\n")
			in := bufio.NewReader(conn)
			response, err := http.ReadResponse(in, nil)
			if err != nil || response.StatusCode != c.status {
				t.Fatalf("%v %v", response, err)
			}
			if c.status != 100 {
				if !response.Close {
					t.Error("the connection is kept, though a body may come")
				}
				return
			}
			say(conn, "hi")
			response, err = http.ReadResponse(in, nil)
			if err != nil || response.StatusCode != 200 || response.Close {
				t.Fatalf("%v %v", response, err)
			}
			_ = response.Body.Close()
		})
	}
}

func TestAnUploadIsSentAgainOnlyIfNothingOfItWasAskedFor(t *testing.T) {
	got := make(chan string, 2)
	answering := func(status string) (url string) {
		return newSlowUpstream(t, func(c net.Conn, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- status + string(body)
			say(c, "HTTP/1.1 "+status+" X\r\nContent-Length: 0\r\n\r\n")
		})
	}
	busy, fine := answering("503"), answering("200")
	for name, c := range map[string]struct {
		first  string
		status int
		got    string
	}{
		"the first cannot be reached": {"http://127.0.0.1:1", 200, "200hello"},
		"the first has read it":       {busy, 503, "503hello"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, c.first, func(s *setup) {
				s.config.Upstreams = append(s.config.Upstreams, upstreamAt("other", fine))
				s.config.Files[0].Rules[0].Action = rules.Action{
					Upstreams: []rules.Entry{{Name: "up"}}, Fallback: []rules.Entry{{Name: "other"}},
					Retry: &rules.Retry{On: rules.RetryWhen(rules.OnConnect|rules.OnReset|rules.OnTimeout, 503)},
				}
			})
			r := g.post("/own", "hello")
			r.Header.Set("Content-Type", "text/plain")
			response, _, err := g.do(r)
			if err != nil || response.StatusCode != c.status {
				t.Errorf("%d %v", response.StatusCode, err)
			}
			if arrived := waitFor(t, got); arrived != c.got || len(got) > 0 {
				t.Errorf("arrived %q", arrived)
			}
		})
	}
}

// Whatever the client does, nothing reads its body once the exchange is over.
func TestAnUploadIsTakenBack(t *testing.T) {
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/", server)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{options: Options{ReadStall: time.Hour, MaxBody: 100}}
	x := &exchange{p: p, r: r, rc: http.NewResponseController(pipeWriter{server}), started: time.Now()}
	x.ctx, x.cancel = context.WithCancelCause(t.Context())
	if f := x.beginUpload(); f != nil {
		t.Fatal(f)
	}
	w := &watch{began: time.Now()}
	first := x.upload.lend(w)
	if !x.upload.reclaim() {
		t.Error("a body that nobody asked for cannot be had back")
	}
	if _, err := first.Read(make([]byte, 1)); err != errUploadOver {
		t.Errorf("a former holder reads: %v", err)
	}
	second := x.upload.lend(w)
	read := make(chan error)
	go func() {
		_, err := second.Read(make([]byte, 10))
		read <- err
	}()
	for deadline := time.Now().Add(patience); !x.upload.wasBegun(); {
		if time.Now().After(deadline) {
			t.Fatal("nobody reads")
		}
	}
	if x.upload.reclaim() {
		t.Error("a body that is being read was had back")
	}
	x.upload.end() // makes the read return
	if err := waitFor(t, read); err != errUploadOver {
		t.Errorf("the read ends with %v", err)
	}
	if _, err := second.Read(make([]byte, 1)); err != errUploadOver {
		t.Errorf("a read after the end: %v", err)
	}
	if x.ctx.Err() != nil {
		t.Error("taking the body back has ended the exchange")
	}
}

// pipeWriter is a ResponseWriter that knows read deadlines.
type pipeWriter struct{ conn net.Conn }

func (pipeWriter) Header() http.Header                  { return nil }
func (pipeWriter) Write([]byte) (int, error)            { return 0, nil }
func (pipeWriter) WriteHeader(int)                      {}
func (w pipeWriter) SetReadDeadline(at time.Time) error { return w.conn.SetReadDeadline(at) }

// The wait for an answer counts from the last byte of the upload, and the time
// that the client takes is not the upstream's.
func TestAnUploadThatTakesLongerThanAnAnswerMay(t *testing.T) {
	up := newSlowUpstream(t, func(c net.Conn, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/own" {
			say(c, answerText("text/plain", "ok"))
		}
	})
	g := newGateway(t, up, func(s *setup) {
		s.options.Timeouts = accounts.Timeouts{ResponseHeader: 200 * time.Millisecond}
	})
	conn := g.dial()
	say(conn, g.uploadHead(chunkedHead))
	for range 6 {
		<-time.After(100 * time.Millisecond)
		say(conn, chunk("x"))
	}
	<-time.After(300 * time.Millisecond)
	say(conn, "0\r\n\r\n")
	if response := answerOn(t, conn); response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}
	r := g.post("/silent", "hello")
	r.Header.Set("Content-Type", "text/plain")
	if response, _, _ := g.do(r); response.StatusCode != 504 {
		t.Errorf("an upstream that never answers: %d", response.StatusCode)
	}
}

// Where the server speaks HTTP/2, a read deadline ends a body that nobody reads,
// too; an upstream that takes its time must not cost the client its upload.
func TestAnUploadOverHTTP2MayWaitForItsUpstream(t *testing.T) {
	const stall = 300 * time.Millisecond
	up := newSlowUpstream(t, func(c net.Conn, r *http.Request) {
		<-time.After(3 * stall)
		n, err := io.Copy(io.Discard, r.Body)
		say(c, answerText("text/plain", fmt.Sprint(n, err)))
	})
	g := newGateway(t, up, func(s *setup) { s.options.ReadStall = stall })
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: g.proxy, Protocols: &protocols, ReadHeaderTimeout: patience}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	transport := &http.Transport{Protocols: &protocols}
	r := g.post("/own", strings.Repeat("x", 8<<20))
	r.URL.Host, r.ContentLength = l.Addr().String(), -1
	r.Header.Set("Content-Type", "application/octet-stream")
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || string(text) != "8388608 <nil>" {
		t.Errorf("%d %q %v", response.StatusCode, text, err)
	}
	transport.CloseIdleConnections()
	_ = server.Close()
	<-served
}

func TestRulesSeeTheSizeOfAnUploadWhereItIsAnnounced(t *testing.T) {
	up := newSlowUpstream(t, func(c net.Conn, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		say(c, answerText("text/plain", "ok"))
	})
	small, big := int64(11), int64(10)
	g := newGateway(t, up, func(s *setup) {
		s.config.Files[0].Rules = []rules.Rule{
			{Name: "rewritten", Match: rules.Match{Path: rules.Paths{Globs: []string{"/rewritten"}}}, Action: rules.Action{Upstream: "up", Model: "other"}},
			{Name: "big", Match: rules.Match{BodyBytes: &rules.Bounds{GT: &big}}, Action: rules.Action{Upstream: "up"}},
			{Name: "small", Match: rules.Match{BodyBytes: &rules.Bounds{LT: &small}}, Action: rules.Action{Upstream: "up"}},
			{Name: "unknown", Action: rules.Action{Upstream: "up"}},
		}
	})
	for name, c := range map[string]struct {
		path, framing, body string
		rule, code          string
	}{
		"a large one":              {"/own", "Content-Length: 11", "01234567890", "big", ""},
		"a small one":              {"/own", "Content-Length: 10", "0123456789", "small", ""},
		"none, known":              {"/own", "Content-Length: 0", "", "small", ""},
		"in chunks":                {"/own", chunkedHead, chunk("01234567890") + "0\r\n\r\n", "unknown", ""},
		"a model that is not seen": {"/rewritten", "Content-Length: 13", `{"model":"m"}`, "rewritten", codeModelUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			conn := g.dial()
			say(conn, strings.Replace(g.uploadHead(c.framing), "/own", c.path, 1), c.body)
			response := answerOn(t, conn)
			line := g.line(response)
			if line["rule"] != c.rule || line["error"] != c.code || (response.StatusCode == 400) != (c.code != "") {
				t.Errorf("%d, log %v", response.StatusCode, line)
			}
		})
	}
}

// A signature is over the whole body, so the body is read whole for it.
func TestAnUploadIsHeldForAnUpstreamThatWantsASignature(t *testing.T) {
	got := make(chan string, 1)
	up := newSlowUpstream(t, func(c net.Conn, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- string(body) + fmt.Sprint(r.ContentLength, r.TransferEncoding)
		say(c, answerText("text/plain", "ok"))
	})
	const host = "bedrock-runtime.eu-central-1.amazonaws.com:80"
	g := newGateway(t, "http://"+host, func(s *setup) {
		s.options.Local = map[string]string{host: strings.TrimPrefix(up, "http://")}
		s.config.Upstreams[0].Provider, s.config.Upstreams[0].Auth = accounts.ProviderBedrock, ""
		s.config.Upstreams[0].Wires = []string{"openai-files"}
	})
	conn := g.dial()
	say(conn, g.uploadHead(chunkedHead), chunk("hello"), "0\r\n\r\n")
	if response := answerOn(t, conn); response.StatusCode != 200 {
		t.Fatalf("status %d", response.StatusCode)
	}
	if arrived := waitFor(t, got); arrived != "hello5 []" {
		t.Errorf("arrived %q", arrived)
	}
}

// A read that is just about to move its deadline does not take back the one that
// ends it.
func TestAnUploadIsTakenBackFromAReadThatBegins(t *testing.T) {
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/", server)
	if err != nil {
		t.Fatal(err)
	}
	w := &lateWriter{pipeWriter: pipeWriter{server}, moving: make(chan struct{}), ended: make(chan struct{})}
	p := &Proxy{options: Options{ReadStall: time.Hour, MaxBody: 100}}
	x := &exchange{p: p, r: r, rc: http.NewResponseController(w), started: time.Now()}
	x.ctx, x.cancel = context.WithCancelCause(t.Context())
	if f := x.beginUpload(); f != nil {
		t.Fatal(f)
	}
	body := x.upload.lend(&watch{began: time.Now()})
	read, taken := make(chan error, 1), make(chan int64, 1)
	go func() {
		_, err := body.Read(make([]byte, 10))
		read <- err
	}()
	<-w.moving
	go func() { taken <- x.upload.end() }()
	waitFor(t, taken)
	if err := waitFor(t, read); err != errUploadOver {
		t.Errorf("the read ends with %v", err)
	}
}

// lateWriter is slow to move a read deadline, unless it is one that has passed.
type lateWriter struct {
	pipeWriter
	once          sync.Once
	moving, ended chan struct{}
}

func (w *lateWriter) SetReadDeadline(at time.Time) error {
	if at.After(longAgo) {
		w.once.Do(func() {
			close(w.moving)
			select {
			case <-w.ended:
			case <-time.After(50 * time.Millisecond):
			}
		})
		return w.pipeWriter.SetReadDeadline(at)
	}
	err := w.pipeWriter.SetReadDeadline(at)
	close(w.ended)
	return err
}
