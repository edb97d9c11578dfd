package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
)

// chunking is a way of cutting a body into pieces.
type chunking struct {
	name   string
	pieces func(body []byte) [][]byte
}

func chunkings() []chunking {
	return []chunking{
		{"whole", func(b []byte) [][]byte { return [][]byte{b} }},
		{"one event at a time", func(b []byte) [][]byte { return bytes.SplitAfter(b, []byte("\n\n")) }},
		{"at random", func(b []byte) [][]byte {
			r := rand.New(rand.NewPCG(uint64(len(b)), 1))
			return cutAt(b, func() int { return 1 + r.IntN(700) })
		}},
		{"one byte at a time", func(b []byte) [][]byte { return cutAt(b, func() int { return 1 }) }},
	}
}

func cutAt(b []byte, size func() int) (pieces [][]byte) {
	for len(b) > 0 {
		n := min(size(), len(b))
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return pieces
}

// replay answers with a recorded head and a body in chunks, each in a write of
// its own.
func replay(c net.Conn, status int, header http.Header, pieces [][]byte) {
	var head strings.Builder
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	for name, values := range header {
		for _, value := range values {
			if name != "Content-Length" {
				fmt.Fprintf(&head, "%s: %s\r\n", name, value)
			}
		}
	}
	say(c, head.String()+"Transfer-Encoding: chunked\r\n\r\n")
	for _, piece := range pieces {
		if len(piece) > 0 {
			say(c, fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece))
		}
	}
	say(c, "0\r\n\r\n")
}

func TestRecordedTrafficPassesByteForByte(t *testing.T) {
	recordings := loadRecordings(t)
	for _, c := range chunkings() {
		t.Run(c.name, func(t *testing.T) {
			for i := range recordings {
				r := &recordings[i]
				t.Run(r.name, func(t *testing.T) { passRecording(t, r, c) })
			}
		})
	}
}

func passRecording(t *testing.T, r *recording, c chunking) {
	if testing.Short() && len(r.body) > 20_000 && c.name == "one byte at a time" {
		t.Skip("short")
	}
	arrived := make(chan *sent, 1)
	up := newWireUpstream(t, func(conn net.Conn, s *sent) bool {
		arrived <- s
		replay(conn, r.status, r.header, c.pieces(r.body))
		return true
	})
	g := newGateway(t, up.url, func(s *setup) { s.config.Upstreams[0].Wires = accounts.WireNames() })
	target := &url.URL{Scheme: "http", Host: g.addr}
	request := r.request.Clone(t.Context())
	request.RequestURI, request.Host = "", g.addr
	request.Method = strings.ToUpper(request.Method) // one was recorded by a library that writes it small
	request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(r.reqBody)), int64(len(r.reqBody))
	request.URL.Scheme, request.URL.Host = target.Scheme, target.Host
	request.Header.Set("Authorization", "Bearer "+g.key)
	request.Header.Del("X-Api-Key")
	request.Header.Del("X-Goog-Api-Key")
	response, body, err := g.do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != r.status || !bytes.Equal(body, r.body) {
		t.Fatalf("status %d, %d of %d bytes, or others", response.StatusCode, len(body), len(r.body))
	}
	if s := <-arrived; !bytes.Equal(s.body, r.reqBody) || s.Method != request.Method {
		t.Error("the request's body is another")
	}
	checkRecordedLine(t, r, g.line(response))
}

func checkRecordedLine(t *testing.T, r *recording, line map[string]any) {
	t.Helper()
	if line["wire"] != r.expected.Protocol || r.expected.Model != "" && line["model"] != r.expected.Model {
		t.Errorf("wire %v, model %v; want %s, %s", line["wire"], line["model"], r.expected.Protocol, r.expected.Model)
	}
	usage := r.usageOf()
	for _, name := range []string{"input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens"} {
		want, known := usage[name]
		if got, said := line[name].(float64); said != known || int64(got) != want {
			t.Errorf("%s is %v, want %v (known: %v)", name, line[name], want, known)
		}
	}
}

// play is what an upstream does: a head, pieces of a body, a framing.
type play struct {
	kind    string
	pieces  [][]byte
	framing string
}

func drawPlay(t *rapid.T) play {
	kind := rapid.SampledFrom([]string{"text/event-stream", "application/json", "application/octet-stream", "application/vnd.amazon.eventstream"}).Draw(t, "kind")
	piece := rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 0, 300),
		rapid.Map(rapid.String(), func(s string) []byte {
			return []byte("data: {\"choices\":[{\"delta\":{\"content\":\"" + s + "\"}}]}\n\n")
		}),
		rapid.Map(rapid.IntRange(1, 40_000), func(n int) []byte { return bytes.Repeat([]byte("x"), n) }),
		rapid.Just([]byte("data: [DONE]\r\n\r\n")), rapid.Just([]byte(": ping\n\n")), rapid.Just([]byte("\xf0\x9f")),
	)
	return play{kind, rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), rapid.SampledFrom([]string{"length", "chunks"}).Draw(t, "framing")}
}

func (s play) run(c net.Conn) {
	body := bytes.Join(s.pieces, nil)
	if s.framing == "length" {
		say(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", s.kind, len(body)))
		for _, piece := range s.pieces {
			say(c, string(piece))
		}
		return
	}
	replay(c, 200, http.Header{"Content-Type": {s.kind}}, s.pieces)
}

// TestAnyScriptPassesByteForByte runs 10,000 scripts on one gateway: a hundred
// rounds of rapid's hundred.
func TestAnyScriptPassesByteForByte(t *testing.T) {
	scripts := make(chan play, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		s := <-scripts
		s.run(c)
		say(c)
		return true
	})
	g := newGateway(t, up.url)
	http := client(t)
	for range 100 {
		rapid.Check(t, func(rt *rapid.T) {
			s := drawPlay(rt)
			body := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(rt, "request")
			scripts <- s
			r := g.post("/v1/chat/completions", string(body))
			response, err := http.Do(r)
			if err != nil {
				rt.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			got, err := io.ReadAll(response.Body)
			if want := bytes.Join(s.pieces, nil); err != nil || !bytes.Equal(got, want) || response.StatusCode != 200 {
				rt.Fatalf("%d bytes of %d, %v", len(got), len(want), err)
			}
		})
	}
}
