package proxy

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// stormyPassage is an upstream of uploads and WebSockets that ends them at any
// moment.
func stormyPassage(c net.Conn, r *http.Request) {
	how := rand.IntN(8)
	if r.Header.Get("Upgrade") != "" {
		say(c, switched, frame(0x81, "hello"))
		switch how {
		case 0:
			reset(c)
		case 1:
			say(c, frame(0x88, "\x03\xe8"))
		}
		_, _ = io.Copy(c, c)
		_ = c.Close()
		return
	}
	switch how {
	case 0:
		reset(c)
	case 1:
		say(c, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
	case 2:
		say(c, "HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nno") // and reads on
	case 3:
		say(c, streamHead, chunk(firstEvent))
		reset(c)
	}
	if _, err := io.Copy(io.Discard, r.Body); err == nil && how != 2 {
		say(c, answerText("text/plain", "ok"))
	}
}

// Uploads and WebSockets whose two sides leave at any moment end once each, and
// nothing is left of any.
func TestAStormOfWhatPassesLeavesNothingBehind(t *testing.T) {
	up := newSlowUpstream(t, stormyPassage)
	secure := newHTTP2Upstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch rand.IntN(3) {
		case 0:
			_, _ = r.Body.Read(make([]byte, 10))
			panic(http.ErrAbortHandler)
		case 1:
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	const clients, each = 20, 25
	for _, p := range everyProtocol() {
		t.Run(p.name, func(t *testing.T) {
			c := p.caller(t, up, func(s *setup) {
				s.config.Upstreams = append(s.config.Upstreams, upstreamAt("secure", secure.URL))
				two := s.config.Files[0].Rules[0]
				two.Name, two.Match.Path.Globs, two.Action.Upstream = "secure", []string{"/secure"}, "secure"
				s.config.Files[0].Rules = append(s.config.Files[0].Rules[:0:0], two, s.config.Files[0].Rules[0])
			}, allowed)
			for _, target := range c.g.proxy.snapshot.Load().upstreams {
				target.carrier.wire.tls = secure.own.wire.tls
			}
			c.passOnce(t, 0)
			c.g.noneInFlight()
			files := openNow(t)
			routines := runtime.NumGoroutine()
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					for i := range each {
						c.passOnce(t, i)
					}
				})
			}
			wg.Wait()
			c.g.noneInFlight()
			c.CloseIdleConnections()
			if held := c.g.proxy.budget.used.Load(); held != 0 {
				t.Errorf("%d bytes of the budget are held by nobody", held)
			}
			c.g.oneLineEach(t)
			for _, target := range c.g.proxy.snapshot.Load().upstreams {
				target.carrier.closeIdle()
			}
			const slack = 10 // what the upstreams' own ends still hold
			c.g.until("what it took is given back", func() bool {
				return openNow(t) <= files+slack && runtime.NumGoroutine() <= routines+slack
			})
		})
	}
}

// passOnce sends an upload, or holds a WebSocket's session where the protocol has
// it, and leaves when it likes.
func (c *caller) passOnce(t *testing.T, n int) {
	if c.p.major == 1 && !c.p.tls && n%3 == 2 {
		c.sessionOnce(t)
		return
	}
	path := []string{"/own", "/secure"}[n%2]
	r := c.post(path, "")
	body, writer := io.Pipe()
	r.Body, r.ContentLength = body, []int64{-1, 3000}[rand.IntN(2)]
	r.Header.Set("Content-Type", "application/octet-stream")
	if rand.IntN(2) == 0 {
		r.Header.Set("Expect", "100-continue")
	}
	upto := []int{0, 10, 3000}[rand.IntN(3)]
	go func() {
		_, err := writer.Write(make([]byte, upto))
		if upto < 3000 && err == nil {
			<-time.After(time.Duration(rand.IntN(5000)) * time.Microsecond)
			err = fmt.Errorf("it left")
		}
		_ = writer.CloseWithError(err)
	}()
	response, err := c.Do(r)
	_ = body.Close()
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
}

func (c *caller) sessionOnce(t *testing.T) {
	conn, err := net.Dial("tcp", c.g.addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	s := c.g.handshakeOn(conn, realtime, frame(0x81, "early"))
	response, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return
	}
	defer func() { _ = response.Body.Close() }()
	switch rand.IntN(3) {
	case 0:
		say(s, frame(0x88, "\x03\xe8"))
		_, _ = bufio.NewReader(s.in).ReadByte()
	case 1:
		say(s, strings.Repeat(frame(0x82, "noise"), 100))
	}
}

// openNow is how many files this process has open; 0 where nobody can say.
func openNow(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(all)
}
