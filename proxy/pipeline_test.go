package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// piped is one of the requests that are sent one behind the other.
type piped struct {
	method, target string
	body           []byte
	framing        string // "length", "chunks"; "": there is no body
	sizes          []int  // of its chunks
}

func drawPiped(t *rapid.T, last bool) piped {
	p := piped{
		method: rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}).Draw(t, "method"),
		target: rapid.StringMatching(`/[a-z]{1,8}(/[a-zA-Z0-9._~-]{1,9}x)?(\?[a-z]=[a-z0-9;%&=]{0,12})?`).Draw(t, "target"),
	}
	framings := []string{"", "length", "length"}
	if last { // a body in chunks ends its connection
		framings = append(framings, "chunks", "chunks")
	}
	if p.framing = rapid.SampledFrom(framings).Draw(t, "framing"); p.framing != "" {
		// Bytes that would be read as framing, should somebody lose count.
		piece := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 0, 600), rapid.Just([]byte("\r\n0\r\n\r\nGET /inner HTTP/1.1\r\nHost: gw\r\n\r\n")))
		p.body = bytes.Join(rapid.SliceOfN(piece, 0, 4).Draw(t, "body"), nil)
	}
	for rest := len(p.body); p.framing == "chunks" && rest > 0; rest -= p.sizes[len(p.sizes)-1] {
		p.sizes = append(p.sizes, rapid.IntRange(1, rest).Draw(t, "chunk"))
	}
	return p
}

// bytes writes the request as it is sent.
func (p *piped) bytes(key string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: gw\r\nX-Api-Key: %s\r\nContent-Type: application/json\r\n", p.method, p.target, key)
	switch p.framing {
	case "":
		out.WriteString("\r\n")
	case "length":
		fmt.Fprintf(&out, "Content-Length: %d\r\n\r\n%s", len(p.body), p.body)
	case "chunks":
		out.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		body := p.body
		for _, size := range p.sizes {
			fmt.Fprintf(&out, "%x\r\n%s\r\n", size, body[:size])
			body = body[size:]
		}
		out.WriteString("0\r\n\r\n")
	}
	return out.Bytes()
}

// Whatever is sent on one connection, in whatever pieces: the upstream sees the
// requests in their order and byte for byte, each once, and the answers come in
// that order, each once.
func TestRequestsBehindOneAnotherAreAnsweredInOrderEachOnce(t *testing.T) {
	arrived := make(chan *sent, 100)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		arrived <- r
		text := r.Method + " " + r.RequestURI
		if r.Method == http.MethodHead {
			say(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(text)))
			return true
		}
		if len(r.body)%2 == 1 {
			say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(text[:3]), chunk(text[3:]), "0\r\n\r\n")
			return true
		}
		say(c, answerText("text/plain", text))
		return true
	})
	g := newGateway(t, up.url)
	board := newSwitchboard()
	served := make(chan error, 1)
	go func() { served <- g.server.Serve(board) }()
	t.Cleanup(func() { _ = board.Close(); <-served })

	rapid.Check(t, func(t *rapid.T) {
		var all []byte
		requests := make([]piped, rapid.IntRange(1, 6).Draw(t, "requests"))
		for n := range requests {
			requests[n] = drawPiped(t, n == len(requests)-1)
			all = append(all, requests[n].bytes(g.key)...)
		}
		conn, err := board.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(patience))
		pieces := rapid.SliceOfN(rapid.IntRange(0, len(all)), 0, 5).Draw(t, "cuts")
		go sayInPieces(conn, all, pieces)
		in := bufio.NewReader(conn)
		for n := range requests {
			checkPiped(t, &requests[n], in, arrived)
		}
		if last := requests[len(requests)-1]; last.framing == "chunks" {
			if n, err := in.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Fatalf("behind the last answer came %d bytes, %v", n, err)
			}
		}
		if len(arrived) != 0 {
			t.Fatalf("the upstream saw %d requests more", len(arrived))
		}
	})
}

func sayInPieces(c net.Conn, all []byte, sizes []int) {
	for _, size := range sizes {
		size = min(size, len(all))
		say(c, string(all[:size]))
		all = all[size:]
	}
	say(c, string(all))
}

func checkPiped(t *rapid.T, p *piped, in *bufio.Reader, arrived <-chan *sent) {
	response, body, err := nextAnswer(in, p.method)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%s %s: %v %v %s", p.method, p.target, response, err, body)
	}
	r := <-arrived
	if r.Method != p.method || r.RequestURI != p.target || !bytes.Equal(r.body, p.body) {
		t.Fatalf("%s %s with %d bytes arrived as %s %s with %d", p.method, p.target, len(p.body), r.Method, r.RequestURI, len(r.body))
	}
	if want := p.method + " " + p.target; p.method != http.MethodHead && body != want {
		t.Fatalf("the answer to %q is about %q", want, body)
	}
	if closes := p.framing == "chunks"; response.Close != closes {
		t.Fatalf("%s: the connection ends: %t", p.framing, response.Close)
	}
	if strings.Contains(fmt.Sprint(r.Header), "sk-lgw-") {
		t.Fatal("a gateway key crossed over")
	}
}
