package proxy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// socketUpstream is an upstream that takes over the connection of a handshake.
type socketUpstream struct {
	url      string
	mu       sync.Mutex
	requests []*http.Request
}

// newSocketUpstream starts one. talk gets the connection after the request's
// head, which it answers itself.
func newSocketUpstream(t testing.TB, talk func(c net.Conn, in *bufio.Reader, r *http.Request)) *socketUpstream {
	t.Helper()
	u := &socketUpstream{}
	t.Cleanup(func() { u.sawNoKey(t) }) // after the upstream has ended
	u.url = rawUpstream(t, func(c net.Conn, in *bufio.Reader) {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		u.mu.Lock()
		u.requests = append(u.requests, r)
		u.mu.Unlock()
		talk(c, in, r)
	})
	return u
}

func (u *socketUpstream) sawNoKey(t testing.TB) {
	for _, r := range u.asked() {
		if strings.Contains(fmt.Sprint(r.URL, r.Header), accounts.KeyPrefix) {
			t.Errorf("the upstream saw a gateway key: %v %v", r.URL, r.Header)
		}
	}
}

func (u *socketUpstream) asked() []*http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.requests
}

// switched is an upstream's 101.
const switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: up-says-so\r\n\r\n"

// allowed makes the upstreams of a gateway take WebSockets.
func allowed(s *setup) {
	for i := range s.config.Upstreams {
		s.config.Upstreams[i].Websocket = true
	}
}

// socket is a client below WebSocket.
type socket struct {
	net.Conn
	in       *bufio.Reader
	response *http.Response
}

// handshake writes an opening handshake, and whatever early is, in one segment.
func (g *gateway) handshake(path, early string, headers ...string) *socket {
	g.t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close() })
	return g.handshakeOn(c, path, early, headers...)
}

func (g *gateway) handshakeOn(c net.Conn, path, early string, headers ...string) *socket {
	g.t.Helper()
	if len(headers) == 0 {
		headers = []string{"Authorization: Bearer " + g.key}
	}
	headers = append(headers, "Connection: keep-alive, Upgrade", "Upgrade: WebSocket",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "Host: gateway")
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		g.t.Fatal(err)
	}
	say(c, "GET "+path+" HTTP/1.1\r\n"+strings.Join(headers, "\r\n")+"\r\n\r\n"+early)
	return &socket{Conn: c, in: bufio.NewReader(c)}
}

// answered reads the answer's head, and the whole body where it is no 101.
func (s *socket) answered(t testing.TB) *http.Response {
	t.Helper()
	response, err := http.ReadResponse(s.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.response = response
	return response
}

func (s *socket) expect(t testing.TB, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(s.in, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got[:n], err, want)
	}
}

// rest is what comes until the end.
func (s *socket) rest() (string, error) {
	b, err := io.ReadAll(s.in)
	return string(b), err
}

// frame makes one frame.
func frame(first byte, payload string) string { return string(rawFrame(first, []byte(payload), nil)) }

func rawFrame(first byte, payload, mask []byte) []byte {
	b := []byte{first, 0}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	case n <= 0xffff:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if mask != nil {
		b[1] |= 0x80
		b = append(b, mask...)
	}
	at := len(b)
	b = append(b, payload...)
	for i := range payload {
		if mask != nil {
			b[at+i] ^= mask[i%4]
		}
	}
	return b
}

// farewell is a Close frame as it comes from the gateway.
func farewell(code uint16, reason string) string { return string(closeFrame(code, reason)) }

const realtime = "/v1/realtime?model=gpt-realtime"

// holdOpen answers 101 and waits for the gateway to end the connection.
func holdOpen(say101 ...string) func(net.Conn, *bufio.Reader, *http.Request) {
	return func(c net.Conn, in *bufio.Reader, _ *http.Request) {
		say(c, switched+strings.Join(say101, ""))
		_, _ = io.Copy(io.Discard, in)
	}
}

// echoBytes answers 101 and sends back every byte.
func echoBytes(c net.Conn, in *bufio.Reader, _ *http.Request) {
	say(c, switched)
	_, _ = io.Copy(c, in)
}

// ended hangs up and looks at how the log says that the session ended.
func (g *gateway) ended(s *socket, reason string) map[string]any {
	g.t.Helper()
	_ = s.Close()
	line := g.line(s.response)
	if line["end_reason"] != reason {
		g.t.Errorf("ended as %v, want %s", line["end_reason"], reason)
	}
	return line
}
