package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	slowEvery   = 5 * time.Second        // between two bytes of a slow connection; slowhttptest waits 10 s
	slowAgain   = 200 * time.Millisecond // before one that was closed is opened again
	slowSources = 50                     // addresses that they come from: no peer is over its limit
	slowReading = 4 << 10                // bytes that the kernel takes in for a slow reader
)

// slowness is one of slowhttptest's modes (https://github.com/shekyan/slowhttptest).
type slowness struct {
	name  string
	open  func(p *participant) string // what is said at once
	again func(net.Conn, int) error   // what is done every slowEvery; the number counts from 0
	held  atomic.Int64                // open now
	ended atomic.Int64                // times the gateway closed one
}

func slownesses() []*slowness {
	saying := func(form string) func(net.Conn, int) error {
		return func(c net.Conn, n int) error { _, err := fmt.Fprintf(c, form, n); return err }
	}
	return []*slowness{
		{name: "slow heads", again: saying("X-%d: y\r\n"), open: func(p *participant) string {
			return "POST " + chatPath + " HTTP/1.1\r\nHost: " + p.addr + "\r\n"
		}},
		{name: "slow bodies", again: func(c net.Conn, _ int) error { _, err := io.WriteString(c, "x"); return err }, open: func(p *participant) string {
			return authorized("POST", p, "Content-Type: application/json\r\nContent-Length: 8192\r\n")
		}},
		{name: "many ranges", again: func(c net.Conn, _ int) error { _, err := io.WriteString(c, manyRanges()); return err }, open: func(*participant) string { return manyRanges() }},
		{name: "slow readers", again: func(c net.Conn, _ int) error { _, err := io.ReadFull(c, make([]byte, 5)); return err }, open: func(p *participant) string {
			return authorized("POST", p, idHeader+": "+floodID+"\r\nContent-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(slowBody))+"\r\n") + slowBody
		}},
	}
}

const slowBody = `{"model":"` + model + `","stream":true}`

func authorized(method string, p *participant, more string) string {
	return method + " " + chatPath + " HTTP/1.1\r\nHost: " + p.addr + "\r\nAuthorization: Bearer " + p.key + "\r\n" + more + "\r\n"
}

// manyRanges is a whole request, of a stranger, with as many fields and as many
// overlapping ranges as pass.
func manyRanges() string {
	var b strings.Builder
	b.WriteString("HEAD " + chatPath + " HTTP/1.1\r\nHost: x\r\nRange: bytes=0-")
	for n := range 1000 {
		fmt.Fprintf(&b, ",5-%d", n)
	}
	for n := range 90 {
		fmt.Fprintf(&b, "\r\nX-%d: y", n)
	}
	return b.String() + "\r\n\r\n"
}

// siege keeps slow connections open.
type siege struct {
	to    *participant
	n     int
	modes []*slowness
	stop  context.CancelFunc
	all   sync.WaitGroup
}

// besiege begins to open n slow connections, of all kinds in turn.
func besiege(ctx context.Context, to *participant, n int) *siege {
	ctx, stop := context.WithCancel(ctx)
	s := &siege{to: to, n: n, modes: slownesses(), stop: stop}
	for i := range n {
		s.all.Go(func() { s.keep(ctx, i) })
	}
	return s
}

func (s *siege) end() {
	s.stop()
	s.all.Wait()
}

// keep keeps the connection of a number open, and opens it again where the
// gateway has closed it.
func (s *siege) keep(ctx context.Context, i int) {
	mode := s.modes[i%len(s.modes)]
	// Not all at once: as many in a second as would take two turns to open all.
	pause := time.Duration(i) * 2 * slowEvery / time.Duration(s.n)
	for wait(ctx, pause) == nil {
		if c, err := s.dial(ctx, i); err == nil {
			mode.held.Add(1)
			mode.drag(ctx, c, s.to)
			mode.held.Add(-1)
		}
		pause = slowAgain
	}
}

// dial connects from one of slowSources addresses of this machine.
func (s *siege) dial(ctx context.Context, i int) (net.Conn, error) {
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/len(s.modes)%slowSources))}
	return (&net.Dialer{Timeout: answerBound, LocalAddr: from}).DialContext(ctx, "tcp", s.to.addr)
}

// drag is as slow as its mode wants until the connection or the siege ends.
func (m *slowness) drag(ctx context.Context, c net.Conn, p *participant) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer func() { stop(); _ = c.Close() }()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(slowReading)
	}
	_, err := io.WriteString(c, m.open(p))
	for n := 0; err == nil && wait(ctx, slowEvery) == nil; n++ {
		err = m.again(c, n)
	}
	if err != nil && ctx.Err() == nil {
		m.ended.Add(1)
	}
}

func (s *siege) held() (n int) {
	for _, m := range s.modes {
		n += int(m.held.Load())
	}
	return n
}

// untilOpen waits until nearly all are open; some are always being opened again.
func (s *siege) untilOpen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, crowdBound)
	defer cancel()
	for s.held() < s.n*95/100 {
		if wait(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("%d of %d slow connections are open after %s", s.held(), s.n, crowdBound)
		}
	}
	return nil
}

// enough fails where the siege was none in the end.
func (s *siege) enough() error {
	if held := s.held(); held < s.n*9/10 {
		return fmt.Errorf("only %d of %d slow connections were open in the end", held, s.n)
	}
	return nil
}

func (s *siege) print(w io.Writer) error {
	t := newTable("", "open", "closed by the gateway and opened again")
	for _, m := range s.modes {
		t.add(m.name, strconv.FormatInt(m.held.Load(), 10), strconv.FormatInt(m.ended.Load(), 10))
	}
	return t.print(w)
}
