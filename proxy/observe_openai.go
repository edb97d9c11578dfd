package proxy

// chatUsage is where OpenAI's older endpoints, and everybody who copies them,
// put their counts.
func chatUsage(below string) []place {
	return []place{
		{below + "usage.prompt_tokens", inputTokens},
		{below + "usage.completion_tokens", outputTokens},
		{below + "usage.prompt_tokens_details.cached_tokens", cachedInputTokens},
		{below + "usage.completion_tokens_details.reasoning_tokens", reasoningTokens},
	}
}

// responsesUsage is where the newer ones put them.
func responsesUsage(below string) []place {
	return []place{
		{below + "usage.input_tokens", inputTokens},
		{below + "usage.output_tokens", outputTokens},
		{below + "usage.input_tokens_details.cached_tokens", cachedInputTokens},
		{below + "usage.output_tokens_details.reasoning_tokens", reasoningTokens},
	}
}

// openAIChat reads chat completions. Usage may stand in any chunk; Groq wraps
// it in x_groq. Of a delta everything but the role is output: each provider has
// its own word for reasoning.
var openAIChat = wireFormat{
	shape: newShape(chatUsage(""), chatUsage("x_groq."), []place{
		{"error", someError},
		{"choices[].text", someOutput},
		{"choices[].delta.*", someOutput},
		{"choices[].delta.role", meansNothing},
	}),
	judge: func(s *sighting) verdict {
		return verdict{counts: true, terminal: s.done, failed: s.failed || s.is("error")}
	},
}

// openAIResponses reads the Responses API. In a stream only the last event's
// usage is the answer's.
var openAIResponses = wireFormat{
	shape: newShape(responsesUsage(""), responsesUsage("response."), []place{
		{"type", eventKind},
		{"error", someError},
		{"delta", someOutput},
		{"text", someOutput},
		{"arguments", someOutput},
		{"partial_image_b64", someOutput},
		{"item.name", someOutput},
	}),
	judge: func(s *sighting) verdict {
		failed := s.is("response.failed")
		last := failed || s.is("response.completed") || s.is("response.incomplete")
		return verdict{
			counts:   last || s.whole,
			terminal: last || s.done,
			failed:   failed || s.failed || s.is("error"),
		}
	},
}

// openAIOther reads embeddings, images, audio and batches: usage where there is
// any, in either spelling. Their streams have no common last event.
var openAIOther = wireFormat{
	shape: newShape(chatUsage(""), responsesUsage(""), []place{
		{"type", eventKind},
		{"error", someError},
	}),
	judge: func(s *sighting) verdict {
		return verdict{counts: true, failed: s.failed || s.is("error")}
	},
	arms: armsOf{endless: true},
}
