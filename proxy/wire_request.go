package proxy

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var (
	errRequestLine   = errors.New("the request line holds a character that must not be sent")
	errRequestHeader = errors.New("a request header holds a character that must not be sent")
)

// compose makes the request's head: Host first, what frames the body, then the
// headers by name (RFC 9112, sections 2.1 and 3). What could end a line
// early is refused.
func (b *inbox) compose(a *attempt) error {
	target := a.url.RequestURI()
	if !sendable(target) || !sendable(a.url.Host) || !isToken(a.method) {
		return errRequestLine
	}
	out := append(b.bytes[:0], a.method...)
	out = append(out, ' ')
	out = append(out, target...)
	out = append(out, " HTTP/1.1\r\nHost: "...)
	out = append(out, a.url.Host...)
	out = append(out, "\r\n"...)
	out = appendFraming(out, a)
	out, err := appendFields(out, a.header)
	b.bytes = append(out, "\r\n"...)
	return err
}

// sendable text ends no word and no line of a request.
func sendable(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] == 0x7f {
			return false
		}
	}
	return text != ""
}

// appendFraming says how long the body is. A method that usually has one says
// so also where it has none (RFC 9110, section 8.6).
func appendFraming(out []byte, a *attempt) []byte {
	length := a.contentLength()
	switch {
	case length < 0:
		return append(out, "Transfer-Encoding: chunked\r\n"...)
	case length == 0 && a.method != http.MethodPost && a.method != http.MethodPut && a.method != http.MethodPatch:
		return out
	}
	out = append(out, "Content-Length: "...)
	out = strconv.AppendInt(out, length, 10)
	return append(out, "\r\n"...)
}

// appendFields writes the headers in the order of their names, so that the same
// request always looks the same.
func appendFields(out []byte, h http.Header) ([]byte, error) {
	var room [48]string
	names := room[:0]
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if framesRequest(name) {
			continue
		}
		if !isToken(name) {
			return out, errRequestHeader
		}
		for _, value := range h[name] {
			if name == "User-Agent" && value == "" {
				continue // see noUserAgent
			}
			if !isFieldValue(value) {
				return out, errRequestHeader
			}
			out = append(out, name...)
			out = append(out, ": "...)
			out = append(out, strings.Trim(value, " \t")...)
			out = append(out, "\r\n"...)
		}
	}
	return out, nil
}

// framesRequest names what compose writes itself.
func framesRequest(name string) bool {
	return name == "Host" || name == "Content-Length" || name == "Transfer-Encoding" || name == "Trailer"
}
