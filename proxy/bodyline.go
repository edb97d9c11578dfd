package proxy

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
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
	header := http.Header{"Content-Encoding": {c.coding}}
	switch coding := codingOf(header); {
	case !isEncoded(header):
		l.Coding = ""
	case coding == noCoding:
		l.Truncated = c.size > 0
		return l
	default:
		text, cut = decoded(coding, text)
		l.Truncated = l.Truncated || cut
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

// decoded gives as much of an encoded body as there is, within the bound of a
// body.
func decoded(c coding, encoded []byte) (text []byte, cut bool) {
	if len(encoded) == 0 {
		return nil, false
	}
	in := bufio.NewReader(bytes.NewReader(encoded))
	defer in.Reset(nil) // a decoder may be kept, and what it has read from with it
	d, err := openDecoder(c, in, nil)
	if err != nil {
		return nil, true
	}
	defer d.close()
	var part [relayBytes]byte
	for empty := 0; empty < maxEmptyReads; empty++ {
		n, err := d.read(part[:])
		if n > 0 {
			empty = 0
		}
		if text = append(text, part[:n]...); len(text) > maxLoggedBody {
			return text[:maxLoggedBody], true
		}
		if err != nil {
			return text, !errors.Is(err, io.EOF)
		}
	}
	return text, true
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
