package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
)

// An upstream may answer while the client still sends: both go on side by side.
func TestAnAnswerAndItsUploadPassAtTheSameTime(t *testing.T) {
	up := newSlowUpstream(t, func(c net.Conn, r *http.Request) {
		say(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			if n > 0 {
				say(c, chunk(string(buf[:n])))
			}
			if err != nil {
				say(c, "0\r\n\r\n")
				return
			}
		}
	})
	for name, c := range map[string]struct {
		framing string
		piece   func(string) string
		end     string
	}{
		"in chunks":     {chunkedHead, chunk, "0\r\n\r\n"},
		"with a length": {"Content-Length: 201", func(s string) string { return s }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, up)
			conn := g.dial()
			say(conn, g.uploadHead(c.framing), c.piece("0"))
			response := answerOn(t, conn)
			one := make([]byte, 1)
			for i := range 200 {
				if _, err := io.ReadFull(response.Body, one); err != nil || one[0] != byte('0'+i%10) {
					t.Fatalf("%d: %q %v", i, one, err)
				}
				say(conn, c.piece(string(rune('0'+(i+1)%10))))
			}
			say(conn, c.end)
			if rest, err := io.ReadAll(response.Body); string(rest) != "0" || err != nil {
				t.Errorf("then came %q, %v", rest, err)
			}
			if line := g.accessLine(); line["end_reason"] != "complete" || line["request_bytes"] != 201.0 {
				t.Errorf("log %v", line)
			}
		})
	}
}

// A whole answer that comes before the end of the upload is the client's; what
// is left of the upload is taken for no request.
func TestAnEarlyAnswerEndsItsConnection(t *testing.T) {
	for name, c := range map[string]struct{ framing, body, behind string }{
		"with a length":                {"Content-Length: 1000", "abc", "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"},
		"with a length beyond a drain": {"Content-Length: 10000000", "abc", "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"},
		"in chunks":                    {chunkedHead, chunk("abc"), "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"},
		"with nothing behind":          {"Content-Length: 1000", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			hold := make(chan struct{})
			defer close(hold)
			up := newSlowUpstream(t, func(conn net.Conn, r *http.Request) {
				if strings.Contains(r.URL.Path, "smuggled") {
					t.Error("the rest of a body was taken for a request")
				}
				say(conn, answerText("text/plain", "too early"))
				<-hold
			})
			g := newGateway(t, up)
			conn := g.dial()
			say(conn, g.uploadHead(c.framing), c.body)
			response := answerOn(t, conn)
			if text, err := io.ReadAll(response.Body); string(text) != "too early" || err != nil || !response.Close {
				t.Errorf("%q %v, close %t", text, err, response.Close)
			}
			if line := g.accessLine(); line["end_reason"] != "complete" {
				t.Errorf("log %v", line)
			}
			say(conn, c.behind)
			if more, err := io.ReadAll(conn); len(more) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("then came %q, %v", more, err)
			}
		})
	}
}

// https://go.dev/issue/40747: a server that closes a request's body while a
// transport still probes it cuts an answer whose head and body come at once.
func TestNoAnswerToAnUploadIsCut(t *testing.T) {
	const uploads, clients = 3200, 8
	body, answer := strings.Repeat("x", 30_000), strings.Repeat("y", 30_000)
	up := newSlowUpstream(t, func(c net.Conn, r *http.Request) {
		if r.URL.Path == "/early" {
			say(c, answerText("text/event-stream", answer))
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path != "/early" {
			say(c, answerText("text/event-stream", answer))
		}
	})
	g := newGateway(t, up)
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	var wait sync.WaitGroup
	for n := range clients {
		wait.Go(func() {
			for range uploads / clients {
				r := g.post([]string{"/own", "/own", "/early", "/early"}[n%4], body)
				r.Header.Set("Content-Type", "application/octet-stream")
				if n%2 == 0 {
					r.ContentLength = -1
				}
				response, err := (&http.Client{Transport: transport}).Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if err != nil || string(got) != answer {
					t.Errorf("%d of %d bytes, %v", len(got), len(answer), err)
				}
			}
		})
	}
	wait.Wait()
}

// An upstream that hints at its answer while it is still being given the request
// makes two who write to the client: one passes the hint on, the other tells it
// to send its body.
func TestAHintAndTheWordToGoOnDoNotMix(t *testing.T) {
	up := newSlowUpstream(t, func(c net.Conn, r *http.Request) {
		say(c, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		say(c, answerText("text/plain", string(body)))
	})
	g := newGateway(t, up)
	for range 200 {
		conn := g.dial()
		say(conn, g.uploadHead("Expect: 100-continue\r\nContent-Length: 2"))
		in := bufio.NewReader(conn)
		seen := map[int]int{}
		for {
			response, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			seen[response.StatusCode]++
			if response.StatusCode == 200 {
				break
			}
			if response.StatusCode == 100 {
				say(conn, "hi")
				if len(response.Header) > 0 {
					t.Errorf("100 with %v", response.Header)
				}
			}
		}
		if seen[100] != 1 || seen[103] != 1 {
			t.Fatalf("the client saw %v", seen)
		}
		_ = conn.Close()
	}
}
