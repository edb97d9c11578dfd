package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sort"
	"strings"
	"testing"
	"time"
)

// leaver is a client on a bare connection, which can go away at any moment.
func (g *gateway) dial() net.Conn { g.t.Helper(); return g.dialTo(g.addr) }

func (g *gateway) dialTo(addr string) net.Conn {
	g.t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (g *gateway) head(length int) string {
	return fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", g.key, length)
}

// phases of an exchange in which the client leaves: how far the upstream goes
// before it waits to be left.
var phases = map[string]func(c net.Conn){
	"before the head":       func(net.Conn) {},
	"before the first byte": func(c net.Conn) { say(c, streamHead) },
	"in the middle": func(c net.Conn) {
		say(c, streamHead, chunk("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"))
	},
}

func TestTheClientLeavesAndTheUpstreamIsCancelled(t *testing.T) {
	for name, play := range phases {
		t.Run(name, func(t *testing.T) {
			reached, gone := make(chan struct{}), make(chan time.Time)
			up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
				play(c)
				reached <- struct{}{}
				<-r.gone
				gone <- time.Now()
				return false
			})
			g := newGateway(t, up.url)
			var took []time.Duration
			for range 200 {
				c := g.dial()
				say(c, g.head(len(chatRequest)), chatRequest)
				<-reached
				if name == "in the middle" {
					if _, err := bufio.NewReader(c).Discard(200); err != nil {
						t.Fatal(err)
					}
				}
				left := time.Now()
				_ = c.Close()
				took = append(took, waitFor(t, gone).Sub(left))
			}
			p50, p99 := percentiles(took)
			t.Logf("upstream cancelled after p50 %s, p99 %s of 200", p50, p99)
			if p99 > time.Second {
				t.Errorf("p99 %s", p99)
			}
			g.log.wait(t, "a client gone", func(line map[string]any) bool { return line["end_reason"] == "client_gone" })
			g.noneInFlight()
		})
	}
}

func TestTheClientLeavesInTheMiddleOfItsBody(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool { t.Error("the upstream was asked"); return false })
	g := newGateway(t, up.url)
	c := g.dial()
	say(c, g.head(1000), chatRequest)
	g.inFlight(1)
	_ = c.Close()
	g.noneInFlight()
	line := g.log.wait(t, "an access line", func(line map[string]any) bool { return line["message"] == "request" })
	if line["end_reason"] != "client_gone" || line["status"] != 499.0 {
		t.Errorf("log: %v", line)
	}
}

// net/http stops looking for the end of a connection once a byte of another
// request has come; the upstream is silent, so no write fails either.
func TestTheClientLeavesBehindAPipelinedByte(t *testing.T) {
	reached, gone := make(chan struct{}), make(chan time.Time)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		reached <- struct{}{}
		<-r.gone
		gone <- time.Now()
		return false
	})
	g := newGateway(t, up.url)
	var took []time.Duration
	for range 3 {
		c := g.dial()
		say(c, g.head(len(chatRequest)), chatRequest)
		<-reached
		say(c, "P") // net/http reads it ahead, and then no further
		left := time.Now()
		_ = c.Close()
		took = append(took, waitFor(t, gone).Sub(left))
	}
	_, worst := percentiles(took)
	t.Logf("upstream cancelled after at most %s of 3", worst)
	if worst > 2*time.Second {
		t.Errorf("took %s", worst)
	}
}

func TestAClientThatReadsNothingIsCutAndTheUpstreamWithIt(t *testing.T) {
	gone := make(chan time.Time, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead)
		event := chunk("data: " + strings.Repeat("x", 32<<10) + "\n\n")
		for {
			if _, err := io.WriteString(c, event); err != nil {
				gone <- time.Now()
				return false
			}
		}
	})
	g := newGateway(t, up.url, func(s *setup) { s.options.WriteStall = 300 * time.Millisecond })
	c := g.dial()
	say(c, g.head(len(chatRequest)), chatRequest)
	waitFor(t, gone)
	line := g.log.wait(t, "an access line", func(line map[string]any) bool { return line["message"] == "request" })
	if line["end_reason"] != "client_stalled" {
		t.Errorf("log says %v", line["end_reason"])
	}
}

func TestAClientThatSendsNothingOfItsBodyIsAnswered408(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:9", func(s *setup) { s.options.ReadStall = 200 * time.Millisecond })
	c := g.dial()
	say(c, g.head(1000), "{")
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusRequestTimeout || !response.Close {
		t.Errorf("%d, close %v", response.StatusCode, response.Close)
	}
}

func waitFor[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("waited in vain")
	}
	return v
}

func percentiles(all []time.Duration) (p50, p99 time.Duration) {
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	return all[len(all)/2], all[len(all)*99/100]
}

// until waits for a state.
func (g *gateway) until(state string, reached func() bool) {
	g.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !reached() {
		select {
		case <-tick.C:
		case <-deadline:
			g.t.Fatal("waited in vain: " + state)
		}
	}
}

// leavingKnown waits until the gateway knows of a client that it has left.
func (g *gateway) leavingKnown() {
	g.t.Helper()
	g.until("the client's leaving is known", func() (known bool) {
		g.proxy.flights.each(func(x *exchange) { known = known || x.ctx.Err() != nil })
		return known
	})
}

// inFlight waits until n exchanges are under way.
func (g *gateway) inFlight(n int64) {
	g.t.Helper()
	g.until(fmt.Sprintf("%d in flight", n), func() bool { return g.proxy.Totals().InFlight == n })
}

func (g *gateway) noneInFlight() { g.t.Helper(); g.inFlight(0) }
