package mock

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// answer is what comes back, whatever the wire format. Its tokens are those of
// the text, or of the arguments where it calls a tool.
type answer struct {
	*prompt
	number  uint64 // of the exchange, for the ids
	created int64  // Unix time in seconds
	tokens  []string
	text    string // the tokens in one piece
	call    *call
	cutOff  bool // by a limit on its tokens
}

type call struct {
	name string
}

func (a *answer) output() int { return len(a.tokens) }

func (a *answer) id(prefix string) string { return makeID(prefix, a.number) }

func makeID(prefix string, number uint64) string {
	return fmt.Sprintf("%smock%020d", prefix, number)
}

// by gives the word that a wire format has for why the answer ended.
func (a *answer) by(stop, length, toolCall string) string {
	switch {
	case a.call != nil:
		return toolCall
	case a.cutOff:
		return length
	default:
		return stop
	}
}

// compose makes the answer to a prompt.
func compose(p *prompt, says speech, title string, most int) *answer {
	a := &answer{prompt: p}
	if t, ok := p.call(); ok {
		a.call = &call{name: t.name}
		a.text = string(encode(sample(t.schema, 0)))
		a.tokens = splitTokens(a.text)
		return a
	}
	if p.limit > 0 {
		most = min(most, p.limit)
	}
	a.tokens = speak(p, says, title, most)
	if len(a.tokens) > most {
		a.tokens, a.cutOff = a.tokens[:most], true
	}
	a.text = strings.Join(a.tokens, "")
	return a
}

func speak(p *prompt, says speech, title string, most int) []string {
	switch says {
	case echoes:
		return splitTokens(strings.Join(p.said, "\n"))
	case counts:
		return count(most)
	case speaksMultibyte:
		return splitTokens("Grüße, здравствуй, γειά σου, こんにちは, 안녕하세요: 😀 🎉 👩‍🚀 and back to plain letters.")
	case speaksAtLength:
		return []string{"One", " long", " event:", strings.Repeat(" mock", 220_000), " and", " done."}
	default:
		return splitTokens(greeting(p, title))
	}
}

func count(most int) []string {
	tokens := make([]string, most)
	for i := range tokens {
		tokens[i] = strconv.Itoa(i+1) + " "
	}
	return tokens
}

// greeting tells a newcomer what arrived here. What it quotes is kept so short
// that the whole is no more than DefaultTokens.
func greeting(p *prompt, title string) string {
	noun := "messages"
	if p.messages == 1 {
		noun = "message"
	}
	heard := "nothing from you"
	if p.hasResult {
		heard = "from your tool: " + quote(p.result)
	} else if len(p.said) > 0 {
		heard = quote(p.said[len(p.said)-1])
	}
	return fmt.Sprintf("Hello! I am the built-in mock model. Your request reached me in the %s format, "+
		"asking for %q, with %d %s. I heard %s and answer the same way every time, one token at a time.",
		title, brief(p.model, 40), p.messages, noun, heard)
}

func quote(text string) string {
	words := strings.Fields(text)
	short := strings.Join(words[:min(len(words), 8)], " ")
	if len(words) > 8 {
		short += " …"
	}
	return `"` + brief(short, 40) + `"`
}

// schema is as much of JSON Schema as it takes to make up a value.
type schema struct {
	Type       json.RawMessage            `json:"type"`
	Properties map[string]json.RawMessage `json:"properties"`
	Required   []string                   `json:"required"`
	Enum       []any                      `json:"enum"`
}

// sample makes up a value that fits a schema: the first of an enumeration, the
// required properties of an object, otherwise something small of its type. One
// that is no schema, or nested without end, is an empty object.
func sample(raw json.RawMessage, depth int) any {
	var s schema
	object := map[string]any{}
	if len(raw) == 0 || depth > 8 || json.Unmarshal(raw, &s) != nil {
		return object
	}
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	switch s.kind() {
	case "string":
		return "mock"
	case "integer", "number":
		return 1
	case "boolean":
		return true
	case "array":
		return []any{}
	case "null":
		return nil
	}
	for _, name := range s.Required {
		object[name] = sample(s.Properties[name], depth+1)
	}
	return object
}

// kind is the type, in lower case (Gemini has capitals), the first of several.
func (s schema) kind() string {
	var one string
	if json.Unmarshal(s.Type, &one) == nil {
		return strings.ToLower(one)
	}
	var several []string
	if json.Unmarshal(s.Type, &several) == nil && len(several) > 0 {
		return strings.ToLower(several[0])
	}
	return "object"
}
