package accounts_test

import (
	"net/textproto"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

func TestEveryProviderListsItsModelsOrDoesNot(t *testing.T) {
	for provider, want := range map[accounts.Provider]string{
		accounts.ProviderOpenAI: "/v1/models?", accounts.ProviderGeneric: "/v1/models?", accounts.ProviderAzure: "/openai/v1/models?",
		accounts.ProviderAnthropic: "/v1/models?limit=1000", accounts.ProviderGemini: "/v1beta/models?pageSize=1000", accounts.ProviderBedrock: "",
	} {
		list, ok := provider.ModelList()
		got := list.Path + "?" + list.Query
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: %s %t", provider, got, ok)
		}
		for name := range list.Header {
			if name != textproto.CanonicalMIMEHeaderKey(name) {
				t.Errorf("%s: header %s is not canonical", provider, name)
			}
		}
	}
}
