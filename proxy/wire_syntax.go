package proxy

// tokenBytes are what a token, and so the name of a header, may hold (RFC 9110,
// section 5.6.2).
var tokenBytes = func() (set [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		set[c] = true
	}
	return set
}()

func isToken(s string) bool {
	for i := range len(s) {
		if !tokenBytes[s[i]] {
			return false
		}
	}
	return s != ""
}

// isFieldValue says whether a header may have this value: no control characters
// but tabs (RFC 9110, section 5.5).
func isFieldValue(s string) bool {
	for i := range len(s) {
		if !textByte(s[i]) {
			return false
		}
	}
	return true
}

func textByte(c byte) bool { return c >= ' ' && c != 0x7f || c == '\t' }

// hexDigit gives the value of a hexadecimal digit, and -1 for anything else.
func hexDigit(c byte) int64 {
	switch {
	case '0' <= c && c <= '9':
		return int64(c - '0')
	case 'a' <= c && c <= 'f':
		return int64(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int64(c-'A') + 10
	}
	return -1
}
