package accounts

import (
	"crypto/subtle"
	"fmt"
)

// redacted stands wherever a secret would have been printed.
const redacted = "‹secret›"

// Secret is text that must not be seen: a gateway key, an upstream credential.
// Every way of printing or encoding it gives ‹secret›; only Reveal gives the
// text. It holds a pointer, because fmt reads the unexported fields of a
// foreign struct without asking for a String method, and prints a pointer
// inside a struct as an address.
type Secret struct{ text *string }

// NewSecret wraps text. The empty string is a Secret like any other; see IsZero.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal gives the text. Each call is a place where a secret can get out.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero says whether there is nothing to hide.
func (s Secret) IsZero() bool { return s.text == nil || *s.text == "" }

// Last4 gives the last four characters, the most that may ever be shown, and
// nothing of a secret so short that four characters would tell much of it.
func (s Secret) Last4() string {
	text := s.Reveal()
	if len(text) < 12 {
		return ""
	}
	return text[len(text)-4:]
}

// Equal compares in constant time.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String implements fmt.Stringer and gives nothing away.
func (s Secret) String() string { return redacted }

// GoString implements fmt.GoStringer and gives nothing away.
func (s Secret) GoString() string { return redacted }

// Format implements fmt.Formatter, for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler and gives nothing away.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements json.Marshaler and gives nothing away.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
