package mock_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/llmgw/llmgw/proxy/mock"
)

// failing takes some writes, and no more.
type failing struct {
	*httptest.ResponseRecorder
	left int
}

func (w *failing) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, errors.New("the connection is gone")
	}
	return w.ResponseRecorder.Write(p)
}

func TestAWriteThatFailsIsAClientThatHasLeft(t *testing.T) {
	each(t, func(t *testing.T, f format) {
		for _, c := range []struct {
			model  string
			stream bool
			writes int
		}{
			{"mock", true, 0}, {"mock", true, 7}, {"mock", false, 0}, {"mock-bytes", true, 100}, {"mock-gzip", true, 3},
			{"mock-gzip", false, 0}, {"mock-429", false, 0}, {"mock-reset", false, 0}, {"mock-truncated", false, 0},
		} {
			gone := 0
			o := quick()
			o.OnGone = func(*http.Request) { gone++ }
			w := &failing{httptest.NewRecorder(), c.writes}
			mock.New(o).ServeHTTP(w, httptest.NewRequest("POST", f.path(c.model, c.stream), strings.NewReader(f.ask(c.model, "hi", c.stream))))
			if gone != 1 {
				t.Errorf("%s, stream %t, after %d writes: told %d times", c.model, c.stream, c.writes, gone)
			}
		}
	})
}

func TestResetOfAnHTTP10ConnectionHasNoChunks(t *testing.T) {
	s := start(t, quick())
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	body := formats()[0].ask("mock-reset", "hi", true)
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	text, err := io.ReadAll(conn)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("ended with %v", err)
	}
	_, stream, _ := strings.Cut(string(text), "\r\n\r\n")
	whole, half, _ := cutLast(stream, "\n\n")
	if got := streamChat(t, events(t, whole)); got.pieces != 5 || !strings.HasPrefix(half, "data: {") {
		t.Errorf("%q", stream)
	}
}

func TestManyStreamsAtOnceAreEachTheirOwn(t *testing.T) {
	const clients = 40
	s := start(t, mock.Options{TTFT: time.Millisecond, TokensPerSecond: 2000})
	f := formats()[0]
	var all sync.WaitGroup
	streams := make([]string, clients)
	said := func(i int) string { return fmt.Sprintf("client %d says this", i) }
	for i := range clients {
		all.Go(func() {
			answer, err := s.client.Post(s.url+f.path("", true), "application/json", strings.NewReader(f.ask("mock-echo", said(i), true)))
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Error(err)
			}
			streams[i] = string(text)
		})
	}
	all.Wait()
	ids := map[string]int{}
	for i, text := range streams {
		stream := events(t, text)
		if got := f.stream(t, stream); got.text != said(i) || !got.complete {
			t.Errorf("%q, asked %q", got.text, said(i))
		}
		ids[parse(t, stream[0].data).text("id")]++
	}
	if len(ids) != clients {
		t.Errorf("%d ids for %d answers: %v", len(ids), clients, ids)
	}
}
