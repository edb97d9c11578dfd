package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Case is a request as frames, with fields in the order and spelling in which
// they are sent, and what becomes of it: the lines < and ^ of rawCase.
type h2Case struct {
	change  func(fields []hpack.HeaderField) []hpack.HeaderField // of a GET of /v1/x with a key
	data    string                                               // in one DATA frame; "": there is none
	trailer []hpack.HeaderField
	outcome string
}

func field(name, value string) hpack.HeaderField {
	return hpack.HeaderField{Name: name, Value: value}
}

// with adds fields behind the others, or ahead of them where they are pseudo
// headers.
func with(more ...hpack.HeaderField) func([]hpack.HeaderField) []hpack.HeaderField {
	return func(fields []hpack.HeaderField) []hpack.HeaderField {
		if strings.HasPrefix(more[0].Name, ":") {
			return append(append([]hpack.HeaderField{}, more...), fields...)
		}
		return append(fields, more...)
	}
}

// but puts other values in the place of fields.
func but(others ...hpack.HeaderField) func([]hpack.HeaderField) []hpack.HeaderField {
	return func(fields []hpack.HeaderField) []hpack.HeaderField {
		for _, other := range others {
			for n := range fields {
				if fields[n].Name == other.Name {
					fields[n].Value = other.Value
				}
			}
		}
		return fields
	}
}

// lacking takes a field away.
func lacking(name string) func([]hpack.HeaderField) []hpack.HeaderField {
	return func(fields []hpack.HeaderField) (kept []hpack.HeaderField) {
		for _, f := range fields {
			if f.Name != name {
				kept = append(kept, f)
			}
		}
		return kept
	}
}

// posting makes it a POST of JSON.
func posting(more ...hpack.HeaderField) func([]hpack.HeaderField) []hpack.HeaderField {
	return func(fields []hpack.HeaderField) []hpack.HeaderField {
		fields = but(field(":method", "POST"))(fields)
		return append(append(fields, field("content-type", "application/json")), more...)
	}
}

// serveHTTP2 serves HTTP/2 without TLS on the bench's lines.
func (b *rawBench) serveHTTP2(t *testing.T) *switchboard {
	t.Helper()
	board, s := newSwitchboard(), NewServer(b.proxy)
	served := make(chan error, 1)
	go func() { served <- s.Serve(board) }()
	t.Cleanup(func() {
		_ = s.http.Close()
		_ = board.Close()
		if err := <-served; err != nil {
			t.Errorf("serving HTTP/2: %v", err)
		}
	})
	return board
}

// playFrames sends a case on a connection of its own and writes down what
// becomes of it.
func (b *rawBench) playFrames(t *testing.T, c *h2Case, conn net.Conn) string {
	t.Helper()
	before := len(b.saw(0))
	_ = conn.SetDeadline(time.Now().Add(patience))
	frames := http2.NewFramer(conn, conn)
	frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.write(conn, frames, b.key)
	}()
	heard := c.hear(frames)
	_ = conn.Close()
	<-sent
	return heard + strings.Join(b.saw(before), "")
}

// write sends the request. What the other side hears no more is no fault here.
func (c *h2Case) write(conn net.Conn, frames *http2.Framer, key string) {
	say(conn, http2.ClientPreface)
	fields := []hpack.HeaderField{field(":method", "GET"), field(":scheme", "http"), field(":path", "/v1/x"), field(":authority", "gw"), field("x-api-key", key)}
	if c.change != nil {
		fields = c.change(fields)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encode := func(fields []hpack.HeaderField) []byte {
		block.Reset()
		for _, f := range fields {
			f.Value = strings.ReplaceAll(f.Value, "${key}", key)
			_ = encoder.WriteField(f) // into memory
		}
		return block.Bytes()
	}
	head := encode(fields)
	const frame = 16 << 10
	first := head[:min(len(head), frame)]
	errs := []error{frames.WriteSettings(), frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1,
		BlockFragment: first, EndHeaders: len(first) == len(head), EndStream: c.data == "" && c.trailer == nil})}
	for rest := head[len(first):]; len(rest) > 0; {
		n := min(len(rest), frame)
		errs = append(errs, frames.WriteContinuation(1, n == len(rest), rest[:n]))
		rest = rest[n:]
	}
	if c.data != "" {
		errs = append(errs, frames.WriteData(1, c.trailer == nil, []byte(c.data)))
	}
	if c.trailer != nil {
		errs = append(errs, frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encode(c.trailer), EndHeaders: true, EndStream: true}))
	}
	_ = errors.Join(errs...)
}

// hear reads until the stream or the connection has ended.
func (c *h2Case) hear(frames *http2.Framer) (heard string) {
	for {
		f, err := frames.ReadFrame()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return heard + "< closed\n"
			}
			return heard + fmt.Sprintf("< %v\n", err)
		}
		ended := false
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			status, code := f.PseudoValue("status"), ""
			for _, field := range f.RegularFields() {
				if field.Name == "x-llmgw-error" {
					code = " " + field.Value
				}
			}
			heard += "< " + status + code + "\n"
			ended = f.StreamEnded()
		case *http2.DataFrame:
			ended = f.StreamEnded()
		case *http2.RSTStreamFrame:
			heard, ended = heard+fmt.Sprintf("< reset %v\n", f.ErrCode), true
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo { // a mere farewell, the answer follows
				heard, ended = heard+fmt.Sprintf("< goaway %v\n", f.ErrCode), true
			}
		}
		if ended {
			return heard
		}
	}
}

func TestRawEveryRequestInFramesHasItsAnswer(t *testing.T) {
	b := newRawBench(t)
	board := b.serveHTTP2(t)
	for title, c := range h2Cases() {
		t.Run(title, func(t *testing.T) {
			conn, err := board.dial()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.outcome, b.playFrames(t, &c, conn)); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
		})
	}
}
