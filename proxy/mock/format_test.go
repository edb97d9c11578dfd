package mock_test

import (
	"encoding/json"
	"fmt"
	"testing"
)

func fixed(path string) func(string, bool) string {
	return func(string, bool) string { return path }
}

func formats() []format {
	return []format{
		{
			name: "openai-chat",
			path: fixed("/v1/chat/completions"),
			ask: func(model, prompt string, stream bool) string {
				return fmt.Sprintf(`{"model":%q,"stream":%t,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":%q}]}`,
					model, stream, prompt)
			},
			read: readChat, stream: streamChat,
		},
		{
			name: "openai-responses",
			path: fixed("/v1/responses"),
			ask: func(model, prompt string, stream bool) string {
				return fmt.Sprintf(`{"model":%q,"stream":%t,"input":%q}`, model, stream, prompt)
			},
			read: readResponse, stream: streamResponse,
		},
		{
			name: "anthropic-messages",
			path: fixed("/v1/messages"),
			ask: func(model, prompt string, stream bool) string {
				return fmt.Sprintf(`{"model":%q,"max_tokens":1024,"stream":%t,"messages":[{"role":"user","content":%q}]}`,
					model, stream, prompt)
			},
			read: readMessage, stream: streamMessage,
		},
		{
			name: "google-generate",
			path: func(model string, stream bool) string {
				if stream {
					return "/v1beta/models/" + model + ":streamGenerateContent?alt=sse"
				}
				return "/v1beta/models/" + model + ":generateContent"
			},
			ask: func(_, prompt string, _ bool) string {
				return fmt.Sprintf(`{"contents":[{"role":"user","parts":[{"text":%q}]}]}`, prompt)
			},
			read: readGemini, stream: streamGemini,
		},
	}
}

// whole asks without a stream and reads the answer.
func (f format) whole(s stand, model, prompt string) reading {
	s.t.Helper()
	answer, text := s.post(f.path(model, false), f.ask(model, prompt, false))
	if answer.StatusCode != 200 {
		s.t.Fatalf("%s: %s: %s", f.name, answer.Status, text)
	}
	return f.read(parse(s.t, text))
}

// streamed asks for a stream and reads it.
func (f format) streamed(s stand, model, prompt string) reading {
	s.t.Helper()
	answer, text := s.post(f.path(model, true), f.ask(model, prompt, true))
	if answer.StatusCode != 200 {
		s.t.Fatalf("%s: %s: %s", f.name, answer.Status, text)
	}
	return f.stream(s.t, events(s.t, text))
}

func readChat(n tree) reading {
	return reading{
		text:      n.text("choices", 0, "message", "content"),
		tool:      n.text("choices", 0, "message", "tool_calls", 0, "function", "name"),
		arguments: n.text("choices", 0, "message", "tool_calls", 0, "function", "arguments"),
		finish:    n.text("choices", 0, "finish_reason"),
		input:     n.count("usage", "prompt_tokens"),
		output:    n.count("usage", "completion_tokens"),
		complete:  n.text("object") == "chat.completion",
	}
}

func streamChat(t *testing.T, all []event) (r reading) {
	for _, e := range all {
		if r.complete {
			t.Fatalf("an event behind [DONE]: %v", e)
		}
		if e.name != "" {
			t.Fatalf("an event with a name: %v", e)
		}
		if e.data == "[DONE]" {
			r.complete = true
			continue
		}
		n := parse(t, e.data)
		if r.failed = n.text("error", "message"); r.failed != "" {
			continue
		}
		if n.text("object") != "chat.completion.chunk" {
			t.Fatalf("no chunk: %s", e.data)
		}
		call := n.at("choices", 0, "delta", "tool_calls", 0)
		r.tool += tree{call}.text("function", "name")
		piece, more := n.text("choices", 0, "delta", "content"), tree{call}.text("function", "arguments")
		r.text, r.arguments = r.text+piece, r.arguments+more
		if piece+more != "" {
			r.pieces++
		}
		r.finish += n.text("choices", 0, "finish_reason")
		r.input, r.output = n.count("usage", "prompt_tokens"), n.count("usage", "completion_tokens")
	}
	return r
}

func readResponse(n tree) reading {
	return reading{
		text:      n.text("output", 0, "content", 0, "text"),
		tool:      n.text("output", 0, "name"),
		arguments: n.text("output", 0, "arguments"),
		finish:    n.text("status"),
		input:     n.count("usage", "input_tokens"),
		output:    n.count("usage", "output_tokens"),
		complete:  n.text("status") == "completed" || n.text("status") == "incomplete",
	}
}

func streamResponse(t *testing.T, all []event) (r reading) {
	text, arguments, pieces := "", "", 0
	for i, e := range all {
		n := parse(t, e.data)
		if n.text("type") != e.name || n.count("sequence_number") != i {
			t.Fatalf("event %d is called %s and says %s", i, e.name, e.data)
		}
		switch e.name {
		case "response.output_text.delta":
			text += n.text("delta")
			pieces++
		case "response.function_call_arguments.delta":
			arguments += n.text("delta")
			pieces++
		case "response.output_text.done":
			if n.text("text") != text {
				t.Fatalf("done with %q, after %q", n.text("text"), text)
			}
		case "response.failed":
			r.failed = n.text("response", "error", "message")
		case "response.completed", "response.incomplete":
			r = readResponse(tree{n.at("response")})
			if r.text != text || r.arguments != arguments || i != len(all)-1 {
				t.Fatalf("completed as %+v after %q %q", r, text, arguments)
			}
		}
	}
	r.pieces = pieces
	return r
}

func readMessage(n tree) reading {
	r := reading{
		text:     n.text("content", 0, "text"),
		tool:     n.text("content", 0, "name"),
		finish:   n.text("stop_reason"),
		input:    n.count("usage", "input_tokens"),
		output:   n.count("usage", "output_tokens"),
		complete: n.text("type") == "message",
	}
	if input := n.at("content", 0, "input"); input != nil {
		r.arguments = compact(input)
	}
	return r
}

func streamMessage(t *testing.T, all []event) (r reading) {
	for _, e := range all {
		n := parse(t, e.data)
		if n.text("type") != e.name || r.complete {
			t.Fatalf("out of order: %v", e)
		}
		switch e.name {
		case "message_start":
			r.input = n.count("message", "usage", "input_tokens")
		case "content_block_start":
			r.tool = n.text("content_block", "name")
		case "content_block_delta":
			r.text += n.text("delta", "text")
			r.arguments += n.text("delta", "partial_json")
			r.pieces++
		case "message_delta":
			r.finish = n.text("delta", "stop_reason")
			r.output = n.count("usage", "output_tokens")
		case "message_stop":
			r.complete = true
		case "error":
			r.failed = n.text("error", "message")
		}
	}
	return r
}

func readGemini(n tree) reading {
	r := reading{
		text:   n.text("candidates", 0, "content", "parts", 0, "text"),
		tool:   n.text("candidates", 0, "content", "parts", 0, "functionCall", "name"),
		finish: n.text("candidates", 0, "finishReason"),
		input:  n.count("usageMetadata", "promptTokenCount"),
		output: n.count("usageMetadata", "candidatesTokenCount"),
	}
	if args := n.at("candidates", 0, "content", "parts", 0, "functionCall", "args"); args != nil {
		r.arguments = compact(args)
	}
	r.complete = r.finish != ""
	return r
}

func streamGemini(t *testing.T, all []event) (r reading) {
	for _, e := range all {
		n := parse(t, e.data)
		if r.failed = n.text("error", "message"); r.failed != "" {
			continue
		}
		piece := readGemini(n)
		if piece.text+piece.tool != "" {
			r.pieces++
		}
		r.text, r.tool, r.arguments = r.text+piece.text, r.tool+piece.tool, r.arguments+piece.arguments
		r.finish, r.complete, r.input, r.output = piece.finish, piece.complete, piece.input, piece.output
	}
	return r
}

func compact(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}
