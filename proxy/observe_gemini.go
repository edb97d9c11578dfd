package proxy

// googleGenerate reads Gemini. Every chunk repeats the totals so far, not
// always all of them; there is no last event, but a reason to finish, or one
// not to begin.
var googleGenerate = wireFormat{
	shape: newShape([]place{
		{"usageMetadata.promptTokenCount", inputTokens},
		{"usageMetadata.candidatesTokenCount", outputTokens},
		{"usageMetadata.cachedContentTokenCount", cachedInputTokens},
		{"usageMetadata.thoughtsTokenCount", reasoningTokens},
		{"candidates[].finishReason", someFinish},
		{"promptFeedback.blockReason", someFinish},
		{"error", someError},
		{"candidates[].content.parts[].*", someOutput},
		{"candidates[].content.parts[].thoughtSignature", meansNothing},
	}),
	judge: func(s *sighting) verdict {
		return verdict{counts: true, terminal: s.finish, failed: s.failed}
	},
	arms: armsOf{arrays: true},
}
