package proxy

// anthropicUsage is where Anthropic puts its counts. Its input_tokens leave out
// what was read from or written to the prompt cache.
func anthropicUsage(below string) []place {
	return []place{
		{below + "usage.input_tokens", inputTokens},
		{below + "usage.output_tokens", outputTokens},
		{below + "usage.cache_read_input_tokens", cachedInputTokens},
		{below + "usage.cache_creation_input_tokens", cacheWriteTokens},
	}
}

// anthropicOutput is what of an event is output. A content block begins empty,
// unless it is a tool call, which has its name at once; message_delta carries
// only how it ended.
var anthropicOutput = []place{
	{"delta.*", someOutput},
	{"delta.type", meansNothing},
	{"delta.stop_reason", meansNothing},
	{"delta.stop_sequence", meansNothing},
	{"delta.stop_details", meansNothing},
	{"delta.container", meansNothing},
	{"content_block.*", someOutput},
	{"content_block.type", meansNothing},
	{"content_block.id", meansNothing},
}

// anthropicMessages reads messages: message_start says what went in, every
// message_delta corrects it with totals.
var anthropicMessages = wireFormat{
	shape: newShape(anthropicUsage(""), anthropicUsage("message."), anthropicOutput, []place{
		{"type", eventKind},
		{"error", someError},
	}),
	judge: func(s *sighting) verdict {
		return verdict{counts: true, terminal: s.is("message_stop"), failed: s.failed || s.is("error")}
	},
}
