package mock

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSplitTokens(t *testing.T) {
	for text, want := range map[string][]string{
		"":                    {},
		"hello":               {"hello"},
		"two words":           {"two", " words"},
		"authenticated, yes":  {"authenti", "cated,", " yes"},
		"  led and trailed ":  {"  led", " and", " trailed", " "},
		"\n\ttabs\nand lines": {"\n\ttabs", "\nand", " lines"},
		"日本語のとても長い文":          {"日本語のとても長", "い文"},
		"exactly8 eightsix":   {"exactly8", " eightsix"},
	} {
		if got := splitTokens(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTokensAreTheTextAndAreCountedAsSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		tokens := splitTokens(text)
		if strings.Join(tokens, "") != text || len(tokens) != countTokens(text) {
			t.Fatalf("%q is %q and counts %d", text, tokens, countTokens(text))
		}
		for _, token := range tokens {
			if n := utf8.RuneCountInString(strings.TrimSpace(token)); n > tokenRunes || token == "" {
				t.Fatalf("%q has %d characters", token, n)
			}
		}
	})
}

func TestBrief(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"äöüß", 2, "äö…"}} {
		if got := brief(c.text, c.n); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func TestQuotedIsWhatEncodingJSONWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		if got := string(appendQuoted(nil, text)); got != string(encode(text)) {
			t.Fatalf("%s", got)
		}
	})
}

func TestAnArgumentIsMadeUpForEverySchema(t *testing.T) {
	for schema, want := range map[string]string{
		``:                                     `{}`,
		`no JSON`:                              `{}`,
		`true`:                                 `{}`,
		`{}`:                                   `{}`,
		`{"type":"STRING"}`:                    `"mock"`,
		`{"type":"NUMBER"}`:                    `1`,
		`{"type":["null","string"]}`:           `null`,
		`{"type":7}`:                           `{}`,
		`{"enum":["b","a"]}`:                   `"b"`,
		`{"required":["x"]}`:                   `{"x":{}}`,
		`{"type":"array","items":{}}`:          `[]`,
		`{"type":"boolean","enum":[]}`:         `true`,
		`{"required":["x"],"properties":null}`: `{"x":{}}`,
	} {
		if got := string(encode(sample([]byte(schema), 0))); got != want {
			t.Errorf("%s: %s, want %s", schema, got, want)
		}
	}
	nested := strings.Repeat(`{"required":["a"],"properties":{"a":`, 100) + `{}` + strings.Repeat(`}}`, 100)
	if got := string(encode(sample([]byte(nested), 0))); len(got) > 100 {
		t.Errorf("%d bytes for a schema without end", len(got))
	}
}
