package proxy

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// inlineBytes of a body are written before the answer is waited for: what
	// the kernel takes from a connection that has nothing else to send.
	inlineBytes = 16 << 10
	// uploadGrace is how long a whole answer waits for the last write of the
	// request to be known to have ended.
	uploadGrace = 5 * time.Millisecond
)

var errShortStream = errors.New("it ended before its announced length")

// sending is the part of a request that is written while the answer is waited
// for: an upstream may answer, and refuse, before it has read the whole. It
// ends with the connection, and its goroutine with it; only a stream that it
// reads from may hold it, until whoever owns that ends the read.
type sending struct {
	done   chan struct{}
	failed bool                  // valid when done: not all of it was written
	broken atomic.Pointer[error] // why the stream could not be read on
	stream bool
}

// send writes the request: head and body in one go, or as much of it as does
// not hold up the reading, and the rest beside it.
func (k *call) send(a *attempt) error {
	first := a.body[:min(len(a.body), inlineBytes)]
	var err error
	if k.sent, err = k.conn.writeTogether(k.box, first); err != nil {
		return err
	}
	rest := a.body[len(first):]
	if len(rest) == 0 && (a.stream == nil || a.length == 0) {
		return nil
	}
	k.up = &sending{done: make(chan struct{}), stream: a.stream != nil}
	if a.stream != nil {
		go k.up.passOn(k.conn, a.stream, a.length)
		return nil
	}
	a.lent.Add(1)
	go k.up.write(k.conn, rest, a.lent)
	return nil
}

func (u *sending) write(c *wireConn, rest []byte, lent *atomic.Int32) {
	_, err := c.Write(rest)
	u.failed = err != nil
	lent.Add(-1)
	close(u.done)
}

// passOn passes a stream on as it comes. One that breaks cuts the connection,
// so that the upstream cannot take what it got for the whole.
func (u *sending) passOn(c *wireConn, stream io.Reader, length int64) {
	defer close(u.done)
	buf := relayPool.Get().(*[relayBytes]byte)
	defer relayPool.Put(buf)
	var err error
	if length < 0 {
		err = u.inChunks(c, stream, buf[:])
	} else {
		err = u.toLength(c, stream, length, buf[:])
	}
	if u.failed = err != nil; u.broken.Load() != nil {
		c.cut()
	}
}

// breaks notes why the stream could not be read to its end.
func (u *sending) breaks(err error) error {
	err = fmt.Errorf("reading the request's body: %w", err)
	u.broken.Store(&err)
	return err
}

func (u *sending) toLength(c io.Writer, stream io.Reader, left int64, buf []byte) error {
	for left > 0 {
		n, err := stream.Read(buf[:min(int64(len(buf)), left)])
		left -= int64(n)
		if _, lost := c.Write(buf[:n]); lost != nil {
			return lost
		}
		switch {
		case errors.Is(err, io.EOF) && left > 0:
			return u.breaks(errShortStream)
		case err != nil && left > 0:
			return u.breaks(err)
		}
	}
	return nil
}

// chunkRoom is what stands before the data of a chunk that fits a relay buffer.
const chunkRoom = len("2000\r\n")

func (u *sending) inChunks(c io.Writer, stream io.Reader, buf []byte) error {
	for {
		n, err := stream.Read(buf[chunkRoom : len(buf)-len("\r\n")])
		if n > 0 {
			size := strconv.AppendInt(make([]byte, 0, chunkRoom), int64(n), 16)
			size = append(size, "\r\n"...)
			from := chunkRoom - len(size)
			copy(buf[from:], size)
			copy(buf[chunkRoom+n:], "\r\n")
			if _, lost := c.Write(buf[from : chunkRoom+n+len("\r\n")]); lost != nil {
				return lost
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			_, err = io.WriteString(c, "0\r\n\r\n")
			return err
		case err != nil:
			return u.breaks(err)
		}
	}
}

// uploading says whether some of the request is still to be written, or could
// not be. It waits a moment for a write that is just about to end.
func (k *call) uploading() bool {
	if k.up == nil {
		return false
	}
	grace := time.NewTimer(uploadGrace)
	defer grace.Stop()
	select {
	case <-k.up.done:
		return k.up.failed
	case <-grace.C:
		return true
	}
}

// join waits for the end of an upload whose connection is closed.
func (k *call) join() {
	if k.up != nil && !k.up.stream {
		<-k.up.done
	}
}
