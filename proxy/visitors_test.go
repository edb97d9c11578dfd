package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"pgregory.net/rapid"
)

// strangersAre waits until so many connections have shown no key.
func (g *gateway) strangersAre(n int) {
	g.t.Helper()
	g.until(fmt.Sprintf("%d strangers", n), func() bool { return g.proxy.door.count() == n })
}

// closed waits until the gateway has closed a connection.
func closed(t testing.TB, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); isTimeout(err) {
		t.Fatal("the connection is still open")
	}
}

// Half-sent heads fill the door; whoever has a key walks in all the same.
func TestACallerWithAKeyGetsInPastAnyNumberOfStrangers(t *testing.T) {
	const limit = 4
	up := newWireUpstream(t, behave("ok"))
	for name, c := range map[string]struct {
		change func(*Options)
		label  string
	}{
		"of one peer":  {func(o *Options) { o.PeerStrangers, o.StrangerGrace = limit, 1 }, "peer"},
		"of all peers": {func(o *Options) { o.Strangers = limit }, "total"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, up.url, func(s *setup) { c.change(&s.options) })
			var strangers []net.Conn
			for n := range limit {
				strangers = append(strangers, g.dial())
				say(strangers[n], "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: ")
				g.strangersAre(n + 1)
			}
			for range 3 { // each on a connection of its own, and known from then on
				if response, body, err := g.do(g.post("/x", "{}")); response.StatusCode != 200 || err != nil {
					t.Fatalf("%d %q %v", response.StatusCode, body, err)
				}
			}
			closed(t, strangers[0]) // one place is enough: who shows a key leaves it
			g.strangersAre(limit - 1)
			if want := `llmgw_connections_evicted_total{limit="` + c.label + `"} 1`; !strings.Contains(g.metrics(), want) {
				t.Errorf("no %s", want)
			}
		})
	}
}

func TestAConnectionThatShowedAKeyIsNoStranger(t *testing.T) {
	up := newWireUpstream(t, behave("ok"))
	g := newGateway(t, up.url, func(s *setup) { s.options.PeerStrangers, s.options.StrangerGrace = 1, 1 })
	known := g.dial()
	in := bufio.NewReader(known)
	ask := func() {
		t.Helper()
		say(known, g.head(2), "{}")
		if response, body := readAnswer(t, in, http.MethodPost); response.StatusCode != 200 {
			t.Fatalf("%d %q", response.StatusCode, body)
		}
	}
	ask()
	g.strangersAre(0)
	var last net.Conn
	for range 3 {
		c := g.dial()
		if last != nil {
			closed(t, last)
		}
		last = c
		g.strangersAre(1)
	}
	ask()
	_ = last.Close()
	g.strangersAre(0)
}

func TestAConnectionThatClosesIsNotCounted(t *testing.T) {
	for _, p := range everyProtocol() {
		t.Run(p.name, func(t *testing.T) {
			c := p.caller(t, "http://127.0.0.1:9")
			r := c.post("/healthz", "")
			r.Method = http.MethodGet
			if body, err := io.ReadAll(c.send(r).Body); string(body) != "ok\n" || err != nil {
				t.Fatalf("%q %v", body, err)
			}
			c.g.strangersAre(1)
			c.g.until("its connection is closed and not counted", func() bool {
				c.CloseIdleConnections() // a stream of HTTP/2 is in use for a moment after its end
				return c.g.proxy.door.count() == 0
			})
		})
	}
}

// Whoever tries key after key has to connect anew for it.
func TestAConnectionOfWrongKeysIsClosed(t *testing.T) {
	for _, p := range everyProtocol() {
		t.Run(p.name, func(t *testing.T) {
			c := p.caller(t, "http://127.0.0.1:9")
			for n := range 2 * mostRefusals {
				r := c.post("/x", "")
				r.Header.Set("Authorization", fmt.Sprintf("Bearer sk-lgw-wrong%d", n))
				response := c.send(r)
				if _, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusUnauthorized {
					t.Fatalf("%d %v", response.StatusCode, err)
				}
			}
			if dials := c.dials.Load(); dials != 2 {
				t.Errorf("%d connections", dials)
			}
		})
	}
}

// However connections come, show keys and close: no more are counted than may
// be, every one that shows a key stays, and nothing is left at the end.
func TestTheDoorCountsWhoIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perPeer, total := rapid.IntRange(1, 4).Draw(t, "per peer"), rapid.IntRange(1, 8).Draw(t, "total")
		d := newDoor(perPeer, total, 0, newMetrics(&Proxy{}).evicted)
		open := map[*doorConn]*visitor{}
		var order []*doorConn
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch what := rapid.SampledFrom([]string{"enter", "enter", "welcome", "close"}).Draw(t, "step"); {
			case what == "enter" || len(order) == 0:
				c := &doorConn{peer: rapid.IntRange(1, 3).Draw(t, "peer")}
				ctx := d.enter(context.Background(), c)
				open[c], order = visitorOf(ctx), append(order, c)
				if c.closed {
					t.Fatal("the newest was closed")
				}
			default:
				c := rapid.SampledFrom(order).Draw(t, "which")
				if what == "welcome" && !c.closed {
					open[c].welcome()
				} else {
					c.closed = true
					d.changed(c, http.StateClosed)
				}
			}
			strangers, ofPeer := 0, map[int]int{}
			for c, v := range open {
				if !c.closed && !v.known.Load() {
					strangers++
					ofPeer[c.peer]++
				}
				if ofPeer[c.peer] > perPeer {
					t.Fatalf("%d of one peer", ofPeer[c.peer])
				}
			}
			if strangers > total || strangers != d.count() {
				t.Fatalf("%d strangers, %d counted", strangers, d.count())
			}
		}
		for c := range open {
			d.changed(c, http.StateClosed)
		}
		if d.count() != 0 || len(d.peers) != 0 || len(d.strangers) != 0 {
			t.Fatalf("left behind: %d, %v", d.count(), d.peers)
		}
	})
}

// A crowd that comes at once, as behind a load balancer, is let in; what has
// still not shown a key when its time is over goes when the next one comes.
func TestACrowdOfOnePeerHasTimeToShowItsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(2, 100, defaultGrace, newMetrics(&Proxy{}).evicted)
		var all []*doorConn
		come := func() {
			all = append(all, &doorConn{peer: 1})
			d.enter(t.Context(), all[len(all)-1])
		}
		for range 10 {
			come()
		}
		if d.count() != 10 {
			t.Errorf("%d of 10 were let in", d.count())
		}
		<-time.After(defaultGrace)
		come()
		if d.count() != 2 || !all[8].closed || all[9].closed {
			t.Errorf("%d are left", d.count())
		}
	})
}

// doorConn is a connection as far as a door needs one.
type doorConn struct {
	net.Conn
	peer   int
	closed bool
}

func (c *doorConn) Close() error { c.closed = true; return nil }
func (c *doorConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(10, 0, 0, byte(c.peer)), Port: 1}
}

func TestWhomAConnectionCountsFor(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7:1":               "192.0.2.7/32",
		"[::ffff:192.0.2.7]:1":      "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:1":  "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:99": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1":          "fe80::/64",
	} {
		if got := peerOf(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))); got.String() != want {
			t.Errorf("%s counts for %s, want %s", address, got, want)
		}
	}
	if got := peerOf(&net.UnixAddr{Name: "x"}); got.IsValid() {
		t.Errorf("a socket counts for %s", got)
	}
}

func TestHowManyStrangersThereMayBe(t *testing.T) {
	for files, want := range map[uint64]int{0: 8192, 2: 1, 256: 64, 1024: 256, 1 << 20: 8192} {
		if got := defaultStrangers(files); got != want {
			t.Errorf("%d files: %d, want %d", files, got, want)
		}
	}
}

// 100 Continue is an invitation; strangers get none, and neither does what
// would be refused anyway.
func TestOnlyWhoMaySendABodyIsToldToGoOn(t *testing.T) {
	up := newWireUpstream(t, behave("ok"))
	for name, c := range map[string]struct {
		path, key, length string
		invited           bool
		status            int
	}{
		"a caller with a key":    {"/x", "", "2", true, 200},
		"a stranger":             {"/x", "sk-lgw-wrong", "2", false, 401},
		"a body that is too big": {"/x", "", "1000", false, 413},
		"an ambiguous path":      {"/a//b", "", "2", false, 400},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, up.url, func(s *setup) { s.options.MaxBody = 100 })
			key := g.key
			if c.key != "" {
				key = c.key
			}
			conn := g.dial()
			say(conn, "POST "+c.path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+key+"\r\nExpect: 100-continue\r\nContent-Length: "+c.length+"\r\n\r\n")
			in := bufio.NewReader(conn)
			first, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if invited := first.StatusCode == http.StatusContinue; invited != c.invited {
				t.Fatalf("told %d", first.StatusCode)
			}
			if !c.invited {
				if first.StatusCode != c.status || !first.Close {
					t.Errorf("%d, close %v", first.StatusCode, first.Close)
				}
				return
			}
			say(conn, "{}")
			if response, body := readAnswer(t, in, http.MethodPost); response.StatusCode != c.status {
				t.Errorf("%d %q", response.StatusCode, body)
			}
		})
	}
}

func TestOnlyWhoMaySendABodyIsToldToGoOnOverHTTP2(t *testing.T) {
	g := newGateway(t, newWireUpstream(t, behave("ok")).url)
	c := g.frames()
	c.head(1, false, "POST", "/x", "expect", "100-continue", "content-length", "2")
	if status := c.status(1); status != "100" {
		t.Fatalf("told %s", status)
	}
	c.data(1, true, "{}")
	if status := c.status(1); status != "200" {
		t.Errorf("answered %s", status)
	}
	key := g.key
	g.key = "sk-lgw-wrong"
	c.head(3, false, "POST", "/x", "expect", "100-continue", "content-length", "2")
	g.key = key
	if status := c.status(3); status != "401" {
		t.Errorf("a stranger is told %s", status)
	}
	c.until(func(f http2.Frame) bool { return f.Header().StreamID == 3 && f.Header().Type == http2.FrameRSTStream })
}
