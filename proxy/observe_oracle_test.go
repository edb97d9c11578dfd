package proxy

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// The oracle says what a whole body holds by taking it apart the plain way:
// all lines, all events, encoding/json. It shares no code with the observer.

// plainEvent is an event as a client sees it.
type plainEvent struct {
	name   string
	data   string
	thrown bool
}

// plainSSE cuts a stream into its events.
func plainSSE(body string) []plainEvent {
	body = strings.TrimPrefix(body, "\ufeff")
	body = strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\r", "\n")
	var events []plainEvent
	var event plainEvent
	var data []string
	for _, line := range append(strings.Split(body, "\n"), "") {
		if line == "" {
			if data != nil {
				event.data = strings.Join(data, "\n")
				events = append(events, event)
			}
			event, data = plainEvent{}, nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "data":
			data = append(data, value)
		case "event":
			event.name = value
		}
	}
	return events
}

// plainFrames cuts a well-formed eventstream into its events.
func plainFrames(body []byte) []plainEvent {
	var events []plainEvent
	for len(body) > 0 {
		total, headers := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
		event := plainEvent{data: string(body[12+headers : total-4])}
		for head := body[12 : 12+headers]; len(head) > 0; {
			name, rest := string(head[1:1+head[0]]), head[1+head[0]:]
			n := binary.BigEndian.Uint16(rest[1:])
			value := string(rest[3 : 3+n])
			head = rest[3+n:]
			switch name {
			case ":event-type", ":exception-type":
				event.name = value
			case ":message-type":
				event.thrown = value == "exception"
			}
		}
		events, body = append(events, event), body[total:]
	}
	return events
}

// plainJSON decodes a document; nil where it is none.
func plainJSON(text []byte) map[string]any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var doc map[string]any
	if d.Decode(&doc) != nil || d.More() {
		return nil
	}
	return doc
}

// valueAt follows keys; nil where there is no such place.
func valueAt(v any, path ...string) any {
	for _, key := range path {
		jsonObject, _ := v.(map[string]any)
		v = jsonObject[key]
	}
	return v
}

// something says whether a value is a string, array or object that is not
// empty.
func something(v any) bool {
	switch v := v.(type) {
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return false
}

// anyBut says whether there is something in an object, its listed keys left
// out.
func anyBut(v any, but ...string) bool {
	jsonObject, _ := v.(map[string]any)
	for key, value := range jsonObject {
		if !strings.Contains(" "+strings.Join(but, " ")+" ", " "+key+" ") && something(value) {
			return true
		}
	}
	return false
}

// anyOf says whether f holds for an element.
func anyOf(v any, f func(any) bool) bool {
	elements, _ := v.([]any)
	for _, e := range elements {
		if f(e) {
			return true
		}
	}
	return false
}

// oracle collects what the events of a body say.
type oracle struct {
	usage                    map[string]int64
	output, terminal, failed bool
	last                     string
}

// count takes over a number that is a count.
func (o *oracle) count(name string, v any) {
	anyCount, _ := v.(json.Number)
	if n, err := strconv.ParseUint(anyCount.String(), 10, 63); err == nil {
		o.usage[name] = int64(n)
	}
}

func (o *oracle) chatUsage(u any) {
	o.count("input_tokens", valueAt(u, "prompt_tokens"))
	o.count("output_tokens", valueAt(u, "completion_tokens"))
	o.count("cached_input_tokens", valueAt(u, "prompt_tokens_details", "cached_tokens"))
	o.count("reasoning_tokens", valueAt(u, "completion_tokens_details", "reasoning_tokens"))
}

func (o *oracle) responsesUsage(u any) {
	o.count("input_tokens", valueAt(u, "input_tokens"))
	o.count("output_tokens", valueAt(u, "output_tokens"))
	o.count("cached_input_tokens", valueAt(u, "input_tokens_details", "cached_tokens"))
	o.count("reasoning_tokens", valueAt(u, "output_tokens_details", "reasoning_tokens"))
}

func (o *oracle) anthropicUsage(u any) {
	o.count("input_tokens", valueAt(u, "input_tokens"))
	o.count("output_tokens", valueAt(u, "output_tokens"))
	o.count("cached_input_tokens", valueAt(u, "cache_read_input_tokens"))
	o.count("cache_write_tokens", valueAt(u, "cache_creation_input_tokens"))
}

func chatOutput(doc any) bool {
	return anyOf(valueAt(doc, "choices"), func(c any) bool { return anyBut(valueAt(c, "delta"), "role") })
}

func anthropicOutputIn(doc any) bool {
	return anyBut(valueAt(doc, "delta"), "type", "stop_reason", "stop_sequence", "stop_details", "container") ||
		anyBut(valueAt(doc, "content_block"), "type", "id")
}

// take adds one event.
func (o *oracle) take(wire accounts.Wire, e plainEvent) {
	doc := plainJSON([]byte(e.data))
	kind, _ := valueAt(doc, "type").(string)
	if wire == accounts.WireOpenAIChat || wire == accounts.WireGoogleGenerate || wire == accounts.WireBedrock {
		kind = ""
	}
	is := func(name string) bool { return e.name == name || kind == name }
	failed := something(valueAt(doc, "error"))
	switch wire {
	case accounts.WireOpenAIChat:
		if doc != nil {
			o.chatUsage(valueAt(doc, "usage"))
			o.chatUsage(valueAt(doc, "x_groq", "usage"))
		}
		o.output = o.output || chatOutput(doc)
		o.terminal = o.terminal || strings.HasPrefix(e.data, "[DONE]")
		o.failed = o.failed || failed || is("error")
	case accounts.WireOpenAIResponses:
		last := is("response.completed") || is("response.incomplete") || is("response.failed")
		if last {
			o.responsesUsage(valueAt(doc, "response", "usage"))
		}
		o.output = o.output || something(valueAt(doc, "delta")) || something(valueAt(doc, "text")) || something(valueAt(doc, "item", "name"))
		o.terminal = o.terminal || last || strings.HasPrefix(e.data, "[DONE]")
		o.failed = o.failed || failed || is("error") || is("response.failed")
	case accounts.WireAnthropicMessages:
		o.anthropicUsage(valueAt(doc, "message", "usage"))
		o.anthropicUsage(valueAt(doc, "usage"))
		o.output = o.output || anthropicOutputIn(doc)
		o.terminal = o.terminal || is("message_stop")
		o.failed = o.failed || failed || is("error")
	case accounts.WireGoogleGenerate:
		o.gemini(doc)
		o.failed = o.failed || failed
	case accounts.WireBedrock:
		kind = o.bedrock(doc, e)
	}
	if o.last = kind; o.last == "" {
		o.last = e.name
	}
	if o.last == "" {
		o.last = "message"
	}
	if strings.HasPrefix(e.data, "[DONE]") {
		o.last = "[DONE]"
	}
	o.last = o.last[:min(len(o.last), 64)]
}

func (o *oracle) gemini(doc any) {
	u := valueAt(doc, "usageMetadata")
	o.count("input_tokens", valueAt(u, "promptTokenCount"))
	o.count("output_tokens", valueAt(u, "candidatesTokenCount"))
	o.count("cached_input_tokens", valueAt(u, "cachedContentTokenCount"))
	o.count("reasoning_tokens", valueAt(u, "thoughtsTokenCount"))
	o.output = o.output || anyOf(valueAt(doc, "candidates"), func(c any) bool {
		return anyOf(valueAt(c, "content", "parts"), func(p any) bool { return anyBut(p, "thoughtSignature") })
	})
	o.terminal = o.terminal || something(valueAt(doc, "promptFeedback", "blockReason")) ||
		anyOf(valueAt(doc, "candidates"), func(c any) bool { return something(valueAt(c, "finishReason")) })
}

// bedrock adds a frame and gives the type of the event in it, if one is.
func (o *oracle) bedrock(doc any, e plainEvent) string {
	u := valueAt(doc, "usage")
	o.count("input_tokens", valueAt(u, "inputTokens"))
	o.count("output_tokens", valueAt(u, "outputTokens"))
	o.count("cached_input_tokens", valueAt(u, "cacheReadInputTokens"))
	o.count("cache_write_tokens", valueAt(u, "cacheWriteInputTokens"))
	o.output = o.output || anyBut(valueAt(doc, "delta")) || anyBut(valueAt(doc, "start"))
	o.terminal = o.terminal || e.name == "messageStop" || e.name == "metadata"
	o.failed = o.failed || e.thrown

	sealed, _ := valueAt(doc, "bytes").(string)
	opened, err := base64.StdEncoding.DecodeString(sealed)
	if sealed == "" || err != nil {
		return ""
	}
	inner := plainJSON(opened)
	kind, _ := valueAt(inner, "type").(string)
	metrics := valueAt(inner, "amazon-bedrock-invocationMetrics")
	o.count("input_tokens", valueAt(metrics, "inputTokenCount"))
	o.count("output_tokens", valueAt(metrics, "outputTokenCount"))
	o.output = o.output || anthropicOutputIn(inner)
	o.terminal = o.terminal || kind == "message_stop" || something(metrics)
	return kind
}
