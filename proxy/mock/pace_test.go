package mock_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmgw/llmgw/proxy/mock"
)

// slowWriter notes when each event was written, and takes its time over it.
type slowWriter struct {
	*httptest.ResponseRecorder
	takes time.Duration
	began time.Time
	at    []time.Duration
}

func (w *slowWriter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(`"content":"`)) && !bytes.Contains(p, []byte(`"role"`)) {
		w.at = append(w.at, time.Since(w.began))
	}
	time.Sleep(w.takes) //nolint:forbidigo // in a testing/synctest bubble: its clock, not ours
	return w.ResponseRecorder.Write(p)
}

// clocked asks for a stream of five tokens (or an answer that is none) and
// gives when each came, and how long it all took.
func clocked(t *testing.T, o mock.Options, takes time.Duration, model string, stream bool) (at []time.Duration, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Tokens = 5
		w := &slowWriter{ResponseRecorder: httptest.NewRecorder(), takes: takes, began: time.Now()}
		body := formats()[0].ask(model, "one two three four five", stream)
		mock.New(o).ServeHTTP(w, httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(body)))
		if w.Code != http.StatusOK {
			t.Fatal(w.Body)
		}
		at, took = w.at, time.Since(w.began)
	})
	return at, took
}

func TestTokenIIsDueAtTTFTAndISteps(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name  string
		o     mock.Options
		takes time.Duration
		model string
		want  []time.Duration
	}{
		{"as it is by default", mock.Options{}, 0, "mock-echo", []time.Duration{20 * ms, 40 * ms, 60 * ms, 80 * ms, 100 * ms}},
		{"at another pace", mock.Options{TTFT: 100 * ms, TokensPerSecond: 4}, 0, "mock-echo", []time.Duration{100 * ms, 350 * ms, 600 * ms, 850 * ms, 1100 * ms}},
		{"without drift where writing is slow", mock.Options{}, 7 * ms, "mock-echo", []time.Duration{27 * ms, 40 * ms, 60 * ms, 80 * ms, 100 * ms}},
		{"as fast as can be", quick(), 0, "mock-echo", []time.Duration{0, 0, 0, 0, 0}},
		{"first token late, then at once", mock.Options{TTFT: 50 * ms, TokensPerSecond: -1}, 0, "mock-echo", []time.Duration{50 * ms, 50 * ms, 50 * ms, 50 * ms, 50 * ms}},
		{"slow by default", mock.Options{TokensPerSecond: -1}, 0, "mock-slow", []time.Duration{3000 * ms, 3000 * ms, 3000 * ms, 3000 * ms, 3000 * ms}},
		{"slow where nothing is", quick(), 0, "mock-slow", []time.Duration{100 * ms, 100 * ms, 100 * ms, 100 * ms, 100 * ms}},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, _ := clocked(t, c.o, c.takes, c.model, true)
			if len(at) != len(c.want) {
				t.Fatalf("%v", at)
			}
			for i := range at {
				if at[i] != c.want[i] {
					t.Fatalf("want %v\ngot  %v", c.want, at)
				}
			}
		})
	}
}

func TestAnAnswerThatIsNotStreamedTakesTheTTFTAlone(t *testing.T) {
	if _, took := clocked(t, mock.Options{}, 0, "mock-echo", false); took != 20*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if _, took := clocked(t, mock.Options{}, 0, "mock-slow", false); took != 3*time.Second {
		t.Errorf("slow took %v", took)
	}
}

func TestAStallEndsByItselfInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		defer func() {
			if cut := recover(); cut != http.ErrAbortHandler {
				t.Errorf("ended with %v", cut)
			}
			if took := time.Since(began); took != 10*time.Minute {
				t.Errorf("after %v", took)
			}
		}()
		mock.New(quick()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/chat/completions",
			strings.NewReader(formats()[0].ask("mock-stall", "hi", true))))
	})
}
