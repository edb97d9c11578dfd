package proxy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
)

func TestMaskedTexts(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		secrets []string
		cut     bool
		want    string
	}{
		"nothing to hide":                {text: "plain", secrets: []string{"secret-1"}, want: "plain"},
		"a secret twice":                 {text: "a secret-1 b secret-1", secrets: []string{"secret-1"}, want: "a ‹secret› b ‹secret›"},
		"as a query has it":              {text: "k=a%2Fb%3D", secrets: []string{"a/b="}, want: "k=‹secret›"},
		"any gateway key":                {text: `"sk-lgw-4vX_a-b" sk-lgw-`, want: `"‹secret›" ‹secret›`},
		"a secret that a cut goes into":  {text: "text secre", secrets: []string{"secret-1"}, cut: true, want: "text "},
		"one that is whole, with no cut": {text: "text secre", secrets: []string{"secret-1"}, want: "text secre"},
		"an empty text":                  {text: "", secrets: []string{"secret-1"}, cut: true, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := []byte(c.text)
			if got := string(masked(in, c.secrets, c.cut)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if string(in) != c.text {
				t.Errorf("the text itself became %q", in)
			}
		})
	}
}

// However a text is cut, no beginning of a secret that would say something is
// left at its end, and none stands whole anywhere.
func TestNothingOfASecretIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[a-f0-9/+=-]{8,24}`).Draw(t, "secret")
		key := accounts.KeyPrefix + rapid.StringMatching(`[A-Za-z0-9_-]{0,40}`).Draw(t, "key")
		parts := rapid.SliceOf(rapid.SampledFrom([]string{secret, key, " ", "x", "\n", "é"})).Draw(t, "parts")
		text := strings.Join(parts, "")
		text = text[:rapid.IntRange(0, len(text)).Draw(t, "cut")]
		got := string(masked([]byte(text), []string{secret}, true))
		if strings.Contains(got, secret) || strings.Contains(got, accounts.KeyPrefix) {
			t.Fatalf("%q has a secret in it", got)
		}
		for n := 4; n < len(secret); n++ {
			if strings.HasSuffix(text, secret[:n]) && strings.HasSuffix(got, secret[:n]) && !strings.HasSuffix(got, hidden) {
				t.Fatalf("%q ends in the beginning of %q", got, secret)
			}
		}
	})
}
