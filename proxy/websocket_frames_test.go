package proxy

import (
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
)

// followed is what can be said of a direction after some bytes.
type followed struct {
	boundary, between, closed, lost bool
	messages                        int
	text                            []byte // of whole frames
}

// readFrames is the specification of frames: RFC 6455, section 5.2, read off a
// whole buffer.
func readFrames(b []byte) (f followed) {
	f.text = []byte{}
	open := false
	for len(b) > 0 {
		if len(b) < 2 {
			return f
		}
		final, opcode, masked, length, rest := b[0]>>7 == 1, b[0]&15, b[1]>>7 == 1, uint64(b[1]&127), b[2:]
		for _, longer := range []struct{ mark, bytes int }{{126, 2}, {127, 8}} {
			if int(b[1]&127) == longer.mark {
				if len(rest) < longer.bytes {
					return f.inFrame()
				}
				length, rest = 0, rest[longer.bytes:]
				for _, c := range b[2 : 2+longer.bytes] {
					length = length<<8 | uint64(c)
				}
			}
		}
		if masked {
			if len(rest) < 4 {
				return f.inFrame()
			}
			rest = rest[4:]
		}
		if length>>63 == 1 {
			f.lost = true
			return f.inFrame()
		}
		if uint64(len(rest)) < length {
			return f.inFrame()
		}
		f.text = append(f.text, rest[:length]...)
		b = rest[length:]
		if opcode < 8 {
			open = !final
			if final {
				f.messages++
			}
		}
		f.closed = f.closed || opcode == 8
		f.boundary, f.between = len(b) == 0, len(b) == 0 && !open
	}
	return f
}

func (f followed) inFrame() followed {
	f.boundary, f.between = false, false
	return f
}

// follow reads b with frames, in pieces that random cuts.
func follow(b []byte, piece func(most int) int) (f followed) {
	var fs frames
	frame := []byte{}
	f.text = []byte{}
	for len(b) > 0 {
		part := b[:piece(len(b))]
		b = b[len(part):]
		for len(part) > 0 {
			n, payload := fs.next(part)
			frame = append(frame, payload...)
			if part = part[n:]; fs.atBoundary() {
				f.text, frame = append(f.text, frame...), frame[:0]
			}
			if fs.whole {
				f.messages++
			}
		}
	}
	f.boundary, f.between, f.closed, f.lost = fs.atBoundary(), fs.betweenMessages(), fs.closed, fs.lost
	return f
}

func FuzzFramesAreFollowedAsTheSpecificationReadsThem(f *testing.F) {
	for _, seed := range []string{
		"\x81\x05hello", "\x01\x01a\x89\x00\x80\x01b", "\x82\xfe\x00\x02mask\x01\x02", "\x88\x02\x03\xe8",
		"\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x01x", "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", "\x82\x7f\xff", "\xc1\x01z\x0b\x00",
	} {
		f.Add([]byte(seed), uint64(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		want := readFrames(b)
		if len(b) == 0 {
			return
		}
		random := rand.New(rand.NewPCG(seed, 0))
		for name, piece := range map[string]func(int) int{
			"whole": func(most int) int { return most }, "bytes": func(int) int { return 1 },
			"pieces": func(most int) int { return 1 + random.IntN(most) },
		} {
			if diff := cmp.Diff(want, follow(b, piece), cmp.AllowUnexported(followed{})); diff != "" {
				t.Errorf("in %s (-want +got):\n%s", name, diff)
			}
		}
	})
}

func TestAPayloadThatNeverEndsIsFollowedWithoutCountingOver(t *testing.T) {
	var f frames
	head := binary.BigEndian.AppendUint64([]byte{0x82, 127}, 1<<63-1)
	f.next(head)
	for range 3 {
		if n, payload := f.next(make([]byte, 100)); n != 100 || len(payload) != 100 || f.lost || f.atBoundary() {
			t.Fatalf("%d %d %+v", n, len(payload), f)
		}
	}
}

// A session gives the same usage however its bytes are cut into reads, and its
// messages into frames.
func TestASessionsUsageDoesNotHangOnItsPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text []byte
		var want [2]int64
		for range rapid.IntRange(0, 6).Draw(t, "messages") {
			var message string
			first := byte(opText)
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				message = strings.Repeat("sound", rapid.IntRange(0, 100).Draw(t, "length"))
				first = 2
			case 1:
				message = `{"type":"response.created","response":{"usage":{"input_tokens":7}}}`
			case 2:
				message, first = `{"type":"response.done","response":{"usage":{"input_tokens":9}}}`, opText|0x40
			default:
				input, output := rapid.Int64Range(0, 1000).Draw(t, "input"), rapid.Int64Range(0, 1000).Draw(t, "output")
				message = `{"response":{"output":[{"type":"message"}],"usage":` + string(mustJSON(map[string]int64{"input_tokens": input, "output_tokens": output})) +
					`},"type":"response.done"}`
				want[0], want[1] = want[0]+input, want[1]+output
			}
			text = append(text, fragmented(t, first, message)...)
		}
		m := messages{to: newObserver(accounts.WireOpenAIRealtime, 101, http.Header{})}
		m.to.media = mediaMessages
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			m.follow(rest[:n])
			rest = rest[n:]
		}
		usage := m.to.usage()
		if got := [2]int64{usage.InputTokens.N, usage.OutputTokens.N}; got != want {
			t.Fatalf("counted %v, want %v, in %q", got, want, text)
		}
		if !m.betweenMessages() {
			t.Fatalf("ends within a message: %q", text)
		}
	})
}

// fragmented makes frames of a message, with pings in between.
func fragmented(t *rapid.T, first byte, message string) (b []byte) {
	for {
		n := rapid.IntRange(0, len(message)).Draw(t, "fragment")
		if rapid.Bool().Draw(t, "last") {
			return append(b, rawFrame(first|0x80, []byte(message), nil)...)
		}
		b = append(b, rawFrame(first, []byte(message[:n]), nil)...)
		if rapid.Bool().Draw(t, "ping") {
			b = append(b, rawFrame(0x89, []byte(`{"type":"response.done"}`), nil)...)
		}
		message, first = message[n:], 0
	}
}

func TestAMessageIsLookedIntoOnlySoFar(t *testing.T) {
	m := messages{to: newObserver(accounts.WireOpenAIRealtime, 101, http.Header{})}
	m.to.media = mediaMessages
	done := `{"type":"response.done","response":{"usage":{"output_tokens":3},"output":"%"}}`
	m.follow(rawFrame(0x81, []byte(strings.Replace(done, "%", strings.Repeat("x", lookBytes), 1)), nil))
	if usage := m.to.usage(); usage.OutputTokens.Known {
		t.Errorf("a message beyond the bound counts: %+v", usage)
	}
	m.follow(rawFrame(0x81, []byte(done), nil))
	if usage := m.to.usage(); usage.OutputTokens.N != 3 {
		t.Errorf("the next one does not: %+v", usage)
	}
}

func TestAResponseIsUnderWayFromItsFirstEventToItsLast(t *testing.T) {
	m := messages{to: newObserver(accounts.WireOpenAIRealtime, 101, http.Header{})}
	m.to.media = mediaMessages
	for i, step := range []struct {
		sent string
		rest bool
	}{
		{realtimeEvent("session.created"), true},
		{realtimeEvent(responseCreated), false},
		{frame(0x89, ""), false},
		{realtimeEvent("response.output_text.delta", `,"delta":"response.done"`), false},
		{responseDoneEvent(1, 1, 0), true},
		{frame(0x01, "{"), false},
		{frame(0x8a, ""), false},
		{frame(0x80, "}"), true},
	} {
		m.follow([]byte(step.sent))
		if m.atRest() != step.rest {
			t.Errorf("after step %d it is at rest: %v", i, m.atRest())
		}
	}
}
