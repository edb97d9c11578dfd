package accounts_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

func TestAnUpstreamThatNoRequestCanBeSentToIsRefused(t *testing.T) {
	for _, c := range []struct{ name, url, auth, want string }{
		{"a plain one", "https://api.example/v1", "", ""},
		{"a port", "http://127.0.0.1:8080", "", ""},
		{"an IPv6 address", "http://[::1]:8080/v1", "", ""},
		{"an internationalised name as DNS has it", "https://xn--bcher-kva.example", "", ""},
		{"another scheme", "file:///etc/passwd", "", "url: must begin with http:// or https://"},
		{"no host", "http:///v1", "", "url: has no host"},
		{"a user", "https://sk-canary@api.example", "", "url: must not hold a user or password; use a credential"},
		{"a query", "https://api.example?key=sk-canary", "", "url: must not have a query or fragment"},
		{"not a URL", "https://sk-canary\n", "", "url: is not a URL"},
		{"full-width digits, which a dialler would take for digits", "http://１６９.254.169.２５４", "", "url: has a host that is not ASCII; write it as DNS does (xn--…)"},
		{"ideographic dots, which a dialler would take for dots", "http://metadata.google。internal", "", "url: has a host that is not ASCII; write it as DNS does (xn--…)"},
		{"a port that is none", "http://api.example:99999", "", "url: has no port from 1 to 65535"},
		{"port zero", "http://api.example:0", "", "url: has no port from 1 to 65535"},
		{"a header of its own", "https://api.example", "header:x-my-key", ""},
		{"a header that is no name", "https://api.example", "header:x my", "auth: is unknown; there are bearer, header:NAME, query:NAME, none"},
		{"the host as a header", "https://api.example", "header:host", "auth: names a header that belongs to the connection or the message, and cannot carry a credential"},
		{"a header that frames", "https://api.example", "header:content-LENGTH", "auth: names a header that belongs to the connection or the message, and cannot carry a credential"},
		{"a header of one hop", "https://api.example", "header:TE", "auth: names a header that belongs to the connection or the message, and cannot carry a credential"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := accounts.Upstream{Name: "u", Provider: accounts.ProviderGeneric, URL: c.url, Auth: accounts.Auth(c.auth)}
			got := ""
			if err := errors.Join(u.Validate()...); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if strings.Contains(got, "canary") {
				t.Error("the value is repeated")
			}
		})
	}
}

func TestASealedCredentialOpensOnlyForItsUpstreamAtItsHost(t *testing.T) {
	v := accounts.Vault{Key: secretKey(t, 1)}
	home := accounts.Upstream{ID: "up_1", Name: "u", URL: "https://API.example/v1"}
	c := accounts.Credential{ID: "cred_1", Name: "default"}
	if err := v.Seal(&home, &c, accounts.NewSecret("canary-4f1d9-secret")); err != nil {
		t.Fatal(err)
	}
	for _, there := range []struct {
		name, id, url string
		opens         bool
	}{
		{"at home", "up_1", "https://API.example/v1", true},
		{"another path of the same host", "up_1", "https://api.example/v2", true},
		{"the port that was meant", "up_1", "https://api.example:443", true},
		{"another upstream of the same host", "up_2", "https://api.example/v1", false},
		{"another host", "up_1", "https://evil.example/v1", false},
		{"another port", "up_1", "https://api.example:8443/v1", false},
		{"without TLS", "up_1", "http://api.example/v1", false},
		{"without TLS at the same port", "up_1", "http://api.example:443/v1", false},
		{"a scheme in capitals", "up_1", "HTTPS://api.example", true},
		{"a host that begins with it", "up_1", "https://api.example.evil.example", false},
	} {
		u := accounts.Upstream{ID: there.id, Name: "u", URL: there.url}
		secret, err := v.Read(t.Context(), &u, &c)
		if opens := err == nil && secret.Reveal() == "canary-4f1d9-secret"; opens != there.opens {
			t.Errorf("%s: opens is %t, error %v", there.name, opens, err)
		}
		if !there.opens && (!errors.Is(err, accounts.ErrUnreadable) || strings.Contains(err.Error(), "canary")) {
			t.Errorf("%s: error is %v", there.name, err)
		}
	}
}

func TestWhatWasSealedBeforeTheSchemeCountedStillOpens(t *testing.T) {
	v := accounts.Vault{Key: secretKey(t, 1)}
	// As the first version bound it: upstream, host and port.
	sealed, err := v.Key.Seal("credential\x00up_1\x00api.example:443", []byte("canary-4f1d9-secret"))
	if err != nil {
		t.Fatal(err)
	}
	c := accounts.Credential{ID: "cred_1", Name: "default", Sealed: sealed}
	home := accounts.Upstream{ID: "up_1", Name: "u", URL: "https://api.example/v1"}
	if secret, err := v.Read(t.Context(), &home, &c); err != nil || secret.Reveal() != "canary-4f1d9-secret" {
		t.Errorf("at home: %v", err)
	}
	for _, url := range []string{"https://evil.example", "https://api.example:8443"} {
		u := accounts.Upstream{ID: "up_1", Name: "u", URL: url}
		if _, err := v.Read(t.Context(), &u, &c); !errors.Is(err, accounts.ErrUnreadable) {
			t.Errorf("at %s: %v", url, err)
		}
	}
	// Sealed anew it is bound to the scheme, too.
	if err := v.Seal(&home, &c, accounts.NewSecret("canary-4f1d9-secret")); err != nil {
		t.Fatal(err)
	}
	plain := accounts.Upstream{ID: "up_1", Name: "u", URL: "http://api.example:443"}
	if _, err := v.Read(t.Context(), &plain, &c); !errors.Is(err, accounts.ErrUnreadable) {
		t.Errorf("without TLS: %v", err)
	}
	other := accounts.Vault{Key: secretKey(t, 2)}
	var wrong *accounts.WrongKeyError
	if _, err := other.Read(t.Context(), &home, &c); !errors.As(err, &wrong) {
		t.Errorf("another key: %v", err)
	}
}
