package accounts_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

func TestTokensAreToldFromKeysAndFromOneAnother(t *testing.T) {
	issuer, err := accounts.NewIssuer(bytes.Repeat([]byte{3}, accounts.IssuerSecretBytes))
	if err != nil {
		t.Fatal(err)
	}
	other, err := accounts.NewIssuer(bytes.Repeat([]byte{4}, accounts.IssuerSecretBytes))
	if err != nil {
		t.Fatal(err)
	}
	is := map[string]func(string) bool{
		accounts.KeyPrefix:     func(text string) bool { return issuer.Check(text) == nil },
		accounts.TokenPrefix:   issuer.IsToken,
		accounts.RefreshPrefix: issuer.IsRefresh,
	}
	for prefix, issue := range map[string]func() (accounts.Secret, error){
		accounts.KeyPrefix: issuer.Issue, accounts.TokenPrefix: issuer.IssueToken, accounts.RefreshPrefix: issuer.IssueRefresh,
	} {
		secret, err := issue()
		if err != nil {
			t.Fatal(err)
		}
		text := secret.Reveal()
		for kind, check := range is {
			if check(text) != (kind == prefix) {
				t.Errorf("%s… taken for %s: %t", prefix, kind, check(text))
			}
			if moved := kind + strings.TrimPrefix(text, prefix); kind != prefix && check(moved) {
				t.Errorf("%s… passes for %s once its prefix is changed", prefix, kind)
			}
		}
		for name, broken := range map[string]string{
			"cut": text[:len(text)-1], "longer": text + "0", "empty": "", "only the prefix": prefix,
			"another digit": prefix + swapped(text[len(prefix):]), "without the dash": strings.Replace(text, "-", "_", -1),
		} {
			if is[prefix](broken) {
				t.Errorf("%s… passes: %s", prefix, name)
			}
		}
		if foreign := map[string]bool{
			accounts.KeyPrefix: other.Check(text) == nil, accounts.TokenPrefix: other.IsToken(text), accounts.RefreshPrefix: other.IsRefresh(text),
		}; foreign[prefix] {
			t.Errorf("%s… of another installation passes", prefix)
		}
	}
}

// swapped changes the first character.
func swapped(text string) string {
	if text[0] == 'a' {
		return "b" + text[1:]
	}
	return "a" + text[1:]
}
