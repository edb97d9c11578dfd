package rules

import "strings"

// takesParameter asks the values that a query has under a name. The query is
// read as servers read it (WHATWG URL, application/x-www-form-urlencoded): &
// separates, ; does not, + is a blank, and a % that begins no escape is itself.
func (t *test) takesParameter(rawQuery, name string) bool {
	found := false
	for rawQuery != "" {
		var pair string
		pair, rawQuery, _ = strings.Cut(rawQuery, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		if unescape(key) != name {
			continue
		}
		if found = true; t.op == opMissing {
			return false
		}
		if t.takes(unescape(value)) {
			return true
		}
	}
	return t.op == opMissing && !found
}

// parameters gives all values that a query has under a name.
func parameters(rawQuery, name string) []string {
	var values []string
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if key, value, _ := strings.Cut(pair, "="); pair != "" && unescape(key) == name {
			values = append(values, unescape(value))
		}
	}
	return values
}

// firstParameter gives the first value that a query has under a name.
func firstParameter(rawQuery, name string) string {
	for rawQuery != "" {
		var pair string
		pair, rawQuery, _ = strings.Cut(rawQuery, "&")
		if key, value, _ := strings.Cut(pair, "="); pair != "" && unescape(key) == name {
			return unescape(value)
		}
	}
	return ""
}

// unescape allocates only where there is something to decode.
func unescape(text string) string {
	if !strings.ContainsAny(text, "%+") {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '+':
			out = append(out, ' ')
		case '%':
			if decoded, ok := unhex(text[i+1:]); ok {
				out = append(out, decoded)
				i += 2
				continue
			}
			out = append(out, c)
		default:
			out = append(out, c)
		}
	}
	return string(out)
}
