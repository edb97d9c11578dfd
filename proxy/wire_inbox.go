package proxy

import (
	"io"
	"sync"
)

// inboxBytes holds most requests' heads with a short body, and most answers'
// heads with the first of the body. Anything larger is made for once.
const inboxBytes = 8 << 10

var inboxPool = sync.Pool{New: func() any { return &inbox{bytes: make([]byte, 0, inboxBytes)} }}

// inbox is the one buffer of a call: the request is written from it, and then
// the answer's head read into it. It goes back to its pool as soon as what came
// with the head has been taken; idle connections and waiting streams have none.
type inbox struct {
	bytes []byte
	taken int // of bytes
}

func takeInbox() *inbox { return inboxPool.Get().(*inbox) }

// giveBack lets go of the buffer. What grew is left to the garbage collector.
func (b *inbox) giveBack() {
	if b != nil && cap(b.bytes) <= inboxBytes {
		b.clear()
		inboxPool.Put(b)
	}
}

func (b *inbox) clear() { b.bytes, b.taken = b.bytes[:0], 0 }

// empty says whether everything read has been taken.
func (b *inbox) empty() bool { return b == nil || b.taken == len(b.bytes) }

// rest is what was read and not taken.
func (b *inbox) rest() []byte { return b.bytes[b.taken:] }

// readFrom reads more behind what is there.
func (b *inbox) readFrom(r io.Reader) (int, error) {
	if len(b.bytes) == cap(b.bytes) {
		grown := make([]byte, len(b.rest()), max(inboxBytes, 2*len(b.rest())))
		copy(grown, b.rest())
		b.bytes, b.taken = grown, 0
	}
	n, err := r.Read(b.bytes[len(b.bytes):cap(b.bytes)])
	b.bytes = b.bytes[:len(b.bytes)+n]
	return n, err
}
