package proxy

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

func (r *jsonReader) beginString(after jsonState) {
	r.state, r.after = inString, after
	r.isKey, r.keep, r.tap, r.mark = false, false, false, meansNothing
	r.kept = 0
}

// wholeString takes a string whose quote has passed in one go, and says how many
// bytes that were: none where it is not all there, has escapes or says
// something, and is to be read piece by piece. Nearly all strings are keys and
// values that nobody asks for, and come whole.
func (r *jsonReader) wholeString(b []byte) int {
	switch r.state {
	case wantKey:
		return r.wholeKey(b)
	case wantValue:
		if r.at != nil {
			return 0
		}
		n := quoteIn(b)
		if n < 0 || n > 0 && b[n-1] == '\\' {
			return 0
		}
		r.state = r.afterThis()
		return n + 1
	}
	return 0
}

// wholeKey takes a key and, where it stands behind it, the colon.
func (r *jsonReader) wholeKey(b []byte) int {
	for i, c := range b[:min(len(b), len(r.text))] {
		switch c {
		case '\\':
			return 0
		case '"':
			r.at, r.state = r.levels[r.depth-1].is.key(b[:i]), wantColon
			if i+1 < len(b) && b[i+1] == ':' {
				r.state = wantValue
				return i + 2
			}
			return i + 1
		}
	}
	return 0
}

// inString takes more of a string, up to its end.
func (r *jsonReader) inString(b []byte) int {
	if r.mark != meansNothing {
		if b[0] != '"' {
			r.seen.note(r.mark)
		}
		r.mark = meansNothing
	}
	from := 0
	if r.escaped {
		r.escaped, from = false, 1
	}
	for {
		i := quoteIn(b[from:])
		if i < 0 {
			r.escaped = oddBackslashes(b[from:])
			r.take(b)
			return len(b)
		}
		if !oddBackslashes(b[from : from+i]) {
			r.endString(b[:from+i])
			return from + i + 1
		}
		from += i + 1
	}
}

// quoteIn finds the first quote. Most strings in an event are short: for them a
// plain loop is done before IndexByte has begun.
func quoteIn(b []byte) int {
	short := b[:min(len(b), 16)]
	for i, c := range short {
		if c == '"' {
			return i
		}
	}
	if i := bytes.IndexByte(b[len(short):], '"'); i >= 0 {
		return len(short) + i
	}
	return -1
}

// oddBackslashes says whether b ends in a backslash that is not itself escaped.
func oddBackslashes(b []byte) bool {
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n&1 == 1
}

// take keeps what is asked for of a string, as it is written. What does not fit
// is longer than anything that is looked for.
func (r *jsonReader) take(b []byte) {
	if r.keep {
		r.kept += copy(r.text[r.kept:], b)
	} else if r.tap {
		r.inner.write(b)
	}
}

// endString takes the last piece of a string.
func (r *jsonReader) endString(text []byte) {
	r.state = r.after
	if !r.keep {
		r.take(text)
		return
	}
	if r.kept > 0 || hasBackslash(text) {
		r.take(text)
		text = unescape(r.text[:r.kept])
	}
	if r.isKey {
		r.at = r.levels[r.depth-1].is.key(text)
		return
	}
	r.seen.kind.n = 0
	r.seen.kind.add(text)
}

func hasBackslash(b []byte) bool {
	for _, c := range b {
		if c == '\\' {
			return true
		}
	}
	return false
}

// unescape resolves a string's escapes in place (RFC 8259, section 7).
func unescape(b []byte) []byte {
	out := b[:0]
	for len(b) > 0 {
		if b[0] != '\\' || len(b) == 1 {
			out = append(out, b[0])
			b = b[1:]
			continue
		}
		r, n := readEscape(b)
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return out
}

// readEscape reads one escape at the beginning of b, or two where they make one
// character, and says how long it was.
func readEscape(b []byte) (rune, int) {
	if b[1] != 'u' {
		if i := strings.IndexByte("bfnrt", b[1]); i >= 0 {
			return rune("\b\f\n\r\t"[i]), 2
		}
		return rune(b[1]), 2
	}
	first, ok := hexRune(b)
	if !ok {
		return rune(b[1]), 2
	}
	if utf16.IsSurrogate(first) {
		second, _ := hexRune(b[6:])
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return r, 12
		}
		return utf8.RuneError, 6
	}
	return first, 6
}

// hexRune reads \uXXXX.
func hexRune(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}
