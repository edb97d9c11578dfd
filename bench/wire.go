package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// answerBound is how long an answer may take. Where it passes, something hangs.
const answerBound = 30 * time.Second

// wire is one HTTP/1.1 connection of a client, written by hand so that the load
// costs little beside what is measured.
type wire struct {
	conn  net.Conn
	r     *bufio.Reader
	chunk []byte // of what is read at a time
}

func dial(ctx context.Context, addr string) (*wire, error) {
	conn, err := (&net.Dialer{Timeout: answerBound}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dialling: %w", err)
	}
	return newWire(conn), nil
}

func newWire(conn net.Conn) *wire {
	return &wire{conn: conn, r: bufio.NewReaderSize(conn, 32<<10), chunk: make([]byte, 16<<10)}
}

func (w *wire) close() { _ = w.conn.Close() }

// head is what a client needs to know of an answer's head.
type head struct {
	status  int
	length  int64 // -1: not said
	chunked bool
	last    bool // the server closes the connection after it
}

// ask sends a request and says what became of its answer. After anything but a
// whole one the connection is of no use, and neither is it where last is true.
func (w *wire) ask(request []byte, c *checker) (v verdict, last bool, err error) {
	if err := w.conn.SetDeadline(time.Now().Add(answerBound)); err != nil {
		return failed, true, err
	}
	if _, err := w.conn.Write(request); err != nil {
		return failed, true, fmt.Errorf("sending a request: %w", err)
	}
	h, err := w.readHead()
	if err != nil {
		return failed, true, fmt.Errorf("reading an answer's head: %w", err)
	}
	if h.status != 200 {
		text := make([]byte, min(w.r.Buffered(), 300))
		_, _ = io.ReadFull(w.r, text) // only what is there already
		return failed, true, &statusError{h.status, string(text)}
	}
	err = w.readBody(h, c)
	if w.r.Buffered() > 0 {
		c.wrong = true // nothing more was asked for
	}
	return c.judge(err == nil), h.last, err
}

// statusError is an answer with another status than 200, and the beginning of
// what it says.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.text) }

func (w *wire) readHead() (head, error) {
	h := head{length: -1}
	line, err := w.line()
	if err != nil {
		return h, err
	}
	version, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	if h.status, err = strconv.Atoi(string(code)); err != nil || !bytes.Equal(version, []byte("HTTP/1.1")) {
		return h, fmt.Errorf("not an HTTP/1.1 answer: %q", line)
	}
	for {
		line, err := w.line()
		if err != nil || len(line) == 0 {
			return h, err
		}
		if err := h.note(line); err != nil {
			return h, err
		}
	}
}

// note reads the fields that say how long the body is.
func (h *head) note(line []byte) (err error) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch {
	case !ok:
		return fmt.Errorf("not a header: %q", line)
	case bytes.EqualFold(name, []byte("Content-Length")):
		h.length, err = strconv.ParseInt(string(value), 10, 64)
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		h.chunked = bytes.EqualFold(value, []byte("chunked"))
	case bytes.EqualFold(name, []byte("Connection")):
		h.last = bytes.EqualFold(value, []byte("close"))
	}
	return err
}

// line reads a line without its end.
func (w *wire) line() ([]byte, error) {
	line, err := w.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// readBody hands the body to c, without its framing. A nil error says that it
// ended as its framing wants it.
func (w *wire) readBody(h head, c io.Writer) error {
	switch {
	case h.chunked:
		return w.readChunks(c)
	case h.length >= 0:
		return w.pass(h.length, c)
	}
	_, err := io.CopyBuffer(c, struct{ io.Reader }{w.r}, w.chunk) // the connection's end is the body's
	return err
}

func (w *wire) readChunks(c io.Writer) error {
	for {
		line, err := w.line()
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(size), 16, 63)
		if err != nil {
			return fmt.Errorf("reading the size of a chunk: %w", err)
		}
		if n == 0 {
			return w.readTrailers()
		}
		if err := w.pass(n, c); err != nil {
			return err
		}
		if line, err = w.line(); err != nil || len(line) > 0 {
			return errors.Join(err, errors.New("a chunk does not end where it should"))
		}
	}
}

func (w *wire) readTrailers() error {
	for {
		line, err := w.line()
		if err != nil || len(line) == 0 {
			return err
		}
	}
}

// pass hands n bytes to c.
func (w *wire) pass(n int64, c io.Writer) error {
	for n > 0 {
		m, err := w.r.Read(w.chunk[:min(n, int64(len(w.chunk)))])
		if _, err := c.Write(w.chunk[:m]); err != nil {
			return err
		}
		if n -= int64(m); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			if n > 0 {
				return err
			}
		}
	}
	return nil
}
