package proxy

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"
)

// bodyLine is a line of the body log.
type bodyLine struct {
	Time      string     `json:"time"`
	RequestID string     `json:"request_id"`
	Key       string     `json:"key"`
	Rule      string     `json:"rule"`
	Upstream  string     `json:"upstream"`
	Method    string     `json:"method"`
	Path      string     `json:"path"`
	Model     string     `json:"model"`
	Status    int        `json:"status"`
	EndReason string     `json:"end_reason"`
	Request   loggedBody `json:"request"`
	Answer    loggedBody `json:"response"`
}

// loggedBody is a body in such a line: as text, or in base64 where it is none.
type loggedBody struct {
	Bytes     int64  `json:"bytes"` // all of it, as it passed
	Coding    string `json:"content_encoding,omitempty"`
	Body      string `json:"body,omitempty"`
	Encoding  string `json:"encoding,omitempty"`
	Truncated bool   `json:"truncated,omitempty"`
}

// line writes the exchange as one line of JSON.
func (b *bodies) line() []byte {
	b.says.Request, b.says.Answer = b.request.logged(b.secrets), b.answer.logged(b.secrets)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(&b.says); err != nil {
		panic(err) // strings and numbers
	}
	return out.Bytes()
}

// logged gives a body without secrets. One in a coding that cannot be looked
// into could hold any; of that there is only the size.
func (c *capture) logged(secrets []string) loggedBody {
	l := loggedBody{Bytes: c.size, Truncated: c.cut(), Coding: loggable(c.coding)}
	text, cut := c.bytes, l.Truncated
	switch coding := strings.ToLower(strings.TrimSpace(c.coding)); coding {
	case "", "identity":
		l.Coding = ""
	case "gzip", "x-gzip":
		text, cut = unzipped(text)
		l.Truncated = l.Truncated || cut
	default:
		l.Truncated = c.size > 0
		return l
	}
	text = masked(text, secrets, cut)
	if cut {
		text = wholeRunes(text)
	}
	if utf8.Valid(text) {
		l.Body = string(text)
		return l
	}
	l.Body, l.Encoding = base64.StdEncoding.EncodeToString(text), "base64"
	return l
}

// unzipped decodes as much of a gzip as there is, within the bound of a body.
func unzipped(encoded []byte) (text []byte, cut bool) {
	z, err := gzip.NewReader(bytes.NewReader(encoded))
	if err != nil {
		return nil, len(encoded) > 0
	}
	text, err = io.ReadAll(io.LimitReader(z, maxLoggedBody+1))
	if len(text) > maxLoggedBody {
		return text[:maxLoggedBody], true
	}
	return text, err != nil
}

// wholeRunes leaves a character out that a cut went through.
func wholeRunes(text []byte) []byte {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		last := text[len(text)-n:]
		if utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return text[:len(text)-n]
			}
			break
		}
	}
	return text
}
