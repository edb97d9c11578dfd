package mock_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/proxy/mock"
)

// leave sends a request, reads from its answer until met, and goes away. It
// gives how long it took the mock to notice.
func leave(t *testing.T, o mock.Options, f format, model string, stream bool, met func(read string) bool) time.Duration {
	t.Helper()
	gone := make(chan string, 1)
	o.OnGone = func(r *http.Request) { gone <- r.URL.Path }
	arrived := make(chan struct{})
	o.OnRequest = func(*http.Request, []byte) { close(arrived) }
	s := start(t, o)

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "POST", s.url+f.path(model, stream), strings.NewReader(f.ask(model, "hi", stream)))
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan *http.Response, 1)
	go func() {
		defer close(answers)
		if answer, err := s.client.Do(r); err == nil { // where not even a head comes, it is not
			answers <- answer
		}
	}()
	await(t, arrived, "the request")
	if met != nil {
		answer, answered := <-answers
		if !answered {
			t.Fatal("no answer")
		}
		defer answer.Body.Close()
		readUntil(answer.Body, met)
	}
	left := time.Now()
	cancel()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("nobody noticed that the client has left")
	}
	took := time.Since(left)
	for answer := range answers {
		answer.Body.Close()
	}
	return took
}

func readUntil(body io.Reader, met func(string) bool) {
	var read strings.Builder
	p := make([]byte, 4096)
	for met != nil && !met(read.String()) {
		n, err := body.Read(p)
		read.Write(p[:n])
		if err != nil {
			return
		}
	}
}

func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
}

// promptly is soon enough to notice that a client has left, on a busy machine.
const promptly = 2 * time.Second

func TestAStallLastsUntilTheClientLeaves(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		fifth := func(read string) bool {
			whole, _, _ := cutLast(read, "\n\n")
			return strings.Contains(whole, "data") && f.stream(t, events(t, whole)).pieces == 5
		}
		if took := leave(t, quick(), f, "mock-stall", true, fifth); took > promptly {
			t.Errorf("noticed after %v", took)
		}
	})
}

func TestAStallWithoutAStreamIsSilentFromTheBeginning(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		if took := leave(t, quick(), f, "mock-stall", false, nil); took > promptly {
			t.Errorf("noticed after %v", took)
		}
	})
}

func TestAClientThatLeavesInMidStreamEndsIt(t *testing.T) {
	o := mock.Options{TTFT: -1, TokensPerSecond: 1, Tokens: 1000}
	each(t, func(t *testing.T, f format) {
		begun := func(read string) bool { return strings.Contains(read, "1 ") }
		if took := leave(t, o, f, "mock-long", true, begun); took > promptly {
			t.Errorf("noticed after %v", took)
		}
	})
}

func TestAClientThatLeavesBeforeTheFirstTokenEndsIt(t *testing.T) {
	o := mock.Options{TTFT: time.Hour}
	each(t, func(t *testing.T, f format) {
		for _, stream := range []bool{true, false} {
			if took := leave(t, o, f, "mock", stream, nil); took > promptly {
				t.Errorf("noticed after %v", took)
			}
		}
	})
}

func TestAClientThatLeavesWhileItUploadsIsGone(t *testing.T) {
	gone := make(chan struct{})
	o := quick()
	o.OnGone = func(*http.Request) { close(gone) }
	s := start(t, o)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	await(t, gone, "the end of the upload")
}

func TestAClientThatGotAllIsNotGone(t *testing.T) {
	o := quick()
	o.OnGone = func(r *http.Request) { t.Errorf("gone from %s", r.URL) }
	s := start(t, o)
	each(t, func(t *testing.T, f format) {
		s := s.in(t)
		for _, model := range []string{"mock", "mock-truncated", "mock-error-event", "mock-gzip", "mock-401"} {
			s.post(f.path(model, true), f.ask(model, "hi", true))
			s.post(f.path(model, false), f.ask(model, "hi", false))
		}
		if _, err := s.flawed(f, "mock-reset", true); err == nil {
			t.Error("ended well")
		}
	})
}

func TestClosingTheServerEndsAStall(t *testing.T) {
	server := mock.NewServer(quick())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	f := formats()[0]
	answer, err := (&http.Client{Transport: transport}).Post("http://"+listener.Addr().String()+f.path("", true),
		"application/json", strings.NewReader(f.ask("mock-stall", "hi", true)))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(answer.Body); err == nil {
		t.Error("ended well")
	}
	await(t, served, "the end of Serve")
}
