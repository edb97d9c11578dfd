package accounts

import (
	"math/rand/v2"
	"time"
)

// crockford is the alphabet of ULIDs: no I, L, O or U, sorts as it counts.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewID makes an identifier such as key_01K9ZT4M8Q2V7XW3RB5N6YD0AC: the kind,
// then a ULID (https://github.com/ulid/spec) of 48 bits of milliseconds and 80
// random bits. Identifiers of one kind sort by time. They are names, not
// secrets: the random bits are not from crypto/rand, so that an identifier for
// every request costs next to nothing.
func NewID(kind string, at time.Time) string {
	ms := uint64(at.UnixMilli())
	high, low := uint64(rand.Uint32())&0xffff, rand.Uint64()

	b := make([]byte, len(kind)+1+26)
	n := copy(b, kind)
	b[n] = '_'
	text := b[n+1:]
	for i := 9; i >= 0; i-- {
		text[i] = crockford[ms&31]
		ms >>= 5
	}
	for i := 25; i >= 10; i-- {
		text[i] = crockford[low&31]
		low = low>>5 | high<<59
		high >>= 5
	}
	return string(b)
}
