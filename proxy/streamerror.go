package proxy

import (
	"encoding/json"
	"net/http"

	"github.com/llmgw/llmgw/accounts"
)

// streamError is the protocol's own way of saying, inside a stream, that it has
// failed: OpenAI's error object without [DONE], Anthropic's error event, a
// failed response, Gemini's error object. Nil for formats that have none.
func streamError(w accounts.Wire, message string) []byte {
	f := &failure{status: http.StatusBadGateway, code: codeStreamCut, message: message}
	switch {
	case w == accounts.WireOpenAIResponses:
		return event("response.failed", failedResponse(f))
	case w == accounts.WireAnthropicMessages:
		return event("error", mustJSON(anthropicStreamError{"error", anthropicDetail{"api_error", message}}))
	case w.IsGoogle():
		return event("", mustJSON(googleError{googleDetail{f.status, message, googleStatus(f.status)}}))
	case w.IsOpenAI():
		return event("", errorBody(w, f, ""))
	}
	return nil
}

type anthropicStreamError struct {
	Type  string          `json:"type"`
	Error anthropicDetail `json:"error"`
}

// failedResponse is the data of response.failed
// (https://platform.openai.com/docs/api-reference/responses-streaming/response/failed).
func failedResponse(f *failure) []byte {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	type response struct {
		ID     string   `json:"id"`
		Object string   `json:"object"`
		Status string   `json:"status"`
		Error  problem  `json:"error"`
		Output []string `json:"output"`
	}
	return mustJSON(struct {
		Type     string   `json:"type"`
		Response response `json:"response"`
	}{"response.failed", response{Object: "response", Status: "failed", Error: problem{f.code, f.message}, Output: []string{}}})
}

// event frames data as a server-sent event
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func event(name string, data []byte) []byte {
	var b []byte
	if name != "" {
		b = append(append(append(b, "event: "...), name...), '\n')
	}
	return append(append(append(b, "data: "...), data...), "\n\n"...)
}

// mustJSON encodes a value of strings and numbers, which cannot fail.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
