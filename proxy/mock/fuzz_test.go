package mock_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/proxy/mock"
)

// FuzzAnyRequest sends any body anywhere: the mock answers JSON, or a stream,
// and does not fall over.
func FuzzAnyRequest(f *testing.F) {
	paths := []string{"/v1/embeddings", "/v1/messages/count_tokens", "/v1beta/models/mock:countTokens", "/v1beta/models/m:streamGenerateContent"}
	for _, w := range formats() {
		paths = append(paths, w.path("mock", true))
	}
	for i := range paths {
		for _, w := range formats() {
			f.Add(uint8(i), w.ask("mock-echo", "hello", i%2 == 0))
			f.Add(uint8(i), offering(w, w.ask("mock", "use the tool", i%2 == 0), ""))
		}
		f.Add(uint8(i), `{"input":[[1,2],[3]],"model":"mock-error-event","stream":true}`)
	}
	handler := mock.New(quick())
	f.Fuzz(func(t *testing.T, at uint8, body string) {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond) // ends a stall
		defer cancel()
		defer func() {
			if cut := recover(); cut != nil && cut != http.ErrAbortHandler {
				panic(cut)
			}
		}()
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", paths[int(at)%len(paths)], strings.NewReader(body)).WithContext(ctx)
		handler.ServeHTTP(w, r)
		if ctx.Err() != nil || strings.Contains(body, "mock-") {
			return // a fault was asked for
		}
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("no JSON: %q", w.Body)
			}
			return
		}
		for _, e := range events(t, w.Body.String()) {
			if e.data != "[DONE]" && !json.Valid([]byte(e.data)) {
				t.Errorf("no JSON in an event: %q", e.data)
			}
		}
	})
}
