package admin_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin"
	"github.com/llmgw/llmgw/admin/api"
)

func TestAnUpstreamIsCreatedWithItsProvidersAddress(t *testing.T) {
	g := open(t)
	for _, c := range []struct{ name, provider, url, want string }{
		{"openai has its own", "openai", "", "https://api.openai.com/v1"},
		{"anthropic has its own", "anthropic", "", "https://api.anthropic.com"},
		{"gemini has its own", "gemini", "", "https://generativelanguage.googleapis.com"},
		{"an address that is given wins, less its last slash", "openai", " https://api.groq.com/openai/v1/ ", "https://api.groq.com/openai/v1"},
		{"azure takes the one given", "azure", "https://x.openai.azure.com", "https://x.openai.azure.com"},
		{"loopback is allowed", "generic", "http://127.0.0.1:11434", "http://127.0.0.1:11434"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := strings.ReplaceAll(strings.ToLower(c.name), " ", "-")
			name = strings.ReplaceAll(name, ",", "")
			up, err := g.CreateUpstream(t.Context(), api.NewUpstream{Name: name, Provider: c.provider, URL: c.url})
			must(t, err)
			if up.URL != c.want || !up.Enabled || up.Provider != c.provider {
				t.Errorf("created %+v, want URL %s", up, c.want)
			}
		})
	}
}

func TestAnUpstreamIsShownAsItWasCreated(t *testing.T) {
	g := open(t)
	g.env["EU_KEY"] = "sk-proj-0123456789-x4Qd"
	created, err := g.CreateUpstream(t.Context(), api.NewUpstream{
		Name: "openai-eu", Provider: "openai", URL: "https://eu.api.openai.com/v1", Auth: "header:X-Key",
		Wires: []string{"openai-chat"}, Models: []string{"gpt-5"}, MaxIdle: 8, IdleTimeout: "30s", Websocket: true,
		Timeouts:   &api.Timeouts{Connect: "5s", FirstToken: "1m30s"},
		Credential: &api.NewCredential{Reference: "env:EU_KEY"},
	})
	must(t, err)
	want := api.Upstream{
		Name: "openai-eu", Provider: "openai", URL: "https://eu.api.openai.com/v1", Auth: "header:X-Key",
		Wires: []string{"openai-chat"}, Models: []string{"gpt-5"}, MaxIdle: 8, IdleTimeout: "30s", Websocket: true,
		Timeouts: &api.Timeouts{Connect: "5s", FirstToken: "1m30s"}, Enabled: true, State: "enabled", CreatedAt: g.clock.Now(), ETag: created.ETag,
		Credentials: []api.Credential{{Name: "default", Reference: "env:EU_KEY", Last4: "x4Qd", Usable: true, Weight: 1, Enabled: true, CreatedAt: g.clock.Now()}},
	}
	ignoreIDs := cmp.Options{cmpopts.IgnoreFields(api.Upstream{}, "ID"), cmpopts.IgnoreFields(api.Credential{}, "ID")}
	if diff := cmp.Diff(want, created, ignoreIDs); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	shown, err := g.Upstream(t.Context(), "openai-eu")
	must(t, err)
	listed, err := g.Upstreams(t.Context())
	must(t, err)
	if diff := cmp.Diff([]api.Upstream{created, created}, append(listed, shown)); diff != "" {
		t.Errorf("listed and shown (-want +got):\n%s", diff)
	}
}

func TestAllThatIsWrongWithAnUpstreamIsSaidAtOnce(t *testing.T) {
	g := open(t)
	_, err := g.CreateUpstream(t.Context(), api.NewUpstream{
		Name: "Open AI", Provider: "opnai", URL: "ftp://x", Auth: "digest", Wires: []string{"soap"}, MaxIdle: -1,
		Timeouts: &api.Timeouts{Connect: "soon", Total: "-1s"}, IdleTimeout: "4",
		Credential: &api.NewCredential{Name: "My Key", Reference: "vault:x", Secret: "y"},
	})
	refusal := refusedWith(t, err, api.CodeInvalid, 422)
	var fields []string
	for _, p := range refusal.Problems {
		fields = append(fields, p.Field)
	}
	want := []string{
		"timeouts.connect", "timeouts.total", "idle_timeout", "max_idle", "name", "provider", "url", "auth", "wires",
		"credential.name", "credential.secret",
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestRefusedUpstreams(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "taken", "http://127.0.0.1:1")
	for _, c := range []struct {
		name, detail string
		upstream     api.NewUpstream
		code         string
		status       int
	}{
		{"azure without an address", "url: is missing", api.NewUpstream{Name: "a", Provider: "azure"}, api.CodeInvalid, 422},
		{"a user in the URL", "url: must not hold a user or password", api.NewUpstream{Name: "a", Provider: "openai", URL: "https://u:p@h"}, api.CodeInvalid, 422},
		{"the metadata service", "url: is a link-local address", api.NewUpstream{Name: "a", Provider: "generic", URL: "http://169.254.169.254"}, api.CodeInvalid, 422},
		{"a name that is taken", `upstream "taken" already exists`, api.NewUpstream{Name: "taken", Provider: "openai"}, api.CodeConflict, 409},
		{"a reference of an unknown scheme", "credential.reference: ", api.NewUpstream{Name: "a", Provider: "openai", Credential: &api.NewCredential{Reference: "vault:x"}}, api.CodeInvalid, 422},
		{"a credential of nothing", "credential.secret: give either", api.NewUpstream{Name: "a", Provider: "openai", Credential: &api.NewCredential{}}, api.CodeInvalid, 422},
		{"a secret of two lines", "credential.secret: must be one line", api.NewUpstream{Name: "a", Provider: "openai", Credential: &api.NewCredential{Secret: "a\nb"}}, api.CodeInvalid, 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := g.CreateUpstream(t.Context(), c.upstream)
			refusedWith(t, err, c.code, c.status, c.detail)
		})
	}
	if ups, err := g.Upstreams(t.Context()); err != nil || len(ups) != 1 {
		t.Errorf("after refusals there are %d upstreams, %v", len(ups), err)
	}
}

func TestACredentialIsSealedAndReplacedByName(t *testing.T) {
	g := open(t)
	g.env["OTHER"] = "other-secret-9fKq"
	_, err := g.CreateUpstream(t.Context(), api.NewUpstream{Name: "openai", Provider: "openai"})
	must(t, err)

	_, err = g.SetCredential(t.Context(), "openai", api.NewCredential{Secret: "sk-proj-first-secret-AAAA\n"})
	must(t, err)
	up, err := g.SetCredential(t.Context(), "openai", api.NewCredential{Name: "batch", Reference: "env:OTHER"})
	must(t, err)
	if len(up.Credentials) != 2 {
		t.Fatalf("credentials are %+v, want default and batch", up.Credentials)
	}
	up, err = g.SetCredential(t.Context(), "openai", api.NewCredential{Secret: "sk-proj-second-secret-BBBB"})
	must(t, err)
	last4 := map[string]string{}
	for _, c := range up.Credentials {
		last4[c.Name] = c.Last4
		if !c.Usable || c.Problem != "" {
			t.Errorf("credential %+v is not usable", c)
		}
	}
	if diff := cmp.Diff(map[string]string{"default": "BBBB", "batch": "9fKq"}, last4); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
	config, err := g.store.Load(t.Context())
	must(t, err)
	for _, c := range config.Upstreams[0].Credentials {
		if strings.Contains(string(c.Sealed), "second-secret") {
			t.Error("the secret is stored in clear")
		}
	}
	_, err = g.SetCredential(t.Context(), "nowhere", api.NewCredential{Secret: "sk-proj-first-secret-AAAA"})
	refusedWith(t, err, api.CodeNotFound, 404, `no upstream "nowhere"`)
}

func TestASealedCredentialStaysWithItsHost(t *testing.T) {
	g := open(t)
	_, err := g.CreateUpstream(t.Context(), api.NewUpstream{
		Name: "openai", Provider: "openai", Credential: &api.NewCredential{Secret: "sk-proj-first-secret-AAAA"}})
	must(t, err)
	_, err = g.store.Change(t.Context(), accounts.Meta{Kind: "upstream.edit"}, func(st admin.State) error {
		up, err := st.Upstream("openai")
		up.URL = "https://elsewhere.example/v1"
		if err != nil {
			return err
		}
		return st.PutUpstream(up)
	})
	must(t, err)
	up, err := g.Upstream(t.Context(), "openai")
	must(t, err)
	if c := up.Credentials[0]; c.Usable || c.Problem == "" {
		t.Errorf("a credential sealed for another host is %+v", c)
	}
	test, err := g.TestUpstream(t.Context(), "openai")
	must(t, err)
	if test.OK || test.Status != 0 || test.Error == "" {
		t.Errorf("test with a credential sealed for another host: %+v", test)
	}
}

func TestAReferenceThatLeadsNowhereIsShown(t *testing.T) {
	g := open(t)
	up, err := g.CreateUpstream(t.Context(), api.NewUpstream{
		Name: "openai", Provider: "openai", Credential: &api.NewCredential{Reference: "env:NOT_SET"}})
	must(t, err)
	if c := up.Credentials[0]; c.Usable || !strings.Contains(c.Problem, "env:NOT_SET: it is not set") {
		t.Errorf("credential is %+v", c)
	}
}

func TestUpstreamsAreSwitchedAndDeleted(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "openai", "http://127.0.0.1:1")
	up, err := g.DisableUpstream(t.Context(), "openai")
	must(t, err)
	if up.Enabled {
		t.Error("a disabled upstream is enabled")
	}
	before, err := g.store.Head(t.Context())
	must(t, err)
	_, err = g.DisableUpstream(t.Context(), "openai")
	must(t, err)
	if after, err := g.store.Head(t.Context()); err != nil || after.Seq != before.Seq {
		t.Errorf("disabling twice made a change, %v", err)
	}
	up, err = g.EnableUpstream(t.Context(), "openai")
	must(t, err)
	if !up.Enabled {
		t.Error("an enabled upstream is disabled")
	}
	must(t, g.DeleteUpstream(t.Context(), "openai"))
	refusedWith(t, g.DeleteUpstream(t.Context(), "openai"), api.CodeNotFound, 404, `no upstream "openai"`)
	_, err = g.EnableUpstream(t.Context(), "openai")
	refusedWith(t, err, api.CodeNotFound, 404)
	_, err = g.Upstream(t.Context(), "openai")
	refusedWith(t, err, api.CodeNotFound, 404)
}

func TestAnUpstreamThatRulesNameIsNotDeleted(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "openai", "http://127.0.0.1:1")
	g.apply(t, twoRules)
	refusedWith(t, g.DeleteUpstream(t.Context(), "openai"), api.CodeInUse, 409, "gpt", "embeddings")
	_, err := g.Upstream(t.Context(), "openai")
	must(t, err)
}
