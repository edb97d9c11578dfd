package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// anywhere dials whatever a test wants to talk to.
var anywhere = dialer(nil, rules.Everywhere)

// newTestTransport is a transport that ends with the test.
func newTestTransport(t testing.TB, change ...func(*accounts.Upstream)) *transport {
	t.Helper()
	u := &accounts.Upstream{IdleTimeout: patience}
	for _, c := range change {
		c(u)
	}
	own := newTransport(u, anywhere)
	t.Cleanup(own.closeIdle)
	return own
}

// rawUpstream answers each connection with handle, below HTTP.
func rawUpstream(t testing.TB, handle func(c net.Conn, in *bufio.Reader)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveRaw(t, l, handle)
}

func serveRaw(t testing.TB, l net.Listener, handle func(c net.Conn, in *bufio.Reader)) string {
	t.Helper()
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				cut := func() { _ = c.Close() }
				defer cut()
				defer context.AfterFunc(t.Context(), cut)() // which ends before the cleanup
				handle(c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	return "http://" + l.Addr().String()
}

// next reads one request whole; false where the connection ended.
func next(in *bufio.Reader) (*http.Request, string, bool) {
	r, err := http.ReadRequest(in)
	if err != nil {
		return nil, "", false
	}
	body, err := io.ReadAll(r.Body)
	return r, string(body), err == nil
}

// What an upstream sends beyond its answer never answers the next request.
func TestUnaskedBytesNeverAnswerTheNextRequest(t *testing.T) {
	forged := "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
	for name, c := range map[string]struct{ method, answer string }{
		"behind a length":            {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		"behind no body":             {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		"behind chunks":              {"POST", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
		"behind a 204":               {"POST", "HTTP/1.1 204 No Content\r\n\r\n"},
		"behind a 304":               {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n"},
		"behind the head for a HEAD": {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n"},
	} {
		for _, when := range []string{"at once", "a little later", "much later"} {
			for _, secure := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, TLS %v", name, when, secure), func(t *testing.T) {
					answered, sent := make(chan struct{}), make(chan struct{})
					own := newTestTransport(t)
					handle := func(conn net.Conn, in *bufio.Reader) {
						r, _, ok := next(in)
						switch {
						case !ok:
							return
						case r.URL.Path != "/first":
							say(conn, answerText("text/plain", "own"))
							return
						case when == "at once":
							say(conn, c.answer+forged)
						case when == "a little later":
							say(conn, c.answer, forged)
						default:
							say(conn, c.answer)
							<-answered
							say(conn, forged)
						}
						close(sent)
						_, _ = in.Peek(1)
					}
					address := upstreamOver(t, own, secure, handle)
					first := carry(t.Context(), own.do, newTestAttempt(t, c.method, address+"/first", ""))
					if first.err != nil || first.broken != nil || strings.Contains(first.body, "forged") {
						t.Fatal(first)
					}
					close(answered)
					waitFor(t, sent)
					second := newTestAttempt(t, "POST", address+"/second", "{}")
					if got := carry(t.Context(), own.do, second); got.err != nil || got.body != "own" || second.reused {
						t.Errorf("the next request got %s, on a used connection: %v", got, second.reused)
					}
				})
			}
		}
	}
}

// upstreamOver is a raw upstream, in the clear or behind TLS.
func upstreamOver(t *testing.T, own *transport, secure bool, handle func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	if secure {
		return secureUpstream(t, own, handle)
	}
	return rawUpstream(t, handle)
}

// secureUpstream is a raw upstream behind TLS, which own trusts.
func secureUpstream(t *testing.T, own *transport, handle func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	cert := certificate(t, time.Now().Add(time.Hour))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	own.trust(cert)
	return strings.Replace(serveRaw(t, l, handle), "http://", "https://", 1)
}

func (t *transport) trust(cert tls.Certificate) {
	t.wire.tls.RootCAs = x509.NewCertPool()
	t.wire.tls.RootCAs.AddCert(cert.Leaf)
}

func TestAConnectionIsUsedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		again  bool
	}{
		"a length":                {answerText("text/plain", "ok"), true},
		"chunks":                  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true},
		"chunks and trailers":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: 1\r\n\r\n", true},
		"no body":                 {"HTTP/1.1 204 X\r\n\r\n", true},
		"an interim answer":       {"HTTP/1.1 103 X\r\n\r\n" + answerText("text/plain", "ok"), true},
		"it says close":           {"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok", false},
		"it says close as well":   {"HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: y, close\r\nContent-Length: 2\r\n\r\nok", false},
		"HTTP/1.0":                {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		"a 204 with a length":     {"HTTP/1.1 204 X\r\nContent-Length: 2\r\n\r\n", false},
		"a 304 in chunks":         {"HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n", false},
		"a 304 with its length":   {"HTTP/1.1 304 X\r\nContent-Length: 2\r\n\r\n", true},
		"a length of nothing":     {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true},
		"more than was announced": {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokk", false},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", name, secure), func(t *testing.T) {
				own := newTestTransport(t)
				handle := func(conn net.Conn, in *bufio.Reader) {
					for {
						if _, _, ok := next(in); !ok {
							return
						}
						say(conn, c.answer)
					}
				}
				address := upstreamOver(t, own, secure, handle)
				for n := range 3 {
					a := newTestAttempt(t, "POST", address, "{}")
					if got := carry(t.Context(), own.do, a); got.err != nil || got.broken != nil || a.reused != (c.again && n > 0) || a.dispatched != 1 {
						t.Fatalf("request %d: %s, reused %v, dispatched %d", n, got, a.reused, a.dispatched)
					}
					if a.reused == (a.connect > 0) {
						t.Errorf("request %d: reused %v, connected in %s", n, a.reused, a.connect)
					}
				}
			})
		}
	}
}

// dying answers well once on each connection, and then does what is said.
func dying(then func(c net.Conn, in *bufio.Reader, r *http.Request)) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, in *bufio.Reader) {
		if _, _, ok := next(in); !ok {
			return
		}
		say(c, answerText("text/plain", "ok"))
		r, _, ok := next(in)
		if ok {
			then(c, in, r)
		}
	}
}

func TestAStaleConnectionIsReplacedWhereNothingCanHaveBeenDone(t *testing.T) {
	hangUp := func(net.Conn, *bufio.Reader, *http.Request) {}
	for name, c := range map[string]struct {
		method, body string
		then         func(net.Conn, *bufio.Reader, *http.Request)
		dispatched   int
		well         bool
	}{
		"a GET, hung up on":          {"GET", "", hangUp, 2, true},
		"a HEAD, hung up on":         {"HEAD", "", hangUp, 2, true},
		"a POST, hung up on":         {"POST", "{}", hangUp, 1, false},
		"a GET with a body":          {"GET", "{}", hangUp, 1, false},
		"a POST without a body":      {"POST", "", hangUp, 1, false},
		"a DELETE, hung up on":       {"DELETE", "", hangUp, 1, false},
		"a GET, reset":               {"GET", "", func(c net.Conn, _ *bufio.Reader, _ *http.Request) { reset(c) }, 2, true},
		"a GET, begun to answer":     {"GET", "", func(c net.Conn, _ *bufio.Reader, _ *http.Request) { say(c, "HTTP/1.1 2") }, 1, false},
		"a GET after an interim one": {"GET", "", func(c net.Conn, _ *bufio.Reader, _ *http.Request) { say(c, "HTTP/1.1 103 X\r\n\r\n") }, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			own := newTestTransport(t)
			address := rawUpstream(t, dying(c.then))
			if got := carry(t.Context(), own.do, newTestAttempt(t, "GET", address, "")); got.err != nil {
				t.Fatal(got)
			}
			a := newTestAttempt(t, c.method, address, c.body)
			a.header.Set("Idempotency-Key", "changes nothing")
			got := carry(t.Context(), own.do, a)
			if (got.err == nil) != c.well || a.dispatched != c.dispatched {
				t.Errorf("%s, dispatched %d times", got, a.dispatched)
			}
		})
	}
}

func TestAnIdleConnectionThatTheUpstreamClosedIsNotUsed(t *testing.T) {
	closed := make(chan struct{}, 1)
	own := newTestTransport(t)
	address := rawUpstream(t, func(c net.Conn, in *bufio.Reader) {
		if _, _, ok := next(in); ok {
			say(c, answerText("text/plain", "ok"))
			_ = c.Close()
			closed <- struct{}{}
		}
	})
	for range 50 {
		a := newTestAttempt(t, "POST", address, "{}")
		if got := carry(t.Context(), own.do, a); got.err != nil || a.dispatched != 1 {
			t.Fatalf("%s, dispatched %d times", got, a.dispatched)
		}
		waitFor(t, closed)
	}
}

func TestIdleConnectionsAreFewAndGrowOld(t *testing.T) {
	ended := make(chan struct{}, 9)
	arrived, hold := make(chan struct{}, 3), make(chan struct{})
	address := rawUpstream(t, func(c net.Conn, in *bufio.Reader) {
		for {
			if _, _, ok := next(in); !ok {
				ended <- struct{}{}
				return
			}
			arrived <- struct{}{}
			<-hold
			say(c, answerText("text/plain", "ok"))
		}
	})
	own := newTestTransport(t, func(u *accounts.Upstream) { u.MaxIdle, u.IdleTimeout = 2, 300*time.Millisecond })
	answered := make(chan outcome, 3)
	for range 3 {
		a := newTestAttempt(t, "POST", address, "{}")
		go func() { answered <- carry(t.Context(), own.do, a) }()
	}
	for range 3 {
		waitFor(t, arrived)
	}
	began := time.Now()
	close(hold)
	for range 3 {
		if got := waitFor(t, answered); got.err != nil {
			t.Fatal(got)
		}
	}
	waitFor(t, ended) // one too many
	waitFor(t, ended)
	waitFor(t, ended)
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("they were kept for %s", took)
	}
	if own.wire.idle.pop(authority{}) != nil || len(own.wire.idle.conns) != 0 {
		t.Error("something is still kept")
	}
}

func TestTheEndOfTheContextEndsWhateverIsUnderWay(t *testing.T) {
	ended := errors.New("ended")
	for name, c := range map[string]struct {
		answer string
		size   int
	}{
		"waiting for a head":    {"", 10},
		"in the head":           {"HTTP/1.1 200 OK\r\n", 10},
		"writing a large body":  {"", 64 << 20},
		"waiting for the body":  {streamHead, 10},
		"in the middle of body": {streamHead + "5\r\nhel", 10},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TLS %v", name, secure), func(t *testing.T) {
				reached, over, gone := make(chan struct{}), make(chan struct{}), make(chan struct{})
				own := newTestTransport(t)
				handle := func(conn net.Conn, in *bufio.Reader) {
					if _, err := http.ReadRequest(in); err != nil {
						return
					}
					say(conn, c.answer)
					close(reached)
					if c.size > 1000 {
						<-over // nothing of it is read until then
					}
					_, _ = io.Copy(io.Discard, in)
					close(gone)
				}
				address := upstreamOver(t, own, secure, handle)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				var left time.Time
				go func() {
					<-reached
					left = time.Now()
					cancel(ended)
				}()
				a := newTestAttempt(t, "POST", address, strings.Repeat("x", c.size))
				got := carry(ctx, own.do, a)
				close(over)
				if err := errors.Join(got.err, got.broken); !errors.Is(err, ended) {
					t.Errorf("%v", err)
				}
				if took := time.Since(left); took > time.Second {
					t.Errorf("ended after %s", took)
				}
				waitFor(t, gone)
				if a.lent.Load() != 0 {
					t.Error("the body is still lent")
				}
			})
		}
	}
}

func TestInterimAnswersAreTold(t *testing.T) {
	address := rawUpstream(t, func(c net.Conn, in *bufio.Reader) {
		if _, _, ok := next(in); ok {
			say(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 102 X\r\n\r\n", answerText("text/plain", "ok"))
		}
	})
	a := newTestAttempt(t, "POST", address, "{}")
	got := carry(t.Context(), newTestTransport(t).do, a)
	if got.body != "ok" || fmt.Sprint(got.interim) != "[103 102]" || a.informed != 3 {
		t.Errorf("%s, informed %d times", got, a.informed)
	}
}

func TestAProtocolIsChanged(t *testing.T) {
	own := newTestTransport(t)
	address := secureUpstream(t, own, func(c net.Conn, in *bufio.Reader) {
		r, _, ok := next(in)
		if !ok || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" {
			return
		}
		say(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly ")
		_, _ = io.Copy(c, in)
	})
	a := newTestAttempt(t, "GET", address, "")
	a.upgrade, a.header = true, http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
	ctx, cancel := context.WithCancel(t.Context())
	answer, err := own.do(ctx, a, func() {})
	if err != nil || answer.status != 101 || answer.upgraded == nil {
		t.Fatalf("%+v %v", answer, err)
	}
	cancel() // from here on the connection is the caller's
	if _, err := io.WriteString(answer.upgraded, "and late"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("early and late"))
	if _, err := io.ReadFull(answer.upgraded, got); err != nil || string(got) != "early and late" {
		t.Errorf("%q %v", got, err)
	}
	if err := answer.upgraded.Close(); err != nil {
		t.Error(err)
	}
}

// What is not read of an answer costs its connection, unless it is there.
func TestClosingABodyEarly(t *testing.T) {
	for name, c := range map[string]struct {
		now   string
		again bool
	}{
		"all of it has come":               {answerText("text/plain", "hello"), true},
		"all of its chunks have come":      {streamHead + chunk("hello") + "0\r\n\r\n", true},
		"some of it is missing":            {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", false},
		"its last chunk is missing":        {streamHead + chunk("hello"), false},
		"it goes on until the close":       {"HTTP/1.1 200 OK\r\n\r\nhello", false},
		"more has come than was announced": {answerText("text/plain", "hello") + "x", false},
	} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan struct{}, 2)
			address := rawUpstream(t, func(conn net.Conn, in *bufio.Reader) {
				for {
					if _, _, ok := next(in); !ok {
						gone <- struct{}{}
						return
					}
					say(conn, c.now)
				}
			})
			own := newTestTransport(t)
			for n := range 2 {
				a := newTestAttempt(t, "POST", address, "{}")
				answer, err := own.do(t.Context(), a, func() {})
				if err != nil {
					t.Fatal(err)
				}
				answer.close()
				answer.close()
				if _, err := answer.body.Read(make([]byte, 1)); err == nil {
					t.Error("a closed body can be read")
				}
				if n == 1 && a.reused != c.again {
					t.Errorf("reused %v", a.reused)
				}
				if !c.again {
					waitFor(t, gone)
				}
			}
		})
	}
}

func TestWhereAURLIsDialled(t *testing.T) {
	for address, want := range map[string]string{
		"http://a": "a:80", "https://a": "a:443", "https://a:8443/x": "a:8443", "http://[::1]": "[::1]:80", "https://[::1]:1": "[::1]:1",
	} {
		to, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := dialAddress(to); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}
