package proxy

import (
	"bufio"
	"errors"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// coding is a content coding that the observer reads.
type coding uint8

const (
	noCoding coding = iota
	gzipCoding
	deflateCoding
	brotliCoding
	zstdCoding
)

func codingNamed(name string) coding {
	switch name {
	case "gzip", "x-gzip":
		return gzipCoding
	case "deflate":
		return deflateCoding
	case "br":
		return brotliCoding
	case "zstd":
		return zstdCoding
	}
	return noCoding
}

// decoder is one of the libraries', or made to look like it.
type decoder interface {
	io.Reader
	Reset(from io.Reader) error
}

// decoderPools keep decoders, whose tables cost more to make than to use.
var decoderPools = [...]*sync.Pool{
	gzipCoding:    {New: func() any { return new(gzip.Reader) }},
	deflateCoding: {New: func() any { return new(flateDecoder) }},
	brotliCoding:  {New: func() any { return new(brotli.Reader) }},
	zstdCoding:    {New: func() any { return new(zstdDecoder) }},
}

// decodingWork is what lies between a body and what is looked at.
type decodingWork struct {
	in  *bufio.Reader
	out [4 << 10]byte
}

var workPool = sync.Pool{New: func() any { return &decodingWork{in: bufio.NewReaderSize(nil, 4<<10)} }}

// The bounds of a decoder's memory.
const (
	maxZstdWindow = 8 << 20   // what RFC 8878, section 3.1.1.1.2, asks every decoder to have
	besideWindow  = 320 << 10 // tables, and the blocks beside a window
	plainDecoder  = 96 << 10  // gzip and deflate: a window of 32 KiB and tables
	pooledWindow  = 1 << 20   // the largest that goes back to its pool
)

// openedDecoder is a decoder at work on one body.
type openedDecoder struct {
	decoder
	coding coding
	window int64
	room   *budget
	took   int64 // of room
}

// openDecoder makes a decoder ready, in the room that it will need.
func openDecoder(c coding, in *bufio.Reader, room *budget) (*openedDecoder, error) {
	o := &openedDecoder{coding: c, room: room, took: plainDecoder}
	switch c {
	case deflateCoding:
		if err := skipZlibHeader(in); err != nil {
			return nil, err
		}
	case brotliCoding, zstdCoding:
		window, err := windowOf(c, in)
		if err != nil {
			return nil, err
		}
		o.window, o.took = window, window+besideWindow
	}
	if room != nil && !room.reserve(o.took) {
		return nil, errRoom
	}
	o.decoder = decoderPools[c].Get().(decoder)
	if z, ok := o.decoder.(*zstdDecoder); ok {
		z.window = uint64(o.window)
	}
	if err := o.reset(in); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// close gives the decoder and its room back.
func (o *openedDecoder) close() {
	if o.room != nil {
		o.room.release(o.took)
	}
	if o.window > pooledWindow {
		return
	}
	if o.coding == zstdCoding || o.coding == brotliCoding {
		_ = o.Reset(nil) // what it has read from is not its any more
	}
	decoderPools[o.coding].Put(o.decoder)
}

// reset begins a body. It is guarded as read is.
func (o *openedDecoder) reset(in *bufio.Reader) (err error) {
	defer guard(&err)
	return o.Reset(in)
}

// read reads decoded bytes. A decoder that panics on what somebody else sent
// has made a mistake that must not cost the stream.
func (o *openedDecoder) read(b []byte) (n int, err error) {
	defer guard(&err)
	if n, err = o.Read(b); err != nil && err.Error() == brotliExcess {
		err = io.EOF
	}
	return n, err
}

// brotliExcess is what the library says where bytes stand behind the end of a
// stream, which are nothing to us, and also where the end itself came in single
// bytes.
const brotliExcess = "brotli: excessive input"

func guard(err *error) {
	if recover() != nil {
		*err = errDecoderPanic
	}
}

// skipZlibHeader: deflate is zlib's format (RFC 1950), but some servers send
// the bare stream (RFC 1951), and browsers take both. Whether the checksum
// behind it holds is the client's business.
func skipZlibHeader(in *bufio.Reader) error {
	head, err := in.Peek(2)
	if err != nil {
		return atEnd(err)
	}
	if head[0]&0x0f == 8 && head[0]>>4 <= 7 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		_, err = in.Discard(2)
	}
	return err
}

// atEnd is the error of a body that ends before it has begun.
func atEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// windowOf reads how much of what it has decoded a decoder will have to keep.
func windowOf(c coding, in *bufio.Reader) (int64, error) {
	if c == brotliCoding {
		head, err := in.Peek(1)
		if err != nil {
			return 0, atEnd(err)
		}
		return brotliWindow(head[0])
	}
	head, err := in.Peek(zstd.HeaderMaxSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	var h zstd.Header
	if err := h.Decode(head); err != nil {
		return 0, err
	}
	window := h.WindowSize
	if h.SingleSegment {
		window = max(h.FrameContentSize, zstd.MinWindowSize)
	}
	if h.Skippable {
		window = maxZstdWindow // what it is will be said behind it
	}
	if window > maxZstdWindow {
		return 0, errWindow
	}
	return int64(window), nil
}

// brotliWindow reads WBITS (RFC 7932, section 9.1), which the first seven bits
// tell.
func brotliWindow(head byte) (int64, error) {
	middle, high := head>>1&7, head>>4&7
	switch {
	case head&1 == 0:
		return 1 << 16, nil
	case middle != 0:
		return 1 << (17 + middle), nil
	case high == 0:
		return 1 << 17, nil
	case high == 1:
		return 0, errWindow // a large window, which no content coding has
	}
	return 1 << (8 + high), nil
}

// flateDecoder reads bare deflate.
type flateDecoder struct{ io.ReadCloser }

// Reset begins another stream.
func (d *flateDecoder) Reset(from io.Reader) error {
	if again, ok := d.ReadCloser.(flate.Resetter); ok {
		return again.Reset(from, nil)
	}
	d.ReadCloser = flate.NewReader(from)
	return nil
}

// zstdDecoder decodes in the goroutine that reads it, and gives no later frame
// of a body a larger window than the first one asked for.
type zstdDecoder struct {
	*zstd.Decoder
	window uint64
}

// Reset begins another stream.
func (d *zstdDecoder) Reset(from io.Reader) error {
	if d.Decoder == nil {
		made, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return err
		}
		d.Decoder = made
	}
	if from == nil {
		return d.Decoder.Reset(nil)
	}
	return d.ResetWithOptions(from, zstd.WithDecoderMaxWindow(max(d.window, zstd.MinWindowSize)))
}
