package proxy

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/rules"
)

func TestAnUploadThatBreaksOffIsNeverCompleted(t *testing.T) {
	const limit = 1 << 20
	for name, c := range map[string]struct {
		framing string
		play    func(c net.Conn)
		asked   bool // the upstream is
		status  int
		reason  string
		code    string
	}{
		"announced as too large": {"Content-Length: 1048577", func(net.Conn) {}, false, 413, "rejected", codeBodyTooLarge},
		"grows too large":        {chunkedHead, func(c net.Conn) { say(c, chunk(strings.Repeat("x", limit)), chunk("x")) }, true, 413, "rejected", codeBodyTooLarge},
		"its chunks are none":    {chunkedHead, func(c net.Conn) { say(c, chunk("abc"), "zz\r\n") }, true, 400, "rejected", rules.CodeMalformedBody},
		"stalls with a length":   {"Content-Length: 1000", func(c net.Conn) { say(c, "abc") }, true, 408, "client_stalled", codeBodyStalled},
		"stalls in chunks":       {chunkedHead, func(c net.Conn) { say(c, chunk("abc")) }, true, 408, "client_stalled", codeBodyStalled},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			up := newSlowUpstream(t, func(_ net.Conn, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				ended <- err
			})
			g := newGateway(t, up, func(s *setup) {
				s.options.MaxBody, s.options.ReadStall = limit, 250*time.Millisecond
			})
			conn := g.dial()
			say(conn, g.uploadHead(c.framing))
			c.play(conn)
			response := answerOn(t, conn)
			if response.StatusCode != c.status || response.Header.Get("X-Llmgw-Error") != c.code || !response.Close {
				t.Errorf("%d %v, close %t", response.StatusCode, response.Header, response.Close)
			}
			if c.asked && waitFor(t, ended) == nil {
				t.Error("the upstream was given a whole request")
			}
			if line := g.accessLine(); line["end_reason"] != c.reason || line["error"] != c.code {
				t.Errorf("log %v", line)
			}
			if errors := g.proxy.snapshot.Load().upstreams[0].traffic.errors.Load(); errors != 0 {
				t.Errorf("%d errors are counted at the upstream", errors)
			}
			select {
			case <-ended:
				t.Error("the upstream was asked")
			default:
			}
		})
	}
}

// When the head of the answer has gone, nobody can be told: the answer is cut.
func TestAnUploadThatBreaksOffBehindTheHeadOfItsAnswerCutsIt(t *testing.T) {
	for name, c := range map[string]struct {
		more   string
		reason string
	}{
		"grows too large": {chunk(strings.Repeat("x", 2000)), "rejected"},
		"stalls":          {"", "client_stalled"},
	} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan struct{})
			up := newSlowUpstream(t, func(conn net.Conn, r *http.Request) {
				say(conn, streamHead, chunk(firstEvent))
				_, _ = io.Copy(io.Discard, r.Body)
				close(gone)
			})
			g := newGateway(t, up, func(s *setup) {
				s.options.MaxBody, s.options.ReadStall = 1000, 250*time.Millisecond
			})
			conn := g.dial()
			say(conn, g.uploadHead(chunkedHead), chunk("abc"))
			response := answerOn(t, conn)
			if _, err := io.ReadFull(response.Body, make([]byte, len(firstEvent))); err != nil {
				t.Fatal(err)
			}
			say(conn, c.more)
			if rest, err := io.ReadAll(response.Body); err == nil || len(rest) > 0 {
				t.Errorf("then came %q, %v", rest, err)
			}
			waitFor(t, gone)
			if line := g.accessLine(); line["end_reason"] != c.reason {
				t.Errorf("log %v", line)
			}
		})
	}
}

func TestTheClientLeavesInTheMiddleOfItsUpload(t *testing.T) {
	for _, rule := range []string{"cancel", "finish"} { // there is nothing to finish
		t.Run(rule, func(t *testing.T) {
			reached, gone := make(chan struct{}), make(chan time.Time)
			up := newSlowUpstream(t, func(_ net.Conn, r *http.Request) {
				if _, err := io.ReadFull(r.Body, make([]byte, 3)); err != nil {
					t.Error(err)
				}
				reached <- struct{}{}
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					t.Error("the upstream was given a whole request")
				}
				gone <- time.Now()
			})
			g := newGateway(t, up, func(s *setup) {
				s.config.Files[0].Rules[0].Action.OnClientGone = rule
			})
			var took []time.Duration
			for n := range 100 {
				c := g.dial()
				say(c, g.uploadHead([]string{chunkedHead, "Content-Length: 1000"}[n%2]), []string{chunk("abc"), "abc"}[n%2])
				waitFor(t, reached)
				left := time.Now()
				_ = c.Close()
				took = append(took, waitFor(t, gone).Sub(left))
			}
			p50, p99 := percentiles(took)
			t.Logf("upstream cancelled after p50 %s, p99 %s of 100", p50, p99)
			if p99 > time.Second {
				t.Errorf("p99 %s", p99)
			}
			if line := g.accessLine(); line["end_reason"] != "client_gone" || line["request_bytes"] != 3.0 {
				t.Errorf("log %v", line)
			}
			g.noneInFlight()
		})
	}
}
