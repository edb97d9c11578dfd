package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// crowd is many streams that are open at the same time.
type crowd struct {
	to      *participant
	wires   []*wire
	leave   context.CancelFunc // ends those that are no wires; may be nil
	reading sync.WaitGroup
	closing atomic.Bool
	broken  atomic.Int64 // streams that ended by themselves
	example atomic.Pointer[error]
}

// crowdBound is how long the streams of a crowd may take until all have begun.
const crowdBound = time.Minute

// gather opens n streams and returns when each has had its first event or is
// broken. Every event is handed to hear, with the number of its stream.
func gather(ctx context.Context, to *participant, n int, hear func(stream int, event []byte)) (*crowd, error) {
	c := &crowd{to: to}
	begun := make(chan struct{}, n)
	for i := range n {
		w, err := dial(ctx, to.addr)
		if err == nil {
			err = w.begin(chatRequest(to.addr, to.key, true))
		}
		if err != nil {
			c.close()
			return nil, fmt.Errorf("opening stream %d: %w", i, err)
		}
		c.wires = append(c.wires, w)
		first := sync.OnceFunc(func() { begun <- struct{}{} })
		c.reading.Go(func() {
			defer first()
			c.read(w, func(event []byte) { hear(i, event); first() })
		})
	}
	return c, c.untilBegun(ctx, begun, n)
}

// begin sends a request whose answer may take as long as a run.
func (w *wire) begin(request []byte) error {
	if err := w.conn.SetDeadline(time.Now().Add(longest)); err != nil {
		return err
	}
	_, err := w.conn.Write(request)
	return err
}

// read hands on events until the stream ends.
func (c *crowd) read(w *wire, hear func([]byte)) {
	h, err := w.readHead()
	if err == nil && h.status != 200 {
		err = fmt.Errorf("status %d", h.status)
	}
	if err == nil {
		err = w.readBody(h, &splitter{hear: hear})
	}
	if err == nil {
		err = fmt.Errorf("the stream ended, and has no end")
	}
	c.ended(err)
}

// ended notes the end of a stream, where we did not end it.
func (c *crowd) ended(err error) {
	if !c.closing.Load() {
		c.broken.Add(1)
		c.example.CompareAndSwap(nil, &err)
	}
}

func (c *crowd) untilBegun(ctx context.Context, begun <-chan struct{}, n int) error {
	ctx, cancel := context.WithTimeout(ctx, crowdBound)
	defer cancel()
	for i := range n {
		select {
		case <-begun:
		case <-ctx.Done():
			c.close()
			return fmt.Errorf("%s: %d of %d streams began within %s", c.to.name, i, n, crowdBound)
		}
	}
	return nil
}

// close leaves all streams and waits for their readers.
func (c *crowd) close() {
	c.closing.Store(true)
	if c.leave != nil {
		c.leave()
	}
	for _, w := range c.wires {
		w.close()
	}
	c.reading.Wait()
}

// splitter cuts a body into events, each with the empty line at its end.
type splitter struct {
	rest []byte
	hear func([]byte)
}

func (s *splitter) Write(b []byte) (int, error) {
	s.rest = append(s.rest, b...)
	begin := 0
	for {
		n := bytes.Index(s.rest[begin:], []byte("\n\n"))
		if n < 0 {
			break
		}
		s.hear(s.rest[begin : begin+n+2])
		begin += n + 2
	}
	s.rest = append(s.rest[:0], s.rest[begin:]...)
	return len(b), nil
}
