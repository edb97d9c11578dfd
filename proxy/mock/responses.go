package mock

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// responses is OpenAI's Responses API.
type responses struct{ chat }

func (responses) title() string { return "OpenAI responses" }

type responsesRequest struct {
	Model           string          `json:"model"`
	Input           responsesInput  `json:"input"`
	Instructions    *string         `json:"instructions"`
	Stream          bool            `json:"stream"`
	MaxOutputTokens int             `json:"max_output_tokens"`
	Tools           json.RawMessage `json:"tools"`
	ToolChoice      json.RawMessage `json:"tool_choice"`
}

// responsesInput is one text, or a list of items.
type responsesInput []responsesItem

type responsesItem struct {
	Type    string          `json:"type"`
	Role    string          `json:"role"`
	Content content         `json:"content"`
	Output  json.RawMessage `json:"output"`
}

func (in *responsesInput) UnmarshalJSON(raw []byte) error {
	if raw[0] == '"' {
		item := responsesItem{Role: "user"}
		*in = append(*in, item)
		return (*in)[0].Content.UnmarshalJSON(raw)
	}
	return json.Unmarshal(raw, (*[]responsesItem)(in))
}

func (responses) read(body []byte, p *prompt) *refusal {
	var r responsesRequest
	if refused := decode(body, &r); refused != nil {
		return refused
	}
	if len(r.Input) == 0 {
		return refuse(400, "Missing required parameter: 'input'.")
	}
	p.model, p.stream, p.limit = r.Model, r.Stream, r.MaxOutputTokens
	if p.orders = r.Instructions; p.orders != nil {
		p.count(0, *p.orders)
	}
	for _, item := range r.Input {
		if refused := item.tell(p); refused != nil {
			return refused
		}
	}
	return readResponsesTools(r, p)
}

// tell puts one item of the input into the prompt. Reasoning, and the calls
// that the model itself once made, say nothing to the mock.
func (i responsesItem) tell(p *prompt) *refusal {
	switch i.Type {
	case "", "message":
		p.hear(i.Role, i.Content)
	case "function_call_output", "custom_tool_call_output":
		var output content
		if len(i.Output) > 0 {
			if refused := decode(i.Output, &output); refused != nil {
				return refused
			}
		}
		p.hear("tool", content{isResult: true, results: output.texts})
	}
	return nil
}

func readResponsesTools(r responsesRequest, p *prompt) *refusal {
	p.echoed, p.choice = json.RawMessage("[]"), json.RawMessage(`"auto"`)
	var tools []struct {
		Type       string          `json:"type"`
		Name       string          `json:"name"`
		Parameters json.RawMessage `json:"parameters"`
	}
	if len(r.Tools) > 0 && r.Tools[0] == '[' {
		if refused := decode(r.Tools, &tools); refused != nil {
			return refused
		}
		p.echoed = r.Tools
	}
	for _, t := range tools {
		if t.Type == "function" {
			p.offer(t.Name, t.Parameters)
		}
	}
	if len(r.ToolChoice) > 0 && r.ToolChoice[0] != 'n' {
		var choice openAIChoice
		if refused := decode(r.ToolChoice, &choice); refused != nil {
			return refused
		}
		p.choice, p.wantsTool, p.toolName = r.ToolChoice, choice.forced, choice.name
	}
	return nil
}

type response struct {
	ID                 string          `json:"id"`
	Object             string          `json:"object"`
	CreatedAt          int64           `json:"created_at"`
	Status             string          `json:"status"`
	Background         bool            `json:"background"`
	Error              any             `json:"error"`
	IncompleteDetails  any             `json:"incomplete_details"`
	Instructions       *string         `json:"instructions"`
	MaxOutputTokens    *int            `json:"max_output_tokens"`
	Model              string          `json:"model"`
	Output             []any           `json:"output"`
	ParallelToolCalls  bool            `json:"parallel_tool_calls"`
	PreviousResponseID any             `json:"previous_response_id"`
	Reasoning          reasoning       `json:"reasoning"`
	ServiceTier        string          `json:"service_tier"`
	Store              bool            `json:"store"`
	Temperature        float64         `json:"temperature"`
	Text               textFormat      `json:"text"`
	ToolChoice         json.RawMessage `json:"tool_choice"`
	Tools              json.RawMessage `json:"tools"`
	TopP               float64         `json:"top_p"`
	Truncation         string          `json:"truncation"`
	Usage              *responsesUsage `json:"usage"`
	User               any             `json:"user"`
	Metadata           struct{}        `json:"metadata"`
}

type reasoning struct {
	Effort  any `json:"effort"`
	Summary any `json:"summary"`
}

type textFormat struct {
	Format struct {
		Type string `json:"type"`
	} `json:"format"`
}

type responsesUsage struct {
	InputTokens        int `json:"input_tokens"`
	InputTokensDetails struct {
		CachedTokens int `json:"cached_tokens"`
	} `json:"input_tokens_details"`
	OutputTokens        int `json:"output_tokens"`
	OutputTokensDetails struct {
		ReasoningTokens int `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	TotalTokens int `json:"total_tokens"`
}

type outputMessage struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Status  string `json:"status"`
	Content []any  `json:"content"`
	Role    string `json:"role"`
}

type outputText struct {
	Type        string `json:"type"`
	Annotations []any  `json:"annotations"`
	Logprobs    []any  `json:"logprobs"`
	Text        string `json:"text"`
}

type functionCall struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Status    string `json:"status"`
	Arguments string `json:"arguments"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
}

// begun is the response as it stands while nothing has been said.
func begun(a *answer) response {
	r := response{
		ID: a.id("resp_"), Object: "response", CreatedAt: a.created, Status: "in_progress", Instructions: a.orders,
		Model: a.model, Output: []any{}, ParallelToolCalls: true, ServiceTier: "default", Temperature: 1,
		ToolChoice: a.choice, Tools: a.echoed, TopP: 1, Truncation: "disabled",
	}
	r.Text.Format.Type = "text"
	if a.limit > 0 {
		r.MaxOutputTokens = &a.limit
	}
	return r
}

func (responses) whole(a *answer) any {
	r := begun(a)
	r.Status = a.by("completed", "incomplete", "completed")
	if r.Status == "incomplete" {
		r.IncompleteDetails = map[string]string{"reason": "max_output_tokens"}
	}
	r.Output = []any{outputItem(a, r.Status, a.text)}
	r.Usage = &responsesUsage{InputTokens: a.input, OutputTokens: a.output(), TotalTokens: a.input + a.output()}
	return r
}

func outputItem(a *answer, status, text string) any {
	if a.call != nil {
		return functionCall{
			ID: a.id("fc_"), Type: "function_call", Status: status, Arguments: text, CallID: a.id("call_"), Name: a.call.name,
		}
	}
	m := outputMessage{ID: a.id("msg_"), Type: "message", Status: status, Content: []any{}, Role: "assistant"}
	if status != "in_progress" {
		m.Content = append(m.Content, textPart(text))
	}
	return m
}

func textPart(text string) outputText {
	return outputText{Type: "output_text", Annotations: []any{}, Logprobs: []any{}, Text: text}
}

// numbered is a script whose events carry their number.
type numbered struct{ *script }

// event puts in one event: its type, its fields, and last its number.
func (n numbered) event(k kind, name string, fields any) {
	n.numbered(k, name, headOf(name, fields))
}

func (n numbered) numbered(k kind, name string, pieces ...[]byte) {
	number := strconv.AppendInt([]byte(`,"sequence_number":`), int64(len(n.frames)), 10)
	n.add(k, name, append(pieces, append(number, '}'))...)
}

// headOf writes an event without its number, and so without its last brace.
func headOf(name string, fields any) []byte {
	head := appendQuoted([]byte(`{"type":`), name)
	body := encode(fields)
	head = append(append(head, ','), body[1:]...)
	return bytes.TrimSuffix(head, []byte("}"))
}

// at says where in the output an event belongs.
type at struct {
	ItemID       string `json:"item_id"`
	OutputIndex  int    `json:"output_index"`
	ContentIndex *int   `json:"content_index,omitempty"`
}

type responseEvent struct {
	Response any `json:"response"`
}

type itemEvent struct {
	OutputIndex int `json:"output_index"`
	Item        any `json:"item"`
}

type partEvent struct {
	at
	Part outputText `json:"part"`
}

type deltaEvent struct {
	at
	Delta    string `json:"delta"`
	Logprobs []any  `json:"logprobs,omitzero"` // text has them, arguments do not
}

func (r responses) script(a *answer, s *script) {
	n := numbered{s}
	n.event(opening, "response.created", responseEvent{begun(a)})
	n.event(opening, "response.in_progress", responseEvent{begun(a)})
	n.event(opening, "response.output_item.added", itemEvent{Item: outputItem(a, "in_progress", "")})
	if a.call != nil {
		scriptArguments(a, n)
	} else {
		scriptText(a, n)
	}
	status := a.by("completed", "incomplete", "completed")
	n.event(closing, "response.output_item.done", itemEvent{Item: outputItem(a, status, a.text)})
	n.event(closing, "response."+status, responseEvent{r.whole(a)})
}

func scriptText(a *answer, n numbered) {
	where := at{ItemID: a.id("msg_"), ContentIndex: new(int)}
	n.event(opening, "response.content_part.added", partEvent{at: where, Part: textPart("")})
	n.deltas("response.output_text.delta", deltaEvent{at: where, Delta: hole, Logprobs: []any{}}, a.tokens)
	n.event(closing, "response.output_text.done", struct {
		at
		Text     string `json:"text"`
		Logprobs []any  `json:"logprobs"`
	}{where, a.text, []any{}})
	n.event(closing, "response.content_part.done", partEvent{at: where, Part: textPart(a.text)})
}

func scriptArguments(a *answer, n numbered) {
	where := at{ItemID: a.id("fc_")}
	n.deltas("response.function_call_arguments.delta", deltaEvent{at: where, Delta: hole}, a.tokens)
	n.event(closing, "response.function_call_arguments.done", struct {
		at
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	}{where, a.call.name, a.text})
}

// deltas puts in one event for each token, which goes where event has its hole.
func (n numbered) deltas(name string, event deltaEvent, tokens []string) {
	head, tail := around(event)
	head = append(append(appendQuoted([]byte(`{"type":`), name), ','), head[1:]...)
	tail = bytes.TrimSuffix(tail, []byte("}"))
	var quoted []byte
	for _, text := range tokens {
		quoted = appendQuoted(quoted[:0], text)
		n.numbered(token, name, head, quoted, tail)
	}
}

func (responses) broken(a *answer, s *script) {
	r := begun(a)
	r.Status = "failed"
	r.Error = map[string]string{"code": "server_error", "message": faultRefusal(500).message}
	numbered{s}.event(closing, "response.failed", responseEvent{r})
}
