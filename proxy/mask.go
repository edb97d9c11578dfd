package proxy

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// shortestKey is the shortest text from a caller that is taken for a key of
// somebody's: what is shorter keeps no secret, and stands everywhere.
const shortestKey = 8

// secrets are the texts that no log may hold because of this exchange: the key
// as it was sent, whosever it is, and the credentials of the upstream. One that
// is made of parts (AWS) is secret in each of them.
func (x *exchange) secrets() []string {
	var all []string
	if len(x.secret) >= shortestKey {
		all = append(all, x.secret)
	}
	if x.target == nil {
		return all
	}
	for _, c := range x.target.usable {
		all = withParts(all, c.secret.Reveal())
	}
	if last := x.credential.reveal(); !last.IsZero() && !slices.Contains(all, last.Reveal()) { // of a later configuration
		all = withParts(all, last.Reveal())
	}
	return all
}

func withParts(all []string, whole string) []string {
	all = append(all, whole)
	for part := range strings.SplitSeq(whole, ":") {
		if part != whole && len(part) >= shortestKey {
			all = append(all, part)
		}
	}
	return all
}

// masked gives a text without secrets, as they are and as a query has them, and
// without any gateway key. It changes nothing of text itself. Of one that is
// only the beginning of something longer (cut), an end that may begin a secret
// is left out.
func masked(text []byte, secrets []string, cut bool) []byte {
	for _, secret := range secrets {
		text = without(text, secret)
		if escaped := url.QueryEscape(secret); escaped != secret {
			text = without(text, escaped)
		}
		if cut {
			text = text[:len(text)-begun(text, secret)]
		}
	}
	return maskKeys(text)
}

func without(text []byte, secret string) []byte {
	if !bytes.Contains(text, []byte(secret)) {
		return text
	}
	return bytes.ReplaceAll(text, []byte(secret), []byte(hidden))
}

// begun tells how many bytes at the end of text are the beginning of secret.
func begun(text []byte, secret string) int {
	for n := min(len(secret)-1, len(text)); n > 0; n-- {
		if string(text[len(text)-n:]) == secret[:n] {
			return n
		}
	}
	return 0
}

// maskKeys hides every gateway key in a text, whosever it is.
func maskKeys(text []byte) []byte {
	at := bytes.Index(text, []byte(accounts.KeyPrefix))
	if at < 0 {
		return text
	}
	var out []byte
	for ; at >= 0; at = bytes.Index(text, []byte(accounts.KeyPrefix)) {
		out = append(append(out, text[:at]...), hidden...)
		text = text[at+len(accounts.KeyPrefix):]
		end := 0
		for end < len(text) && mayBeOfKey(text[end]) {
			end++
		}
		text = text[end:]
	}
	return append(out, text...)
}

func mayBeOfKey(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b == '-'
}
