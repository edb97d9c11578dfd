package proxy

import (
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
)

// stalledCost is what a client that takes nothing may cost beyond the kernel's
// buffers.
const stalledCost = 64 << 10

// flooder is an upstream that writes as much as anybody takes.
type flooder struct {
	*wireUpstream
	asked, written atomic.Int64
}

func newFlooder(t testing.TB) *flooder {
	f := &flooder{}
	event := []byte(chunk("data: " + strings.Repeat("x", 32<<10) + "\n\n"))
	f.wireUpstream = newWireUpstream(t, func(c net.Conn, r *sent) bool {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetWriteBuffer(16 << 10) // the kernel's buffers are not the matter
		}
		say(c, streamHead)
		f.asked.Add(1)
		for {
			n, err := c.Write(event)
			if f.written.Add(int64(n)); err != nil {
				return false
			}
		}
	})
	return f
}

// stalled waits until it was asked so often and nobody takes anything more.
func (f *flooder) stalled(g *gateway, all int64) {
	g.t.Helper()
	last, asked := int64(0), 0
	g.until("all are stalled", func() bool {
		written := f.written.Load()
		if asked++; f.asked.Load() != all || written != last {
			last, asked = written, 0
		}
		return asked > 100
	})
}

// What this process holds for a client that stalls is measured without and with
// a gateway between it and its upstream: both are this process's, too.
func TestWhatAClientThatTakesNothingCosts(t *testing.T) {
	const readers = 100
	up := newFlooder(t)
	g := newGateway(t, up.url)
	connect := func(addr, key string) {
		for range readers {
			c := g.dialTo(addr)
			if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
				t.Fatal(err)
			}
			say(c, strings.Replace(g.head(len(chatRequest)), g.key, key, 1), chatRequest)
		}
	}
	cost := func(open func()) int64 {
		before, all := inUse(), up.asked.Load()+readers
		open()
		up.stalled(g, all)
		return (inUse() - before) / readers
	}
	own := cost(func() { connect(up.listener.Addr().String(), "none") })
	for name, open := range map[string]func(){
		"HTTP/1.1": func() { connect(g.addr, g.key) },
		"h2c": func() {
			c := g.frames(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 16})
			for n := range readers {
				c.ask(uint32(2*n+1), "POST", "/v1/chat/completions", chatRequest)
			}
		},
	} {
		each := cost(open) - own
		t.Logf("%s: %d stalled clients, %d KiB each (and %d KiB the test's)", name, readers, each>>10, own>>10)
		if each > stalledCost && !raced || each <= 0 {
			t.Errorf("%s: %d bytes each, over %d", name, each, stalledCost)
		}
	}
}

// inUse is the memory that values and stacks hold.
func inUse() int64 {
	for range 4 { // the second frees what pools held, and each halves stacks that are too large
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
