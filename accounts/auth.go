package accounts

import (
	"net/textproto"
	"net/url"
	"strings"
)

// Placement says where an upstream expects its credential, and in which form.
// The zero value is an upstream that expects none.
type Placement struct {
	Header string // canonical name of the header that carries it; empty: none does
	Scheme string // stands before the secret in that header: "Bearer ", or empty
	Query  string // name of the query parameter that carries it; empty: none does
	Signed bool   // the request is signed with it (AWS SigV4), over its final form
}

// anthropicOAuth begins Anthropic's OAuth tokens, which are no API keys: they
// go into Authorization.
const anthropicOAuth = "sk-ant-oat"

// Placement tells where secret goes in a request to u: where Auth says, and
// else where the provider expects it.
func (u *Upstream) Placement(secret Secret) Placement {
	if name, ok := u.Auth.Header(); ok {
		return Placement{Header: textproto.CanonicalMIMEHeaderKey(name)}
	}
	if name, ok := u.Auth.Query(); ok {
		return Placement{Query: name}
	}
	switch {
	case u.Auth == AuthNone:
		return Placement{}
	case u.Auth == AuthBearer:
		return bearer()
	case u.Provider == ProviderAnthropic && !strings.HasPrefix(secret.Reveal(), anthropicOAuth):
		return Placement{Header: "X-Api-Key"}
	case u.Provider == ProviderGemini:
		return Placement{Header: "X-Goog-Api-Key"}
	case u.Provider == ProviderAzure:
		return Placement{Header: "Api-Key"}
	case u.Provider == ProviderBedrock:
		return Placement{Signed: true}
	}
	return bearer()
}

func bearer() Placement { return Placement{Header: "Authorization", Scheme: "Bearer "} }

// Authorize puts secret where u expects it: into header, whose names must be
// canonical, or into rawQuery, which it gives back. What stood in that place is
// replaced; every other byte of the query stays. It puts nothing where the
// request is to be signed; see Placement.
func (u *Upstream) Authorize(header map[string][]string, rawQuery string, secret Secret) string {
	if secret.IsZero() {
		return rawQuery
	}
	p := u.Placement(secret)
	if p.Header != "" {
		header[p.Header] = []string{p.Scheme + secret.Reveal()}
	}
	if p.Query != "" {
		return withParameter(rawQuery, p.Query, secret.Reveal())
	}
	return rawQuery
}

// withParameter appends name=value to a raw query and drops what had that name.
func withParameter(rawQuery, name, value string) string {
	var kept []string
	for part := range strings.SplitSeq(rawQuery, "&") {
		key, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(key); part != "" && (err != nil || plain != name) {
			kept = append(kept, part)
		}
	}
	return strings.Join(append(kept, url.QueryEscape(name)+"="+url.QueryEscape(value)), "&")
}
