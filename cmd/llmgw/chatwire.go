package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// chatWire is how one wire format asks for a streamed answer and says it.
type chatWire struct {
	path    func(model string) string
	body    func(p chatPrompt) any
	keyed   func(h http.Header, key string)
	decoded func(data []byte) (chatEvent, error)
}

// chatPrompt is what is asked, in no format yet.
type chatPrompt struct{ model, system, text string }

// chatEvent is what one event of a stream says.
type chatEvent struct {
	text   string
	tokens int64  // output tokens so far; 0 where it says nothing of them
	failed string // the provider's message, where the event is an error
	ended  bool   // the format's own end
}

// chatWires are the formats that chat speaks.
func chatWires() map[string]chatWire {
	return map[string]chatWire{
		"openai": {
			path: fixed("/v1/chat/completions"), body: openaiBody, keyed: bearer, decoded: openaiEvent,
		},
		"responses": {
			path: fixed("/v1/responses"), body: responsesBody, keyed: bearer, decoded: responsesEvent,
		},
		"anthropic": {
			path: fixed("/v1/messages"), body: anthropicBody, decoded: anthropicEvent,
			keyed: func(h http.Header, key string) {
				h.Set("X-Api-Key", key)
				h.Set("Anthropic-Version", "2023-06-01")
			},
		},
		"gemini": {
			path: func(model string) string {
				return "/v1beta/models/" + url.PathEscape(model) + ":streamGenerateContent?alt=sse"
			},
			body: geminiBody, decoded: geminiEvent,
			keyed: func(h http.Header, key string) { h.Set("X-Goog-Api-Key", key) },
		},
	}
}

func fixed(path string) func(string) string { return func(string) string { return path } }

func bearer(h http.Header, key string) { h.Set("Authorization", "Bearer "+key) }

type object = map[string]any

func message(role, text string) object { return object{"role": role, "content": text} }

func openaiBody(p chatPrompt) any {
	messages := []object{message("user", p.text)}
	if p.system != "" {
		messages = []object{message("system", p.system), messages[0]}
	}
	return object{"model": p.model, "stream": true, "stream_options": object{"include_usage": true}, "messages": messages}
}

func responsesBody(p chatPrompt) any {
	body := object{"model": p.model, "stream": true, "input": p.text}
	if p.system != "" {
		body["instructions"] = p.system
	}
	return body
}

// anthropicBody names max_tokens because the format demands it.
func anthropicBody(p chatPrompt) any {
	body := object{"model": p.model, "stream": true, "max_tokens": 4096, "messages": []object{message("user", p.text)}}
	if p.system != "" {
		body["system"] = p.system
	}
	return body
}

func geminiBody(p chatPrompt) any {
	parts := func(text string) []object { return []object{{"text": text}} }
	body := object{"contents": []object{{"role": "user", "parts": parts(p.text)}}}
	if p.system != "" {
		body["systemInstruction"] = object{"parts": parts(p.system)}
	}
	return body
}

// providerError is the one shape that all formats share in what matters here.
type providerError struct {
	Message string `json:"message"`
}

func said(e *providerError) string {
	if e == nil {
		return ""
	}
	if e.Message == "" {
		return "the provider reported an error without a message"
	}
	return e.Message
}

func openaiEvent(data []byte) (chatEvent, error) {
	if strings.TrimSpace(string(data)) == "[DONE]" {
		return chatEvent{ended: true}, nil
	}
	var e struct {
		Choices []struct {
			Delta struct {
				Content string `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
		Usage *struct {
			Completion int64 `json:"completion_tokens"`
		} `json:"usage"`
		Error *providerError `json:"error"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return chatEvent{}, errNotJSON
	}
	event := chatEvent{failed: said(e.Error)}
	for _, c := range e.Choices {
		event.text += c.Delta.Content
	}
	if e.Usage != nil {
		event.tokens = e.Usage.Completion
	}
	return event, nil
}

func responsesEvent(data []byte) (chatEvent, error) {
	var e struct {
		Type     string `json:"type"`
		Delta    string `json:"delta"`
		Message  string `json:"message"` // of type error
		Response struct {
			Usage *struct {
				Output int64 `json:"output_tokens"`
			} `json:"usage"`
			Error *providerError `json:"error"`
		} `json:"response"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return chatEvent{}, errNotJSON
	}
	event := chatEvent{}
	switch e.Type {
	case "response.output_text.delta":
		event.text = e.Delta
	case "response.completed", "response.incomplete":
		event.ended = true
	case "response.failed":
		event.failed = said(&providerError{})
		if e.Response.Error != nil {
			event.failed = said(e.Response.Error)
		}
	case "error":
		event.failed = said(&providerError{e.Message})
	}
	if e.Response.Usage != nil {
		event.tokens = e.Response.Usage.Output
	}
	return event, nil
}

func anthropicEvent(data []byte) (chatEvent, error) {
	var e struct {
		Type  string `json:"type"`
		Delta struct {
			Text string `json:"text"`
		} `json:"delta"`
		Usage struct {
			Output int64 `json:"output_tokens"`
		} `json:"usage"`
		Error *providerError `json:"error"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return chatEvent{}, errNotJSON
	}
	return chatEvent{
		text: e.Delta.Text, tokens: e.Usage.Output, failed: said(e.Error), ended: e.Type == "message_stop",
	}, nil
}

// geminiEvent takes a finish reason for the end: the format has no other.
func geminiEvent(data []byte) (chatEvent, error) {
	var e struct {
		Candidates []struct {
			Content struct {
				Parts []struct {
					Text string `json:"text"`
				} `json:"parts"`
			} `json:"content"`
			FinishReason string `json:"finishReason"`
		} `json:"candidates"`
		Usage struct {
			Output int64 `json:"candidatesTokenCount"`
		} `json:"usageMetadata"`
		Error *providerError `json:"error"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return chatEvent{}, errNotJSON
	}
	event := chatEvent{tokens: e.Usage.Output, failed: said(e.Error)}
	for _, c := range e.Candidates {
		for _, p := range c.Content.Parts {
			event.text += p.Text
		}
		event.ended = event.ended || c.FinishReason != ""
	}
	return event, nil
}

var errNotJSON = errors.New("an event of the stream is not JSON")
