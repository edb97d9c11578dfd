package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// What is wrong with an answer. The texts quote nothing of it: it may be an
// echo of the request.
var (
	errHeadTooLarge   = errors.New("malformed answer: its head is too large")
	errStatusLine     = errors.New("malformed answer: no status line of HTTP/1")
	errHeaderLine     = errors.New("malformed answer: a header line")
	errAnswerLength   = errors.New("malformed answer: Content-Length")
	errAnswerCoding   = errors.New("malformed answer: Transfer-Encoding is not exactly chunked")
	errTwoFramings    = errors.New("malformed answer: both Content-Length and Transfer-Encoding")
	errStatus         = errors.New("an answer with a status below 200")
	errInformational  = errors.New("too many 1xx answers")
	errClosedUnasked  = fmt.Errorf("the connection ended before an answer came: %w", io.EOF)
	errHeadBrokenOff  = fmt.Errorf("the connection ended in the answer's head: %w", io.ErrUnexpectedEOF)
	errTooManyTrailer = errors.New("malformed answer: its trailers are too large")
)

// answerHead is the head of an answer, and what it says of the body.
type answerHead struct {
	status  int
	header  http.Header
	length  int64 // -1: none is announced
	chunked bool
	keep    bool // the connection may go on after it
}

// framing is how the end of a body is marked (RFC 9112, section 6.3).
type framing uint8

const (
	noBody framing = iota
	toLength
	inChunks
	toClose
)

func (h *answerHead) framing(method string) framing {
	switch {
	case !bodyAllowed(method, h.status):
		return noBody
	case h.chunked:
		return inChunks
	case h.length >= 0:
		return toLength
	}
	return toClose
}

// readHead reads one head, interim or final. All heads of an answer together
// are bounded.
func (k *call) readHead() (*answerHead, error) {
	if !k.heard {
		k.box.clear() // of the request, which has been written
	}
	for searched := 0; ; {
		rest := k.box.rest()
		size := headSize(rest, searched)
		if size == 0 && k.headed+len(rest) > maxAnswerHeaderBytes || k.headed+size > maxAnswerHeaderBytes {
			return nil, errHeadTooLarge
		}
		if size > 0 {
			k.headed += size
			k.box.taken += size
			return parseHead(rest[:size])
		}
		if !beginsLikeHTTP(rest) {
			return nil, errStatusLine // whoever speaks something else may never end a line
		}
		searched = max(0, len(rest)-3)
		n, err := k.box.readFrom(k.conn)
		k.heard = k.heard || n > 0
		if n == 0 && err != nil {
			return nil, k.headless(err)
		}
	}
}

func beginsLikeHTTP(b []byte) bool {
	const begin = "HTTP/1."
	n := min(len(b), len(begin))
	return string(b[:n]) == begin[:n]
}

// headless says why no head came.
func (k *call) headless(err error) error {
	switch {
	case !errors.Is(err, io.EOF):
		return err
	case k.heard:
		return errHeadBrokenOff
	}
	return errClosedUnasked
}

// headSize finds the empty line that ends a head, from where was searched
// before; 0 where it has not come yet.
func headSize(b []byte, searched int) int {
	for at := searched; ; {
		n := bytes.IndexByte(b[at:], '\n')
		if n < 0 {
			return 0
		}
		at += n + 1
		switch rest := b[at:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return at + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return at + 2
		}
	}
}

// parseHead parses a head that ends with an empty line. The header's strings
// are parts of one.
func parseHead(b []byte) (*answerHead, error) {
	text := string(b)
	line, rest := cutLine(text)
	h := &answerHead{length: -1}
	minor, ok := h.statusLine(line)
	if !ok {
		return nil, errStatusLine
	}
	var err error
	if h.header, err = parseFields(rest); err != nil {
		return nil, err
	}
	if h.length, err = answerLength(h.header); err != nil {
		return nil, err
	}
	if h.chunked, err = answerChunked(h.header, minor); err != nil {
		return nil, err
	}
	if h.chunked && h.length >= 0 {
		// One of them lies, and whoever believes the other finds another answer
		// behind this one.
		return nil, errTwoFramings
	}
	h.keep = minor > 0 && !hasOption(h.header["Connection"], "close")
	return h, nil
}

// cutLine cuts off a line that ends with CRLF, or with LF alone (RFC 9112,
// section 2.2).
func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

// statusLine reads "HTTP/1.1 200 OK", the reason being of no interest (RFC 9112,
// section 4). It gives the minor version.
func (h *answerHead) statusLine(line string) (minor int, ok bool) {
	const shape = "HTTP/1.x 000"
	if len(line) < len(shape) || line[:7] != shape[:7] || line[8] != ' ' || len(line) > len(shape) && line[len(shape)] != ' ' {
		return 0, false
	}
	for _, c := range []byte{line[7], line[9], line[10], line[11]} {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	h.status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	return int(line[7] - '0'), isFieldValue(line)
}

// parseFields parses header lines up to an empty one. A line that goes on with
// the one before is refused (RFC 9112, section 5.2), as is a name with anything
// but a colon behind it (section 5.1).
func parseFields(text string) (http.Header, error) {
	lines := strings.Count(text, "\n")
	header := make(http.Header, lines)
	values := make([]string, lines)
	for {
		var line string
		if line, text = cutLine(text); line == "" {
			return header, nil
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if !ok || !isToken(name) || !isFieldValue(value) {
			return nil, errHeaderLine
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		if before := header[name]; before != nil {
			header[name] = append(before, value)
			continue
		}
		values[0] = value
		header[name], values = values[:1:1], values[1:]
	}
}

// answerLength reads Content-Length: decimal digits, and where it stands more
// than once, the same each time (RFC 9110, section 8.6).
func answerLength(h http.Header) (int64, error) {
	all := h["Content-Length"]
	if len(all) == 0 {
		return -1, nil
	}
	for _, other := range all[1:] {
		if other != all[0] {
			return -1, errAnswerLength
		}
	}
	h["Content-Length"] = all[:1]
	length, err := strconv.ParseUint(all[0], 10, 63)
	if err != nil {
		return -1, errAnswerLength
	}
	return int64(length), nil
}

// answerChunked reads Transfer-Encoding, of which only chunked, and nothing
// beside it, was allowed to be sent (RFC 9112, section 6.1).
func answerChunked(h http.Header, minor int) (bool, error) {
	codings, ok := h["Transfer-Encoding"]
	if !ok {
		return false, nil
	}
	if len(codings) != 1 || !strings.EqualFold(codings[0], "chunked") || minor == 0 {
		return false, errAnswerCoding
	}
	delete(h, "Transfer-Encoding") // it says how this hop was framed
	return true, nil
}

// hasOption says whether a list of options names one.
func hasOption(lists []string, option string) bool {
	for _, list := range lists {
		for named := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.Trim(named, " \t"), option) {
				return true
			}
		}
	}
	return false
}
