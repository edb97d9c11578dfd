package proxy

import (
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
)

// encodedBody is a body in a content coding, decoded as it passes, for the
// observer to look at. The client gets the bytes as they came; what is decoded
// is looked at in small pieces and forgotten.
//
// Decoders read where the observer is written to. So the decoder runs as a
// coroutine: it goes on when bytes have passed, until it wants more, and no
// goroutine ever waits for another. What it may cost is bounded: memory by the
// window that the body announces and by the room for all decoders together, time
// by how much may come of what has passed. Beyond a bound, and where the body is
// not what it says, it gives up: the answer passes unread.
type encodedBody struct {
	sink   *observer
	coding coding
	room   *budget // of all decoders; nil: no bound

	input   []byte // has passed and waits to be decoded
	ended   bool   // no more will pass
	next    func() (struct{}, bool)
	stop    func()
	stopped bool // the decoder must come to its end
	over    bool // it has

	passed  int64 // encoded bytes
	decoded int64
	cut     bool // the coding's own end was missing
	unread  string
}

// How much may come of what has passed: of every byte, and beyond that once. A
// stream of events shrinks to a twentieth, a repetitive document to a hundredth.
const (
	maxExpansion  = 200
	freeExpansion = 1 << 20
)

// maxEmptyReads is how often a decoder may give nothing without asking for more.
const maxEmptyReads = 100

// Why an answer passed unread, in the log line.
const (
	unreadCoding   = "coding"   // unknown, or more than one
	unreadCorrupt  = "corrupt"  // the body is not what it says
	unreadExpands  = "expands"  // beyond what is decoded of so few bytes
	unreadWindow   = "window"   // it wants a larger window than it may have
	unreadOverRoom = "overload" // all decoders together have the room they may have
)

var (
	errObserverEnded = errors.New("the observer looks no longer")
	errWindow        = errors.New("the window is too large")
	errRoom          = errors.New("no room for another decoder")
	errExpands       = errors.New("too much comes of too little")
	errDecoderPanic  = errors.New("the decoder made a mistake")
)

// openEncoded prepares to decode a body of which something is to be known.
func (o *observer) openEncoded(header http.Header) {
	if o.format == nil {
		return
	}
	coding := codingOf(header)
	if coding == noCoding {
		o.format, o.unread = nil, unreadCoding
		return
	}
	o.encoded = &encodedBody{sink: o, coding: coding}
}

// within bounds what the decoders of all observers together may have.
func (o *observer) within(room *budget) {
	if o.encoded != nil {
		o.encoded.room = room
	}
}

// close lets go of what the observer holds. It says nothing new after that.
func (o *observer) close() {
	if o != nil && o.encoded != nil {
		o.encoded.close()
	}
}

// whyUnread tells why an encoded answer was not read, or not to its end; ""
// where it was.
func (o *observer) whyUnread() string {
	if o.encoded != nil {
		return o.encoded.unread
	}
	return o.unread
}

// isEncoded says whether the body is anything but itself (RFC 9110, section
// 8.4).
func isEncoded(header http.Header) bool {
	for _, v := range header["Content-Encoding"] {
		if v = strings.TrimSpace(v); v != "" && !strings.EqualFold(v, "identity") {
			return true
		}
	}
	return false
}

// codingOf reads the one coding of a body; noCoding where there are several, or
// one that is not known (RFC 9110, section 8.4.1).
func codingOf(header http.Header) coding {
	found := noCoding
	for _, list := range header["Content-Encoding"] {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name == "" || strings.EqualFold(name, "identity") {
				continue
			}
			c := codingNamed(strings.ToLower(name))
			if c == noCoding || found != noCoding {
				return noCoding
			}
			found = c
		}
	}
	return found
}

// write decodes what has passed, as far as it goes.
func (e *encodedBody) write(b []byte) {
	if e.over {
		return
	}
	e.passed += int64(len(b))
	e.input = b
	e.resume()
	e.input = nil // b is the caller's again
}

// end says that the body has ended as its framing says it should.
func (e *encodedBody) end() {
	if e.ended = true; !e.over && e.next != nil {
		e.resume()
	}
}

// close ends the decoder, wherever it is.
func (e *encodedBody) close() {
	if e.stop != nil {
		e.stop()
	}
}

func (e *encodedBody) resume() {
	if e.next == nil {
		e.next, e.stop = iter.Pull(e.run)
	}
	e.next()
}

// run is the coroutine: it yields where it needs more of the body.
func (e *encodedBody) run(yield func(struct{}) bool) {
	defer func() { e.over = true }()
	err := e.decode(encodedFeed{e, yield})
	switch {
	case err == nil, e.stopped:
		return
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.cut = true
		return
	case errors.Is(err, errExpands):
		e.unread = unreadExpands
	case errors.Is(err, errWindow):
		e.unread = unreadWindow
	case errors.Is(err, errRoom):
		e.unread = unreadOverRoom
	default:
		e.unread = unreadCorrupt
	}
	e.sink.format = nil
}

// decode looks at the whole body, piece by piece.
func (e *encodedBody) decode(from encodedFeed) error {
	work := workPool.Get().(*decodingWork)
	work.in.Reset(from)
	defer func() {
		work.in.Reset(nil)
		workPool.Put(work)
	}()
	opened, err := openDecoder(e.coding, work.in, e.room)
	if err != nil {
		return err
	}
	defer opened.close()
	for empty := 0; empty < maxEmptyReads; empty++ {
		n, err := opened.read(work.out[:])
		if n > 0 {
			empty = 0
			if e.decoded += int64(n); e.decoded > freeExpansion+maxExpansion*e.passed {
				return errExpands
			}
			e.sink.look(work.out[:n])
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// encodedFeed is the body as its decoder reads it.
type encodedFeed struct {
	e     *encodedBody
	yield func(struct{}) bool
}

// Read gives what has passed, and waits for more by letting the stream go on.
func (f encodedFeed) Read(b []byte) (int, error) {
	e := f.e
	for len(e.input) == 0 {
		switch {
		case e.stopped:
			return 0, errObserverEnded
		case e.ended:
			return 0, io.EOF
		case !f.yield(struct{}{}):
			e.stopped = true
		}
	}
	n := copy(b, e.input)
	e.input = e.input[n:]
	return n, nil
}
