package mock

import (
	"encoding/json"
	"strings"
)

// prompt is what a request asks, whatever the wire format.
type prompt struct {
	model     string
	stream    bool
	withUsage bool     // OpenAI's stream_options.include_usage
	jsonArray bool     // Gemini without alt=sse
	messages  int      // how many there are
	said      []string // the texts of the last message of the user's
	result    string   // what a tool answered, where that is the last message
	hasResult bool
	limit     int // the caller's own limit on output tokens, 0 for none
	tools     []tool
	wantsTool bool            // a tool must be called
	toolName  string          // which one; "" is the first
	input     int             // tokens
	echoed    json.RawMessage // what Responses gives back as it came: tools
	choice    json.RawMessage // and tool_choice
	orders    *string         // and instructions
}

type tool struct {
	name   string
	schema json.RawMessage
}

// hear takes in one message.
func (p *prompt) hear(role string, c content) {
	p.messages++
	p.count(3, c.texts...)
	p.hasResult = c.isResult || role == "tool" || role == "function"
	if p.hasResult {
		p.result = strings.Join(append(c.results, c.texts...), "\n")
		p.count(0, c.results...)
		return
	}
	if (role == "user" || role == "") && len(c.texts) > 0 {
		p.said = c.texts
	}
}

// offer takes in one tool.
func (p *prompt) offer(name string, schema json.RawMessage) {
	if name == "" {
		return // a tool of the provider's own: web search and the like
	}
	p.tools = append(p.tools, tool{name: name, schema: schema})
	p.count(0, name, string(schema))
}

func (p *prompt) count(more int, texts ...string) {
	p.input += more
	for _, text := range texts {
		p.input += countTokens(text)
	}
}

// call says which tool is to be called, if any: a forced one, or the one that
// the user's words ask for. After a tool has answered none is called again.
func (p *prompt) call() (tool, bool) {
	if p.hasResult || len(p.tools) == 0 {
		return tool{}, false
	}
	for _, t := range p.tools {
		if t.name == p.toolName {
			return t, true
		}
	}
	asked := strings.Contains(strings.ToLower(strings.Join(p.said, "\n")), "use the tool")
	return p.tools[0], p.wantsTool || asked
}

// content is what a message holds: a string, or parts of which those with text
// are read. It fits all of the wire formats.
type content struct {
	texts    []string
	results  []string
	isResult bool
}

type part struct {
	Type             string          `json:"type"`
	Text             string          `json:"text"`
	Content          json.RawMessage `json:"content"`
	FunctionResponse *struct {
		Response json.RawMessage `json:"response"`
	} `json:"functionResponse"`
}

func (c *content) UnmarshalJSON(raw []byte) error {
	switch raw[0] {
	case 'n':
		return nil
	case '"':
		var text string
		err := json.Unmarshal(raw, &text)
		c.texts = append(c.texts, text)
		return err
	case '[':
		var parts []part
		if err := json.Unmarshal(raw, &parts); err != nil {
			return refuse(400, "content: every part must be an object")
		}
		for _, p := range parts {
			if err := c.take(p); err != nil {
				return err
			}
		}
		return nil
	default:
		return refuse(400, "content: must be a string or a list of parts")
	}
}

func (c *content) take(p part) error {
	switch {
	case p.FunctionResponse != nil:
		c.isResult = true
		c.results = append(c.results, string(p.FunctionResponse.Response))
	case p.Type == "tool_result":
		c.isResult = true
		var inner content
		if len(p.Content) > 0 {
			if err := inner.UnmarshalJSON(p.Content); err != nil {
				return err
			}
		}
		c.results = append(c.results, inner.texts...)
	case p.Text != "":
		c.texts = append(c.texts, p.Text)
	}
	return nil
}
