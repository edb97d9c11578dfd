package proxy

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

var eventStream = http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}}

// streamChunks are chunks as a provider sends them in the middle of a stream.
var streamChunks = map[accounts.Wire]string{
	accounts.WireOpenAIChat: `data: {"id":"chatcmpl-0a1b2c3d4e5f60718293a4b5c6d7e","object":"chat.completion.chunk","created":1790000000,` +
		`"model":"model-x","choices":[{"index":0,"delta":{"content":" ferry"},"finish_reason":null}]}` + "\n\n",
	accounts.WireOpenAIResponses: "event: response.output_text.delta\n" + `data: {"type":"response.output_text.delta","item_id":"msg_0a1b2c3d4e5f60718293",` +
		`"output_index":0,"content_index":0,"delta":" ferry","logprobs":[],"sequence_number":4}` + "\n\n",
	accounts.WireAnthropicMessages: "event: content_block_delta\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",` +
		`"text":" ferry leaves the harbour at six and comes back with the evening tide"}}` + "\n\n",
	accounts.WireGoogleGenerate: `data: {"candidates":[{"content":{"parts":[{"text":" ferry"}],"role":"model"},"index":0}],` +
		`"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13},"modelVersion":"model-x"}` + "\r\n\r\n",
}

// BenchmarkObserverChunk is what looking at a chunk costs, no two of them the
// same. The floor is looking for line ends in it and copying it, in the same run.
func BenchmarkObserverChunk(b *testing.B) {
	for _, wire := range []accounts.Wire{
		accounts.WireOpenAIChat, accounts.WireOpenAIResponses, accounts.WireAnthropicMessages, accounts.WireGoogleGenerate, accounts.WireNone,
	} {
		chunk := []byte(streamChunks[wire])
		if wire == accounts.WireNone {
			chunk = []byte(streamChunks[accounts.WireOpenAIChat])
		}
		b.Run(fmt.Sprintf("wire=%s/bytes=%d", wire, len(chunk)), func(b *testing.B) {
			o := newObserver(wire, 200, eventStream)
			text := chunk[bytes.Index(chunk, []byte(" ferry")):][1:6]
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				for i := range text {
					text[i] = 'a' + byte(n>>i&15)
				}
				o.write(chunk)
			}
		})
		b.Run(fmt.Sprintf("floor=%s/bytes=%d", wire, len(chunk)), func(b *testing.B) { benchmarkFloor(b, chunk) })
	}
}

func benchmarkFloor(b *testing.B, chunk []byte) {
	copied, lines := make([]byte, len(chunk)), 0
	b.ReportAllocs()
	for b.Loop() {
		lines += bytes.Count(chunk, []byte{'\n'})
		copy(copied, chunk)
	}
}

// BenchmarkObserverLargeEvent looks at events of 1 MB, in pieces of 32 KB.
func BenchmarkObserverLargeEvent(b *testing.B) {
	plain := strings.Repeat("All ferries leave on time. ", 1<<20/27)
	for name, text := range map[string]string{
		"plain":   plain,
		"escaped": strings.ReplaceAll(plain, "on", `\"on\"\n`),
	} {
		event := []byte(`data: {"choices":[{"index":0,"delta":{"content":"` + text + "\"}}]}\n\n")
		pieces := cutEvery(event, 32<<10)
		b.Run(name, func(b *testing.B) {
			o := newObserver(accounts.WireOpenAIChat, 200, eventStream)
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				for _, p := range pieces {
					o.write(p)
				}
			}
		})
		b.Run(name+"/floor", func(b *testing.B) {
			b.SetBytes(int64(len(event)))
			copied, lines := make([]byte, 32<<10), 0
			for b.Loop() {
				for _, p := range pieces {
					lines += bytes.Count(p, []byte{'\n'})
					copy(copied, p)
				}
			}
		})
	}
}

func BenchmarkNewObserver(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newObserver(accounts.WireOpenAIChat, 200, eventStream)
	}
}
