package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// http2Upstream is an upstream that chooses HTTP/2 as long as it says so.
type http2Upstream struct {
	*httptest.Server
	own    *transport
	made   atomic.Int32 // connections
	chosen atomic.Bool
}

func newHTTP2Upstream(t *testing.T, handle http.HandlerFunc) *http2Upstream {
	t.Helper()
	u := &http2Upstream{Server: httptest.NewUnstartedServer(handle), own: newTestTransport(t)}
	u.chosen.Store(true)
	u.EnableHTTP2 = true
	cert := certificate(t, time.Now().Add(time.Hour))
	u.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	u.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			u.made.Add(1)
		}
	}
	u.Config.ErrorLog = NewServer(&Proxy{}).http.ErrorLog
	u.StartTLS()
	u.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if u.chosen.Load() {
			return nil, nil
		}
		old := u.TLS.Clone()
		old.GetConfigForClient, old.NextProtos = nil, []string{"http/1.1"}
		return old, nil
	}
	u.own.trust(cert)
	t.Cleanup(func() { u.own.closeIdle(); u.Close() })
	return u
}

func TestAnUpstreamThatChoosesHTTP2GetsIt(t *testing.T) {
	events := strings.Repeat("data: {\"choices\":[]}\n\n", 2000)
	u := newHTTP2Upstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Proto", r.Proto)
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength, len(body)))
		w.WriteHeader(http.StatusEarlyHints)
		for rest := events; rest != ""; rest = rest[22*100:] {
			_, _ = io.WriteString(w, rest[:22*100])
			w.(http.Flusher).Flush()
		}
		w.Header().Set("X-Sum", "1")
	})
	for n := range 3 {
		a := newTestAttempt(t, "POST", u.URL, strings.Repeat("x", 100_000))
		got := carry(t.Context(), u.own.do, a)
		if got.err != nil || got.broken != nil || got.body != events || got.header.Get("X-Proto") != "HTTP/2.0" || got.header.Get("X-Length") != "100000 100000" {
			t.Fatalf("%v %v, %d bytes, %v", got.err, got.broken, len(got.body), got.header)
		}
		if got.trailer.Get("X-Sum") != "1" || !got.framed || fmt.Sprint(got.interim) != "[103]" {
			t.Errorf("trailers %v, framed %v, interim %v", got.trailer, got.framed, got.interim)
		}
		if a.dispatched != 1 || a.reused != (n > 0) || a.reused == (a.connect > 0) || a.lent.Load() != 0 {
			t.Errorf("request %d: dispatched %d, reused %v, connected in %s, lent %d", n, a.dispatched, a.reused, a.connect, a.lent.Load())
		}
	}
	if made := u.made.Load(); made != 1 {
		t.Errorf("%d connections", made)
	}
}

func TestManyAtOnceLearnOfHTTP2(t *testing.T) {
	u := newHTTP2Upstream(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if got := carry(t.Context(), u.own.do, newTestAttempt(t, "POST", u.URL, "{}")); got.body != "HTTP/2.0" {
				t.Error(got)
			}
		})
	}
	all.Wait()
}

func TestAResetStreamNeverEndsClean(t *testing.T) {
	u := newHTTP2Upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "data: {}\n\n")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	if got := carry(t.Context(), u.own.do, newTestAttempt(t, "POST", u.URL, "{}")); got.err == nil && got.broken == nil {
		t.Error(got)
	}
}

func TestAnHTTP2UpstreamIsCancelled(t *testing.T) {
	gone := make(chan time.Time, 1)
	u := newHTTP2Upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		gone <- time.Now()
	})
	a, err := u.own.do(t.Context(), newTestAttempt(t, "POST", u.URL, "{}"), func() {})
	if err != nil {
		t.Fatal(err)
	}
	left := time.Now()
	a.close()
	if took := waitFor(t, gone).Sub(left); took > time.Second {
		t.Errorf("after %s", took)
	}
}

// Behind a load balancer an upstream can change its mind, in both directions.
func TestAnUpstreamChangesItsProtocol(t *testing.T) {
	u := newHTTP2Upstream(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	for n := range 4 {
		want := map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[n%2 == 0]
		u.chosen.Store(n%2 == 0)
		u.CloseClientConnections()
		u.own.multiplexed.http.CloseIdleConnections()
		for range 2 {
			a := newTestAttempt(t, "POST", u.URL, "{}")
			if got := carry(t.Context(), u.own.do, a); got.body != want || a.dispatched != 1 {
				t.Errorf("wanted %s: %s", want, got)
			}
		}
	}
}

func TestAChangeOfProtocolNeedsHTTP1(t *testing.T) {
	u := newHTTP2Upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(w, r.Proto)
			return
		}
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		say(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello")
		_ = c.Close()
	})
	if got := carry(t.Context(), u.own.do, newTestAttempt(t, "POST", u.URL, "{}")); got.body != "HTTP/2.0" {
		t.Fatal(got)
	}
	a := newTestAttempt(t, "GET", u.URL, "")
	a.upgrade, a.header = true, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"x"}}
	answer, err := u.own.do(t.Context(), a, func() {})
	if err != nil || answer.upgraded == nil {
		t.Fatal(err)
	}
	defer answer.close()
	if got, err := io.ReadAll(answer.upgraded); string(got) != "hello" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

// frame is one of HTTP/2 (RFC 9113, section 4.1).
func h2Frame(kind, flags byte, stream uint32, payload ...byte) []byte {
	head := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(head, stream), payload...)
}

const (
	frameHeaders, frameReset, frameSettings, frameGoAway = 1, 3, 4, 7
	endStreamAndHeaders                                  = 5
	status200                                            = 0x88 // HPACK
)

// frameUpstream answers the headers of each request, by its number, in frames.
func frameUpstream(t *testing.T, own *transport, answer func(c net.Conn, n int, stream uint32)) string {
	t.Helper()
	cert := certificate(t, time.Now().Add(time.Hour))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	own.trust(cert)
	var count atomic.Int32
	address := serveRaw(t, l, func(c net.Conn, in *bufio.Reader) {
		preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
		if _, err := io.ReadFull(in, preface); err != nil {
			return
		}
		_, _ = c.Write(h2Frame(frameSettings, 0, 0))
		for {
			head := make([]byte, 9)
			if _, err := io.ReadFull(in, head); err != nil {
				return
			}
			if _, err := in.Discard(int(head[0])<<16 | int(head[1])<<8 | int(head[2])); err != nil {
				return
			}
			if head[3] == frameHeaders {
				answer(c, int(count.Add(1)), binary.BigEndian.Uint32(head[5:]))
			}
		}
	})
	return strings.Replace(address, "http://", "https://", 1)
}

func TestOnlyWhatAnHTTP2UpstreamDidNotDoIsSentAgain(t *testing.T) {
	well := func(stream uint32) []byte { return h2Frame(frameHeaders, endStreamAndHeaders, stream, status200) }
	resetWith := func(code byte) func(int, uint32) []byte {
		return func(_ int, stream uint32) []byte { return h2Frame(frameReset, 0, stream, 0, 0, 0, code) }
	}
	first := func(how func(int, uint32) []byte) func(int, uint32) []byte {
		return func(n int, stream uint32) []byte {
			if n == 1 {
				return how(n, stream)
			}
			return well(stream)
		}
	}
	for name, c := range map[string]struct {
		method, body string
		answer       func(n int, stream uint32) []byte
		sent         int32
		well         bool
	}{
		"well":                             {"POST", "{}", first(func(_ int, s uint32) []byte { return well(s) }), 1, true},
		"refused":                          {"POST", "{}", first(resetWith(7)), 2, true},
		"refused, without a body":          {"DELETE", "", first(resetWith(7)), 2, true},
		"refused again and again":          {"POST", "{}", resetWith(7), maxRefusals, false},
		"reset as malformed":               {"POST", "{}", first(resetWith(1)), 1, false},
		"reset as malformed, without body": {"DELETE", "", first(resetWith(1)), 1, false},
		"reset for an internal error":      {"POST", "{}", first(resetWith(2)), 1, false},
		"gone away before it":              {"POST", "{}", first(func(int, uint32) []byte { return h2Frame(frameGoAway, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) }), 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			own := newTestTransport(t)
			var sent atomic.Int32
			address := frameUpstream(t, own, func(conn net.Conn, n int, stream uint32) {
				sent.Store(int32(n))
				_, _ = conn.Write(c.answer(n, stream))
			})
			a := newTestAttempt(t, c.method, address, c.body)
			got := carry(t.Context(), own.do, a)
			if (got.err == nil) != c.well || sent.Load() != c.sent || int32(a.dispatched) != c.sent {
				t.Errorf("%s; sent %d times, dispatched %d", got, sent.Load(), a.dispatched)
			}
		})
	}
}

// blackhole passes bytes between two connections until it is told to swallow them.
func blackhole(t *testing.T, to string) (address string, swallow func()) {
	t.Helper()
	var swallowed atomic.Bool
	address = rawUpstream(t, func(c net.Conn, in *bufio.Reader) {
		up, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer func() { _ = up.Close() }()
		pass := func(out io.Writer, in io.Reader) {
			b := make([]byte, 4096)
			for {
				n, err := in.Read(b)
				if err != nil {
					return
				}
				if !swallowed.Load() {
					_, _ = out.Write(b[:n])
				}
			}
		}
		var back sync.WaitGroup
		back.Go(func() { pass(c, up) })
		pass(up, in)
		_ = up.Close()
		back.Wait()
	})
	return strings.TrimPrefix(address, "http://"), func() { swallowed.Store(true) }
}

// A connection on which nothing arrives any more would otherwise hold every
// stream on it for as long as they are waited for.
func TestADeadHTTP2ConnectionIsNoticed(t *testing.T) {
	u := newHTTP2Upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/stream" {
			<-r.Context().Done()
		}
	})
	config := u.own.multiplexed.http.HTTP2
	if config.SendPingTimeout != 15*time.Second || config.PingTimeout != 5*time.Second {
		t.Errorf("%+v", config)
	}
	config.SendPingTimeout, config.PingTimeout = 50*time.Millisecond, 50*time.Millisecond
	address, swallow := blackhole(t, u.Listener.Addr().String())
	a, err := u.own.do(t.Context(), newTestAttempt(t, "POST", "https://"+address+"/stream", "{}"), func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if _, err := a.body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	swallow()
	noticed := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, a.body)
		noticed <- err
	}()
	if err := waitFor(t, noticed); err == nil {
		t.Error("a clean end")
	}
}

// A whole exchange through the gateway, the upstream speaking HTTP/2.
func TestAStreamPassesFromHTTP2(t *testing.T) {
	events := []byte(strings.Repeat(firstEvent, 500) + "data: [DONE]\n\n")
	u := newHTTP2Upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for rest := events; len(rest) > 0; {
			n := min(len(rest), 333)
			_, _ = w.Write(rest[:n])
			w.(http.Flusher).Flush()
			rest = rest[n:]
		}
	})
	g := newGateway(t, u.URL)
	g.proxy.snapshot.Load().upstreams[0].carrier.wire.tls = u.own.wire.tls
	for range 3 {
		response, body, err := g.do(g.post("/v1/chat/completions", chatRequest))
		if err != nil || response.StatusCode != 200 || !bytes.Equal(body, events) {
			t.Fatalf("%d, %d bytes of %d, %v", response.StatusCode, len(body), len(events), err)
		}
		if line := g.line(response); line["end_reason"] != "complete" {
			t.Errorf("log %v", line)
		}
	}
	if made := u.made.Load(); made != 1 {
		t.Errorf("%d connections", made)
	}
}

// An upstream that gives up on an upload is heard at once, also while the client
// sends nothing.
func TestAnHTTP2UpstreamThatGivesUpOnAnUploadIsHeardAtOnce(t *testing.T) {
	u := newHTTP2Upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 3))
		panic(http.ErrAbortHandler)
	})
	g := newGateway(t, u.URL)
	g.proxy.snapshot.Load().upstreams[0].carrier.wire.tls = u.own.wire.tls
	c := g.dial()
	began := time.Now()
	say(c, g.uploadHead("Content-Length: 1000"), "abc")
	response := answerOn(t, c)
	if response.StatusCode != 502 || response.Header.Get("X-Llmgw-Error") != codeUpstreamReset || !response.Close {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	if took := time.Since(began); took > patience/4 {
		t.Errorf("after %s", took)
	}
	if line := g.accessLine(); line["end_reason"] != "upstream_error" || line["request_bytes"] != 3.0 {
		t.Errorf("log %v", line)
	}
}
