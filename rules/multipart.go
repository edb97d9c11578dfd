package rules

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"
)

// The bounds of a form: fields, and bytes of one field's header.
const (
	maxParts           = 1000
	maxPartHeaderBytes = 8 << 10
)

// ScanMultipart reads the fields model and stream of a multipart/form-data
// body (RFC 7578), as image edits and audio transcriptions are sent. A body of
// another type, one that strays from the format, is cut off, or has more than
// 1,000 fields gives the zero Body, and no error. Nothing is taken leniently:
// no line ends but CRLF, nothing before the first boundary, none behind the
// last, no line that begins like a boundary without being one. Servers differ
// there, and a model could hide in the difference.
//
// The only error is a *DuplicateKeyError.
func ScanMultipart(contentType string, body []byte) (Body, error) {
	boundary, ok := formBoundary(contentType)
	if !ok {
		return Body{}, nil
	}
	var found findings
	parts := partReader{body: body, delimiter: []byte("\r\n--" + boundary)}
	if !parts.first() {
		return Body{}, nil
	}
	for n := 0; !parts.ended; n++ {
		part, ok := parts.next()
		if !ok || n == maxParts {
			return Body{}, nil
		}
		found.meetField(part, body[part.start:part.end])
	}
	switch {
	case parts.more():
		return Body{}, nil
	case found.repeated != keyOther:
		return Body{}, &DuplicateKeyError{Key: keyNames[found.repeated]}
	}
	return found.Body, nil
}

func formBoundary(contentType string) (string, bool) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" || hasExtended(contentType, "boundary") {
		return "", false
	}
	boundary := parameters["boundary"]
	return boundary, boundary != "" && len(boundary) <= 70 // RFC 2046 §5.1.1
}

// part is one field: what its header says, and where its content stands.
type part struct {
	name       string
	plain      bool // a field as it is, no file and nothing to decode
	start, end int
}

// partReader cuts a body at its boundaries.
type partReader struct {
	body      []byte
	delimiter []byte // with the line end before it
	at        int    // behind a delimiter's line
	ended     bool   // that was the last one
}

// first reads the boundary that begins the body.
func (p *partReader) first() bool {
	line := p.delimiter[len("\r\n"):]
	if !bytes.HasPrefix(p.body, line) {
		return false
	}
	p.at = len(line)
	return p.lineEnd()
}

// lineEnd reads what follows a delimiter: a line end, or the two dashes that
// say that it was the last.
func (p *partReader) lineEnd() bool {
	rest, ended := bytes.CutPrefix(p.body[p.at:], []byte("--"))
	p.ended = ended
	p.at = len(p.body) - len(rest)
	if ended && len(rest) == 0 {
		return true
	}
	p.at += len("\r\n")
	return bytes.HasPrefix(rest, []byte("\r\n"))
}

// next reads a part up to the delimiter behind it.
func (p *partReader) next() (part, bool) {
	head, ok := p.header()
	if !ok {
		return part{}, false
	}
	found, ok := readPartHeader(head)
	if !ok {
		return part{}, false
	}
	// Looked for without the CR, so that a delimiter after a bare LF is seen.
	n := bytes.Index(p.body[p.at:], p.delimiter[1:])
	if n < 1 || p.body[p.at+n-1] != '\r' || bytes.HasPrefix(p.body[p.at:], p.delimiter[len("\r\n"):]) {
		return part{}, false // the last: some readers take it for the end of an empty field
	}
	found.start, found.end = p.at, p.at+n-1
	p.at += n + len(p.delimiter) - 1
	return found, p.lineEnd()
}

// header reads up to the empty line.
func (p *partReader) header() (string, bool) {
	rest := p.body[p.at:]
	n := bytes.Index(rest[:min(len(rest), maxPartHeaderBytes)], []byte("\r\n\r\n"))
	if n < 0 || bytes.HasPrefix(rest, p.delimiter[len("\r\n"):]) || bytes.Contains(rest[:n], p.delimiter[1:]) {
		return "", false
	}
	p.at += n + len("\r\n\r\n")
	return string(rest[:n]), true
}

// more says whether a delimiter stands behind the last one.
func (p *partReader) more() bool {
	rest := p.body[p.at:]
	return bytes.HasPrefix(rest, p.delimiter[len("\r\n"):]) || bytes.Contains(rest, p.delimiter[1:])
}

// readPartHeader reads the header lines of a part (RFC 7578 §4.2).
func readPartHeader(head string) (part, bool) {
	p := part{plain: true}
	named := false
	for line := range strings.SplitSeq(head, "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isFieldName(name) || hasControl(value) {
			return part{}, false
		}
		switch strings.ToLower(name) {
		case "content-disposition":
			if named || !p.readDisposition(value) {
				return part{}, false
			}
			named = true
		case "content-transfer-encoding":
			p.plain = false
		}
	}
	return p, named
}

// isFieldName takes what forms have, not all that RFC 5322 would allow.
func isFieldName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return name != ""
}

// readDisposition reads the name of a field. An extended name* is refused, as
// RFC 7578 §4.2 has none and servers differ on which of the two counts.
func (p *part) readDisposition(value string) bool {
	kind, parameters, err := mime.ParseMediaType(value)
	if err != nil || kind != "form-data" || hasExtended(value, "name") {
		return false
	}
	name, ok := parameters["name"]
	if _, file := parameters["filename"]; file {
		p.plain = false
	}
	p.name = name
	return ok
}

// hasExtended says whether a header has a parameter in the extended form of
// RFC 2231, which mime decodes and many servers overlook.
func hasExtended(header, parameter string) bool {
	for p := range strings.SplitSeq(header, ";") {
		name, _, _ := strings.Cut(strings.TrimSpace(p), "=")
		if plain, _, extended := strings.Cut(name, "*"); extended && strings.EqualFold(plain, parameter) {
			return true
		}
	}
	return false
}

// meetField notes what a field says.
func (f *findings) meetField(p part, content []byte) {
	k := keyNamed(p.name)
	f.meet(k, true)
	if !p.plain || len(content) > maxModelBytes || !utf8.Valid(content) {
		return
	}
	switch k {
	case keyModel:
		f.Model, f.HasModel = string(content), true
		f.modelStart, f.modelEnd = p.start, p.end
	case keyStream:
		f.Stream = string(content) == "true"
	}
}
