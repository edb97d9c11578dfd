package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

func TestASessionEndsWithTheProtocolsWord(t *testing.T) {
	whole, part := frame(0x81, "whole"), frame(0x81, "in two")[:4]
	for name, c := range map[string]struct {
		sent   string // by the upstream
		broken bool   // the upstream ends then
		cut    endReason
		change func(*setup)
		want   string // after what was sent
		reset  bool
		reason string
	}{
		"the gateway stops":                  {sent: whole, cut: endDrained, want: farewell(1001, "the gateway is stopping"), reason: "drained"},
		"the gateway stops in a frame":       {sent: whole + part, cut: endDrained, reset: true, reason: "drained"},
		"between two fragments":              {sent: frame(0x01, "a"), cut: endDrained, want: farewell(1001, "the gateway is stopping"), reason: "drained"},
		"the key is revoked":                 {sent: whole, cut: endRevoked, want: farewell(1008, "the API key is not valid any more"), reason: "revoked"},
		"the upstream breaks off":            {sent: whole, broken: true, want: farewell(1011, "the upstream broke off"), reason: "upstream_truncated"},
		"the upstream breaks off in a frame": {sent: whole + part, broken: true, reset: true, reason: "upstream_truncated"},
		"nothing is said": {sent: whole, want: farewell(1001, "nothing was said for too long"), reason: "idle_timeout",
			change: func(s *setup) { s.config.Upstreams[0].Timeouts.Idle = 50 * time.Millisecond }},
		"the session has a bound": {sent: whole, want: farewell(1001, "the session took too long"), reason: "total_timeout",
			change: func(s *setup) { s.config.Upstreams[0].Timeouts.Total = 50 * time.Millisecond }},
	} {
		t.Run(name, func(t *testing.T) {
			goOn := make(chan struct{})
			up := newSocketUpstream(t, func(conn net.Conn, in *bufio.Reader, _ *http.Request) {
				say(conn, switched+c.sent)
				if <-goOn; !c.broken {
					_, _ = io.Copy(io.Discard, in)
				}
			})
			g := newGateway(t, up.url, allowed, func(s *setup) {
				if c.change != nil {
					c.change(s)
				}
			})
			s := g.handshake("/v1/anything", "")
			s.answered(t)
			s.expect(t, c.sent)
			close(goOn)
			if c.cut != "" {
				g.proxy.flights.cut(c.cut)
			}
			rest, err := s.rest()
			if rest != c.want || (err != nil) != c.reset {
				t.Errorf("%q %v, want %q", rest, err, c.want)
			}
			g.ended(s, c.reason)
		})
	}
}

func TestAClientThatVanishesFreesTheUpstream(t *testing.T) {
	gone := make(chan time.Time, 1)
	up := newSocketUpstream(t, func(c net.Conn, in *bufio.Reader, _ *http.Request) {
		say(c, switched)
		_, _ = io.Copy(io.Discard, in)
		gone <- time.Now()
	})
	g := newGateway(t, up.url, allowed)
	var waits []time.Duration
	for range 100 {
		s := g.handshake("/v1/anything", frame(0x81, "hello"))
		s.answered(t)
		left := time.Now()
		_ = s.Close()
		waits = append(waits, waitFor(t, gone).Sub(left))
		g.ended(s, "client_gone")
	}
	if p50, p99 := percentiles(waits); p99 > 50*time.Millisecond {
		t.Errorf("the upstream heard of it after %v (p50), %v (p99)", p50, p99)
	}
}

func TestTheHandshakeOfACloseComesToItsEnd(t *testing.T) {
	closing := frame(0x88, "\x03\xe8bye")
	for name, c := range map[string]struct {
		talk func(net.Conn, *bufio.Reader, *http.Request)
		do   func(t *testing.T, s *socket)
	}{
		"which the client began": {echoBytes, func(t *testing.T, s *socket) {
			say(s, closing)
			s.expect(t, closing)
			_ = s.Close()
		}},
		"which the upstream began": {func(c net.Conn, in *bufio.Reader, _ *http.Request) {
			say(c, switched+closing)
			_, _ = io.ReadFull(in, make([]byte, len(closing)))
		}, func(t *testing.T, s *socket) {
			s.expect(t, closing)
			say(s, closing)
			if rest, err := s.rest(); rest != "" || err != nil {
				t.Errorf("%q %v", rest, err)
			}
		}},
		"of which the upstream says its half at once": {func(c net.Conn, in *bufio.Reader, _ *http.Request) {
			say(c, switched+closing)
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, in)
		}, func(t *testing.T, s *socket) {
			s.expect(t, closing)
			if _, err := s.in.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("half an end is passed on as %v", err)
			}
			say(s, closing)
			_ = s.Close()
		}},
		"of which the client says its half at once": {func(c net.Conn, in *bufio.Reader, _ *http.Request) {
			say(c, switched)
			if half, err := io.ReadAll(in); string(half) != closing || err != nil {
				t.Errorf("half an end is passed on as %q, %v", half, err)
			}
			say(c, closing)
		}, func(t *testing.T, s *socket) {
			say(s, closing)
			_ = s.Conn.(*net.TCPConn).CloseWrite()
			if rest, err := s.rest(); rest != closing || err != nil {
				t.Errorf("%q %v", rest, err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, newSocketUpstream(t, c.talk).url, allowed)
			s := g.handshake("/v1/anything", "")
			s.answered(t)
			c.do(t, s)
			g.ended(s, "complete")
		})
	}
}

// event makes a server event of the Realtime API.
func realtimeEvent(kind string, more ...string) string {
	return frame(0x81, `{"type":"`+kind+`"`+strings.Join(more, "")+`}`)
}

func responseDoneEvent(input, output, cached int) string {
	return realtimeEvent(responseDone, fmt.Sprintf(`,"response":{"id":"r","usage":{"total_tokens":9,"input_tokens":%d,"output_tokens":%d,`+
		`"input_token_details":{"cached_tokens":%d,"text_tokens":1},"output_token_details":{"text_tokens":2}}}`, input, output, cached))
}

func TestADrainWaitsForTheResponseUnderWay(t *testing.T) {
	created, done := realtimeEvent(responseCreated), responseDoneEvent(1, 2, 0)
	goOn := make(chan struct{})
	up := newSocketUpstream(t, func(c net.Conn, in *bufio.Reader, _ *http.Request) {
		say(c, switched+created)
		<-goOn
		say(c, frame(0x01, "{}"), frame(0x80, ""), done+frame(0x81, "this comes too late"))
		_, _ = io.Copy(io.Discard, in)
	})
	g := newGateway(t, up.url, allowed)
	s, idle := g.handshake(realtime, ""), g.handshake(realtime, "")
	s.answered(t)
	s.expect(t, created)
	idle.answered(t)
	idle.expect(t, created)
	drained := make(chan struct{})
	go func() { defer close(drained); g.server.Drain(context.Background(), 0, 0) }()
	waitFor(t, refused(t, g.addr))
	select {
	case <-drained:
		t.Fatal("the drain did not wait for the sessions")
	default:
	}
	_ = idle.Close()
	close(goOn)
	if rest, err := s.rest(); rest != frame(0x01, "{}")+frame(0x80, "")+done+farewell(1001, "the gateway is stopping") || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	g.ended(s, "drained")
	waitFor(t, drained)
}

func TestADrainEndsASessionThatRestsAtOnce(t *testing.T) {
	up := newSocketUpstream(t, holdOpen(realtimeEvent("session.created")))
	g := newGateway(t, up.url, allowed)
	s := g.handshake(realtime, "")
	s.answered(t)
	s.expect(t, realtimeEvent("session.created"))
	drained := make(chan struct{})
	go func() { defer close(drained); g.server.Drain(context.Background(), 0, 0) }()
	if rest, err := s.rest(); rest != farewell(1001, "the gateway is stopping") || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	g.ended(s, "drained")
	waitFor(t, drained)
}

func TestADrainsLimitCutsAResponseUnderWay(t *testing.T) {
	created := realtimeEvent(responseCreated)
	up := newSocketUpstream(t, holdOpen(created))
	g := newGateway(t, up.url, allowed)
	s := g.handshake(realtime, "")
	s.answered(t)
	s.expect(t, created)
	drained := make(chan struct{})
	go func() { defer close(drained); g.server.Drain(context.Background(), 0, 50*time.Millisecond) }()
	if rest, err := s.rest(); rest != farewell(1001, "the gateway is stopping") || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	g.ended(s, "drained")
	waitFor(t, drained)
}

func TestARevokedKeyEndsItsSession(t *testing.T) {
	up := newSocketUpstream(t, holdOpen())
	g := newGateway(t, up.url, allowed, func(s *setup) { s.options.Recheck = 5 * time.Millisecond })
	s := g.handshake(realtime, "")
	s.answered(t)
	g.keys.fail(accounts.ErrUnavailable) // where nobody can say, it goes on
	asked := func() int { g.keys.mu.Lock(); defer g.keys.mu.Unlock(); return g.keys.asked }
	before := asked()
	g.until("the key was looked at again", func() bool { return asked() > before+1 })
	g.keys.fail(nil)
	g.keys.revoke(g.key)
	if rest, err := s.rest(); rest != farewell(1008, "the API key is not valid any more") || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	g.ended(s, "revoked")
}

func TestASideThatTakesNothingIsCut(t *testing.T) {
	stall := func(s *setup) { s.options.WriteStall = 100 * time.Millisecond }
	endless := func(c net.Conn) {
		for noise := frame(0x82, strings.Repeat("x", 60_000)); ; {
			if _, err := io.WriteString(c, noise); err != nil {
				return
			}
		}
	}
	t.Run("the client", func(t *testing.T) {
		up := newSocketUpstream(t, func(c net.Conn, _ *bufio.Reader, _ *http.Request) { say(c, switched); endless(c) })
		g := newGateway(t, up.url, allowed, stall)
		s := g.handshake("/v1/anything", "")
		s.answered(t)
		g.line(s.response)
		g.ended(s, "client_stalled")
	})
	t.Run("the upstream", func(t *testing.T) {
		g := newGateway(t, newSocketUpstream(t, func(c net.Conn, _ *bufio.Reader, r *http.Request) {
			say(c, switched)
			<-time.After(patience / 20)
		}).url, allowed, stall)
		s := g.handshake("/v1/anything", "")
		s.answered(t)
		endless(s)
		g.line(s.response)
		g.ended(s, "upstream_error")
	})
}

func TestASessionMayBeginDuringTheDrainsDelay(t *testing.T) {
	g := newGateway(t, newSocketUpstream(t, echoBytes).url, allowed)
	ctx, second := context.WithCancel(context.Background())
	drained := make(chan struct{})
	go func() { defer close(drained); g.server.Drain(ctx, time.Hour, 0) }()
	g.notReady()
	s := g.handshake(realtime, "")
	if response := s.answered(t); response.StatusCode != 101 || response.Header.Get("Connection") != "Upgrade" {
		t.Errorf("%v", response)
	}
	say(s, frame(0x81, "still here"))
	s.expect(t, frame(0x81, "still here"))
	second()
	if rest, err := s.rest(); rest != farewell(1001, "the gateway is stopping") || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	g.ended(s, "drained")
	waitFor(t, drained)
}
