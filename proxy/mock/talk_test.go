package mock_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/proxy/mock"
)

// each runs a test in every wire format.
func each(t *testing.T, test func(t *testing.T, f format)) {
	for _, f := range formats() {
		t.Run(f.name, func(t *testing.T) { test(t, f) })
	}
}

func TestAStreamedAnswerIsTheAnswerThatIsNot(t *testing.T) {
	s := start(t, quick())
	for _, model := range []string{"mock", "gpt-5", "mock-echo", "mock-long", "mock-crlf", "mock-bytes", "mock-split-utf8", "mock-1mb-event"} {
		for _, f := range formats() {
			t.Run(model+" in "+f.name, func(t *testing.T) {
				s := s.in(t)
				whole, streamed := f.whole(s, model, `two words, "quoted" & <bracketed>`), f.streamed(s, model, `two words, "quoted" & <bracketed>`)
				if whole.settled() != streamed.settled() {
					t.Errorf("whole    %.300v\nstreamed %.300v", whole, streamed)
				}
				if !whole.complete || whole.input == 0 || whole.output == 0 || whole.text == "" {
					t.Errorf("not an answer: %.300v", whole)
				}
				if streamed.pieces != streamed.output {
					t.Errorf("%d events carry text, usage says %d tokens", streamed.pieces, streamed.output)
				}
			})
		}
	}
}

func TestTheGreetingSaysWhatArrived(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		got := f.streamed(s, "mock", "hello").text
		for _, want := range []string{"Hello! I am the built-in mock model.", `asking for "mock"`, "with 1 message.", `I heard "hello"`} {
			if !strings.Contains(got, want) {
				t.Errorf("%q does not say %q", got, want)
			}
		}
		if again := f.whole(s, "mock", "hello").text; again != got {
			t.Errorf("the second time it says %q, the first time %q", again, got)
		}
	})
}

func TestAGreetingFitsIntoTheDefaultLength(t *testing.T) {
	s := start(t, quick())
	model, said := strings.Repeat("m", 300), strings.Repeat("a bb ccc dddddddd ", 5000)
	each(t, func(t *testing.T, f format) {
		s := s.in(t)
		if got := f.whole(s, model, said); got.output > mock.DefaultTokens || !strings.HasSuffix(got.text, "one token at a time.") {
			t.Errorf("%d tokens: %q", got.output, got.text)
		}
	})
}

func TestEchoRepeatsTheLastMessageOfTheUsers(t *testing.T) {
	s := start(t, quick())
	for _, c := range []struct{ name, path, body string }{
		{"openai chat", "/v1/chat/completions", `{"model":"mock-echo","messages":[{"role":"user","content":"no"},{"role":"assistant","content":"nor this"},
			{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}},{"type":"text","text":"the last one"}]}]}`},
		{"openai responses", "/openai/v1/responses", `{"model":"mock-echo","instructions":"no","input":[{"role":"user","content":"no"},
			{"type":"reasoning","summary":[]},{"type":"message","role":"user","content":[{"type":"input_text","text":"the last one"}]}]}`},
		{"anthropic", "/anthropic/v1/messages?beta=true", `{"model":"mock-echo","max_tokens":9,"system":[{"type":"text","text":"no"}],"messages":[
			{"role":"user","content":"no"},{"role":"user","content":[{"type":"text","text":"the last one"}]},{"role":"assistant","content":"nor this"}]}`},
		{"gemini", "/v1beta/models/mock-echo:generateContent", `{"systemInstruction":{"parts":[{"text":"no"}]},"contents":[
			{"role":"user","parts":[{"text":"no"}]},{"role":"model","parts":[{"text":"nor"}]},{"parts":[{"text":"the last one"}]}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.in(t)
			if _, text := s.post(c.path, c.body); !strings.Contains(text, `"the last one"`) {
				t.Error(text)
			}
		})
	}
}

func TestAnAnswerIsNoLongerThanAllowed(t *testing.T) {
	const prompt = "one two three four five"
	ends := map[string]string{
		"openai-chat": "length", "openai-responses": "incomplete", "anthropic-messages": "max_tokens", "google-generate": "MAX_TOKENS",
	}
	each(t, func(t *testing.T, f format) {
		o := quick()
		o.Tokens = 3
		s := start(t, o)
		for _, got := range []reading{f.whole(s, "mock-echo", prompt), f.streamed(s, "mock-echo", prompt)} {
			if got.text != "one two three" || got.output != 3 || got.finish != ends[f.name] || !got.complete {
				t.Errorf("%+v", got)
			}
		}
	})
}

func TestTheCallersOwnLimitIsKept(t *testing.T) {
	s := start(t, quick())
	for _, c := range []struct{ name, path, body string }{
		{"max_tokens", "/v1/chat/completions", `{"model":"mock-long","max_tokens":2,"messages":[{"role":"user","content":"x"}]}`},
		{"max_completion_tokens", "/v1/chat/completions", `{"model":"mock-long","max_completion_tokens":2,"messages":[{"role":"user","content":"x"}]}`},
		{"max_output_tokens", "/v1/responses", `{"model":"mock-long","max_output_tokens":2,"input":"x"}`},
		{"anthropic", "/v1/messages", `{"model":"mock-long","max_tokens":2,"messages":[{"role":"user","content":"x"}]}`},
		{"gemini", "/v1beta/models/mock-long:generateContent", `{"generationConfig":{"maxOutputTokens":2},"contents":[{"parts":[{"text":"x"}]}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.in(t)
			if _, text := s.post(c.path, c.body); !strings.Contains(text, `"1 2 "`) {
				t.Error(text)
			}
		})
	}
}

func TestLongCountsAsFarAsItMay(t *testing.T) {
	o := quick()
	o.Tokens = 500
	s := start(t, o)
	if got := formats()[0].streamed(s, "mock-long", "go"); got.output != 500 || got.finish != "stop" {
		t.Errorf("%d tokens, %s", got.output, got.finish)
	}
}

func TestEventsComeInTheOrderOfTheProtocol(t *testing.T) {
	want := map[string][]string{
		"openai-responses": {
			"response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
			"response.output_text.delta", "response.output_text.delta", "response.output_text.done",
			"response.content_part.done", "response.output_item.done", "response.completed",
		},
		"anthropic-messages": {
			"message_start", "content_block_start", "ping", "content_block_delta", "content_block_delta",
			"content_block_stop", "message_delta", "message_stop",
		},
		"openai-chat":     {"", "", "", "", "", ""}, // role, two tokens, finish, usage, [DONE]
		"google-generate": {"", "", ""},
	}
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		answer, text := s.post(f.path("mock-echo", true), f.ask("mock-echo", "two words", true))
		var names []string
		for _, e := range events(t, text) {
			names = append(names, e.name)
		}
		if !slices.Equal(names, want[f.name]) {
			t.Errorf("%q", names)
		}
		if kind := answer.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
			t.Errorf("content type %q", kind)
		}
	})
}

func TestUsageInAChatStreamOnlyWhereItIsAskedFor(t *testing.T) {
	s := start(t, quick())
	_, text := s.post("/v1/chat/completions", `{"model":"mock","stream":true,"messages":[{"role":"user","content":"hi"}]}`)
	if strings.Contains(text, "usage") {
		t.Error(text)
	}
	_, text = s.post("/v1/chat/completions", formats()[0].ask("mock-echo", "hi", true))
	if n := strings.Count(text, `"usage":null`); n != 3 || !strings.Contains(text, `"choices":[],`) {
		t.Errorf("%d chunks without usage in\n%s", n, text)
	}
}

func TestGeminiStreamsAnArrayWithoutSSE(t *testing.T) {
	s := start(t, quick())
	answer, text := s.post("/v1beta/models/mock-echo:streamGenerateContent", formats()[3].ask("", "two words", true))
	if kind := answer.Header.Get("Content-Type"); kind != "application/json; charset=UTF-8" {
		t.Errorf("content type %q", kind)
	}
	n := parse(t, text)
	if n.text(0, "candidates", 0, "content", "parts", 0, "text") != "two" || n.text(2, "candidates", 0, "finishReason") != "STOP" {
		t.Error(text)
	}
}

func TestOnlyTheWireFormatsAskedForAreThere(t *testing.T) {
	names := mock.WireNames() // in the order of formats
	for i, f := range formats() {
		for j, name := range names {
			t.Run(fmt.Sprintf("%s where %s is spoken", f.name, name), func(t *testing.T) {
				o := quick()
				o.Wires = []string{name}
				s := start(t, o)
				want := 404
				if i == j {
					want = 200
				}
				answer, text := s.post(f.path("mock", false), f.ask("mock", "hi", false))
				if answer.StatusCode != want {
					t.Errorf("%d: %s", answer.StatusCode, text)
				}
			})
		}
	}
}
