package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serveOnce is a server that reads one request and answers with bytes as they
// are; then it closes, or leaves the connection open for `open`.
func serveOnce(t *testing.T, answer string, open bool) *wire {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = server.Close() }()
		r := bufio.NewReader(server)
		asked, err := readRequest(r)
		if err != nil {
			return
		}
		_, _ = r.Discard(asked.length)
		_, _ = io.WriteString(server, answer)
		if open {
			_, _ = io.Copy(io.Discard, r)
		}
	}()
	t.Cleanup(func() {
		_ = client.Close()
		<-done
	})
	return newWire(client)
}

const chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

func TestWhatBecameOfAnAnswer(t *testing.T) {
	const want = "data: one\n\ndata: two\n\n"
	sized := func(n int, body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", n, body)
	}
	for name, c := range map[string]struct {
		answer string
		want   verdict
	}{
		"whole, chunked":                        {chunkedHead + string(chunked("data: one\n\n")) + string(chunked("data: two\n\n")) + lastChunk, whole},
		"whole, in other chunks":                {chunkedHead + string(chunked("data: one\n\ndata")) + string(chunked(": two\n\n")) + lastChunk, whole},
		"whole, with an extension and trailers": {chunkedHead + "16;a=b\r\n" + want + "\r\n0\r\nX-A: b\r\n\r\n", whole},
		"whole, of a length":                    {sized(len(want), want), whole},
		"whole, to the connection's end":        {"HTTP/1.1 200 OK\r\n\r\n" + want, whole},
		"cut inside a chunk":                    {chunkedHead + "16\r\n" + want[:10], cut},
		"cut between two chunks":                {chunkedHead + string(chunked("data: one\n\n")), cut},
		"cut before the last chunk":             {chunkedHead + string(chunked(want)), cut},
		"cut inside the last chunk":             {chunkedHead + string(chunked(want)) + "0\r\n", cut},
		"cut, of a length":                      {sized(len(want), want[:10]), cut},
		"cut before its first byte":             {chunkedHead, cut},
		"cut as if complete, chunked":           {chunkedHead + string(chunked("data: one\n\n")) + lastChunk, hiddenCut},
		"cut as if complete, of a length":       {sized(10, want[:10]), hiddenCut},
		"cut as if complete, to the end":        {"HTTP/1.1 200 OK\r\n\r\n" + want[:11], hiddenCut},
		"nothing at all, as if complete":        {chunkedHead + lastChunk, hiddenCut},
		"one byte differs":                      {chunkedHead + string(chunked("data: One\n\ndata: two\n\n")) + lastChunk, altered},
		"the last byte differs":                 {sized(len(want), want[:len(want)-1]+"\r"), altered},
		"one byte too many":                     {chunkedHead + string(chunked(want+"\n")) + lastChunk, altered},
		"one byte too many, in a chunk":         {chunkedHead + string(chunked(want)) + string(chunked("x")) + lastChunk, altered},
		"one byte too many, behind the answer":  {sized(len(want), want+"x"), altered},
		"one byte is missing in the middle":     {chunkedHead + string(chunked(want[:5]+want[6:])) + lastChunk, altered},
		"an event comes twice":                  {chunkedHead + string(chunked("data: one\n\ndata: one\n\ndata: two\n\n")) + lastChunk, altered},
		"differs, and is cut":                   {chunkedHead + "16\r\ndatA", altered},
		"an error status":                       {"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", failed},
		"a head that stops":                     {"HTTP/1.1 200 OK\r\nContent-Le", failed},
		"no answer":                             {"", failed},
		"not HTTP":                              {"hello\r\n\r\n", failed},
		"a chunk without an end":                {chunkedHead + "16\r\n" + want + "XX0\r\n\r\n", altered},
		"a chunk of no size":                    {chunkedHead + "\r\n" + want, altered},
	} {
		t.Run(name, func(t *testing.T) {
			w := serveOnce(t, c.answer, false)
			got, _, err := w.ask(chatRequest("x", "", true), &checker{want: []byte(want)})
			if got != c.want {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
		})
	}
}

func TestAConnectionIsOverWhereTheServerSaysSo(t *testing.T) {
	for answer, want := range map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n": true,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":                      false,
	} {
		v, last, err := serveOnce(t, answer, true).ask(chatRequest("x", "", false), &checker{})
		if v != whole || last != want || err != nil {
			t.Errorf("%q: %s, last %v, %v", answer, v, last, err)
		}
	}
}

func TestAnyOneByteOfAStreamThatDiffersIsNoticed(t *testing.T) {
	want := streamBody()
	for at := range want {
		c := &checker{want: want}
		_, _ = c.Write(want[:at])
		_, _ = c.Write([]byte{want[at] ^ 1})
		_, _ = c.Write(want[at+1:])
		if v := c.judge(true); v != altered {
			t.Fatalf("byte %d differs, and the stream is %s", at, v)
		}
	}
}

func TestHoweverAStreamIsDividedItIsWhole(t *testing.T) {
	want := streamBody()
	for size := 1; size < 700; size++ {
		c := &checker{want: want}
		for at := 0; at < len(want); at += size {
			_, _ = c.Write(want[at:min(at+size, len(want))])
		}
		if v := c.judge(true); v != whole {
			t.Fatalf("in pieces of %d bytes it is %s", size, v)
		}
	}
}

func TestEveryShorterStreamIsCut(t *testing.T) {
	want := streamBody()
	for n := range want {
		c := &checker{want: want}
		_, _ = c.Write(want[:n])
		if clean, broken := c.judge(true), c.judge(false); clean != hiddenCut || broken != cut {
			t.Fatalf("%d of %d bytes: %s when it ends cleanly, %s when not", n, len(want), clean, broken)
		}
	}
}

func TestASplitterFindsEventsHoweverTheyCome(t *testing.T) {
	body := strings.Repeat(stampedEvent(time.Unix(0, 1_700_000_000_123_456_789)), 3)
	for name, r := range map[string]io.Reader{
		"at once":            strings.NewReader(body),
		"byte by byte":       iotest.OneByteReader(strings.NewReader(body)),
		"in halves":          iotest.HalfReader(strings.NewReader(body)),
		"with the end early": iotest.DataErrReader(strings.NewReader(body)),
	} {
		t.Run(name, func(t *testing.T) {
			heard := 0
			s := &splitter{hear: func(event []byte) {
				heard++
				if at, ok := stampOf(event); !ok || at.UnixNano() != 1_700_000_000_123_456_789 {
					t.Errorf("event %q says %v, %v", event, at, ok)
				}
			}}
			if _, err := io.Copy(s, r); err != nil || heard != 3 || len(s.rest) != 0 {
				t.Errorf("%d events, rest %q, %v", heard, s.rest, err)
			}
		})
	}
}

func TestAStampedEventThatDiffersIsNoticed(t *testing.T) {
	event := stampedEvent(time.Now())
	digits := len(stampBefore)
	for at := range event {
		if at >= digits && at < digits+stampDigits {
			continue
		}
		if _, ok := stampOf([]byte(event[:at] + "~" + event[at+1:])); ok {
			t.Errorf("byte %d differs, and nobody notices", at)
		}
	}
	for name, other := range map[string]string{
		"a letter in the stamp": event[:digits] + "x" + event[digits+1:],
		"a digit is missing":    event[:digits] + event[digits+1:],
		"a byte before":         "x" + event,
		"a byte behind":         event + "x",
	} {
		if _, ok := stampOf([]byte(other)); ok {
			t.Errorf("%s, and nobody notices", name)
		}
	}
}
