package rules

import (
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// maxPathBytes is the longest path that is read; a longer one is a 414.
const maxPathBytes = 16 << 10

// PathError says why a path is refused. Reason holds nothing that the caller
// wrote, so it may be shown and logged.
type PathError struct {
	Reason  string
	TooLong bool // 414 instead of 400
}

func (e *PathError) Error() string { return e.Reason }

// CanonicalPath gives the one spelling of an escaped path, without its query,
// that is both matched and sent: percent-escapes of unreserved characters
// (RFC 3986 §2.3) are decoded, so that /v1/%66iles cannot pass a rule about
// /v1/files by, and the other escapes get upper-case digits (§2.1). Nothing
// else is changed. What two servers could read in two ways is refused with a
// *PathError, never cleaned: empty and dot segments, backslashes, NUL, bytes
// that may not stand in a path, and %2F anywhere but in the segment that names
// a model (after /model/ or /models/). A key of this gateway is refused too: it
// must not reach an upstream.
//
// A path that is canonical already costs no allocation.
func CanonicalPath(escaped string) (string, error) {
	switch {
	case len(escaped) > maxPathBytes:
		return "", &PathError{Reason: "the path is longer than 16 KiB", TooLong: true}
	case escaped == "" || escaped[0] != '/':
		return "", &PathError{Reason: "the path does not begin with a slash"}
	}
	canonical, reason := respell(escaped)
	if reason == "" {
		reason = checkSegments(canonical)
	}
	if reason == "" && strings.Contains(canonical, accounts.KeyPrefix) {
		reason = "the path holds a key of this gateway"
	}
	if reason != "" {
		return "", &PathError{Reason: reason}
	}
	return canonical, nil
}

// respell checks every byte and brings the escapes into their one spelling.
// The buffer is made at the first byte that changes.
func respell(escaped string) (canonical, refusal string) {
	var out []byte
	for i := 0; i < len(escaped); i++ {
		if escaped[i] != '%' {
			if reason := refusedByte(escaped[i]); reason != "" {
				return "", reason
			}
			if out != nil {
				out = append(out, escaped[i])
			}
			continue
		}
		c, ok := unhex(escaped[i+1:])
		if !ok {
			return "", "the path has an invalid percent-escape"
		}
		if c == 0 || c == '\\' {
			return "", "the path has an escaped NUL or backslash"
		}
		digits := escaped[i+1 : i+3]
		if out == nil && (unreserved(c) || lowerHex(digits[0]) || lowerHex(digits[1])) {
			out = append(make([]byte, 0, len(escaped)), escaped[:i]...)
		}
		if out != nil {
			out = appendEscape(out, c)
		}
		i += 2
	}
	if out == nil {
		return escaped, ""
	}
	return string(out), ""
}

// refusedByte says why a byte may not stand in a path as it is. Beyond what
// RFC 3986 §3.3 allows only the brackets pass: browsers and Node leave them as
// they are, and model names have them.
func refusedByte(c byte) string {
	switch c {
	case '\\':
		return "the path has a backslash"
	case '"', '#', '<', '>', '?', '^', '`', '{', '|', '}':
		return "the path has a character that must be percent-escaped"
	}
	switch {
	case c <= ' ' || c == 0x7f:
		return "the path has a space or control character"
	case c > 0x7f:
		return "the path has a byte that is not ASCII"
	}
	return ""
}

// checkSegments looks at a path whose escapes are in their one spelling. An
// escaped slash counts as one, because servers behind may decode it.
func checkSegments(canonical string) (refusal string) {
	parent, rest, more := "", canonical[1:], true
	for more {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if segment == "" {
			if more {
				return "the path has an empty segment (//)"
			}
			return ""
		}
		if refusal := checkSegment(segment, parent); refusal != "" {
			return refusal
		}
		parent = segment
	}
	return ""
}

func checkSegment(segment, parent string) (refusal string) {
	pieces, named := segment, parent == "model" || parent == "models"
	for more := true; more; {
		var piece string
		piece, pieces, more = strings.Cut(pieces, "%2F")
		switch {
		case more && !named:
			return "the path has an escaped slash outside the name of a model"
		case piece == "":
			return "the path has an empty segment (//)"
		case isDots(piece):
			return "the path has a dot segment"
		}
	}
	return ""
}

// isDots says whether some server takes the segment for . or ..: Java's cut
// off what follows a semicolon first.
func isDots(segment string) bool {
	if segment[0] != '.' {
		return false
	}
	segment, _, _ = strings.Cut(segment, ";")
	segment, _, _ = strings.Cut(segment, "%3B")
	return segment == "." || segment == ".."
}

// appendEscape writes c as it stands in a canonical path when it came escaped.
func appendEscape(out []byte, c byte) []byte {
	if unreserved(c) {
		return append(out, c)
	}
	const digits = "0123456789ABCDEF"
	return append(out, '%', digits[c>>4], digits[c&15])
}

// unreserved: RFC 3986 §2.3.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

func lowerHex(c byte) bool { return 'a' <= c && c <= 'f' }

// unhex reads the two hexadecimal digits that begin s.
func unhex[T string | []byte](s T) (byte, bool) {
	if len(s) < 2 {
		return 0, false
	}
	high, ok1 := hexDigit(s[0])
	low, ok2 := hexDigit(s[1])
	return high<<4 | low, ok1 && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
