package proxy

import (
	"sync"
	"time"
)

// idle keeps connections between exchanges: the one used last is used first, so
// that the others can grow old and go.
type idle struct {
	most    int           // kept of one authority
	longest time.Duration // kept for

	mu    sync.Mutex
	conns map[authority][]*wireConn // the oldest first
	timer *time.Timer               // closes the oldest; nil while none is kept
	over  bool                      // nothing is kept any more
}

// take gives a connection on which nothing has come since it was put here; nil
// where there is none.
func (i *idle) take(at authority) *wireConn {
	for {
		conn := i.pop(at)
		if conn == nil {
			return nil
		}
		if time.Since(conn.since) < i.longest && conn.quiet() {
			return conn
		}
		conn.close()
	}
}

func (i *idle) pop(at authority) *wireConn {
	i.mu.Lock()
	defer i.mu.Unlock()
	conns := i.conns[at]
	if len(conns) == 0 {
		return nil
	}
	last := len(conns) - 1
	conn := conns[last]
	conns[last] = nil
	i.conns[at] = conns[:last]
	return conn
}

// put keeps a connection, or closes it.
func (i *idle) put(c *wireConn) {
	c.used, c.since = true, time.Now()
	if !i.kept(c) {
		c.close()
	}
}

func (i *idle) kept(c *wireConn) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over || len(i.conns[c.at]) >= i.most {
		return false
	}
	if i.conns == nil {
		i.conns = map[authority][]*wireConn{}
	}
	i.conns[c.at] = append(i.conns[c.at], c)
	if i.timer == nil {
		i.timer = time.AfterFunc(i.longest, i.sweep)
	}
	return true
}

// sweep closes what has been idle for too long.
func (i *idle) sweep() {
	i.mu.Lock()
	var old []*wireConn
	next := time.Duration(-1)
	for at, conns := range i.conns {
		n := 0
		for n < len(conns) && time.Since(conns[n].since) >= i.longest {
			n++
		}
		old = append(old, conns[:n]...)
		if n == len(conns) {
			delete(i.conns, at)
			continue
		}
		i.conns[at] = append([]*wireConn(nil), conns[n:]...)
		if left := i.longest - time.Since(conns[n].since); next < 0 || left < next {
			next = left
		}
	}
	i.timer = nil
	if next >= 0 && !i.over {
		i.timer = time.AfterFunc(max(next, time.Millisecond), i.sweep)
	}
	i.mu.Unlock()
	closeAll(old)
}

// close closes what is kept, and keeps nothing from here on.
func (i *idle) close() {
	i.mu.Lock()
	i.over = true
	var all []*wireConn
	for _, conns := range i.conns {
		all = append(all, conns...)
	}
	i.conns = nil
	if i.timer != nil {
		i.timer.Stop()
	}
	i.mu.Unlock()
	closeAll(all)
}

func closeAll(conns []*wireConn) {
	for _, c := range conns {
		c.close()
	}
}
