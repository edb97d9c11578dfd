package proxy

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
)

// alike are events, with a mark where those of a stream part. What they say
// stands before it.
var alike = map[accounts.Wire][]string{
	accounts.WireOpenAIChat: {
		`data: {"id":"chatcmpl-1","usage":{"prompt_tokens":41,"x":"|"}}`,
		`data: {"id":"chatcmpl-1","usage":{"prompt_tokens":42,"completion_tokens":7},"x":"|"}`,
		`data: {"id":"chatcmpl-1","error":{"message":"overloaded","code":"|"}}`,
	},
	accounts.WireOpenAIResponses: {
		`data: {"type":"response.completed","response":{"usage":{"input_tokens":41,"x":"|"}}}`,
		`data: {"type":"response.incomplete","response":{"usage":{"input_tokens":42,"x":"|"}}}`,
		`data: {"sequence_number":1,"type":"response.\"text\"|.delta"}`,
		`data: {"type":"response.output_text.delta","delta":"|"}`,
		"event: response.output_text.delta\n" + `data: {"type":"error","message":"|"}`,
	},
	accounts.WireAnthropicMessages: {
		"event: message_delta\n" + `data: {"usage":{"output_tokens":41},"type":"message_delta","delta":{"x":"|"}}`,
		"event: message_delta\n" + `data: {"usage":{"output_tokens":42},"type":"message_delta","delta":{"x":"|"}}`,
		`data: {"delta":{"type":"text_delta"},"type":"content\"_block_\"|delta"}`,
		`data: {"delta":{"type":"text_delta"},"type":"content_block_delta","x":"|"}`,
		`data: {"delta":{"type":"text_delta"},"type":"message_stop","x":"|"}`,
	},
	accounts.WireGoogleGenerate: {
		`data: {"usageMetadata":{"promptTokenCount":41},"candidates":[{"content":"|"}]}`,
		`data: {"usageMetadata":{"promptTokenCount":42},"candidates":[{"content":"|"}]}`,
		`data: {"modelVersion":"m","candidates":[{"finishReason":"STOP","content":"|"}]}`,
	},
}

// begunAlike makes up a stream of few kinds of events, some of them broken off.
func begunAlike(t *rapid.T, wire accounts.Wire) []byte {
	body := bytes.NewBufferString(streamChunks[wire])
	lineEnd := rapid.SampledFrom([]string{"\n", "\r\n", "\r"}).Draw(t, "line end")
	kind := rapid.SampledFrom(append(alike[wire], strings.Replace(streamChunks[wire], " ferry", "|", 1), `: "ping" "ping" "ping" "ping" "ping"|`))
	kinds := []string{kind.Draw(t, "one"), kind.Draw(t, "another")}
	for range rapid.IntRange(2, 12).Draw(t, "events") {
		before, after, _ := strings.Cut(strings.TrimSpace(rapid.SampledFrom(kinds).Draw(t, "kind")), "|")
		text := rapid.SampledFrom([]string{"", " ferry", `\"\\`, `\u0022"}`}).Draw(t, "text")
		end := rapid.SampledFrom([]string{after, after, after, ""}).Draw(t, "after") + rapid.SampledFrom([]string{"\n\n", "\n\n", "\n\n", "\n", ""}).Draw(t, "end")
		body.WriteString(strings.ReplaceAll(before+text+end, "\n", lineEnd))
	}
	return body.Bytes()
}

func TestObserverSaysTheSameOfEventsThatBeginAlikeHoweverTheyAreCut(t *testing.T) {
	for wire := range alike {
		t.Run(wire.String(), rapid.MakeCheck(func(t *rapid.T) {
			body := begunAlike(t, wire)
			pieces := cutEvery(body, rapid.SampledFrom([]int{len(body), 300, 100, 1 + len(body)/7}).Draw(t, "piece"))
			quick, slow := newObserver(wire, 200, eventStream), newObserver(wire, 200, eventStream)
			for _, p := range pieces {
				quick.write(p)
				for _, one := range cutEvery(p, leastOpening-1) { // too short for any opening
					slow.write(one)
				}
				if a, b := saidBy(quick), saidBy(slow); a != b {
					t.Fatalf("%+v\n%+v when it comes in short pieces\n%q", a, b, body)
				}
			}
			quick.end()
			slow.end()
			if a, b := saidBy(quick), saidBy(slow); a != b {
				t.Fatalf("at the end %+v\n%+v when it comes in short pieces\n%q", a, b, body)
			}
		}))
	}
}

func TestObserverHearsAnEventThatBeginsAsOnesThatWereBrokenOff(t *testing.T) {
	for wire, event := range map[accounts.Wire]string{
		accounts.WireOpenAIChat:      `data: {"id":"chatcmpl-1","error":{"message":"overloaded","code":"|"}}`,
		accounts.WireGoogleGenerate:  `data: {"modelVersion":"m","candidates":[{"finishReason":"STOP","content":"|"}]}`,
		accounts.WireOpenAIResponses: `data: {"response":{"error":""},"error":{"message":"overloaded","code":"|"}}`,
	} {
		before, after, _ := strings.Cut(event, "|")
		o := newObserver(wire, 200, eventStream)
		for _, whole := range []string{streamChunks[wire], before + "\n\n", before + "\n\n", before + "\n\n", before + "\n\n"} {
			o.write([]byte(whole))
		}
		if o.broke || o.ended {
			t.Errorf("%s: broken events say failed %v, terminal %v", wire, o.broke, o.ended)
		}
		o.write([]byte(before + after + "\n\n"))
		if !o.broke && !o.ended {
			t.Errorf("%s: %s says nothing", wire, event)
		}
	}
}

func TestObserverTakesUpEventsWhereTheyPart(t *testing.T) {
	for wire, chunk := range streamChunks {
		o := newObserver(wire, 200, eventStream)
		before, _, _ := strings.Cut(chunk, " ferry")
		for _, text := range []string{" leaves", "at", `\"six\"`} {
			o.write([]byte(strings.Replace(chunk, " ferry", text, 1)))
		}
		if k := o.lines.known; k == nil || k.n != len(before) {
			t.Errorf("%s: %+v is kept of events that begin %q", wire, k, before)
		}
	}
}

func TestSharedOpeningsEndBehindAQuoteWithinOneEvent(t *testing.T) {
	for _, c := range []struct{ one, other, want string }{
		{`data: {"a":"x`, `data: {"a":"y`, `data: {"a":"`},
		{`data: {"a":12`, `data: {"a":13`, `data: {"a"`},
		{`data: 1`, `data: 1`, ``},
		{"data: \"1\"\n\ndata: \"2\"", "data: \"1\"\n\ndata: \"2\"", `data: "1"`},
		{"data: \"1\"\r\rdata: \"2\"", "data: \"1\"\r\rdata: \"2\"", `data: "1"`},
		{"data: \"1\"\n\rdata: \"2\"", "data: \"1\"\n\rdata: \"2\"", `data: "1"`},
		{"data: \"1\"\r\n\r\ndata: \"2\"", "data: \"1\"\r\n\r\ndata: \"2\"", `data: "1"`},
		{"event: a\r\ndata: \"2\"", "event: a\r\ndata: \"2\"", "event: a\r\ndata: \"2\""},
		{"\ndata: \"2\"", "\ndata: \"2\"", ""},
		{"", "data", ""},
	} {
		if n := sharedOpening([]byte(c.one), []byte(c.other)); c.one[:n] != c.want {
			t.Errorf("%q and %q share %q, want %q", c.one, c.other, c.one[:n], c.want)
		}
	}
}
