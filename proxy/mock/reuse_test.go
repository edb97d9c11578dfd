package mock_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/proxy/mock"
)

func TestOneConnectionServesManyRequests(t *testing.T) {
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(mock.New(quick()))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	s := stand{t, server.URL, server.Client()}
	for _, f := range formats() {
		for _, model := range []string{"mock", "mock-truncated", "mock-error-event", "mock-429"} {
			s.post(f.path(model, true), f.ask(model, "hi", true))
			s.post(f.path(model, false), f.ask(model, "hi", false))
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// bounded notes the deadlines that are set on a connection.
type bounded struct {
	*httptest.ResponseRecorder
	reads, writes []time.Time
}

func (w *bounded) SetReadDeadline(at time.Time) error  { w.reads = append(w.reads, at); return nil }
func (w *bounded) SetWriteDeadline(at time.Time) error { w.writes = append(w.writes, at); return nil }

func TestDeadlinesBoundAnExchangeAndDoNotOutliveIt(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		for _, model := range []string{"mock", "mock-500", "mock-gzip", "mock-bytes"} {
			for _, stream := range []bool{true, false} {
				w := &bounded{ResponseRecorder: httptest.NewRecorder()}
				mock.New(quick()).ServeHTTP(w, httptest.NewRequest("POST", f.path(model, stream), strings.NewReader(f.ask(model, "hi", stream))))
				for kind, set := range map[string][]time.Time{"read": w.reads, "write": w.writes} {
					if len(set) < 2 || set[0].IsZero() || !set[len(set)-1].IsZero() {
						t.Errorf("%s, stream %t: %s deadlines %v", model, stream, kind, set)
					}
				}
			}
		}
	})
}
