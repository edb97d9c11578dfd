package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestHowARequestIsWritten(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*attempt)
		want   string
	}{
		"a body":   {func(a *attempt) { a.body = []byte("{}") }, "POST /p?q=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\n\r\n{}"},
		"no body":  {func(*attempt) {}, "POST /p?q=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"},
		"a GET":    {func(a *attempt) { a.method = "GET" }, "GET /p?q=1 HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		"a DELETE": {func(a *attempt) { a.method = "DELETE" }, "DELETE /p?q=1 HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		"headers by name": {func(a *attempt) {
			a.header = http.Header{"X-B": {"2", "3"}, "Accept": {" a\tb "}, "User-Agent": {"me"}, "Host": {"evil"}, "Content-Length": {"9"}, "Trailer": {"x"}, "Transfer-Encoding": {"x"}}
		}, "POST /p?q=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\nAccept: a\tb\r\nUser-Agent: me\r\nX-B: 2\r\nX-B: 3\r\n\r\n"},
		"a stream": {func(a *attempt) {
			a.stream, a.length = io.MultiReader(strings.NewReader("he"), strings.NewReader("llo")), -1
		}, "POST /p?q=1 HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"},
		"a stream of a length":    {func(a *attempt) { a.stream, a.length = strings.NewReader("hello"), 5 }, "POST /p?q=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello"},
		"a stream of no length":   {func(a *attempt) { a.stream, a.length = strings.NewReader(""), 0 }, "POST /p?q=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"},
		"an empty stream":         {func(a *attempt) { a.stream, a.length = strings.NewReader(""), -1 }, "POST /p?q=1 HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		"no path":                 {func(a *attempt) { a.url.Path = "" }, "POST /?q=1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"},
		"an escaped path":         {func(a *attempt) { a.url.Path, a.url.RawPath = "/a/b c", "/a%2Fb%20c" }, "POST /a%2Fb%20c"},
		"a line break in a value": {func(a *attempt) { a.header.Set("X-A", "1\r\nX-B: 2") }, ""},
		"a NUL in a value":        {func(a *attempt) { a.header.Set("X-A", "1\x00") }, ""},
		"a space in a name":       {func(a *attempt) { a.header["X A"] = []string{"1"} }, ""},
		"a line break in a query": {func(a *attempt) { a.url.RawQuery = "a\r\nX: 1" }, ""},
		"a space in a method":     {func(a *attempt) { a.method = "GET /x" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan string, 1)
			address := rawUpstream(t, func(c net.Conn, in *bufio.Reader) {
				var text bytes.Buffer
				if _, _, ok := next(bufio.NewReader(io.TeeReader(in, &text))); !ok {
					return
				}
				arrived <- text.String()
				say(c, answerText("text/plain", "ok"))
			})
			a := newTestAttempt(t, "POST", address+"/p?q=1", "")
			c.change(a)
			got := carry(t.Context(), newTestTransport(t).do, a)
			if c.want == "" {
				if got.err == nil || a.dispatched != 0 {
					t.Errorf("%s, dispatched %d times", got, a.dispatched)
				}
				return
			}
			text := strings.ReplaceAll(waitFor(t, arrived), strings.TrimPrefix(address, "http://"), "HOST")
			if got.err != nil || !strings.HasPrefix(text, c.want) || strings.Contains(c.want, "\r\n\r\n") && text != c.want {
				t.Errorf("%v, wrote %q", got.err, text)
			}
		})
	}
}

// Bodies of every size arrive whole, in the clear and over TLS, and the
// connection is used again after them.
func TestABodyOfAnySizeArrivesWhole(t *testing.T) {
	for _, secure := range []bool{false, true} {
		own := newTestTransport(t)
		handle := func(c net.Conn, in *bufio.Reader) {
			for {
				_, body, ok := next(in)
				if !ok {
					return
				}
				say(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)), body)
			}
		}
		address := upstreamOver(t, own, secure, handle)
		made := 0
		for _, size := range []int{0, 1, 7000, 8 << 10, 9000, inlineBytes, inlineBytes + 1, 100_000, 5 << 20} {
			body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
			for _, streamed := range []bool{false, true} {
				a := newTestAttempt(t, "POST", address, body)
				if streamed {
					a.stream, a.body, a.length = strings.NewReader(body), nil, -1
				}
				got := carry(t.Context(), own.do, a)
				if got.err != nil || got.broken != nil || got.body != body {
					t.Fatalf("TLS %v, %d bytes, streamed %v: %v %v, %d bytes came back", secure, size, streamed, got.err, got.broken, len(got.body))
				}
				if a.lent.Load() != 0 {
					t.Error("the body is still lent")
				}
				if !a.reused {
					made++
				}
			}
		}
		if made > 9 { // a last write that is slow to return may cost one now and then
			t.Errorf("TLS %v: 18 requests on %d connections", secure, made)
		}
	}
}

// An upstream may refuse a body before it has read it.
func TestAnEarlyAnswerIsReadWhileTheBodyIsStillWritten(t *testing.T) {
	for _, streamed := range []bool{false, true} {
		t.Run(fmt.Sprintf("streamed %v", streamed), func(t *testing.T) {
			answered := make(chan struct{})
			own := newTestTransport(t)
			address := rawUpstream(t, func(c net.Conn, in *bufio.Reader) {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				if r.URL.Path == "/second" {
					say(c, answerText("text/plain", "ok"))
					return
				}
				say(c, "HTTP/1.1 413 X\r\nContent-Length: 3\r\n\r\nbig")
				<-answered // and nothing of the body is read
			})
			a := newTestAttempt(t, "POST", address+"/first", strings.Repeat("x", 32<<20))
			if streamed {
				a.stream, a.length, a.body = strings.NewReader(string(a.body)), int64(len(a.body)), nil
			}
			got := carry(t.Context(), own.do, a)
			close(answered)
			if got.err != nil || got.broken != nil || got.status != 413 || got.body != "big" {
				t.Fatal(got)
			}
			if a.lent.Load() != 0 {
				t.Error("the body is still lent")
			}
			second := newTestAttempt(t, "POST", address+"/second", "")
			if got := carry(t.Context(), own.do, second); got.err != nil || second.reused {
				t.Errorf("%s, on a used connection: %v", got, second.reused)
			}
		})
	}
}

var errClientBroke = errors.New("the client broke off")

// A body that breaks off must not look whole to the upstream.
func TestAStreamThatBreaksBreaksTheRequest(t *testing.T) {
	for name, c := range map[string]struct {
		stream io.Reader
		length int64
		want   error
	}{
		"in chunks":                 {io.MultiReader(strings.NewReader("hello"), failing{}), -1, errClientBroke},
		"within its length":         {io.MultiReader(strings.NewReader("hello"), failing{}), 10, errClientBroke},
		"shorter than it announced": {strings.NewReader("hello"), 10, errShortStream},
	} {
		t.Run(name, func(t *testing.T) {
			whole := make(chan bool, 1)
			address := rawUpstream(t, func(_ net.Conn, in *bufio.Reader) {
				_, _, ok := next(in)
				whole <- ok
			})
			a := newTestAttempt(t, "POST", address, "")
			a.stream, a.length = c.stream, c.length
			got := carry(t.Context(), newTestTransport(t).do, a)
			if !errors.Is(got.err, c.want) || a.dispatched != 1 || waitFor(t, whole) {
				t.Errorf("%s, dispatched %d times", got, a.dispatched)
			}
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errClientBroke }
