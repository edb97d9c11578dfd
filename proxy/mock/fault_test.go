package mock_test

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/llmgw/llmgw/proxy/mock"
)

// flawed reads an answer that is not expected to end well.
func (s stand) flawed(f format, model string, stream bool) (string, error) {
	s.t.Helper()
	answer := s.ask("POST", f.path(model, stream), f.ask(model, "hello", stream))
	if answer.StatusCode != 200 {
		s.t.Fatalf("status %d", answer.StatusCode)
	}
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

func TestResetCutsInsideAnEvent(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		text, err := s.flawed(f, "mock-reset", true)
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("ended with %v, not with a reset", err)
		}
		whole, last, _ := cutLast(text, "\n\n")
		if got := f.stream(t, events(t, whole)); got.pieces != 5 || got.complete {
			t.Errorf("before the reset: %+v", got)
		}
		if last == "" || strings.HasSuffix(last, "\n") || !strings.Contains(last, "data: {") {
			t.Errorf("not inside an event: %q", last)
		}
	})
}

func cutLast(text, sep string) (before, after string, found bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i+len(sep)], text[i+len(sep):], true
}

func TestResetCutsAnAnswerThatIsNotStreamed(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		text, err := s.flawed(f, "mock-reset", false)
		if !errors.Is(err, syscall.ECONNRESET) || len(text) < 100 {
			t.Errorf("%d bytes, then %v", len(text), err)
		}
	})
}

func TestResetOverHTTP2ResetsTheStream(t *testing.T) {
	server := httptest.NewUnstartedServer(mock.New(quick()))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	s := stand{t, server.URL, server.Client()}
	f := formats()[0]
	text, err := s.flawed(f, "mock-reset", true)
	if err == nil || !strings.Contains(err.Error(), "INTERNAL_ERROR") || strings.HasSuffix(text, "\n") {
		t.Errorf("%q, then %v", text, err)
	}
	if got := f.streamed(s, "mock", "hello"); !got.complete {
		t.Errorf("the connection is of no use any more: %+v", got)
	}
}

func TestResetOverTLSReachesTheConnection(t *testing.T) {
	server := httptest.NewTLSServer(mock.New(quick()))
	defer server.Close()
	s := stand{t, server.URL, server.Client()}
	if _, err := s.flawed(formats()[0], "mock-reset", true); err == nil {
		t.Error("ended well")
	}
}

func TestTruncatedEndsCleanlyWithoutTheLastEvents(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		text, err := s.flawed(f, "mock-truncated", true)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.stream(t, events(t, text)); got.complete || got.pieces != 5 || got.failed != "" {
			t.Errorf("%+v", got)
		}
		half, err := s.flawed(f, "mock-truncated", false)
		if err != nil || len(half) < 100 || !strings.HasPrefix(half, "{") || strings.HasSuffix(half, "}") {
			t.Errorf("not streamed: %q, %v", half, err)
		}
	})
}

func TestAnErrorEventIsToldInTheWordsOfTheProtocol(t *testing.T) {
	want := map[string]string{
		"openai-chat":        `data: {"error":{"message":"The server had an error`,
		"openai-responses":   `"status":"failed"`,
		"anthropic-messages": `data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`,
		"google-generate":    `"status":"INTERNAL"}}`,
	}
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		text, err := s.flawed(f, "mock-error-event", true)
		if err != nil || !strings.Contains(text, want[f.name]) {
			t.Errorf("%v in\n%s", err, text)
		}
		if got := f.stream(t, events(t, text)); got.complete || got.pieces != 5 || got.failed == "" {
			t.Errorf("%+v", got)
		}
		answer, text := s.post(f.path("mock-error-event", false), f.ask("mock-error-event", "hi", false))
		if answer.StatusCode != 500 {
			t.Errorf("not streamed: %d %s", answer.StatusCode, text)
		}
	})
}

func TestAnErrorEventEndsAGeminiArray(t *testing.T) {
	s := start(t, quick())
	_, text := s.post("/v1beta/models/mock-error-event:streamGenerateContent", formats()[3].ask("", "hi", true))
	if got := parse(t, text).count(5, "error", "code"); got != 500 {
		t.Error(text)
	}
}

func TestCutAfterCutsAtAnEventBoundary(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		o := quick()
		o.CutAfter = 3
		s := start(t, o)
		text, err := s.flawed(f, "mock", true)
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasSuffix(text, "\n\n") {
			t.Errorf("%q, then %v", text, err)
		}
		if got := f.stream(t, events(t, text)); got.pieces != 3 || got.complete {
			t.Errorf("%+v", got)
		}
		if _, err := s.flawed(f, "mock", false); err == nil {
			t.Error("not streamed: ended well")
		}
		if got := f.streamed(s, "mock-echo", "two words"); !got.complete || got.text != "two words" {
			t.Errorf("an answer of two tokens is cut after three: %+v", got)
		}
	})
}

func TestRefusingModelsRefuseInTheProvidersShape(t *testing.T) {
	type shape struct{ kind, code string }
	shapes := map[string]map[int]shape{
		"openai-chat": {401: {"invalid_request_error", "invalid_api_key"}, 429: {"requests", "rate_limit_exceeded"},
			500: {"server_error", ""}, 529: {"overloaded_error", "overloaded"}},
		"anthropic-messages": {401: {"authentication_error", ""}, 429: {"rate_limit_error", ""},
			500: {"api_error", ""}, 529: {"overloaded_error", ""}},
		"google-generate": {401: {"", "UNAUTHENTICATED"}, 429: {"", "RESOURCE_EXHAUSTED"},
			500: {"", "INTERNAL"}, 529: {"", "UNAVAILABLE"}},
	}
	shapes["openai-responses"] = shapes["openai-chat"]
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		for status, want := range shapes[f.name] {
			for _, stream := range []bool{false, true} {
				model := "mock-" + strconv.Itoa(status)
				answer, text := s.post(f.path(model, stream), f.ask(model, "hi", stream))
				n := parse(t, text)
				got := shape{n.text("error", "type"), n.text("error", "code") + n.text("error", "status")}
				if answer.StatusCode != status || got != want || n.text("error", "message") == "" {
					t.Errorf("%s: %d %s", model, answer.StatusCode, text)
				}
				if after := answer.Header.Get("Retry-After"); (after == "2") != (status == 429) {
					t.Errorf("%s: retry-after %q", model, after)
				}
			}
		}
	})
}

func TestEveryRequestFailsAtAnErrorRateOfOne(t *testing.T) {
	o := quick()
	o.ErrorRate = 1
	s := start(t, o)
	each(t, func(t *testing.T, f format) {
		s := s.in(t)
		if answer, text := s.post(f.path("mock", true), f.ask("mock", "hi", true)); answer.StatusCode != 500 {
			t.Errorf("%d %s", answer.StatusCode, text)
		}
	})
	if answer := s.ask("GET", "/v1/models", ""); answer.StatusCode != 200 {
		t.Errorf("the list of models: %d", answer.StatusCode)
	}
}

func TestSomeRequestsFailAtAnErrorRateOfAHalf(t *testing.T) {
	o := quick()
	o.ErrorRate = 0.5
	s := start(t, o)
	seen := map[int]int{}
	for range 100 {
		answer, _ := s.post("/v1/embeddings", `{"model":"m","input":"x","dimensions":1}`)
		seen[answer.StatusCode]++
	}
	if seen[200] == 0 || seen[500] == 0 || len(seen) != 2 {
		t.Errorf("%v", seen)
	}
}

func TestCRLFEndsEveryLine(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		_, text := s.post(f.path("mock-crlf", true), f.ask("mock-crlf", "hi", true))
		if n := strings.Count(text, "\n"); n == 0 || n != strings.Count(text, "\r\n") || !strings.HasSuffix(text, "\r\n\r\n") {
			t.Errorf("%q", text)
		}
	})
}

func TestAnEventOfMoreThanAMebibyte(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		_, text := s.post(f.path("mock-1mb-event", true), f.ask("mock-1mb-event", "hi", true))
		longest := 0
		for _, e := range events(t, text) {
			if strings.Contains(e.name, "delta") || e.name == "" {
				longest = max(longest, len(e.data))
			}
		}
		if longest <= 1<<20 {
			t.Errorf("the longest event has %d bytes", longest)
		}
	})
}

// chunks asks over a plain connection and gives the chunks of the body as they
// were framed.
func (s stand) chunks(path, body string) []string {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	r, _ := http.NewRequest("POST", s.url+path, strings.NewReader(body))
	if err := r.Write(conn); err != nil {
		s.t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			s.t.Fatal(err)
		}
	}
	var all []string
	for {
		size, err := in.ReadString('\n')
		if err != nil {
			s.t.Fatal(err)
		}
		n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(in, chunk); err != nil {
			s.t.Fatal(err)
		}
		if n == 0 {
			return all
		}
		all = append(all, string(chunk[:n]))
	}
}

func TestAnEventIsAChunk(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		chunks := s.chunks(f.path("mock", true), f.ask("mock", "hi", true))
		for _, chunk := range chunks {
			if !strings.HasSuffix(chunk, "\n\n") || strings.Count(chunk, "\n\n") != 1 {
				t.Errorf("no event: %q", chunk)
			}
		}
	})
}

func TestBytesComeOneByOne(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		chunks := s.chunks(f.path("mock-bytes", true), f.ask("mock-bytes", "hi", true))
		for _, chunk := range chunks {
			if len(chunk) != 1 {
				t.Fatalf("a chunk of %d bytes", len(chunk))
			}
		}
		if got := f.stream(t, events(t, strings.Join(chunks, ""))); !got.complete {
			t.Errorf("%+v", got)
		}
	})
}

func TestCharactersAreSplitBetweenChunks(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		chunks := s.chunks(f.path("mock-split-utf8", true), f.ask("mock-split-utf8", "hi", true))
		broken := 0
		for _, chunk := range chunks {
			if !utf8.ValidString(chunk) {
				broken++
			}
		}
		if whole := strings.Join(chunks, ""); broken < 20 || !utf8.ValidString(whole) || !strings.Contains(whole, "😀") {
			t.Errorf("%d chunks of %d end inside a character", broken, len(chunks))
		}
	})
}

func TestGzipIsFlushedAfterEachEvent(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		s := start(t, quick())
		answer := s.ask("POST", f.path("mock-gzip", true), f.ask("mock-gzip", "hi", true))
		if coding := answer.Header.Get("Content-Encoding"); coding != "gzip" {
			t.Fatalf("content encoding %q", coding)
		}
		if got := f.stream(t, events(t, unzip(t, answer.Body))); !got.complete {
			t.Errorf("%+v", got)
		}
		chunks := s.chunks(f.path("mock-gzip", true), f.ask("mock-gzip", "hi", true))
		if got := f.whole(s, "mock", "hi"); len(chunks) < got.output {
			t.Errorf("%d chunks for %d tokens", len(chunks), got.output)
		}
		answer = s.ask("POST", f.path("mock-gzip", false), f.ask("mock-gzip", "hi", false))
		if got := f.read(parse(t, unzip(t, answer.Body))); !got.complete {
			t.Errorf("not streamed: %+v", got)
		}
	})
}

func unzip(t *testing.T, r io.Reader) string {
	t.Helper()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSlowSendsTheHeadOfAStreamAtOnceAndTheRestLate(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		s := start(t, quick()) // 100 ms, the least
		began := time.Now()
		answer := s.ask("POST", f.path("mock-slow", true), f.ask("mock-slow", "hi", true))
		head := time.Since(began)
		text, err := io.ReadAll(answer.Body)
		whole := time.Since(began)
		if err != nil || !f.stream(t, events(t, string(text))).complete {
			t.Fatalf("%v: %s", err, text)
		}
		if head > whole-30*time.Millisecond || whole < 100*time.Millisecond {
			t.Errorf("head after %v, end after %v", head, whole)
		}
	})
}
