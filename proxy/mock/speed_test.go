package mock_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/proxy/mock"
)

// BenchmarkStream is what the mock itself costs for a stream of 100 tokens,
// without a socket.
func BenchmarkStream(b *testing.B) {
	o := quick()
	o.Tokens = 100
	handler := mock.New(o)
	for _, f := range formats() {
		body := f.ask("mock-long", "hello", true)
		b.Run(f.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, httptest.NewRequest("POST", f.path("mock-long", true), strings.NewReader(body)))
				if w.Code != 200 {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
