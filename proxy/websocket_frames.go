package proxy

import "encoding/binary"

// frames follows one direction of a WebSocket from frame to frame (RFC 6455,
// section 5.2), to know where something may be said in between. It reads heads
// only, keeps nothing of a payload, and judges nothing but what it cannot follow:
// that is for the two ends to do.
type frames struct {
	head   [maxFrameHead]byte
	have   int   // bytes of head; 0: between two frames
	left   int64 // bytes of payload to come
	inside bool  // the head is whole, the payload is not
	lost   bool  // what passes is no WebSocket: nothing is known any more

	opcode     byte // of the frame under way, or the last one
	last       bool // it is the last of its message
	compressed bool // its first reserved bit is set: permessage-deflate (RFC 7692, section 6)
	masked     bool

	open   bool // a message has begun, and its last frame is still to come
	closed bool // a Close frame has passed
	began  bool // the latest next met the beginning of a message
	whole  bool // the latest next met the end of a message
}

// maxFrameHead is two bytes, a length of eight, and a mask of four.
const maxFrameHead = 14

// The opcodes that are told apart. Those from opClose on are of control frames,
// which may stand between the frames of a message.
const (
	opText  = 0x1
	opClose = 0x8
)

// next takes what of b belongs to the frame that b begins in: n bytes, of which
// the last are payload.
func (f *frames) next(b []byte) (n int, payload []byte) {
	f.began, f.whole = false, false
	if !f.inside && !f.lost {
		n = f.readHead(b)
	}
	switch {
	case f.lost:
		return len(b), nil
	case !f.inside:
		return n, nil
	}
	size := int(min(f.left, int64(len(b)-n)))
	payload = b[n : n+size]
	f.left -= int64(size)
	if f.left == 0 {
		f.end()
	}
	return n + size, payload
}

// atBoundary says whether only whole frames have passed.
func (f *frames) atBoundary() bool { return f.have == 0 && !f.lost }

// betweenMessages says whether only whole messages have passed.
func (f *frames) betweenMessages() bool { return f.atBoundary() && !f.open }

// isData says whether the frame is part of a message.
func (f *frames) isData() bool { return f.opcode < opClose }

// readHead takes more of a head, and begins its frame when it is whole.
func (f *frames) readHead(b []byte) int {
	for i, c := range b {
		f.head[f.have] = c
		f.have++
		if f.have >= 2 && f.have == headLength(f.head[1]) {
			f.begin()
			return i + 1
		}
	}
	return len(b)
}

// headLength tells from a head's second byte how long it is.
func headLength(second byte) int {
	length := 2
	switch second & 0x7f {
	case 126:
		length += 2
	case 127:
		length += 8
	}
	if second&0x80 != 0 {
		length += 4
	}
	return length
}

func (f *frames) begin() {
	first, second := f.head[0], f.head[1]
	switch length := second & 0x7f; length {
	case 126:
		f.left = int64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		f.left = int64(binary.BigEndian.Uint64(f.head[2:])) // what does not fit is below zero, and lost
	default:
		f.left = int64(length)
	}
	f.inside, f.lost = true, f.left < 0
	f.opcode, f.last, f.compressed, f.masked = first&0x0f, first&0x80 != 0, first&0x40 != 0, second&0x80 != 0
	if f.isData() {
		f.began = f.opcode != 0
		f.open = true
	}
}

func (f *frames) end() {
	f.have, f.inside = 0, false
	switch {
	case f.isData() && f.last:
		f.open, f.whole = false, true
	case f.opcode == opClose:
		f.closed = true
	}
}

// closeFrame writes a Close frame as a server sends it (RFC 6455, section 5.5.1).
// reason has at most 123 bytes.
func closeFrame(code uint16, reason string) []byte {
	frame := []byte{0x80 | opClose, byte(2 + len(reason))}
	return append(binary.BigEndian.AppendUint16(frame, code), reason...)
}
