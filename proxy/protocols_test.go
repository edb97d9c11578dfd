package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// protocol is a way in which a client may speak to the gateway.
type protocol struct {
	name  string
	tls   bool
	major int
}

func everyProtocol() []protocol {
	return []protocol{{"HTTP/1.1", false, 1}, {"HTTP/1.1 over TLS", true, 1}, {"HTTP/2", true, 2}, {"h2c", false, 2}}
}

// overHTTP2 are those where a connection is shared.
func overHTTP2() []protocol { return everyProtocol()[2:] }

// caller is a client of one connection that speaks a protocol.
type caller struct {
	*http.Client
	g     *gateway
	p     protocol
	dials atomic.Int32
}

// caller starts a gateway for a protocol, and a client for it.
func (p protocol) caller(t *testing.T, up string, changes ...func(*setup)) *caller {
	t.Helper()
	transport := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	if p.tls {
		cert := certificate(t, time.Now().Add(time.Hour))
		changes = append(changes, func(s *setup) { s.certificates = []tls.Certificate{cert} })
		roots := x509.NewCertPool()
		roots.AddCert(cert.Leaf)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	c := &caller{Client: &http.Client{Transport: transport}, g: newGateway(t, up, changes...), p: p}
	transport.Protocols.SetHTTP1(p.major == 1)
	transport.Protocols.SetHTTP2(p.major == 2 && p.tls)
	transport.Protocols.SetUnencryptedHTTP2(p.major == 2 && !p.tls)
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c.dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return c
}

// post is the gateway's post with the scheme of the protocol.
func (c *caller) post(path, body string) *http.Request {
	r := c.g.post(path, body)
	if c.p.tls {
		r.URL.Scheme = "https"
	}
	return r
}

func (c *caller) send(r *http.Request) *http.Response {
	c.g.t.Helper()
	response, err := c.Do(r)
	if err != nil {
		c.g.t.Fatal(err)
	}
	c.g.t.Cleanup(func() { _ = response.Body.Close() })
	if response.ProtoMajor != c.p.major {
		c.g.t.Fatalf("the answer came over %s", response.Proto)
	}
	return response
}

func TestAnExchangeIsTheSameOverEveryProtocol(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		if r.Host == "" || r.Header.Get("Te") != "" || r.Header.Get("Cookie") != "" || r.Header.Get("Connection") != "" {
			t.Errorf("the upstream saw %v of host %q", r.Header, r.Host)
		}
		switch r.URL.Path {
		case "/broken":
			say(c, streamHead, chunk(firstEvent))
			return false
		case "/trailers":
			say(c, streamHead, chunk(firstEvent), chunk("data: [DONE]\n\n"), "0\r\nX-Sum: 1\r\n\r\n")
			return true
		}
		say(c, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nContent-Type: text/plain\r\nX-Kept: 1\r\nContent-Length: 65536\r\n\r\n", strings.Repeat("x", 65536))
		return true
	})
	for _, p := range everyProtocol() {
		t.Run(p.name, func(t *testing.T) {
			for name, c := range map[string]struct {
				path    string
				status  int
				body    string // it begins with
				broken  bool
				trailer string
				reason  string
				change  func(*http.Request)
			}{
				"a document":          {"/plain", 200, strings.Repeat("x", 65536), false, "", "complete", func(r *http.Request) { r.Header.Set("Te", "trailers"); r.Header["Cookie"] = []string{"a=1", "b=2"} }},
				"trailers":            {"/trailers", 200, firstEvent + "data: [DONE]\n\n", false, "1", "complete", nil},
				"a broken stream":     {"/broken", 200, firstEvent, true, "", "upstream_error", nil},
				"a wrong key":         {"/plain", 401, `{"error":{"message":`, false, "", "rejected", func(r *http.Request) { r.Header.Set("Authorization", "Bearer sk-lgw-wrong") }},
				"an ambiguous path":   {"/a//b", 400, `{"error":{"message":`, false, "", "rejected", nil},
				"another expectation": {"/plain", 417, "", false, "", "rejected", func(r *http.Request) { r.Header.Set("Expect", "miracles") }},
			} {
				t.Run(name, func(t *testing.T) {
					caller := p.caller(t, up.url)
					r := caller.post(c.path, chatRequest)
					if c.change != nil {
						c.change(r)
					}
					response := caller.send(r)
					body, err := io.ReadAll(response.Body)
					if response.StatusCode != c.status || !strings.HasPrefix(string(body), c.body) || (err != nil) != c.broken {
						t.Fatalf("%d %.200q %v", response.StatusCode, body, err)
					}
					if response.Trailer.Get("X-Sum") != c.trailer {
						t.Errorf("trailers %v", response.Trailer)
					}
					for _, hop := range []string{"Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Connection"} {
						if p.major == 2 && response.Header.Get(hop) != "" {
							t.Errorf("%s: %s", hop, response.Header.Get(hop))
						}
					}
					if c.status == 417 && p.major == 1 {
						return // net/http says that by itself
					}
					if line := caller.g.line(response); line["end_reason"] != c.reason {
						t.Errorf("log %v", line)
					}
				})
			}
		})
	}
}

// A refusal must not take the connection from the requests beside it, as it
// has to over HTTP/1, where what follows might be the rest of a body.
func TestARefusedBodyLeavesASharedConnectionOpen(t *testing.T) {
	up := newWireUpstream(t, behave("ok"))
	for _, p := range overHTTP2() {
		t.Run(p.name, func(t *testing.T) {
			c := p.caller(t, up.url, func(s *setup) { s.options.MaxBody = 100 })
			for range 3 {
				if response := c.send(c.post("/x", strings.Repeat("x", 200))); response.StatusCode != http.StatusRequestEntityTooLarge {
					t.Errorf("%d", response.StatusCode)
				}
				if response := c.send(c.post("/x", "{}")); response.StatusCode != http.StatusOK {
					t.Errorf("%d", response.StatusCode)
				}
			}
			if dials := c.dials.Load(); dials != 1 {
				t.Errorf("%d connections", dials)
			}
		})
	}
}

func TestOneOfManyStreamsIsLeftAndTheOthersGoOn(t *testing.T) {
	for _, p := range overHTTP2() {
		t.Run(p.name, func(t *testing.T) {
			left, goOn := make(chan time.Time, 1), make(chan struct{})
			up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
				say(c, streamHead, chunk(firstEvent))
				select {
				case <-r.gone:
					left <- time.Now()
				case <-goOn:
					say(c, chunk("data: [DONE]\n\n"), "0\r\n\r\n")
				}
				return false
			})
			c := p.caller(t, up.url)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			leaving := c.send(c.post("/v1/chat/completions", chatRequest).WithContext(ctx))
			staying := c.send(c.post("/v1/chat/completions", chatRequest))
			for _, r := range []*http.Response{leaving, staying} {
				if _, err := io.ReadFull(r.Body, make([]byte, len(firstEvent))); err != nil {
					t.Fatal(err)
				}
			}
			leave()
			waitFor(t, left)
			if line := c.g.line(leaving); line["end_reason"] != "client_gone" {
				t.Errorf("log %v", line)
			}
			close(goOn)
			if rest, err := io.ReadAll(staying.Body); err != nil || string(rest) != "data: [DONE]\n\n" {
				t.Errorf("%q %v", rest, err)
			}
			if line := c.g.line(staying); line["end_reason"] != "complete" || c.dials.Load() != 1 {
				t.Errorf("log %v, %d connections", line, c.dials.Load())
			}
		})
	}
}

func TestADrainLetsTheStreamsOfASharedConnectionComeToTheirEnd(t *testing.T) {
	for _, p := range overHTTP2() {
		t.Run(p.name, func(t *testing.T) {
			goOn := make(chan struct{})
			up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
				say(c, streamHead, chunk(firstEvent))
				<-goOn
				say(c, chunk("data: [DONE]\n\n"), "0\r\n\r\n")
				return false
			})
			c := p.caller(t, up.url)
			response := c.send(c.post("/v1/chat/completions", chatRequest))
			done := make(chan struct{})
			go func() { defer close(done); c.g.server.Drain(context.Background(), 0, 0) }()
			c.g.notReady()
			waitFor(t, refused(t, c.g.addr))
			close(goOn)
			if body, err := io.ReadAll(response.Body); err != nil || string(body) != firstEvent+"data: [DONE]\n\n" {
				t.Errorf("%q %v", body, err)
			}
			waitFor(t, done)
			if line := c.g.line(response); line["end_reason"] != "complete" {
				t.Errorf("log %v", line)
			}
		})
	}
}

// The same as over HTTP/1: the drain's second signal is told in the protocol's
// words, and the stream does not end as if it were whole.
func TestADrainCutsAStreamOfASharedConnection(t *testing.T) {
	for _, p := range overHTTP2() {
		t.Run(p.name, func(t *testing.T) {
			up := newWireUpstream(t, func(c net.Conn, r *sent) bool { say(c, streamHead, chunk(firstEvent)); <-r.gone; return false })
			c := p.caller(t, up.url)
			response := c.send(c.post("/v1/chat/completions", chatRequest))
			if _, err := io.ReadFull(response.Body, make([]byte, len(firstEvent))); err != nil {
				t.Fatal(err)
			}
			ctx, second := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { defer close(done); c.g.server.Drain(ctx, time.Hour, 0) }()
			second()
			rest, err := io.ReadAll(response.Body)
			if !strings.HasPrefix(string(rest), `data: {"error":{"message":"the gateway is stopping`) || err == nil {
				t.Errorf("%q %v", rest, err)
			}
			waitFor(t, done)
			if line := c.g.line(response); line["end_reason"] != "drained" {
				t.Errorf("log %v", line)
			}
		})
	}
}

func TestAMethodThatAsksForATunnelIsRefused(t *testing.T) {
	for _, p := range everyProtocol() {
		t.Run(p.name, func(t *testing.T) {
			c := p.caller(t, "http://127.0.0.1:9")
			r := c.post("", "")
			r.Method, r.Host, r.Body = http.MethodConnect, "example.org:443", nil
			r.ContentLength = 0
			if response := c.send(r); response.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%d", response.StatusCode)
			}
		})
	}
}

func TestAnUpgradeToHTTP2IsIgnored(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		if r.Header.Get("Upgrade") != "" || r.Header.Get("Http2-Settings") != "" {
			t.Errorf("the upstream saw %v", r.Header)
		}
		say(c, answerText("text/plain", "ok"))
		return true
	})
	g := newGateway(t, up.url)
	r := g.post("/x", "{}")
	r.Header.Set("Connection", "Upgrade, HTTP2-Settings")
	r.Header.Set("Upgrade", "h2c")
	r.Header.Set("HTTP2-Settings", "AAMAAABkAAQAAP__")
	if response, body, err := g.do(r); response.StatusCode != 200 || response.ProtoMajor != 1 || string(body) != "ok" || err != nil {
		t.Errorf("%s %d %q %v", response.Proto, response.StatusCode, body, err)
	}
}

func TestInterimAnswersPassBeforeTheFinalOne(t *testing.T) {
	for _, p := range everyProtocol() {
		t.Run(p.name, func(t *testing.T) {
			up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
				say(c, "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\nX-Early: a\r\n\r\n",
					"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nConnection: x-hop\r\nX-Hop: 1\r\nAuthorization: Bearer x\r\nX-Echo: "+credentialCanary+"\r\n\r\n",
					"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nX-Final: 1\r\n\r\nok")
				return true
			})
			c := p.caller(t, up.url)
			var seen []string
			r := c.post("/x", "{}")
			response := c.send(r.WithContext(httptrace.WithClientTrace(r.Context(), interimTrace(&seen))))
			body, err := io.ReadAll(response.Body)
			if err != nil || string(body) != "ok" || response.Header.Get("X-Final") != "1" || response.Header.Get("Link")+response.Header.Get("X-Early") != "" {
				t.Errorf("%v %q %v", response.Header, body, err)
			}
			want := "102 X-Early; 103 Link"
			if p.major == 2 {
				want = "" // see informer
			}
			if got := strings.Join(seen, "; "); got != want {
				t.Errorf("the client saw %s", got)
			}
		})
	}
}
