package proxy

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

// FuzzABodyInTheLog: whatever passed, the line is one line of JSON that tells
// the size, holds no more than its bound and no secret.
func FuzzABodyInTheLog(f *testing.F) {
	f.Add([]byte("hello"), "", int64(0))
	f.Add([]byte("a "+credentialCanary+" and "+accounts.KeyPrefix+"x"), "", int64(1))
	f.Add([]byte("\xff\n\r\x00é"), "identity", int64(9))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcbH\xcd\xc9\xc9\x07\x00"), "gzip", int64(0))
	f.Add([]byte("\x1b\x03"), "br", int64(0))
	f.Fuzz(func(t *testing.T, body []byte, coding string, more int64) {
		b := &bodies{secrets: []string{credentialCanary}}
		b.answer = capture{bytes: body, size: int64(len(body)) + max(0, more%1000), coding: coding}
		line := b.line()
		var read bodyLine
		if err := json.Unmarshal(line, &read); err != nil || strings.Count(string(line), "\n") != 1 {
			t.Fatalf("line %q: %v", line, err)
		}
		text := read.Answer.Body
		if read.Answer.Encoding == "base64" {
			plain, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			text = string(plain)
		}
		if strings.Contains(text, credentialCanary) || strings.Contains(text, accounts.KeyPrefix) {
			t.Fatalf("a secret in %q", text)
		}
		if read.Answer.Bytes != b.answer.size || b.answer.cut() && !read.Answer.Truncated {
			t.Fatalf("told of %+v", read.Answer)
		}
	})
}
