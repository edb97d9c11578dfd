package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"pgregory.net/rapid"
)

// Whoever moves the least amount in each window of waiting is never cut; whoever
// moves less is, within two of them.
func TestThePaceOfAClientIsThatOfItsWaits(t *testing.T) {
	const window = 30 * time.Second
	rapid.Check(t, func(t *rapid.T) {
		waits := rapid.SliceOfN(rapid.Int64Range(1, int64(window/10)), 200, 400).Draw(t, "waits")
		enough := rapid.Bool().Draw(t, "enough")
		var p pace
		var waited time.Duration
		owed := 0.0
		for _, wait := range waits {
			perWindow := float64(paceBytes)
			if !enough {
				perWindow = paceBytes / 2
			}
			owed += perWindow * float64(wait) / float64(window)
			n := int(owed)
			if enough {
				n++
			}
			owed = max(0, owed-float64(n))
			waited += time.Duration(wait)
			if !p.note(n, time.Duration(wait), window) {
				if enough {
					t.Fatalf("cut after %s", waited)
				}
				return
			}
			if !enough && waited > 2*window+window/10 {
				t.Fatalf("not cut after %s", waited)
			}
		}
	})
}

// flood is an upstream that never stops sending events of a size.
func flood(t testing.TB, size int) (*wireUpstream, <-chan time.Time) {
	gone := make(chan time.Time, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead)
		event := chunk("data: " + strings.Repeat("x", size) + "\n\n")
		for {
			if _, err := io.WriteString(c, event); err != nil {
				gone <- time.Now()
				return false
			}
		}
	})
	return up, gone
}

// A byte every now and then keeps a deadline from passing, but is no pace.
func TestAClientThatTakesItsAnswerInTricklesIsCut(t *testing.T) {
	up, gone := flood(t, 100)
	g := newGateway(t, up.url, func(s *setup) { s.options.WriteStall = 600 * time.Millisecond })
	c := g.dial()
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	say(c, g.head(len(chatRequest)), chatRequest)
	trickling := make(chan struct{})
	go func() {
		defer close(trickling)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := c.Read(make([]byte, 16)); err != nil {
				return
			}
		}
	}()
	waitFor(t, gone)
	line := g.log.wait(t, "an access line", func(line map[string]any) bool { return line["message"] == "request" })
	if line["end_reason"] != "client_stalled" {
		t.Errorf("log says %v", line["end_reason"])
	}
	_ = c.Close()
	<-trickling
}

func TestAClientThatGivesItsBodyInTricklesIsAnswered408(t *testing.T) {
	const stall = 300 * time.Millisecond
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprintf("chunked %v", chunked), func(t *testing.T) {
			g := newGateway(t, "http://127.0.0.1:9", func(s *setup) { s.options.ReadStall = stall })
			c := g.dial()
			head, part := g.head(1000), "x"
			if chunked {
				head, part = strings.Replace(head, "Content-Length: 1000", "Transfer-Encoding: chunked", 1), "1\r\nx\r\n"
			}
			say(c, head)
			answered, begun := make(chan struct{}), time.Now()
			go func() {
				tick := time.NewTicker(stall / 10)
				defer tick.Stop()
				for {
					select {
					case <-tick.C:
						say(c, part)
					case <-answered:
						return
					}
				}
			}()
			response, err := http.ReadResponse(bufio.NewReader(c), nil)
			close(answered)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			if took := time.Since(begun); response.StatusCode != http.StatusRequestTimeout || !response.Close || took < stall {
				t.Errorf("%d, close %v, after %s", response.StatusCode, response.Close, took)
			}
		})
	}
}

// While nobody waits for the client of a stream, no deadline may count against
// it: the model is thinking.
func TestAModelMayThinkLongerThanAClientMayStallOverHTTP2(t *testing.T) {
	const stall, pause = 50 * time.Millisecond, 400 * time.Millisecond
	up := newWireUpstream(t, after(pause, "HTTP/1.1 103 Early Hints\r\n\r\n", streamHead, chunk(firstEvent), chunk("data: [DONE]\n\n")+"0\r\n\r\n"))
	for _, p := range overHTTP2() {
		t.Run(p.name, func(t *testing.T) {
			c := p.caller(t, up.url, func(s *setup) { s.options.WriteStall, s.options.ReadStall = stall, stall })
			response := c.send(c.post("/v1/chat/completions", chatRequest))
			body, err := io.ReadAll(response.Body)
			if err != nil || string(body) != firstEvent+"data: [DONE]\n\n" {
				t.Errorf("%q %v", body, err)
			}
		})
	}
}

// A stalled stream is reset and ends its upstream's; those beside it go on.
func TestAStreamWhoseClientTakesNothingIsReset(t *testing.T) {
	up, gone := flood(t, 32<<10)
	g := newGateway(t, up.url, func(s *setup) { s.options.WriteStall = 100 * time.Millisecond })
	c := g.frames()
	c.write(c.WriteWindowUpdate(0, 1<<20)) // the stream's own window is what fills up
	c.ask(1, "POST", "/v1/chat/completions", chatRequest)
	waitFor(t, gone)
	c.until(func(f http2.Frame) bool {
		if data, ok := f.(*http2.DataFrame); ok && data.StreamEnded() {
			t.Error("the stream ended as if it were whole")
		}
		reset, ok := f.(*http2.RSTStreamFrame)
		return ok && reset.StreamID == 1
	})
	c.ask(3, "GET", "/healthz", "")
	c.until(func(f http2.Frame) bool {
		return f.Header().StreamID == 3 && f.Header().Flags.Has(http2.FlagDataEndStream)
	})
	line := g.log.wait(t, "an access line", func(line map[string]any) bool { return line["message"] == "request" })
	if line["end_reason"] != "client_stalled" {
		t.Errorf("log says %v", line["end_reason"])
	}
}

// What is left when the handler is done is bounded as well.
func TestTheLastBytesOfAStreamAreNotWaitedForForEver(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool { say(c, answerText("text/plain", "ok")); return true })
	g := newGateway(t, up.url, func(s *setup) { s.options.WriteStall = 100 * time.Millisecond })
	c := g.frames(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	c.ask(1, "POST", "/x", "{}")
	c.until(func(f http2.Frame) bool {
		reset, ok := f.(*http2.RSTStreamFrame)
		return ok && reset.StreamID == 1
	})
}

func TestABodyThatStopsComingOverHTTP2IsAnswered408(t *testing.T) {
	for name, parts := range map[string]int{"stops": 1, "trickles": 1000} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, "http://127.0.0.1:9", func(s *setup) { s.options.ReadStall = 200 * time.Millisecond })
			c := g.frames()
			c.head(1, false, "POST", "/x", "content-length", "1000000")
			answered := make(chan struct{})
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for range parts {
					c.data(1, false, "x")
					select {
					case <-tick.C:
					case <-answered:
						return
					}
				}
			}()
			if status := c.status(1); status != "408" {
				t.Errorf("answered %s", status)
			}
			close(answered)
			<-ended
		})
	}
}
