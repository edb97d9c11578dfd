package accounts_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
)

func TestACredentialGoesWhereTheUpstreamExpectsIt(t *testing.T) {
	const key, oauth = "sk-the-secret-0001", "sk-ant-oat01-token-0001"
	for _, c := range []struct {
		name     string
		provider accounts.Provider
		auth     accounts.Auth
		secret   string
		query    string
		header   http.Header
		sent     string
	}{
		{name: "openai takes a bearer token", provider: accounts.ProviderOpenAI, secret: key,
			header: http.Header{"Authorization": {"Bearer " + key}}},
		{name: "anthropic takes x-api-key", provider: accounts.ProviderAnthropic, secret: key,
			header: http.Header{"X-Api-Key": {key}}},
		{name: "anthropic takes an OAuth token as bearer", provider: accounts.ProviderAnthropic, secret: oauth,
			header: http.Header{"Authorization": {"Bearer " + oauth}}},
		{name: "gemini takes x-goog-api-key", provider: accounts.ProviderGemini, secret: key,
			header: http.Header{"X-Goog-Api-Key": {key}}},
		{name: "azure takes api-key", provider: accounts.ProviderAzure, secret: key,
			header: http.Header{"Api-Key": {key}}},
		{name: "bedrock signs and gets nothing put in", provider: accounts.ProviderBedrock, secret: key,
			query: "a=1", sent: "a=1", header: http.Header{}},
		{name: "generic takes a bearer token unless told", provider: accounts.ProviderGeneric, secret: key,
			header: http.Header{"Authorization": {"Bearer " + key}}},
		{name: "auth overrules the provider", provider: accounts.ProviderAnthropic, auth: accounts.AuthBearer, secret: key,
			header: http.Header{"Authorization": {"Bearer " + key}}},
		{name: "a header by name, however it is written", provider: accounts.ProviderGeneric, auth: "header:x-my-KEY", secret: key,
			header: http.Header{"X-My-Key": {key}}},
		{name: "a query parameter replaces the caller's and keeps the rest", provider: accounts.ProviderGeneric, auth: "query:key",
			secret: "a b&c", query: "x=%31;2&k%65y=theirs&key&y", sent: "x=%31;2&y&key=a+b%26c", header: http.Header{}},
		{name: "a query parameter alone", provider: accounts.ProviderGeneric, auth: "query:key", secret: key,
			sent: "key=" + key, header: http.Header{}},
		{name: "none means none", provider: accounts.ProviderOpenAI, auth: accounts.AuthNone, secret: key, header: http.Header{}},
		{name: "an empty secret is not put in", provider: accounts.ProviderOpenAI, secret: "", header: http.Header{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := accounts.Upstream{Provider: c.provider, Auth: c.auth}
			header := http.Header{}
			sent := u.Authorize(header, c.query, accounts.NewSecret(c.secret))
			if diff := cmp.Diff(c.header, header); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if sent != c.sent {
				t.Errorf("query %q, want %q", sent, c.sent)
			}
		})
	}
}

func TestAuthorizeReplacesWhatStoodInTheHeader(t *testing.T) {
	u := accounts.Upstream{Provider: accounts.ProviderOpenAI}
	header := http.Header{"Authorization": {"Bearer theirs", "Bearer again"}}
	u.Authorize(header, "", accounts.NewSecret("ours"))
	if got := header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer ours" {
		t.Errorf("Authorization is %q", got)
	}
}

func TestBedrockIsSigned(t *testing.T) {
	u := accounts.Upstream{Provider: accounts.ProviderBedrock}
	if !u.Placement(accounts.NewSecret("k")).Signed {
		t.Error("a request to bedrock is not to be signed")
	}
}
