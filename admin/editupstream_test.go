package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// sealed is a gateway with one upstream that has a sealed credential and a
// reference.
func sealed(t *testing.T) (*gateway, api.Upstream) {
	t.Helper()
	g := openStore(t)
	g.env["KEY"] = "sk-proj-from-env-EEEE"
	_, err := g.CreateUpstream(t.Context(), api.NewUpstream{
		Name: "eu", Provider: "openai", Credential: &api.NewCredential{Secret: "sk-proj-first-secret-AAAA"}})
	must(t, err)
	g.clock.Pass(time.Millisecond) // credentials stand in the order of their making
	up, err := g.SetCredential(t.Context(), "eu", api.NewCredential{Name: "env", Reference: "env:KEY", Weight: 4})
	must(t, err)
	return g, up
}

// secretOf is what the gateway sends as a credential.
func (g *gateway) secretOf(t testing.TB, upstream, credential string) string {
	t.Helper()
	config, err := g.store.Load(t.Context())
	must(t, err)
	for i := range config.Upstreams {
		u := &config.Upstreams[i]
		for j := range u.Credentials {
			if c := &u.Credentials[j]; u.Name == upstream && c.Name == credential && c.Reference == "" {
				secret, err := accounts.Vault{Key: g.secretKey}.Read(t.Context(), u, c)
				must(t, err)
				return secret.Reveal()
			}
		}
	}
	return ""
}

func TestAnEditOfAnUpstreamChangesWhatIsGiven(t *testing.T) {
	g, want := sealed(t)
	for _, c := range []struct {
		name string
		edit api.EditUpstream
		want func()
	}{
		{"nothing", api.EditUpstream{}, func() {}},
		{"a name", api.EditUpstream{Name: to("eu-2")}, func() { want.Name = "eu-2" }},
		{"another path", api.EditUpstream{URL: to("https://api.openai.com/v2/")}, func() { want.URL = "https://api.openai.com/v2" }},
		{"auth", api.EditUpstream{Auth: to("header:X-Key")}, func() { want.Auth = "header:X-Key" }},
		{"wires", api.EditUpstream{Wires: &[]string{"openai-chat"}}, func() { want.Wires = []string{"openai-chat"} }},
		{"models", api.EditUpstream{Models: &[]string{"a", "b"}}, func() { want.Models = []string{"a", "b"} }},
		{"timeouts", api.EditUpstream{Timeouts: &api.Timeouts{Total: "1m"}}, func() { want.Timeouts = &api.Timeouts{Total: "1m0s"} }},
		{"no bound at all", api.EditUpstream{Timeouts: &api.Timeouts{Total: "0s", Idle: "0"}}, func() { want.Timeouts = &api.Timeouts{Total: "0s", Idle: "0s"} }},
		{"other timeouts", api.EditUpstream{Timeouts: &api.Timeouts{Idle: "2s"}}, func() { want.Timeouts = &api.Timeouts{Idle: "2s"} }},
		{"connections", api.EditUpstream{MaxIdle: to(5), IdleTimeout: to("3s"), Websocket: to(true)}, func() {
			want.MaxIdle, want.IdleTimeout, want.Websocket = 5, "3s", true
		}},
		{"all of it away", api.EditUpstream{Auth: to(""), Wires: &[]string{}, Models: &[]string{}, Timeouts: &api.Timeouts{}, MaxIdle: to(0), IdleTimeout: to(""), Websocket: to(false)}, func() {
			want.Auth, want.Wires, want.Models, want.Timeouts, want.MaxIdle, want.IdleTimeout, want.Websocket = "", nil, nil, nil, 0, "", false
		}},
		{"the provider's own address", api.EditUpstream{URL: to("")}, func() { want.URL = "https://api.openai.com/v1" }},
		{"another host", api.EditUpstream{URL: to("https://elsewhere.example/v1")}, func() {
			want.URL, want.Credentials = "https://elsewhere.example/v1", want.Credentials[1:]
		}},
	} {
		c.want()
		got, err := g.EditUpstream(t.Context(), want.ID, c.edit)
		must(t, err)
		if (got.ETag == want.ETag) != (c.name == "nothing") {
			t.Errorf("%s: the tag was %s and is %s", c.name, want.ETag, got.ETag)
		}
		want.ETag = got.ETag
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestEditsOfUpstreamsThatAreRefused(t *testing.T) {
	g := openStore(t)
	g.upstreamAt(t, "openai", "http://127.0.0.1:1")
	g.upstreamAt(t, "other", "http://127.0.0.1:1")
	g.apply(t, twoRules)
	for name, c := range map[string]struct {
		edit   api.EditUpstream
		code   string
		status int
		text   string
	}{
		"a name that rules have":       {api.EditUpstream{Name: to("renamed")}, api.CodeInUse, 409, "openai"},
		"a name of another upstream":   {api.EditUpstream{Name: to("other")}, api.CodeConflict, 409, `upstream "other" already exists`},
		"an address that is none":      {api.EditUpstream{URL: to("ftp://h")}, api.CodeInvalid, 422, "url:"},
		"no address":                   {api.EditUpstream{URL: to("")}, api.CodeInvalid, 422, "url: is missing"},
		"the metadata service":         {api.EditUpstream{URL: to("http://169.254.169.254/")}, api.CodeInvalid, 422, "url: is a link-local address"},
		"a wire that is none":          {api.EditUpstream{Wires: &[]string{"smtp"}}, api.CodeInvalid, 422, "wires:"},
		"an idle timeout of 0":         {api.EditUpstream{IdleTimeout: to("0s")}, api.CodeInvalid, 422, "idle_timeout: must be more than 0s"},
		"a timeout that is none":       {api.EditUpstream{Timeouts: &api.Timeouts{Idle: "soon"}}, api.CodeInvalid, 422, "timeouts.idle:"},
		"a key among the models":       {api.EditUpstream{Models: &[]string{"sk-ant-abc"}}, api.CodeInvalid, 422, "models[0]: looks like a key"},
		"less than no idle connection": {api.EditUpstream{MaxIdle: to(-1)}, api.CodeInvalid, 422, "max_idle: is negative"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := g.EditUpstream(t.Context(), "openai", c.edit)
			refusedWith(t, err, c.code, c.status, c.text)
		})
	}
	_, err := g.EditUpstream(t.Context(), "nowhere", api.EditUpstream{})
	refusedWith(t, err, api.CodeNotFound, 404, `no upstream "nowhere"`)
	_, err = g.If("1000").EditUpstream(t.Context(), "openai", api.EditUpstream{MaxIdle: to(3)})
	refusedWith(t, err, api.CodeConflict, 412, `upstream "openai" was changed since you read it`)
}

func TestACredentialIsRotatedInItsPlace(t *testing.T) {
	g, up := sealed(t)
	g.createKey(t, api.NewKey{Name: "bot"})
	_, err := g.CreateBinding(t.Context(), api.NewBinding{Key: "bot", Upstream: "eu", Credential: "default"})
	must(t, err)
	g.clock.Pass(time.Hour)
	rotated, err := g.RotateCredential(t.Context(), "eu", api.NewCredential{Secret: "sk-proj-second-secret-BBBB"})
	must(t, err)
	if g.secretOf(t, "eu", "default") != "sk-proj-second-secret-BBBB" {
		t.Error("the old secret is still sent")
	}
	up.Credentials[0].Last4, up.ETag = "BBBB", rotated.ETag
	if diff := cmp.Diff(up, rotated); diff != "" {
		t.Errorf("more than the secret was changed (-want +got):\n%s", diff)
	}
	_, err = g.RotateCredential(t.Context(), "eu", api.NewCredential{Name: "lost", Secret: "sk-proj-second-secret-BBBB"})
	refusedWith(t, err, api.CodeNotFound, 404, `no credential "lost"`)
	_, err = g.RotateCredential(t.Context(), "eu", api.NewCredential{Weight: 3})
	refusedWith(t, err, api.CodeInvalid, 422, "secret: give either")

	_, err = g.ClearCredential(t.Context(), "eu", "default")
	refusedWith(t, err, api.CodeInUse, 409, "key bot")
	_, err = g.EditUpstream(t.Context(), "eu", api.EditUpstream{URL: to("https://elsewhere.example")})
	refusedWith(t, err, api.CodeInUse, 409, "key bot")
	must(t, g.DeleteKey(t.Context(), "bot"))
	cleared, err := g.ClearCredential(t.Context(), "eu", "default")
	must(t, err)
	if len(cleared.Credentials) != 1 || cleared.Credentials[0].Name != "env" {
		t.Errorf("left are %+v", cleared.Credentials)
	}
	_, err = g.ClearCredential(t.Context(), "eu", "default")
	refusedWith(t, err, api.CodeNotFound, 404, `no credential "default"`)
}

func TestCredentialsAreWeighedAndSwitched(t *testing.T) {
	g, up := sealed(t)
	if up.Credentials[0].Weight != 1 || up.Credentials[1].Weight != 4 {
		t.Errorf("weights are %+v", up.Credentials)
	}
	g.clock.Pass(time.Millisecond) // credentials stand in the order of their making
	up, err := g.SetCredential(t.Context(), "eu", api.NewCredential{Name: "env", Weight: 9})
	must(t, err)
	if c := up.Credentials[1]; c.Weight != 9 || c.Reference != "env:KEY" || !c.Enabled {
		t.Errorf("weighed %+v", c)
	}
	up, err = g.SetCredential(t.Context(), "eu", api.NewCredential{Enabled: to(false)})
	must(t, err)
	if c := up.Credentials[0]; c.Enabled || c.Last4 != "AAAA" || !c.Usable {
		t.Errorf("switched off %+v", c)
	}
	for _, want := range []bool{true, true, false, false} {
		do := g.DisableCredential
		if want {
			do = g.EnableCredential
		}
		if up, err = do(t.Context(), "eu", up.Credentials[0].ID); err != nil || up.Credentials[0].Enabled != want {
			t.Errorf("%+v, %v", up, err)
		}
	}
	_, err = g.EnableCredential(t.Context(), "eu", "lost")
	refusedWith(t, err, api.CodeNotFound, 404, `no credential "lost"`)
	_, err = g.SetCredential(t.Context(), "eu", api.NewCredential{Name: "lost", Weight: 2})
	refusedWith(t, err, api.CodeInvalid, 422, "secret: give either")
	_, err = g.SetCredential(t.Context(), "eu", api.NewCredential{Weight: -2})
	refusedWith(t, err, api.CodeInvalid, 422, "weight: must be")
}

func TestTheLastErrorOfACredentialIsShown(t *testing.T) {
	g, up := sealed(t)
	g.failed = func() map[string]string { return map[string]string{up.Credentials[1].ID: "401 2 min ago"} }
	g.restart(t, nil)
	up, err := g.Upstream(t.Context(), "eu")
	must(t, err)
	if got := up.Credentials[0].LastError + "|" + up.Credentials[1].LastError; got != "|401 2 min ago" {
		t.Errorf("last errors are %s", got)
	}
	_, text := g.raw(t, "GET", "/api/v1/audit", "", "")
	for _, secret := range []string{"first-secret", "from-env"} {
		if strings.Contains(text, secret) {
			t.Errorf("the audit holds %s", secret)
		}
	}
}
