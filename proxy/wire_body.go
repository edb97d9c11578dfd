package proxy

import (
	"errors"
	"io"
)

// Read reads of the body, straight into b; the end is told with the last bytes.
func (k *call) Read(b []byte) (int, error) {
	for k.err == nil && len(b) > 0 {
		raw, err := k.raw(k.within(b))
		n := k.take(b[:raw], err)
		if n > 0 {
			return n, k.err
		}
	}
	return 0, k.err
}

// within is as much of b as may be filled: beyond a length, bytes are left
// where they are, for quiet to find.
func (k *call) within(b []byte) []byte {
	if k.framing == toLength && k.left < int64(len(b)) {
		return b[:k.left]
	}
	return b
}

// raw reads what came with the head, and then from the connection.
func (k *call) raw(b []byte) (int, error) {
	if k.box != nil {
		if n := copy(b, k.box.rest()); n > 0 {
			k.box.taken += n
			k.full = !k.box.empty()
			return n, nil
		}
		k.box.giveBack()
		k.box = nil
	}
	n, err := k.conn.Read(b)
	k.full = n == len(b)
	return n, err
}

// take takes the framing out of what was read, and ends the answer where it
// ends. It says how much of it is data.
func (k *call) take(b []byte, err error) int {
	n := len(b)
	over, broken := false, error(nil)
	switch k.framing {
	case toLength:
		k.left -= int64(n)
		over = k.left == 0
	case inChunks:
		n, over, broken = k.unframe(b)
	case toClose:
		over = errors.Is(err, io.EOF)
	}
	switch {
	case broken != nil:
		k.fail(broken)
	case over:
		k.end()
	case err != nil:
		k.fail(missing(err))
	}
	return n
}

func (k *call) unframe(b []byte) (n int, over bool, err error) {
	n, taken, err := k.chunks.unframe(b)
	if err != nil || k.chunks.at != chunkOver {
		return n, false, err
	}
	k.keep = k.keep && taken == len(b) // what is behind the end was not asked for
	k.trailer, err = k.chunks.trailers()
	return n, err == nil, err
}

// more says whether more of the body is likely to be there already.
func (k *call) more() bool { return k.err == nil && (k.full || !k.box.empty()) }

// Close gives up on what has not been read. Where all of it is here already,
// the connection is kept; otherwise the upstream is to stop at once.
func (k *call) Close() error {
	for k.err == nil && !k.box.empty() {
		b := k.within(k.box.rest())
		k.box.taken += len(b)
		k.take(b, nil)
	}
	if k.err == nil {
		k.fail(errClosed)
	}
	return nil
}

var errClosed = errors.New("the body was closed")
