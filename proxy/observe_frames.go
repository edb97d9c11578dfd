package proxy

import (
	"encoding/binary"
	"hash/crc32"
)

// A frame of application/vnd.amazon.eventstream is a prelude (length of the
// frame, length of its headers, checksum of the two), headers, a payload and
// the checksum of everything before it.
// https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html
const (
	preludeBytes   = 12
	checksumBytes  = 4
	maxHeaderBytes = 128 << 10
)

// frameReader cuts a stream into frames, in any pieces, and hands on the
// payload of each as it passes. Of the headers the first half kilobyte is kept
// while the frame passes: what is looked for is in the first hundred bytes.
type frameReader struct {
	sink *observer

	at       int64 // bytes of this frame that have passed
	total    int64
	headers  int64
	sum      uint32
	broken   bool // the stream is none: nothing more is read
	prelude  [preludeBytes]byte
	checksum [checksumBytes]byte
	head     [512]byte
}

// write takes more of the stream.
func (f *frameReader) write(b []byte) {
	for len(b) > 0 && !f.broken {
		n := f.part(b)
		f.at += int64(n)
		b = b[n:]
		switch f.at {
		case preludeBytes:
			f.begin()
		case f.total:
			f.finish()
		}
	}
}

// part takes what of b belongs to the part of the frame that it begins in.
func (f *frameReader) part(b []byte) int {
	payload, end := preludeBytes+f.headers, f.total-checksumBytes
	switch {
	case f.at < preludeBytes:
		return copy(f.prelude[f.at:], b)
	case f.at < payload:
		b = b[:min(int64(len(b)), payload-f.at)]
		if from := f.at - preludeBytes; from < int64(len(f.head)) {
			copy(f.head[from:], b)
		}
	case f.at < end:
		b = b[:min(int64(len(b)), end-f.at)]
		f.sink.eventData(b)
	default:
		return copy(f.checksum[f.at-end:], b)
	}
	f.sum = crc32.Update(f.sum, crc32.IEEETable, b)
	return len(b)
}

// begin reads the prelude, and gives the stream up where it is not one: from
// there on no frame's beginning can be known.
func (f *frameReader) begin() {
	p := f.prelude[:]
	f.total, f.headers = int64(binary.BigEndian.Uint32(p)), int64(binary.BigEndian.Uint32(p[4:]))
	f.sum = crc32.ChecksumIEEE(p)
	f.broken = crc32.ChecksumIEEE(p[:8]) != binary.BigEndian.Uint32(p[8:]) ||
		f.headers > maxHeaderBytes || f.total < preludeBytes+f.headers+checksumBytes
	f.sink.beginEvent()
}

// finish ends the frame: its event counts if its checksum holds.
func (f *frameReader) finish() {
	if f.broken = f.sum != binary.BigEndian.Uint32(f.checksum[:]); f.broken {
		return
	}
	f.sink.endFrame(frameName(f.head[:min(f.headers, int64(len(f.head)))]))
	f.at, f.total, f.headers = 0, 0, 0
}

// frameName finds in a frame's headers what it is called, and whether it says
// what went wrong instead of what happened.
func frameName(head []byte) (name []byte, thrown bool) {
	for len(head) > 0 {
		var key, value []byte
		if key, value, head = frameHeader(head); key == nil {
			break
		}
		switch string(key) {
		case ":event-type", ":exception-type", ":error-code":
			name = value
		case ":message-type":
			thrown = string(value) != "event"
		}
	}
	return name, thrown
}

// frameValueBytes is the length of a header's value by its type; -1: two bytes
// tell it.
var frameValueBytes = [...]int{0, 0, 1, 2, 4, 8, -1, -1, 8, 16}

// frameHeader reads the first header. Its name is nil where there is no whole
// one.
func frameHeader(b []byte) (name, value, rest []byte) {
	n := 1 + int(b[0])
	if len(b) < n+1 || int(b[n]) >= len(frameValueBytes) {
		return nil, nil, nil
	}
	name, length, b := b[1:n], frameValueBytes[b[n]], b[n+1:]
	if length < 0 {
		if len(b) < 2 {
			return nil, nil, nil
		}
		length, b = int(binary.BigEndian.Uint16(b)), b[2:]
	}
	if len(b) < length {
		return nil, nil, nil
	}
	return name, b[:length], b[length:]
}
