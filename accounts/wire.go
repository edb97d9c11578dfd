package accounts

import "strings"

// Wire is a wire format: the shape of request, answer and stream that a path
// stands for. The zero value is a path that no format claims.
type Wire uint8

// The wire formats that the gateway reads. Everything else passes as it is.
const (
	WireNone Wire = iota
	WireOpenAIChat
	WireOpenAIResponses
	WireOpenAIEmbeddings
	WireOpenAIImages
	WireOpenAIAudio
	WireOpenAIFiles
	WireOpenAIBatches
	WireOpenAIRealtime
	WireAnthropicMessages
	WireAnthropicCountTokens
	WireGoogleGenerate
	WireBedrock
)

var wireNames = [...]string{
	WireNone:                 "",
	WireOpenAIChat:           "openai-chat",
	WireOpenAIResponses:      "openai-responses",
	WireOpenAIEmbeddings:     "openai-embeddings",
	WireOpenAIImages:         "openai-images",
	WireOpenAIAudio:          "openai-audio",
	WireOpenAIFiles:          "openai-files",
	WireOpenAIBatches:        "openai-batches",
	WireOpenAIRealtime:       "openai-realtime",
	WireAnthropicMessages:    "anthropic-messages",
	WireAnthropicCountTokens: "anthropic-count-tokens",
	WireGoogleGenerate:       "google-generate",
	WireBedrock:              "bedrock",
}

// String gives the name used in logs, in an upstream's wires, and in errors.
func (w Wire) String() string { return wireNames[w] }

// Title is what the users of a format call its API.
func (w Wire) Title() string {
	switch w {
	case WireOpenAIChat:
		return "Chat Completions"
	case WireOpenAIResponses:
		return "Responses"
	case WireOpenAIRealtime:
		return "Realtime"
	case WireAnthropicMessages, WireAnthropicCountTokens:
		return "Anthropic Messages"
	case WireGoogleGenerate:
		return "Gemini"
	case WireBedrock:
		return "Bedrock"
	}
	return w.String()
}

// ParseWire finds a format by its name.
func ParseWire(name string) (Wire, bool) {
	for w, known := range wireNames {
		if known == name && name != "" {
			return Wire(w), true
		}
	}
	return WireNone, false
}

// WireNames lists the formats by name, in a fixed order.
func WireNames() []string { return append([]string(nil), wireNames[1:]...) }

// IsAnthropic says whether the format is one of Anthropic's. What is none of
// Anthropic's, Google's or Bedrock's has errors in OpenAI's shape.
func (w Wire) IsAnthropic() bool { return strings.HasPrefix(w.String(), "anthropic-") }

// IsGoogle says whether the format is Gemini's.
func (w Wire) IsGoogle() bool { return w == WireGoogleGenerate }

// IsBedrock says whether the format is Amazon Bedrock's.
func (w Wire) IsBedrock() bool { return w == WireBedrock }

// IsOpenAI says whether the format is one of OpenAI's.
func (w Wire) IsOpenAI() bool { return w >= WireOpenAIChat && w <= WireOpenAIRealtime }
