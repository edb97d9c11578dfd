package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

// doorman lets in whoever has the token "good", and remembers what was sent.
type doorman struct{ tokens, bodies []string }

func (d *doorman) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	d.tokens, d.bodies = append(d.tokens, token), append(d.bodies, string(text))
	if token != "good" {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(Error{Code: CodeDenied, Detail: "this login is not valid"})
		return
	}
	_ = json.NewEncoder(w).Encode(CreatedKey{Secret: "sk-lgw-x"})
}

func TestARefusedCallIsMadeOnceMoreWithAnotherToken(t *testing.T) {
	say := func(text string) func(context.Context, accounts.Secret) (accounts.Secret, error) {
		return func(_ context.Context, refused accounts.Secret) (accounts.Secret, error) {
			if refused.Reveal() != "old" {
				t.Errorf("%q was refused", refused.Reveal())
			}
			return accounts.NewSecret(text), nil
		}
	}
	for name, c := range map[string]struct {
		renew  func(context.Context, accounts.Secret) (accounts.Secret, error)
		tokens string
		code   string
	}{
		"nobody renews":                 {nil, "old", CodeDenied},
		"there is no other":             {say(""), "old", CodeDenied},
		"the other one is good":         {say("good"), "old good", ""},
		"the other one is refused, too": {say("bad"), "old bad", CodeDenied},
		"renewing finds nobody": {func(context.Context, accounts.Secret) (accounts.Secret, error) {
			return accounts.Secret{}, &Error{Code: CodeUnreachable}
		}, "old", CodeUnreachable},
		"what renews fails in its own way": {func(context.Context, accounts.Secret) (accounts.Secret, error) {
			return accounts.Secret{}, errors.New("locked")
		}, "old", CodeDenied},
	} {
		t.Run(name, func(t *testing.T) {
			door := &doorman{}
			server := httptest.NewServer(door)
			defer server.Close()
			client := NewClient(Options{BaseURL: server.URL, Renew: c.renew, Bearer: func(context.Context) (accounts.Secret, error) {
				return accounts.NewSecret("old"), nil
			}})
			defer client.Close()
			_, err := client.CreateKey(t.Context(), NewKey{Name: "ci"})
			var refusal *Error
			if errors.As(err, &refusal) != (c.code != "") || c.code != "" && refusal.Code != c.code {
				t.Errorf("the call says %v", err)
			}
			if sent := strings.Join(door.tokens, " "); sent != c.tokens {
				t.Errorf("it was made with %q, want %q", sent, c.tokens)
			}
			for _, body := range door.bodies {
				if body != door.bodies[0] || !strings.Contains(body, `"ci"`) {
					t.Errorf("it was made with the bodies %q", door.bodies)
				}
			}
		})
	}
}

func TestAServerIsTrustedByItsCertificateOnly(t *testing.T) {
	server := httptest.NewTLSServer(&doorman{})
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	good := func(context.Context) (accounts.Secret, error) { return accounts.NewSecret("good"), nil }
	for name, c := range map[string]struct {
		trust *tls.Config
		want  string
	}{
		"nobody has signed it": {nil, "the certificate of " + server.URL + " is not trusted: nobody known here has signed it"},
		"it is for another":    {&tls.Config{RootCAs: roots, ServerName: "gw.invalid", MinVersion: tls.VersionTLS12}, "it is for another name"},
		"it is known":          {&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := NewClient(Options{BaseURL: server.URL, Bearer: good, TLS: c.trust})
			defer client.Close()
			_, err := client.CreateKey(t.Context(), NewKey{Name: "ci"})
			var refusal *Error
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!errors.As(err, &refusal) || refusal.Code != CodeUnreachable || !strings.Contains(refusal.Detail, c.want) || !strings.Contains(refusal.Hint, "--ca-file")):
				t.Errorf("the call says %v", err)
			}
		})
	}
}
