package mock

import (
	"encoding/json"
)

// messages is Anthropic's Messages API.
type messages struct{}

func (messages) title() string     { return "Anthropic messages" }
func (messages) requestID() string { return "Request-Id" }

type messagesRequest struct {
	Model     string  `json:"model"`
	MaxTokens *int    `json:"max_tokens"`
	System    content `json:"system"`
	Messages  []struct {
		Role    string  `json:"role"`
		Content content `json:"content"`
	} `json:"messages"`
	Stream bool `json:"stream"`
	Tools  []struct {
		Name   string          `json:"name"`
		Schema json.RawMessage `json:"input_schema"`
	} `json:"tools"`
	ToolChoice struct {
		Type string `json:"type"`
		Name string `json:"name"`
	} `json:"tool_choice"`
}

func (messages) read(body []byte, p *prompt) *refusal {
	limit, refused := readMessages(body, p)
	switch {
	case refused != nil:
		return refused
	case limit == nil:
		return refuse(400, "max_tokens: Field required")
	case *limit < 1:
		return refuse(400, "max_tokens: must be greater than or equal to 1")
	}
	p.limit = *limit
	return nil
}

func readMessages(body []byte, p *prompt) (limit *int, refused *refusal) {
	var r messagesRequest
	if refused := decode(body, &r); refused != nil {
		return nil, refused
	}
	if len(r.Messages) == 0 {
		return nil, refuse(400, "messages: at least one message is required")
	}
	p.model, p.stream = r.Model, r.Stream
	p.count(0, r.System.texts...)
	for _, m := range r.Messages {
		p.hear(m.Role, m.Content)
	}
	for _, t := range r.Tools {
		if len(t.Schema) > 0 { // one without is Anthropic's own
			p.offer(t.Name, t.Schema)
		}
	}
	p.wantsTool, p.toolName = r.ToolChoice.Type == "any", r.ToolChoice.Name
	return r.MaxTokens, nil
}

// countMessages answers how many tokens a prompt has.
func (e *exchange) countMessages(body []byte) *refusal {
	p := &prompt{}
	if _, refused := readMessages(body, p); refused != nil {
		return refused
	}
	if refused := e.take(p.model); refused != nil {
		return refused
	}
	e.sendWhole(encode(map[string]int{"input_tokens": p.input}), 0)
	return nil
}

type message struct {
	ID           string        `json:"id"`
	Type         string        `json:"type"`
	Role         string        `json:"role"`
	Model        string        `json:"model"`
	Content      []any         `json:"content"`
	StopReason   *string       `json:"stop_reason"`
	StopSequence any           `json:"stop_sequence"`
	Usage        messagesUsage `json:"usage"`
}

type messagesUsage struct {
	InputTokens         int    `json:"input_tokens"`
	CacheCreationTokens int    `json:"cache_creation_input_tokens"`
	CacheReadTokens     int    `json:"cache_read_input_tokens"`
	OutputTokens        int    `json:"output_tokens"`
	ServiceTier         string `json:"service_tier,omitempty"`
}

type textBlock struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type toolBlock struct {
	Type  string          `json:"type"`
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

func newMessage(a *answer) message {
	return message{
		ID: a.id("msg_"), Type: "message", Role: "assistant", Model: a.model, Content: []any{},
		Usage: messagesUsage{InputTokens: a.input, ServiceTier: "standard"},
	}
}

func messageBlock(a *answer, input, text string) any {
	if a.call != nil {
		return toolBlock{Type: "tool_use", ID: a.id("toolu_"), Name: a.call.name, Input: json.RawMessage(input)}
	}
	return textBlock{Type: "text", Text: text}
}

func (messages) whole(a *answer) any {
	m := newMessage(a)
	why := a.by("end_turn", "max_tokens", "tool_use")
	m.Content = append(m.Content, messageBlock(a, a.text, a.text))
	m.StopReason, m.Usage.OutputTokens = &why, a.output()
	return m
}

type messageStart struct {
	Type    string  `json:"type"`
	Message message `json:"message"`
}

type blockEvent struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
	Block any    `json:"content_block,omitempty"`
	Delta any    `json:"delta,omitempty"`
}

type messageDelta struct {
	Type  string `json:"type"`
	Delta struct {
		StopReason   string `json:"stop_reason"`
		StopSequence any    `json:"stop_sequence"`
	} `json:"delta"`
	Usage messagesUsage `json:"usage"`
}

type textDelta struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type inputDelta struct {
	Type        string `json:"type"`
	PartialJSON string `json:"partial_json"`
}

func (messages) script(a *answer, s *script) {
	start := messageStart{Type: "message_start", Message: newMessage(a)}
	start.Message.Usage.OutputTokens = 1 // so the real one says, whatever follows
	s.add(opening, start.Type, encode(start))
	s.add(opening, "content_block_start", encode(blockEvent{Type: "content_block_start", Block: messageBlock(a, "{}", "")}))
	s.add(opening, "ping", []byte(`{"type": "ping"}`))

	var delta any = textDelta{Type: "text_delta", Text: hole}
	if a.call != nil {
		delta = inputDelta{Type: "input_json_delta", PartialJSON: hole}
	}
	head, tail := around(blockEvent{Type: "content_block_delta", Delta: delta})
	var quoted []byte
	for _, text := range a.tokens {
		quoted = appendQuoted(quoted[:0], text)
		s.add(token, "content_block_delta", head, quoted, tail)
	}

	s.add(closing, "content_block_stop", encode(blockEvent{Type: "content_block_stop"}))
	end := messageDelta{Type: "message_delta", Usage: messagesUsage{InputTokens: a.input, OutputTokens: a.output()}}
	end.Delta.StopReason = a.by("end_turn", "max_tokens", "tool_use")
	s.add(closing, end.Type, encode(end))
	s.add(closing, "message_stop", []byte(`{"type":"message_stop"}`))
}

func (m messages) broken(_ *answer, s *script) {
	s.add(closing, "error", encode(m.failure(*faultRefusal(statusOverloaded), "")))
}

func (messages) failure(f refusal, requestID string) any {
	type inner struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	kind := "invalid_request_error"
	switch f.status {
	case 401:
		kind = "authentication_error"
	case 404:
		kind = "not_found_error"
	case 413:
		kind = "request_too_large"
	case 429:
		kind = "rate_limit_error"
	case 500:
		kind = "api_error"
	case statusOverloaded:
		kind = "overloaded_error"
	}
	return struct {
		Type      string `json:"type"`
		Error     inner  `json:"error"`
		RequestID string `json:"request_id,omitempty"`
	}{"error", inner{kind, f.message}, requestID}
}
