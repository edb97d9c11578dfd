package mock

import (
	"encoding/json"
)

// chat is OpenAI's chat completions, and the shapes of OpenAI's errors.
type chat struct{}

func (chat) title() string     { return "OpenAI chat" }
func (chat) requestID() string { return "X-Request-Id" }

type chatRequest struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string  `json:"role"`
		Content content `json:"content"`
	} `json:"messages"`
	Stream        bool `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens           int `json:"max_tokens"`
	MaxCompletionTokens int `json:"max_completion_tokens"`
	Tools               []struct {
		Function struct {
			Name       string          `json:"name"`
			Parameters json.RawMessage `json:"parameters"`
		} `json:"function"`
	} `json:"tools"`
	ToolChoice openAIChoice `json:"tool_choice"`
}

func (chat) read(body []byte, p *prompt) *refusal {
	var r chatRequest
	if refused := decode(body, &r); refused != nil {
		return refused
	}
	if len(r.Messages) == 0 {
		return refuse(400, "Missing required parameter: 'messages'.")
	}
	p.model, p.stream, p.withUsage = r.Model, r.Stream, r.StreamOptions.IncludeUsage
	p.limit = max(r.MaxTokens, r.MaxCompletionTokens)
	for _, m := range r.Messages {
		p.hear(m.Role, m.Content)
	}
	for _, t := range r.Tools {
		p.offer(t.Function.Name, t.Function.Parameters)
	}
	p.wantsTool, p.toolName = r.ToolChoice.forced, r.ToolChoice.name
	return nil
}

// openAIChoice is tool_choice: "required", or an object that names a function
// (at its top in Responses, under "function" in chat completions).
type openAIChoice struct {
	forced bool
	name   string
}

func (c *openAIChoice) UnmarshalJSON(raw []byte) error {
	if raw[0] != '{' {
		c.forced = string(raw) == `"required"`
		return nil
	}
	var named struct {
		Name     string `json:"name"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	err := json.Unmarshal(raw, &named)
	c.name = named.Name + named.Function.Name
	return err
}

type chatAnswer struct {
	ID                string       `json:"id"`
	Object            string       `json:"object"`
	Created           int64        `json:"created"`
	Model             string       `json:"model"`
	Choices           []chatChoice `json:"choices"`
	Usage             *chatUsage   `json:"usage"`
	ServiceTier       string       `json:"service_tier"`
	SystemFingerprint string       `json:"system_fingerprint"`
}

// chatChunk is a chatAnswer whose usage may be missing altogether, as it is
// where nobody asked for it, or null, as in all chunks but the last where
// somebody did.
type chatChunk struct {
	chatAnswer
	Usage json.RawMessage `json:"usage,omitempty"`
}

type chatChoice struct {
	Index        int          `json:"index"`
	Message      *chatMessage `json:"message,omitempty"`
	Delta        any          `json:"delta,omitempty"`
	Logprobs     any          `json:"logprobs"`
	FinishReason *string      `json:"finish_reason"`
}

type chatMessage struct {
	Role        string     `json:"role"`
	Content     *string    `json:"content"`
	ToolCalls   []chatCall `json:"tool_calls,omitempty"`
	Refusal     any        `json:"refusal"`
	Annotations []any      `json:"annotations,omitzero"` // a whole message has them
}

type chatCall struct {
	Index    *int         `json:"index,omitempty"` // in chunks only
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"`
	Function chatFunction `json:"function"`
}

type chatFunction struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

type chatUsage struct {
	PromptTokens        int                  `json:"prompt_tokens"`
	CompletionTokens    int                  `json:"completion_tokens"`
	TotalTokens         int                  `json:"total_tokens"`
	PromptTokensDetails chatPromptDetails    `json:"prompt_tokens_details"`
	CompletionDetails   chatCompletionDetail `json:"completion_tokens_details"`
}

type chatPromptDetails struct {
	CachedTokens int `json:"cached_tokens"`
	AudioTokens  int `json:"audio_tokens"`
}

type chatCompletionDetail struct {
	ReasoningTokens          int `json:"reasoning_tokens"`
	AudioTokens              int `json:"audio_tokens"`
	AcceptedPredictionTokens int `json:"accepted_prediction_tokens"`
	RejectedPredictionTokens int `json:"rejected_prediction_tokens"`
}

func newChatAnswer(a *answer, object string, choices ...chatChoice) chatAnswer {
	return chatAnswer{
		ID: a.id("chatcmpl-"), Object: object, Created: a.created, Model: a.model, Choices: choices,
		ServiceTier: "default", SystemFingerprint: "fp_mock",
	}
}

func chatUsageOf(a *answer) *chatUsage {
	return &chatUsage{PromptTokens: a.input, CompletionTokens: a.output(), TotalTokens: a.input + a.output()}
}

func (chat) whole(a *answer) any {
	m := chatMessage{Role: "assistant", Content: &a.text, Annotations: []any{}}
	if a.call != nil {
		m.Content = nil
		m.ToolCalls = []chatCall{{
			ID: a.id("call_"), Type: "function", Function: chatFunction{Name: a.call.name, Arguments: a.text},
		}}
	}
	why := a.by("stop", "length", "tool_calls")
	whole := newChatAnswer(a, "chat.completion", chatChoice{Message: &m, FinishReason: &why})
	whole.Usage = chatUsageOf(a)
	return whole
}

func (chat) script(a *answer, s *script) {
	first, next := chatDeltas(a)
	s.add(opening, "", encode(chatChunkOf(a, chatChoice{Delta: first})))
	head, tail := around(chatChunkOf(a, chatChoice{Delta: next}))
	var quoted []byte
	for _, text := range a.tokens {
		quoted = appendQuoted(quoted[:0], text)
		s.add(token, "", head, quoted, tail)
	}
	why := a.by("stop", "length", "tool_calls")
	s.add(closing, "", encode(chatChunkOf(a, chatChoice{Delta: struct{}{}, FinishReason: &why})))
	if a.withUsage {
		last := chatChunkOf(a)
		last.Choices, last.Usage = []chatChoice{}, encode(chatUsageOf(a))
		s.add(closing, "", encode(last))
	}
	s.add(closing, "", []byte("[DONE]"))
}

// chatDeltas makes the delta that opens a stream, and the one with a hole that
// carries a token.
func chatDeltas(a *answer) (first, next any) {
	zero, nothing := 0, ""
	if a.call == nil {
		return chatMessage{Role: "assistant", Content: &nothing}, map[string]string{"content": hole}
	}
	begun := chatCall{Index: &zero, ID: a.id("call_"), Type: "function", Function: chatFunction{Name: a.call.name}}
	more := chatCall{Index: &zero, Function: chatFunction{Arguments: hole}}
	return chatMessage{Role: "assistant", ToolCalls: []chatCall{begun}}, map[string]any{"tool_calls": []chatCall{more}}
}

func chatChunkOf(a *answer, choices ...chatChoice) chatChunk {
	c := chatChunk{chatAnswer: newChatAnswer(a, "chat.completion.chunk", choices...)}
	if a.withUsage {
		c.Usage = json.RawMessage("null")
	}
	return c
}

func (c chat) broken(_ *answer, s *script) {
	s.add(closing, "", encode(c.failure(*faultRefusal(500), "")))
}

func (chat) failure(f refusal, _ string) any {
	type inner struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   any     `json:"param"`
		Code    *string `json:"code"`
	}
	kind, code := "invalid_request_error", ""
	switch f.status {
	case 401:
		code = "invalid_api_key"
	case 404:
		code = "unknown_url"
	case 405:
		code = "method_not_supported"
	case 429:
		kind, code = "requests", "rate_limit_exceeded"
	case 500:
		kind = "server_error"
	case statusOverloaded:
		kind, code = "overloaded_error", "overloaded"
	}
	failed := inner{Message: f.message, Type: kind}
	if code != "" {
		failed.Code = &code
	}
	return map[string]inner{"error": failed}
}
