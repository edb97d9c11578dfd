package mock_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/llmgw/llmgw/proxy/mock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// quick is a mock that never waits.
func quick() mock.Options { return mock.Options{TTFT: -1, TokensPerSecond: -1} }

// stand is a running mock and a client of it that neither decompresses nor
// retries.
type stand struct {
	t      *testing.T
	url    string
	client *http.Client
}

func start(t *testing.T, o mock.Options) stand {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Config = mock.NewServer(o)
	server.Start()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return stand{t, server.URL, &http.Client{Transport: transport}}
}

// in is the stand in a subtest.
func (s stand) in(t *testing.T) stand { s.t = t; return s }

// ask sends a request; its answer's body is closed when the test ends.
func (s stand) ask(method, path, body string, headers ...string) *http.Response {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// post asks and reads all of the answer, whatever its status.
func (s stand) post(path, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	answer := s.ask("POST", path, body, headers...)
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatalf("reading the answer to %s: %v", path, err)
	}
	return answer, string(text)
}

// tree is decoded JSON, walked by keys and indexes.
type tree struct{ value any }

func parse(t *testing.T, text string) tree {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("decoding %.200q: %v", text, err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("more than one JSON value in %.200q", text)
	}
	return tree{v}
}

// at walks down; what is not there is nil.
func (n tree) at(steps ...any) any {
	v := n.value
	for _, step := range steps {
		switch step := step.(type) {
		case string:
			object, _ := v.(map[string]any)
			v = object[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

func (n tree) text(steps ...any) string { s, _ := n.at(steps...).(string); return s }
func (n tree) count(steps ...any) int   { f, _ := n.at(steps...).(float64); return int(f) }

// format is what the tests know of a wire format: how to ask in it, and where
// in an answer things stand.
type format struct {
	name   string
	path   func(model string, stream bool) string
	ask    func(model, prompt string, stream bool) string
	read   func(whole tree) reading
	stream func(t *testing.T, events []event) reading
}

// reading is what a client makes of an answer.
type reading struct {
	text          string
	tool          string
	arguments     string
	finish        string
	input, output int
	pieces        int // events with text, or with a part of the arguments
	complete      bool
	failed        string // the message of an error told of in the stream
}

// usage and words are what must be equal, streamed or not.
func (r reading) settled() reading { r.pieces = 0; return r }

type event struct {
	name string
	data string
}

// events reads Server-Sent Events as the standard has it, by lines that end in
// LF or CRLF.
func events(t *testing.T, stream string) []event {
	t.Helper()
	var all []event
	var now event
	for _, line := range strings.Split(stream, "\n") {
		line = strings.TrimSuffix(line, "\r")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "":
			if now != (event{}) {
				all = append(all, now)
			}
			now = event{}
		case "event":
			now.name = value
		case "data":
			now.data += value
		default:
			t.Fatalf("a line of a stream that is no field: %.100q", line)
		}
	}
	return all
}
