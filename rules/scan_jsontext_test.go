package rules_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/llmgw/llmgw/rules"
)

// FuzzScanBodyAgainstAStrictReader: what a reader that repairs nothing takes
// for one JSON object is one, with the same model; what it refuses even when it
// overlooks the text of strings is none.
func FuzzScanBodyAgainstAStrictReader(f *testing.F) {
	for _, seed := range []string{
		`{"model":"gpt-5","stream":true}`, `{"mod\u0065l":"\ud83d\ude00"}`, `{"a":{"model":"b"},"model":"c"}`, `{"model":"a","Model":"b"}`,
		"\ufeff{}", "{\x00}", `{"model":"a"} x`, `{"model":1e5}`, "\xff\xfe{\x00}\x00", `{"a":-0.0e-0,"b":[[],{}]}`, `{"\ud800":1}`, `[]`, `{"a":"` + "\xff" + `"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := rules.ScanBody(body)
		members, ok := strictly(body)
		switch {
		case ok && err != nil != (readTwice(members, "model") || readTwice(members, "stream")):
			t.Fatalf("%q: %v", body, err)
		case ok && err == nil && !got.JSON:
			t.Fatalf("%q is not taken for JSON", body)
		case !ok && (got.JSON || err != nil):
			if _, ok := strictly(harmless(body)); !ok {
				t.Fatalf("%q is taken for JSON", body)
			}
		}
		for _, m := range members {
			if text, isText := m.text(); ok && err == nil && m.key == "model" && isText && len(m.raw) <= 4098 && (!got.HasModel || got.Model != text) {
				t.Fatalf("%q: the model is read as %q, not %q", body, got.Model, text)
			}
		}
	})
}

// strictly reads the members of a body that is one object, with jsontext.
func strictly(body []byte) (members []member, ok bool) {
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	if start, err := d.ReadToken(); err != nil || start.Kind() != '{' {
		return nil, false
	}
	for d.PeekKind() == '"' {
		key, err := d.ReadToken()
		if err != nil {
			return nil, false
		}
		m := member{key: key.String()}
		value, err := d.ReadValue()
		if err != nil {
			return nil, false
		}
		m.raw = bytes.Clone(value)
		members = append(members, m)
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	_, err := d.ReadToken()
	return members, err == io.EOF
}
