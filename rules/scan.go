package rules

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Body is what a request body tells: the model it asks for, and whether it
// asks for a stream.
type Body struct {
	JSON     bool // the body is one JSON object
	Model    string
	HasModel bool
	Stream   bool

	modelStart, modelEnd int // where the model's text stands, without quotes
}

// DuplicateKeyError says that a body names its model or stream twice, or once
// and once more in other letters of the same name, which readers like Go's own
// take for the same. Two servers could read it in two ways, so it is a 400.
type DuplicateKeyError struct{ Key string }

func (e *DuplicateKeyError) Error() string {
	return fmt.Sprintf("the request body has %q twice", e.Key)
}

// ScanBody reads a whole JSON body (RFC 8259) for its top-level keys model and
// stream, in exact case and with their escapes decoded.
//
// What is not one JSON object from the first byte to the last gives the zero
// Body, and no error: no model is known then, and the upstream judges the
// body. That is so for a byte order mark, anything behind the object, and
// nesting beyond 10,000. Structure, numbers and literals are strict; so are the
// text of the top-level keys and of the model, where a control character,
// invalid UTF-8 or half a surrogate pair makes the body none. Other strings
// need only end. A model that is no string, or longer than 4 KiB, is not known.
//
// The only error is a *DuplicateKeyError. The only allocation is the model.
func ScanBody(body []byte) (Body, error) {
	s := scanner{text: body}
	found, ok := s.document()
	switch {
	case !ok:
		return Body{}, nil
	case found.repeated != keyOther:
		return Body{}, &DuplicateKeyError{Key: keyNames[found.repeated]}
	}
	return found.Body, nil
}

// WithModel gives the body with another model; only the bytes of that one
// string (or form field) differ. Without a model in it the body comes back as
// it is. For a form, the model must not have line breaks.
func (b Body) WithModel(body []byte, model string) []byte {
	if !b.HasModel {
		return body
	}
	out := make([]byte, 0, len(body)+len(model))
	out = append(out, body[:b.modelStart]...)
	if b.JSON {
		out = appendJSONText(out, model)
	} else {
		out = append(out, model...)
	}
	return append(out, body[b.modelEnd:]...)
}

// appendJSONText writes text as it stands between the quotes of a JSON string
// (RFC 8259 §7).
func appendJSONText(out []byte, text string) []byte {
	const digits = "0123456789abcdef"
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r < 0x20:
			out = append(out, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// key tells the keys that matter from all others.
type key uint8

const (
	keyOther key = iota
	keyModel
	keyStream
)

var keyNames = [...]string{keyModel: "model", keyStream: "stream"}

func keyNamed(name string) key {
	switch name {
	case "model":
		return keyModel
	case "stream":
		return keyStream
	}
	return keyOther
}

// findings is a Body in the making.
type findings struct {
	Body
	seen     [len(keyNames)]bool // in exact case
	alike    [len(keyNames)]bool // in another
	repeated key                 // keyOther: none
}

// meet notes that a key was met, in exact case or in another.
func (f *findings) meet(k key, exact bool) {
	if k == keyOther {
		return
	}
	if f.seen[k] || exact && f.alike[k] {
		f.repeated = k
	}
	f.seen[k] = f.seen[k] || exact
	f.alike[k] = f.alike[k] || !exact
}

// document reads the outermost object, and that nothing stands behind it.
func (s *scanner) document() (f findings, ok bool) {
	f.JSON = true
	if !s.take('{') {
		return f, false
	}
	s.depth = 1
	if s.take('}') {
		return f, s.atEnd()
	}
	for {
		if !s.member(&f) {
			return f, false
		}
		if !s.take(',') {
			return f, s.take('}') && s.atEnd()
		}
	}
}

// member reads one key and value of the outermost object.
func (s *scanner) member(f *findings) bool {
	s.space()
	start := s.at
	if !s.quoted() {
		return false
	}
	k, exact, ok := readKey(s.text[start+1 : s.at-1])
	if !ok || !s.take(':') {
		return false
	}
	f.meet(k, exact)
	s.space()
	start = s.at
	if !s.value() {
		return false
	}
	switch value := s.text[start:s.at]; {
	case !exact:
	case k == keyModel && value[0] == '"':
		return f.setModel(value[1:len(value)-1], start+1)
	case k == keyStream:
		f.Stream = string(value) == "true"
	}
	return true
}

// setModel takes the text between the quotes that stands at start for the
// model. It is false where that is no JSON string.
func (f *findings) setModel(raw []byte, start int) bool {
	if len(raw) > maxModelBytes {
		return true
	}
	model, ok := unquote(raw)
	if !ok {
		return false
	}
	f.Model, f.HasModel = model, true
	f.modelStart, f.modelEnd = start, start+len(raw)
	return true
}

// unquote decodes the text between the quotes of a JSON string.
func unquote(raw []byte) (string, bool) {
	var text strings.Builder
	text.Grow(len(raw))
	for len(raw) > 0 {
		r, size := character(raw)
		if size == 0 {
			return "", false
		}
		text.WriteRune(r)
		raw = raw[size:]
	}
	return text.String(), true
}

// readKey decodes the text between the quotes of a key, of which it keeps no
// more than a key that matters can have. It is exact where the case of its
// letters is right.
func readKey(raw []byte) (k key, exact, ok bool) {
	var name [len("stream")]byte
	n := 0
	exact = true
	for len(raw) > 0 {
		r, size := character(raw)
		if size == 0 {
			return keyOther, false, false
		}
		if n < len(name) {
			lower := lowerLetter(r)
			name[n], exact = lower, exact && rune(lower) == r
		}
		n++
		raw = raw[size:]
	}
	if n > len(name) {
		return keyOther, true, true
	}
	return keyNamed(string(name[:n])), exact, true
}

// lowerLetter folds the letters of the names that matter, as Unicode does: the
// long s is an s. Of all others beyond ASCII it gives no letter.
func lowerLetter(r rune) byte {
	switch {
	case 'A' <= r && r <= 'Z':
		return byte(r) + 'a' - 'A'
	case r == 'ſ':
		return 's'
	}
	return byte(min(r, utf8.RuneSelf))
}
