package proxy

import (
	"errors"
	"io"
	"net/http"
)

var errChunk = errors.New("malformed answer: its chunks")

// Limits of what is no data in a chunked body.
const (
	maxChunkLine = 4 << 10  // of one line that begins a chunk, with its extensions
	maxChunkIdle = 16 << 10 // of such lines beyond what small chunks need
	maxTrailers  = 64 << 10

	maxChunkDigits = 16 // what others read a number of, leading zeros included
)

// chunks takes the framing out of a chunked body (RFC 9112, section 7.1). It
// works in place: what a read gave is moved together in the buffer that it was
// read into, so that a stream needs no second one.
type chunks struct {
	at      chunkPart
	size    int64 // left of the chunk; while its line is read, what the digits say so far
	line    int   // bytes of the line so far
	idle    int64 // bytes of lines beyond what the data pays for
	trailer []byte
}

// chunkPart is where in the framing the next byte stands.
type chunkPart uint8

const (
	chunkSize chunkPart = iota
	chunkSpace
	chunkExtension
	chunkSizeEnd
	chunkData
	chunkDataEnd
	chunkNext
	chunkTrailer
	chunkOver
)

// unframe moves the data in b to its beginning and says how much that is, and
// how much of b belongs to the body: all of it, unless the body is over.
func (c *chunks) unframe(b []byte) (data, taken int, err error) {
	for taken < len(b) && c.at != chunkOver {
		if c.at == chunkData {
			n := int(min(c.size, int64(len(b)-taken)))
			copy(b[data:], b[taken:taken+n])
			data, taken, c.size = data+n, taken+n, c.size-int64(n)
			if c.size == 0 {
				c.at = chunkDataEnd
			}
			continue
		}
		if err := c.step(b[taken]); err != nil {
			return data, taken, err
		}
		taken++
	}
	return data, taken, nil
}

// step takes one byte that is no data.
func (c *chunks) step(b byte) error {
	switch c.at {
	case chunkSize, chunkSpace, chunkExtension:
		return c.sizeLine(b)
	case chunkSizeEnd:
		return c.sizeLineEnd(b)
	case chunkDataEnd:
		c.at = chunkNext
		return want(b, '\r')
	case chunkNext:
		c.at = chunkSize
		return want(b, '\n')
	}
	return c.trailerByte(b)
}

func want(b, wanted byte) error {
	if b != wanted {
		return errChunk
	}
	return nil
}

// sizeLine takes a byte of "1a; name=value". Whatever extensions say is for
// nobody here.
func (c *chunks) sizeLine(b byte) error {
	if c.line++; c.line > maxChunkLine {
		return errChunk
	}
	if digit := hexDigit(b); c.at == chunkSize && digit >= 0 {
		if c.size >= 1<<58 || c.line > maxChunkDigits {
			return errChunk
		}
		c.size = c.size<<4 | digit
		return nil
	}
	switch {
	case c.at == chunkSize && c.line == 1:
		return errChunk // no digit
	case b == '\r':
		c.at = chunkSizeEnd
	case c.at == chunkExtension && textByte(b):
	case b == ';':
		c.at = chunkExtension
	case b == ' ' || b == '\t':
		c.at = chunkSpace
	default:
		return errChunk
	}
	return nil
}

// sizeLineEnd ends the line. A body that is nearly all framing is refused: it
// would keep a reader busy for nothing.
func (c *chunks) sizeLineEnd(b byte) error {
	c.idle = max(0, c.idle+int64(c.line)+2-16-2*c.size)
	if c.idle > maxChunkIdle {
		return errChunk
	}
	c.at, c.line = chunkData, 0
	if c.size == 0 {
		c.at = chunkTrailer
	}
	return want(b, '\n')
}

// trailerByte collects the lines behind the last chunk, up to an empty one.
func (c *chunks) trailerByte(b byte) error {
	if len(c.trailer) >= maxTrailers {
		return errTooManyTrailer
	}
	c.trailer = append(c.trailer, b)
	n := len(c.trailer)
	if b != '\n' {
		return nil
	}
	if n < 2 || c.trailer[n-2] != '\r' {
		return errChunk
	}
	if n == 2 || c.trailer[n-3] == '\n' {
		c.at = chunkOver
	}
	return nil
}

// trailers are what came behind the last chunk; nil where nothing did.
func (c *chunks) trailers() (http.Header, error) {
	if len(c.trailer) <= len("\r\n") {
		return nil, nil
	}
	return parseFields(string(c.trailer))
}

// missing is the error of a connection that ended within a body.
func missing(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
