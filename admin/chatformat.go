package admin

import (
	"bytes"
	"encoding/json"
	"net/url"

	"github.com/llmgw/llmgw/accounts"
)

// chatQuestion asks for one word, as a stream, less the credential.
type chatQuestion struct {
	path, query string
	shown       string // path, without what was sent by whoever tests
	header      map[string]string
	body        []byte
}

// chatPrompt costs little and needs no thought.
const chatPrompt = "Answer with the one word: pong"

type object = map[string]any

// chatQuestionFor asks in the first format that an upstream speaks, beginning with
// its provider's. ok is false where it speaks none of these.
func chatQuestionFor(u *accounts.Upstream, model string) (q chatQuestion, ok bool) {
	said := []object{{"role": "user", "content": chatPrompt}}
	var body object
	switch {
	case u.Speaks(accounts.WireOpenAIChat): // https://platform.openai.com/docs/api-reference/chat/create
		q.path = "/v1/chat/completions"
		if u.Provider == accounts.ProviderAzure {
			q.path = "/openai/v1/chat/completions"
		}
		body = object{"model": model, "stream": true, "messages": said}
	case u.Speaks(accounts.WireAnthropicMessages): // https://docs.anthropic.com/en/api/messages
		q.path = "/v1/messages"
		q.header = map[string]string{"Anthropic-Version": "2023-06-01"}
		body = object{"model": model, "stream": true, "max_tokens": 16, "messages": said} // which it demands
	case u.Speaks(accounts.WireGoogleGenerate): // https://ai.google.dev/api/generate-content
		q.path, q.query = "/v1beta/models/"+url.PathEscape(model)+":streamGenerateContent", "alt=sse"
		q.shown = "/v1beta/models/MODEL:streamGenerateContent"
		body = object{"contents": []object{{"role": "user", "parts": []object{{"text": chatPrompt}}}}}
	default:
		return q, false
	}
	text, err := json.Marshal(body)
	if err != nil {
		return q, false // texts can always be written
	}
	q.body = text
	if q.header == nil {
		q.header = map[string]string{}
	}
	if q.shown == "" {
		q.shown = q.path
	}
	q.header["Content-Type"], q.header["Accept"] = "application/json", eventsType
	q.header["Accept-Encoding"] = "identity" // what is compressed may be held back
	return q, true
}

// chatEvent is what a test wants to know of an event of a stream.
type chatEvent struct {
	text    bool // there is output in it
	ended   bool // it is the end that the format has, or says that one comes
	failed  bool
	message string // of what failed
}

// providerError is what the formats agree on.
type providerError struct {
	Message string `json:"message"`
}

// readChatEvent reads an event of any of the formats: their names do not collide.
func readChatEvent(data []byte) (chatEvent, error) {
	if data = bytes.TrimSpace(data); string(data) == "[DONE]" {
		return chatEvent{ended: true}, nil
	}
	var e struct {
		Type    string `json:"type"` // Anthropic's
		Choices []struct {
			Delta struct {
				Content   string `json:"content"`
				Reasoning string `json:"reasoning_content"`
			} `json:"delta"`
			Finish string `json:"finish_reason"`
		} `json:"choices"`
		Delta struct {
			Text     string `json:"text"`
			Thinking string `json:"thinking"`
		} `json:"delta"`
		Candidates []struct {
			Content struct {
				Parts []struct {
					Text string `json:"text"`
				} `json:"parts"`
			} `json:"content"`
			Finish string `json:"finishReason"`
		} `json:"candidates"`
		Error *providerError `json:"error"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return chatEvent{}, err
	}
	event := chatEvent{text: e.Delta.Text+e.Delta.Thinking != "", ended: e.Type == "message_stop"}
	if e.Error != nil {
		event.failed, event.message = true, e.Error.Message
	}
	for _, c := range e.Choices {
		event.text = event.text || c.Delta.Content+c.Delta.Reasoning != ""
		event.ended = event.ended || c.Finish != ""
	}
	for _, c := range e.Candidates {
		for _, part := range c.Content.Parts {
			event.text = event.text || part.Text != ""
		}
		event.ended = event.ended || c.Finish != ""
	}
	return event, nil
}

// providerMessage is what a refusal says, "" where it says nothing in a form that
// is known.
func providerMessage(text []byte) string {
	var refusal struct {
		Error *providerError `json:"error"`
	}
	if json.Unmarshal(text, &refusal) != nil || refusal.Error == nil {
		return ""
	}
	return refusal.Error.Message
}
