package rules

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep arrays and objects nest; encoding/json has the same.
const maxDepth = 10_000

// scanner walks over JSON text (RFC 8259) without keeping any of it. Nesting
// is counted in a set of bits, so that no text can exhaust the stack. Its
// methods are false where the text is not JSON; the position means nothing
// then.
type scanner struct {
	text    []byte
	at      int
	depth   int
	objects [maxDepth/64 + 1]uint64 // bit n: what is open at depth n is an object
}

// step says what must come next.
type step uint8

const (
	malformed step = iota // nothing: the text is not JSON
	wantValue
	valueDone
)

// value reads one value with all that is in it.
func (s *scanner) value() bool {
	outer := s.depth
	for {
		next := s.begin()
		if next == valueDone {
			next = s.finish(outer)
		}
		if next != wantValue {
			return next == valueDone
		}
	}
}

// begin reads a value that holds no other, or opens one up to its first value.
func (s *scanner) begin() step {
	s.space()
	if s.at == len(s.text) {
		return malformed
	}
	var ok bool
	switch s.text[s.at] {
	case '"':
		ok = s.str()
	case '{':
		return s.open(true, '}')
	case '[':
		return s.open(false, ']')
	case 't':
		ok = s.literal("true")
	case 'f':
		ok = s.literal("false")
	case 'n':
		ok = s.literal("null")
	default:
		ok = s.number()
	}
	if !ok {
		return malformed
	}
	return valueDone
}

// open enters an object or array, and leaves it where it is empty.
func (s *scanner) open(object bool, end byte) step {
	if s.depth == maxDepth {
		return malformed
	}
	s.at++
	if s.take(end) {
		return valueDone
	}
	s.depth++
	word, bit := &s.objects[s.depth/64], uint64(1)<<(s.depth%64)
	*word &^= bit
	if object {
		*word |= bit
	}
	if object && !s.key() {
		return malformed
	}
	return wantValue
}

// finish goes on behind a value: to the next one, or out of everything that
// ends here, but not out of the depth outer.
func (s *scanner) finish(outer int) step {
	for s.depth > outer {
		object := s.objects[s.depth/64]>>(s.depth%64)&1 == 1
		end := byte(']')
		if object {
			end = '}'
		}
		switch {
		case s.take(','):
			if object && !s.key() {
				return malformed
			}
			return wantValue
		case !s.take(end):
			return malformed
		}
		s.depth--
	}
	return valueDone
}

// key reads the key of a member and its colon.
func (s *scanner) key() bool {
	return s.quoted() && s.take(':')
}

// quoted reads a string where one must stand.
func (s *scanner) quoted() bool {
	s.space()
	return s.at < len(s.text) && s.text[s.at] == '"' && s.str()
}

// str reads a string to the quote that ends it.
func (s *scanner) str() bool {
	for at := s.at + 1; ; {
		// Keys, short values and dense escapes end here, cheaper than by a call.
		for near := min(len(s.text), at+16); at < near; at++ {
			switch s.text[at] {
			case '"':
				s.at = at + 1
				return true
			case '\\':
				at++
			}
		}
		next, ended := farQuote(s.text, at)
		if ended {
			s.at = next
			return true
		}
		if next < 0 {
			return false
		}
		at = next
	}
}

// farQuote goes behind the next quote, and says whether that one ends the
// string: it does where the backslashes before it, as far as start, are even.
// Without a quote the answer is negative.
func farQuote(text []byte, start int) (next int, ended bool) {
	if start > len(text) {
		return -1, false
	}
	n := bytes.IndexByte(text[start:], '"')
	if n < 0 {
		return -1, false
	}
	quote := start + n
	before := quote
	for before > start && text[before-1] == '\\' {
		before--
	}
	return quote + 1, (quote-before)%2 == 0
}

// number: RFC 8259 §6.
func (s *scanner) number() bool {
	s.skip('-')
	if !s.skip('0') && !s.digits() {
		return false
	}
	if s.skip('.') && !s.digits() {
		return false
	}
	if s.skip('e') || s.skip('E') {
		if !s.skip('+') {
			s.skip('-')
		}
		return s.digits()
	}
	return true
}

// digits reads one digit or more.
func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.text) && '0' <= s.text[s.at] && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

func (s *scanner) literal(word string) bool {
	if len(s.text)-s.at < len(word) || string(s.text[s.at:s.at+len(word)]) != word {
		return false
	}
	s.at += len(word)
	return true
}

// take reads c, with white space before it.
func (s *scanner) take(c byte) bool {
	s.space()
	return s.skip(c)
}

// skip reads c.
func (s *scanner) skip(c byte) bool {
	if s.at == len(s.text) || s.text[s.at] != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\n', '\r', '\t':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) atEnd() bool {
	s.space()
	return s.at == len(s.text)
}

// character decodes the character that begins raw, the text between the quotes
// of a JSON string. Size 0: there is none that RFC 8259 §7 and §8.1 allow.
func character(raw []byte) (r rune, size int) {
	switch c := raw[0]; {
	case c == '\\':
		return escape(raw)
	case c < 0x20 || c == '"':
		return 0, 0
	case c < utf8.RuneSelf:
		return rune(c), 1
	}
	if r, size = utf8.DecodeRune(raw); r == utf8.RuneError && size == 1 {
		return 0, 0
	}
	return r, size
}

func escape(raw []byte) (r rune, size int) {
	if len(raw) < 2 {
		return 0, 0
	}
	if i := strings.IndexByte(`"\/bfnrt`, raw[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2
	}
	r, ok := codeUnit(raw)
	switch {
	case !ok:
		return 0, 0
	case !utf16.IsSurrogate(r):
		return r, len(`\u0000`)
	}
	low, ok := codeUnit(raw[len(`\u0000`):])
	r = utf16.DecodeRune(r, low)
	if !ok || r == utf8.RuneError {
		return 0, 0
	}
	return r, 2 * len(`\u0000`)
}

// codeUnit reads the \uXXXX that begins raw.
func codeUnit(raw []byte) (rune, bool) {
	if len(raw) < len(`\u0000`) || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	high, ok1 := unhex(raw[2:])
	low, ok2 := unhex(raw[4:])
	return rune(high)<<8 | rune(low), ok1 && ok2
}
