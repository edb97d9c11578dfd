package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// framed is an HTTP/2 client below HTTP: it sends frames as a test wants them,
// and acknowledges what has to be.
type framed struct {
	t    testing.TB
	g    *gateway
	conn net.Conn
	mu   sync.Mutex // held to write
	*http2.Framer
	packed bytes.Buffer
	pack   *hpack.Encoder
}

// frames connects and says the preface and the settings.
func (g *gateway) frames(settings ...http2.Setting) *framed {
	g.t.Helper()
	c := &framed{t: g.t, g: g, conn: g.dial()}
	c.Framer = http2.NewFramer(c.conn, c.conn)
	c.AllowIllegalWrites = true
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.pack = hpack.NewEncoder(&c.packed)
	say(c.conn, http2.ClientPreface)
	c.write(c.WriteSettings(settings...))
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		g.t.Fatal(err)
	}
	return c
}

func (c *framed) write(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Log("writing a frame:", err)
	}
}

// fields packs header fields, given as names and values.
func (c *framed) fields(fields ...string) []byte {
	c.packed.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		_ = c.pack.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(c.packed.Bytes())
}

// head sends the head of a request with the gateway's key.
func (c *framed) head(stream uint32, last bool, method, path string, more ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	fields := append([]string{":method", method, ":scheme", "http", ":path", path, ":authority", "x",
		"authorization", "Bearer " + c.g.key}, more...)
	c.write(c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.fields(fields...), EndStream: last, EndHeaders: true}))
}

func (c *framed) data(stream uint32, last bool, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.WriteData(stream, last, []byte(body)) // a connection that is gone shows at the reading side
}

// ask sends a whole request.
func (c *framed) ask(stream uint32, method, path, body string) {
	c.t.Helper()
	c.head(stream, body == "", method, path)
	if body != "" {
		c.data(stream, true, body)
	}
}

// next reads a frame; nil at the connection's end.
func (c *framed) next() http2.Frame {
	c.t.Helper()
	f, err := c.ReadFrame()
	switch {
	case err == nil:
	case errors.Is(err, io.EOF), isConnectionError(err) && !isTimeout(err):
		return nil
	default:
		c.t.Fatal("reading a frame: ", err)
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			c.mu.Lock()
			c.write(c.WriteSettingsAck())
			c.mu.Unlock()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			c.mu.Lock()
			c.write(c.WritePing(true, f.Data))
			c.mu.Unlock()
		}
	}
	return f
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// until reads frames until one is as wanted.
func (c *framed) until(is func(http2.Frame) bool) {
	c.t.Helper()
	for f := c.next(); f != nil; f = c.next() {
		if is(f) {
			return
		}
	}
	c.t.Fatal("the connection ended before the frame came")
}

// status waits for the status of a stream's answer.
func (c *framed) status(stream uint32) (status string) {
	c.t.Helper()
	c.until(func(f http2.Frame) bool {
		if head, ok := f.(*http2.MetaHeadersFrame); ok && head.StreamID == stream {
			status = head.PseudoValue("status")
		}
		return status != ""
	})
	return status
}

// verdict tells how the server takes what was sent: the error of a stream, that
// of the connection, or an answer.
func (c *framed) verdict() string {
	c.t.Helper()
	for f := c.next(); f != nil; f = c.next() {
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			return "stream " + f.ErrCode.String()
		case *http2.GoAwayFrame:
			return "connection " + f.ErrCode.String()
		case *http2.MetaHeadersFrame:
			return "answer " + f.PseudoValue("status")
		}
	}
	return "closed"
}

// A handful of what RFC 9113 wants; `make h2spec` tries all of it.
func TestWhatABadFrameLeadsTo(t *testing.T) {
	up := newWireUpstream(t, behave("ok"))
	valid := []string{":method", "GET", ":scheme", "http", ":path", "/healthz", ":authority", "x"}
	for name, c := range map[string]struct {
		send func(*framed)
		want string
	}{
		"a valid request":    {func(c *framed) { c.ask(1, "GET", "/healthz", "") }, "answer 200"},
		"an even stream":     {func(c *framed) { c.ask(2, "GET", "/healthz", "") }, "connection PROTOCOL_ERROR"},
		"data before a head": {func(c *framed) { c.data(1, true, "x") }, "connection PROTOCOL_ERROR"},
		"a head that another frame breaks": {func(c *framed) {
			c.write(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields(valid...)}))
			c.write(c.WritePing(false, [8]byte{}))
		}, "connection PROTOCOL_ERROR"},
		"a head that cannot be unpacked": {func(c *framed) {
			c.write(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, EndHeaders: true}))
		}, "connection COMPRESSION_ERROR"},
		"a field in upper case":   {func(c *framed) { c.head(1, true, "GET", "/healthz", "X-Upper", "1") }, "stream PROTOCOL_ERROR"},
		"a connection field":      {func(c *framed) { c.head(1, true, "GET", "/healthz", "connection", "close") }, "answer 400"},
		"te other than trailers":  {func(c *framed) { c.head(1, true, "GET", "/healthz", "te", "gzip") }, "answer 400"},
		"no path":                 {func(c *framed) { c.head(1, true, "GET", "") }, "stream PROTOCOL_ERROR"},
		"less body than said":     {func(c *framed) { c.head(1, false, "POST", "/x", "content-length", "5"); c.data(1, true, "x") }, "answer 400"},
		"more body than said":     {func(c *framed) { c.head(1, false, "POST", "/x", "content-length", "1"); c.data(1, true, "xxx") }, "stream PROTOCOL_ERROR"},
		"a window beyond its end": {func(c *framed) { c.write(c.WriteWindowUpdate(0, 1<<31-1)) }, "connection FLOW_CONTROL_ERROR"},
		"an empty window update":  {func(c *framed) { c.write(c.WriteWindowUpdate(0, 0)) }, "connection PROTOCOL_ERROR"},
		"a frame over the limit":  {func(c *framed) { c.head(1, false, "POST", "/x"); c.data(1, true, string(make([]byte, frameBytes+1))) }, "connection FRAME_SIZE_ERROR"},
		"a push promise": {func(c *framed) {
			c.write(c.WriteRawFrame(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, make([]byte, 8)))
		}, "connection PROTOCOL_ERROR"},
		"a head over 64 KiB": {func(c *framed) {
			fields := append([]string{}, valid...)
			for i := range 16 { // over the limit in its last frame; earlier, it is an error of the connection
				fields = append(fields, fmt.Sprintf("x-%d", i), string(bytes.Repeat([]byte("~"), 4000)))
			}
			block := c.fields(fields...)
			c.write(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:frameBytes], EndStream: true}))
			for block = block[frameBytes:]; len(block) > frameBytes; block = block[frameBytes:] {
				c.write(c.WriteContinuation(1, false, block[:frameBytes]))
			}
			c.write(c.WriteContinuation(1, true, block))
		}, "answer 431"},
		"more than 100 fields": {func(c *framed) {
			var fields []string
			for i := range 101 {
				fields = append(fields, fmt.Sprintf("x-%d", i), "1")
			}
			c.head(1, true, "GET", "/x", fields...)
		}, "answer 431"},
	} {
		t.Run(name, func(t *testing.T) {
			client := newGateway(t, up.url).frames()
			c.send(client)
			if got := client.verdict(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
