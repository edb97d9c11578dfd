package proxy

// base64Reader decodes a text (RFC 4648, section 4) in any pieces and reads the
// document in it.
type base64Reader struct {
	to    *jsonReader // nil: there is no such text
	bits  uint32
	n     int  // characters in bits
	ended bool // padding has passed
	begun bool
}

// base64Values are the six bits of each character; notBase64 marks the others.
var base64Values = newBase64Values()

const notBase64 = 0xff

func newBase64Values() (values [256]uint8) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for c := range values {
		values[c] = notBase64
	}
	for v := range len(alphabet) {
		values[alphabet[v]] = uint8(v)
	}
	return values
}

func (r *base64Reader) reset() {
	r.bits, r.n, r.ended, r.begun = 0, 0, false, false
	r.to.reset()
}

// write takes more of the text, as it is written in a JSON string, where a
// slash may have a backslash before it.
func (r *base64Reader) write(b []byte) {
	r.begun = true
	var out [256]byte
	n := 0
	for _, c := range b {
		v := base64Values[c]
		switch {
		case v != notBase64 && !r.ended:
			n += r.add(out[n:], v)
		case c == '=':
			n += r.pad(out[n:])
		case c != '\\':
			r.to.writeLast(out[:n])
			r.to.breakOff()
			return
		}
		if n > len(out)-3 {
			r.to.writeLast(out[:n])
			n = 0
		}
	}
	r.to.writeLast(out[:n])
}

// add takes one character and says how many bytes that made.
func (r *base64Reader) add(out []byte, v uint8) int {
	r.bits = r.bits<<6 | uint32(v)
	if r.n++; r.n < 4 {
		return 0
	}
	out[0], out[1], out[2] = byte(r.bits>>16), byte(r.bits>>8), byte(r.bits)
	r.bits, r.n = 0, 0
	return 3
}

// pad ends the text with what is left over.
func (r *base64Reader) pad(out []byte) int {
	left := max(r.n-1, 0)
	for i := range left {
		out[i] = byte(r.bits << (6 * (4 - r.n)) >> (16 - 8*i))
	}
	r.n, r.ended = 0, true
	return left
}
