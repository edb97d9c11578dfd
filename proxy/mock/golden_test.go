package mock_test

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata anew")

// TestWholeExchanges compares what goes over the wire, as text, with
// testdata/*.txt. Only the date is left out, and the framing in chunks.
func TestWholeExchanges(t *testing.T) {
	const tooled = "use the tool"
	each(t, func(t *testing.T, f format) {
		for name, ask := range map[string]struct {
			body   string
			model  string
			stream bool
		}{
			"whole":       {f.ask("mock", "hello", false), "mock", false},
			"stream":      {f.ask("mock-echo", "three little words", true), "mock-echo", true},
			"tool":        {offering(f, f.ask("mock", tooled, false), ""), "mock", false},
			"tool-stream": {offering(f, f.ask("mock", tooled, true), ""), "mock", true},
			"error":       {f.ask("mock-429", "hello", false), "mock-429", false},
			"error-event": {f.ask("mock-error-event", "hello", true), "mock-error-event", true},
		} {
			t.Run(name, func(t *testing.T) {
				golden(t, f.name+"-"+name+".txt", "POST", f.path(ask.model, ask.stream), ask.body)
			})
		}
	})
	t.Run("models as OpenAI lists them", func(t *testing.T) {
		golden(t, "models-openai.txt", "GET", "/v1/models", "")
	})
	t.Run("models as Anthropic lists them", func(t *testing.T) {
		golden(t, "models-anthropic.txt", "GET", "/v1/models?limit=1000", "", "anthropic-version", "2023-06-01")
	})
	t.Run("models as Gemini lists them", func(t *testing.T) {
		golden(t, "models-gemini.txt", "GET", "/v1beta/models", "")
	})
	t.Run("embeddings", func(t *testing.T) {
		golden(t, "openai-embeddings.txt", "POST", "/v1/embeddings", `{"model":"mock","input":["hello","world"],"dimensions":4}`)
	})
	t.Run("count_tokens", func(t *testing.T) {
		golden(t, "anthropic-count-tokens.txt", "POST", "/v1/messages/count_tokens?beta=true",
			`{"model":"mock","system":"be kind","messages":[{"role":"user","content":"hello"}]}`)
	})
}

func golden(t *testing.T, name, method, path, body string, headers ...string) {
	t.Helper()
	o := quick()
	o.Now = func() time.Time { return time.Unix(1700000000, 0) }
	s := start(t, o)
	answer := s.ask(method, path, body, headers...)
	answer.Header.Del("Date")
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var head strings.Builder
	if err := answer.Header.Write(&head); err != nil {
		t.Fatal(err)
	}
	got := method + " " + path + "\n" + body + "\n\n" +
		answer.Proto + " " + answer.Status + "\n" + strings.ReplaceAll(head.String(), "\r\n", "\n") + "\n" + string(text) + "\n"
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: want -, got +\n%s", file, diff)
	}
}
