package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A second request sent right behind the first gets its own answer, or none:
// whatever the first answer was, its end is where the client thinks it is.
func TestTheRequestBehindAnotherGetsItsOwnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		method, answer string
		status         int
		body           string
	}{
		"a length":                     {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
		"chunks":                       {"POST", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"},
		"chunks and a length":          {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 502, "*"},
		"no body":                      {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, ""},
		"a 204 with a length":          {"POST", "HTTP/1.1 204 X\r\nContent-Length: 2\r\n\r\nok", 204, ""},
		"a 304 with a length":          {"GET", "HTTP/1.1 304 X\r\nContent-Length: 2\r\n\r\n", 304, ""},
		"a HEAD with a length":         {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 200, ""},
		"a HEAD with chunks":           {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, ""},
		"a HEAD of a stream":           {"HEAD", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", 200, ""},
		"a 205":                        {"POST", "HTTP/1.1 205 X\r\nContent-Length: 0\r\n\r\n", 205, ""},
		"a 999":                        {"POST", "HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\nok", 999, "ok"},
		"a 600 with the connection":    {"POST", "HTTP/1.1 600 X\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 600, "ok"},
		"the same length twice":        {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
		"a 1xx before":                 {"POST", "HTTP/1.1 103 X\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
		"two lengths that differ":      {"POST", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", 502, "*"},
		"a coding nobody knows":        {"POST", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", 502, "*"},
		"no HTTP":                      {"POST", "SSH-2.0-OpenSSH\r\n", 502, "*"},
		"a head without end":           {"POST", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 300<<10), 502, "*"},
		"a refusal of our credential":  {"POST", "HTTP/1.1 401 X\r\nContent-Length: 1000000\r\n\r\nno", 502, "*"},
		"a header with a bare newline": {"POST", "HTTP/1.1 200 OK\r\nX-A: b\nX-C: d\r\nContent-Length: 2\r\n\r\nok", 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			up := newWireUpstream(t, func(conn net.Conn, r *sent) bool {
				if r.URL.Path == "/second" {
					say(conn, answerText("text/plain", "second"))
					return true
				}
				say(conn, c.answer)
				return false
			})
			g := newGateway(t, up.url)
			conn := g.dial()
			key := " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + g.key + "\r\n"
			first := c.method + " /first" + key + "\r\n"
			if c.method == http.MethodPost {
				first = c.method + " /first" + key + "Content-Length: 2\r\n\r\n{}"
			}
			say(conn, first+"GET /second"+key+"\r\n")
			in := bufio.NewReader(conn)
			response, body := readAnswer(t, in, c.method)
			if response.StatusCode != c.status || c.body != "*" && body != c.body {
				t.Fatalf("%d %q", response.StatusCode, body)
			}
			if response.Close {
				t.Fatal("the connection was not kept")
			}
			if response, body = readAnswer(t, in, http.MethodGet); response.StatusCode != 200 || body != "second" {
				t.Errorf("then %d %q", response.StatusCode, body)
			}
		})
	}
}

func readAnswer(t *testing.T, in *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	response, err := http.ReadResponse(in, &http.Request{Method: method})
	for err == nil && response.StatusCode < http.StatusOK { // comes before the answer
		response, err = http.ReadResponse(in, &http.Request{Method: method})
	}
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response, string(body)
}

// Old clients know no chunks, and get no second request: nobody can tell where
// theirs ends.
func TestAnOldClientIsAnsweredAsItUnderstands(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		if r.URL.Path == "/length" {
			say(c, answerText("text/plain", "ok"))
			return true
		}
		say(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n", chunk("o"), chunk("k"), "0\r\nX-Sum: 1\r\n\r\n")
		return true
	})
	g := newGateway(t, up.url)
	for name, c := range map[string]struct{ path, header string }{
		"chunks, connection to be kept": {"/chunks", "Connection: keep-alive\r\n"},
		"chunks":                        {"/chunks", ""},
		"length":                        {"/length", ""},
		"length, connection to be kept": {"/length", "Connection: keep-alive\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := g.dial()
			say(conn, "GET ", c.path, " HTTP/1.0\r\nAuthorization: Bearer ", g.key, "\r\n", c.header, "\r\n")
			response, body := readAnswer(t, bufio.NewReader(conn), http.MethodGet)
			if body != "ok" || len(response.TransferEncoding) != 0 || !response.Close {
				t.Errorf("%q, coding %v, close %v", body, response.TransferEncoding, response.Close)
			}
		})
	}
}

// A client that asks first is told to go on only when it is known who it is.
func TestOnlyAKnownCallerIsToldToGoOn(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		if r.Header.Get("Expect") != "" {
			t.Error("Expect was passed on, though it was answered")
		}
		say(c, answerText("text/plain", string(r.body)))
		return true
	})
	g := newGateway(t, up.url)
	for _, key := range []string{g.key, "nobody"} {
		conn := g.dial()
		say(conn, "POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\nAuthorization: Bearer ", key, "\r\n\r\n")
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if key != g.key {
			if response.StatusCode != 401 || !response.Close {
				t.Errorf("a stranger: %d, close %v", response.StatusCode, response.Close)
			}
			continue
		}
		if response.StatusCode != 100 {
			t.Fatalf("a caller: %d", response.StatusCode)
		}
		say(conn, "{}")
		if response, body := readAnswer(t, in, http.MethodPost); response.StatusCode != 200 || body != "{}" {
			t.Errorf("%d %q", response.StatusCode, body)
		}
	}
}
