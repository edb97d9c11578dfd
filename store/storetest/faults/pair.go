package faults

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// pair is one client's connection and the one to the server that belongs to it.
type pair struct {
	proxy  *Proxy
	client net.Conn

	mu        sync.Mutex
	server    net.Conn // nil until it is there
	gone      bool
	forgotten bool          // the client is not to notice that the server's side has ended
	turned    chan struct{} // closed when the way changes or the pair ends
}

// join takes the connection to the server, unless the pair was cut meanwhile.
func (c *pair) join(server net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		reset(server)
		return false
	}
	c.server = server
	if c.forgotten {
		reset(server)
	}
	return true
}

// run passes bytes in both directions until both have ended.
func (c *pair) run() {
	var back sync.WaitGroup
	back.Go(func() { c.copy(c.client, c.server, false) })
	c.copy(c.server, c.client, true)
	back.Wait()
}

// piece is as many bytes as are read at once. A direction holds late ones in a
// queue of queued pieces; when that is full, its sender waits, as it would for a
// slow link.
const (
	piece  = 32 << 10
	queued = 256
)

// late is what was read and has not arrived yet: bytes, or how the stream ended.
type late struct {
	bytes []byte
	end   error
	at    time.Time // when it was read
}

// copy passes one direction. Reading goes on while bytes are late, so that a
// delay is that of a long way and not of a narrow one.
func (c *pair) copy(to, from net.Conn, up bool) {
	line := make(chan late, queued)
	var reading sync.WaitGroup
	reading.Go(func() { read(from, line) })
	for l := range line {
		if !c.due(l.at, up) {
			continue // the pair has ended; what comes is for nobody
		}
		if l.end == nil {
			c.write(to, l.bytes, up)
		} else {
			c.endOne(to, l.end)
		}
	}
	reading.Wait()
}

// read takes bytes until there are no more.
func read(from net.Conn, line chan<- late) {
	defer close(line)
	for {
		b := make([]byte, piece)
		n, err := from.Read(b)
		if n > 0 {
			line <- late{bytes: b[:n], at: time.Now()}
		}
		if err != nil {
			line <- late{end: err, at: time.Now()}
			return
		}
	}
}

// due waits until something has been on the way for as long as the way says,
// also when it says something else meanwhile. It says no where the pair ended.
func (c *pair) due(since time.Time, up bool) bool {
	for {
		c.mu.Lock()
		turned, gone := c.turned, c.gone
		c.mu.Unlock()
		if gone {
			return false
		}
		way := c.direction(up) // behind turned, so that no change is missed
		left := way.Delay - time.Since(since)
		if left <= 0 && !way.Hold {
			return true
		}
		if way.Hold {
			<-turned
			continue
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-turned:
			timer.Stop()
		}
	}
}

// write passes bytes on. Where that fails, its reader has ended, and the other
// direction says how.
func (c *pair) write(to net.Conn, b []byte, up bool) {
	n, _ := to.Write(b)
	c.proxy.note(func(k *Counts) {
		if up {
			k.Up += int64(n)
		} else {
			k.Down += int64(n)
		}
	})
}

// endOne passes on how one direction ended: a farewell as one, anything else as
// a reset of both; neither where the client is not to notice.
func (c *pair) endOne(to net.Conn, end error) {
	switch {
	case c.isForgotten() && to == c.client:
	case errors.Is(end, io.EOF):
		endWriting(to)
	default:
		c.cut()
	}
}

func (c *pair) direction(up bool) Direction {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	if up {
		return c.proxy.way.Up
	}
	return c.proxy.way.Down
}

// changed wakes who waits for bytes to be due.
func (c *pair) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		close(c.turned)
		c.turned = make(chan struct{})
	}
}

func (c *pair) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten = true
	if c.server != nil {
		reset(c.server)
	}
}

func (c *pair) isForgotten() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.forgotten
}

// cut ends both connections with a reset.
func (c *pair) cut() { c.finish(reset) }

// close ends both connections as programs do.
func (c *pair) close() {
	c.finish(func(n net.Conn) { _ = n.Close() }) // whoever is at the other end notices, or has gone
}

func (c *pair) finish(how func(net.Conn)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.gone = true
	close(c.turned)
	how(c.client)
	if c.server != nil {
		how(c.server)
	}
}

// reset ends a connection without a farewell: closing with a linger of zero
// sends a RST. On a Unix socket it is a plain end.
func reset(n net.Conn) {
	if t, ok := n.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // a socket that has ended already has nothing to linger for
	}
	_ = n.Close()
}

// endWriting tells the other side that nothing more comes.
func endWriting(n net.Conn) {
	if w, ok := n.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite() // a socket that has ended already told it
	}
}
