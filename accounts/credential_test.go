package accounts_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

func TestACredentialThatWaitsForItsSecretSaysSo(t *testing.T) {
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{1}, accounts.SecretKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	u := &accounts.Upstream{Name: "eu", URL: "https://eu.example.com", Credentials: []accounts.Credential{{Name: "batch", Enabled: true}}}
	_, err = accounts.Vault{Key: key}.Read(t.Context(), u, &u.Credentials[0])
	if !errors.Is(err, accounts.ErrNoSecret) || err.Error() != `opening credential "batch" of upstream "eu": it has no secret yet` {
		t.Errorf("got %v", err)
	}
}
