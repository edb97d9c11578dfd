package proxy

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/llmgw/llmgw/accounts"
)

// encoder is what writes a coding.
type encoder interface {
	io.WriteCloser
	Flush() error
}

// encoding is a way in which servers encode.
type encoding struct {
	name string // Content-Encoding
	to   func(io.Writer) encoder
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var encodings = map[string]encoding{
	"gzip":         {"gzip", func(w io.Writer) encoder { return gzip.NewWriter(w) }},
	"x-gzip":       {" X-Gzip ", func(w io.Writer) encoder { return gzip.NewWriter(w) }},
	"stored gzip":  {"identity, gzip", func(w io.Writer) encoder { return must(gzip.NewWriterLevel(w, gzip.NoCompression)) }},
	"deflate":      {"deflate", func(w io.Writer) encoder { return zlib.NewWriter(w) }},
	"bare deflate": {"deflate", func(w io.Writer) encoder { return must(flate.NewWriter(w, 6)) }},
	"br":           {"br", func(w io.Writer) encoder { return brotli.NewWriterLevel(w, 5) }},
	"br, small": {"br", func(w io.Writer) encoder {
		return brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: 1, LGWin: 10})
	}},
	"zstd": {"zstd", func(w io.Writer) encoder {
		return must(zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10)))
	}},
}

// encode encodes a body; flush says after which pieces the encoder is flushed.
func (e encoding) encode(body []byte, flush func(piece int) bool) []byte {
	var out bytes.Buffer
	w := e.to(&out)
	for i, piece := range bytes.SplitAfter(body, []byte("\n\n")) {
		must(w.Write(piece))
		if flush(i) {
			must(0, w.Flush())
		}
	}
	must(0, w.Close())
	return out.Bytes()
}

func always(int) bool { return true }
func never(int) bool  { return false }

// header is that of a plain answer with the coding put in.
func (e encoding) header(plain http.Header) http.Header {
	h := plain.Clone()
	h.Set("Content-Encoding", e.name)
	return h
}

// observedEncoded is observed with the end of the exchange.
func observedEncoded(wire accounts.Wire, header http.Header, pieces [][]byte) (*observer, said) {
	o := newObserver(wire, 200, header)
	for _, p := range pieces {
		o.write(p)
	}
	o.end()
	o.close()
	return o, saidBy(o)
}

func TestObserverSaysOfEncodedStreamsWhatItSaysOfPlainOnes(t *testing.T) {
	for _, g := range loadGolden(t) {
		want := observed(g.wire, 200, g.header, [][]byte{g.body})
		want.atBound = false // nothing may be written into an encoded stream
		if g.wire == accounts.WireNone {
			want.last = "" // nothing is to be known of it that a decoder would be worth
		}
		for name, e := range encodings {
			for how, flush := range map[string]func(int) bool{"flushed": always, "not flushed": never} {
				encoded := e.encode(g.body, flush)
				before := sha256.Sum256(encoded)
				for cut, pieces := range cuts(encoded) {
					o, got := observedEncoded(g.wire, e.header(g.header), pieces)
					if got != want || o.whyUnread() != "" || o.encoded != nil && o.encoded.cut {
						t.Fatalf("%s, %s %s, %s (%s):\n%+v, want\n%+v", g.name, name, how, cut, o.whyUnread(), got, want)
					}
				}
				if sha256.Sum256(encoded) != before {
					t.Fatalf("%s, %s: the bytes were changed", g.name, name)
				}
			}
		}
	}
}

// What an encoder has flushed is known as soon as it has passed.
func TestObserverOfAnEncodedStreamKeepsUpWithIt(t *testing.T) {
	event := streamChunks[accounts.WireOpenAIChat]
	for name, e := range encodings {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			w := e.to(&out)
			o := newObserver(accounts.WireOpenAIChat, 200, e.header(eventStream))
			defer o.close()
			pass := func(text string) {
				must(io.WriteString(w, text))
				must(0, w.Flush())
				o.write(out.Bytes())
				out.Reset()
			}
			pass(": ping\n\n")
			if o.sawToken() {
				t.Error("a comment is taken for output")
			}
			pass(event)
			if !o.sawToken() || o.terminal() {
				t.Errorf("after the first event: %+v", saidBy(o))
			}
			pass("data: [DONE]\n\n")
			if !o.terminal() {
				t.Errorf("after the last event: %+v", saidBy(o))
			}
		})
	}
}

// A gzip body may have several members, and a zstd body several frames.
func TestObserverReadsABodyOfSeveralParts(t *testing.T) {
	body := []byte(streamChunks[accounts.WireOpenAIChat] + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n")
	want := observed(accounts.WireOpenAIChat, 200, eventStream, [][]byte{body})
	want.atBound = false
	for _, name := range []string{"gzip", "zstd"} {
		e := encodings[name]
		encoded := append(e.encode(body[:50], never), e.encode(body[50:], never)...)
		for cut, pieces := range cuts(encoded) {
			if _, got := observedEncoded(accounts.WireOpenAIChat, e.header(eventStream), pieces); got != want {
				t.Errorf("%s, %s:\n%+v, want\n%+v", name, cut, got, want)
			}
		}
	}
}

func TestObserverKnowsAnEncodedBodyThatIsCutShort(t *testing.T) {
	body := bytes.Repeat([]byte(streamChunks[accounts.WireOpenAIChat]), 20)
	for name, e := range encodings {
		encoded := e.encode(body, always)
		for _, n := range []int{1, 2, 5, len(encoded) / 2, len(encoded) - 6} {
			o, got := observedEncoded(accounts.WireOpenAIChat, e.header(eventStream), cutEvery(encoded[:n], 7))
			if !o.cutShort() || o.whyUnread() != "" || got.terminal {
				t.Errorf("%s, %d of %d bytes: cut %t, unread %q, %+v", name, n, len(encoded), o.cutShort(), o.whyUnread(), got)
			}
		}
		if o, _ := observedEncoded(accounts.WireOpenAIChat, e.header(eventStream), nil); o.cutShort() {
			t.Errorf("%s: no body at all is cut short", name)
		}
	}
}

func TestObserverGivesUpAnEncodedBodyThatIsBeyondABound(t *testing.T) {
	zeros := make([]byte, 64<<20)
	bombs := map[string][]byte{}
	for _, name := range []string{"gzip", "deflate", "br", "zstd"} {
		bombs[name] = encodings[name].encode(zeros, never)
	}
	var wide bytes.Buffer
	w := must(zstd.NewWriter(&wide, zstd.WithWindowSize(16<<20), zstd.WithEncoderConcurrency(1)))
	must(w.Write(zeros[:1000]))
	must(0, w.Flush())
	must(0, w.Close())
	narrow := must(zstd.NewWriter(nil, zstd.WithWindowSize(1<<10), zstd.WithEncoderConcurrency(1)))
	var widens bytes.Buffer
	narrow.Reset(&widens)
	must(narrow.Write([]byte("data: {}\n\n")))
	must(0, narrow.Flush())
	must(0, narrow.Close())
	widens.Write(encodings["zstd"].encode([]byte("data: {}\n\n"), always))
	for name, c := range map[string]struct {
		coding string
		body   []byte
		why    string
	}{
		"a gzip bomb":                    {"gzip", bombs["gzip"], unreadExpands},
		"a deflate bomb":                 {"deflate", bombs["deflate"], unreadExpands},
		"a brotli bomb":                  {"br", bombs["br"], unreadExpands},
		"a zstd bomb":                    {"zstd", bombs["zstd"], unreadExpands},
		"a window of 16 MiB":             {"zstd", wide.Bytes(), unreadWindow},
		"a window that grows":            {"zstd", widens.Bytes(), unreadCorrupt},
		"a large window of brotli":       {"br", []byte{0x11, 0x1e, 0, 0, 0}, unreadWindow},
		"plain text, said to be gzip":    {"gzip", []byte("data: {}\n\n"), unreadCorrupt},
		"plain text, said to be deflate": {"deflate", []byte("data: {}\n\n"), unreadCorrupt},
		"plain text, said to be zstd":    {"zstd", []byte("data: {\"a\":[1,2,3]}\n\n"), unreadCorrupt},
		"something behind the end":       {"gzip", append(encodings["gzip"].encode([]byte("data: {}\n\n"), never), "something else"...), unreadCorrupt},
		"two codings":                    {"gzip, br", []byte("x"), unreadCoding},
		"one nobody knows":               {"compress", []byte("x"), unreadCoding},
	} {
		t.Run(name, func(t *testing.T) {
			room := &budget{limit: 1 << 30}
			o := newObserver(accounts.WireOpenAIChat, 200, encoding{name: c.coding}.header(eventStream))
			o.within(room)
			for _, p := range cutEvery(c.body, 8<<10) {
				o.write(p)
			}
			o.end()
			o.close()
			if got := saidBy(o); o.whyUnread() != c.why || !got.token || !got.terminal || o.cutShort() {
				t.Errorf("unread %q, %+v", o.whyUnread(), got)
			}
			if o.encoded != nil && o.encoded.decoded > freeExpansion+maxExpansion*int64(len(c.body))+4<<10 {
				t.Errorf("%d bytes were decoded of %d", o.encoded.decoded, len(c.body))
			}
			if used := room.used.Load(); used != 0 {
				t.Errorf("%d bytes of room are still taken", used)
			}
		})
	}
}

func TestObserversTogetherDecodeWithinTheirRoom(t *testing.T) {
	e := encodings["gzip"]
	encoded := e.encode([]byte(streamChunks[accounts.WireOpenAIChat]), always)
	room := &budget{limit: plainDecoder}
	first, second := newObserver(accounts.WireOpenAIChat, 200, e.header(eventStream)), newObserver(accounts.WireOpenAIChat, 200, e.header(eventStream))
	first.within(room)
	second.within(room)
	half := encoded[:len(encoded)/2]
	first.write(half)
	second.write(half)
	if first.whyUnread() != "" || second.whyUnread() != unreadOverRoom {
		t.Errorf("the first %q, the second %q", first.whyUnread(), second.whyUnread())
	}
	first.close() // in the middle: its decoder ends with it
	second.close()
	if room.used.Load() != 0 || !first.encoded.over {
		t.Errorf("%d bytes of room are taken, its decoder is over: %t", room.used.Load(), first.encoded.over)
	}
	first.write(encoded[len(encoded)/2:]) // and what comes later is nothing to it
}

// A whole exchange: the bytes as they came, and everything known as of a plain
// stream.
func TestAnEncodedAnswerPassesAsItIsAndIsKnown(t *testing.T) {
	stream := streamChunks[accounts.WireOpenAIChat] + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":4}}\n\n"
	document := `{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":30,"completion_tokens":4}}`
	type body struct {
		kind, text string
		cut        int // bytes that are missing at its end
		framed     bool
		reason     string
	}
	bodies := map[string]body{
		"a stream":                         {"text/event-stream", stream + "data: [DONE]\n\n", 0, true, "complete"},
		"a stream without its end mark":    {"text/event-stream", stream, 0, true, "upstream_truncated"},
		"a stream with an error":           {"text/event-stream", stream + "data: {\"error\":{\"message\":\"no\"}}\n\n", 0, true, "upstream_error"},
		"a stream up to the close":         {"text/event-stream", stream + "data: [DONE]\n\n", 0, false, "complete"},
		"a stream cut by the close":        {"text/event-stream", stream + "data: [DONE]\n\n", 6, false, "upstream_truncated"},
		"a document":                       {"application/json", document, 0, true, "complete"},
		"a document cut by the close":      {"application/json", document, 6, false, "upstream_truncated"},
		"a document cut before it's coded": {"application/json", document[:len(document)-1], 0, true, "upstream_truncated"},
	}
	for _, name := range []string{"gzip", "deflate", "br", "zstd"} {
		e := encodings[name]
		for what, b := range bodies {
			t.Run(name+"/"+what, func(t *testing.T) {
				encoded := e.encode([]byte(b.text), always)
				encoded = encoded[:len(encoded)-b.cut]
				up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
					head := "HTTP/1.1 200 OK\r\nContent-Type: " + b.kind + "\r\nContent-Encoding: " + e.name + "\r\n"
					if !b.framed {
						say(c, head, "Connection: close\r\n\r\n", string(encoded))
						return false
					}
					say(c, head, "Transfer-Encoding: chunked\r\n\r\n")
					for _, piece := range cutEvery(encoded, 50) {
						say(c, chunk(string(piece)))
					}
					say(c, "0\r\n\r\n")
					return false
				})
				g := newGateway(t, up.url)
				response, got, err := g.do(g.post("/v1/chat/completions", chatRequest))
				if broken := b.reason == "upstream_truncated" && !b.framed; (err != nil) != broken || !broken && !bytes.Equal(got, encoded) {
					t.Errorf("%d of %d bytes, %v", len(got), len(encoded), err)
				}
				if response.Header.Get("Content-Encoding") != e.name {
					t.Errorf("header %v", response.Header)
				}
				line := g.line(response)
				if line["end_reason"] != b.reason || line["answer_unread"] != nil {
					t.Errorf("log %v", line)
				}
				if b.cut == 0 && b.reason != "upstream_truncated" && (line["input_tokens"] != 30.0 || line["output_tokens"] != 4.0 || line["first_token_ms"] == nil) {
					t.Errorf("log %v", line)
				}
				if used := g.proxy.decoders.used.Load(); used != 0 {
					t.Errorf("%d bytes of room are still taken", used)
				}
			})
		}
	}
}

func TestAnAnswerThatPassesUnreadSaysWhy(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: 16\r\n\r\nthis is no gzip!")
		return true
	})
	g := newGateway(t, up.url)
	response, body, err := g.do(g.post("/v1/chat/completions", chatRequest))
	if err != nil || string(body) != "this is no gzip!" {
		t.Fatalf("%q %v", body, err)
	}
	if line := g.line(response); line["end_reason"] != "complete" || line["answer_unread"] != unreadCorrupt {
		t.Errorf("log %v", line)
	}
}

// The client leaves in the middle of an encoded stream: its decoder must not
// stay (goleak looks for it).
func TestADecoderEndsWithItsExchange(t *testing.T) {
	for name, e := range encodings {
		t.Run(name, func(t *testing.T) {
			encoded := e.encode(bytes.Repeat([]byte(streamChunks[accounts.WireOpenAIChat]), 3), always)
			up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
				say(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: "+strings.TrimSpace(e.name)+"\r\nTransfer-Encoding: chunked\r\n\r\n")
				say(c, chunk(string(encoded[:len(encoded)*2/3])))
				<-r.gone
				return false
			})
			g := newGateway(t, up.url)
			response, err := client(t).Do(g.post("/v1/chat/completions", chatRequest))
			if err != nil {
				t.Fatal(err)
			}
			must(io.ReadFull(response.Body, make([]byte, 10)))
			_ = response.Body.Close()
			g.noneInFlight()
			if used := g.proxy.decoders.used.Load(); used != 0 {
				t.Errorf("%d bytes of room are still taken", used)
			}
		})
	}
}

// FuzzEncodedObserver: whatever an encoded body holds and however it is cut, it
// is read or given up in the room there is, and what is said of a body that was
// read does not depend on the cuts.
func FuzzEncodedObserver(f *testing.F) {
	names := slices.Sorted(maps.Keys(encodings))
	for _, g := range loadGolden(f) {
		for i, name := range names {
			f.Add(encodings[name].encode(g.body, always), []byte{3, 50, 0, 1}, uint8(g.wire), uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, body, splits []byte, wire, kind uint8) {
		header := encodings[names[int(kind)%len(names)]].header(eventStream)
		room := &budget{limit: 64 << 20}
		whole, pieces := newObserver(accounts.Wire(wire%16), 200, header), newObserver(accounts.Wire(wire%16), 200, header)
		whole.within(room)
		pieces.within(room)
		before := sha256.Sum256(body)
		whole.write(body)
		for passed := 0; passed < len(body); {
			n := min(1+pieceLength(splits, passed), len(body)-passed)
			pieces.write(body[passed : passed+n])
			passed += n
		}
		for _, o := range []*observer{whole, pieces} {
			o.end()
			o.close()
			if o.encoded != nil && o.encoded.decoded > freeExpansion+maxExpansion*int64(len(body))+4<<10 {
				t.Fatalf("%d bytes of %d", o.encoded.decoded, len(body))
			}
		}
		if whole.whyUnread() == "" && pieces.whyUnread() == "" && !whole.cutShort() {
			checkFuzzed(t, whole, pieces)
		}
		if room.used.Load() != 0 || sha256.Sum256(body) != before {
			t.Fatalf("%d bytes of room are taken, or the body was changed", room.used.Load())
		}
	})
}

// BenchmarkObserverEncodedChunk is what looking at an encoded chunk costs, and
// at the same one plain.
func BenchmarkObserverEncodedChunk(b *testing.B) {
	const chunks = 512
	var plain [][]byte
	for n := range chunks {
		plain = append(plain, []byte(strings.Replace(streamChunks[accounts.WireOpenAIChat], " ferry", fmt.Sprintf(" %05x", n*7919), 1)))
	}
	run := func(name string, header http.Header, pieces [][]byte) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o := newObserver(accounts.WireOpenAIChat, 200, header)
				for _, p := range pieces {
					o.write(p)
				}
				o.end()
				o.close()
				if !o.sawToken() {
					b.Fatal("nothing was seen")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunks, "ns/chunk")
		})
	}
	run("plain", eventStream, plain)
	for _, name := range []string{"gzip", "br", "zstd"} {
		e := encodings[name]
		var out bytes.Buffer
		w := e.to(&out)
		pieces := make([][]byte, 0, chunks)
		for _, p := range plain {
			must(w.Write(p))
			must(0, w.Flush())
			pieces = append(pieces, bytes.Clone(out.Bytes()))
			out.Reset()
		}
		run(name, e.header(eventStream), pieces)
	}
}

// Random damage anywhere in a body is no more than that: nothing but what is
// said changes.
func TestObserverStandsDamagedBodies(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	body := bytes.Repeat([]byte(streamChunks[accounts.WireAnthropicMessages]), 10)
	for _, e := range encodings {
		encoded := e.encode(body, always)
		for range 200 {
			damaged := bytes.Clone(encoded)
			damaged[random.IntN(len(damaged))] ^= byte(1 + random.IntN(255))
			began := time.Now()
			o, _ := observedEncoded(accounts.WireAnthropicMessages, e.header(eventStream), cutAtRandom(random, damaged, 300))
			if took := time.Since(began); took > 5*time.Second {
				t.Fatalf("took %s", took)
			}
			if o.encoded.decoded > freeExpansion+maxExpansion*int64(len(encoded))+4<<10 {
				t.Fatalf("%d bytes were decoded", o.encoded.decoded)
			}
		}
	}
}
