package proxy

import (
	"math"
	"net/http"

	"github.com/llmgw/llmgw/accounts"
)

// bedrock reads converse and converse-stream, and of the streams of invoke,
// whose events stand in base64 in another's "bytes", what Bedrock itself adds
// to the last one. What invoke answers in one piece is told by its headers.
var bedrock = wireFormat{
	shape: newShape([]place{
		{"usage.inputTokens", inputTokens},
		{"usage.outputTokens", outputTokens},
		{"usage.cacheReadInputTokens", cachedInputTokens},
		{"usage.cacheWriteInputTokens", cacheWriteTokens},
		{"delta.*", someOutput},
		{"start.*", someOutput},
		{"bytes", sealedEvent},
	}),
	judge: func(s *sighting) verdict {
		return verdict{
			counts:   true,
			terminal: s.is("messageStop") || s.is("metadata") || s.is("message_stop") || s.finish,
			failed:   s.thrown,
		}
	},
	arms: armsOf{inner: bedrockInvoked},
}

// bedrockInvoked is the shape of the models' own events: Anthropic's, Nova's,
// OpenAI's, and the words that others have for their text. The metrics come
// with the last event of every model.
var bedrockInvoked = newShape(anthropicOutput, []place{
	{"type", eventKind},
	{"amazon-bedrock-invocationMetrics", someFinish},
	{"amazon-bedrock-invocationMetrics.inputTokenCount", inputTokens},
	{"amazon-bedrock-invocationMetrics.outputTokenCount", outputTokens},
	{"amazon-bedrock-invocationMetrics.cacheReadInputTokenCount", cachedInputTokens},
	{"amazon-bedrock-invocationMetrics.cacheWriteInputTokenCount", cacheWriteTokens},
	{"contentBlockDelta.delta.*", someOutput},
	{"contentBlockStart.start.*", someOutput},
	{"choices[].delta.*", someOutput},
	{"choices[].delta.role", meansNothing},
	{"outputs[].text", someOutput},
	{"outputText", someOutput},
	{"generation", someOutput},
	{"completion", someOutput},
	{"text", someOutput},
})

// bedrockHeaders reads the counts that an answer of invoke has in its head.
func bedrockHeaders(header http.Header, counts *[countKinds]accounts.Count) {
	for _, h := range [...]struct {
		name string
		is   meaning
	}{
		{"X-Amzn-Bedrock-Input-Token-Count", inputTokens},
		{"X-Amzn-Bedrock-Output-Token-Count", outputTokens},
		{"X-Amzn-Bedrock-Cache-Read-Input-Token-Count", cachedInputTokens},
		{"X-Amzn-Bedrock-Cache-Write-Input-Token-Count", cacheWriteTokens},
	} {
		if n, ok := parseCount(header.Get(h.name)); ok {
			counts[h.is-inputTokens].Set(n)
		}
	}
}

// parseCount reads a number written in digits alone.
func parseCount(s string) (int64, bool) {
	var n int64
	for i := range len(s) {
		d := int64(s[i]) - '0'
		if d < 0 || d > 9 || n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, s != ""
}
