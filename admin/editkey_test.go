package admin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// stateOf is what a caller with a secret is at this moment; "" where nobody knows
// the secret.
func (g *gateway) stateOf(t testing.TB, secret string) string {
	t.Helper()
	identity, err := g.store.Store.Identify(t.Context(), accounts.HashKey(secret))
	if err != nil {
		return ""
	}
	return identity.State(g.clock.Now()).String()
}

func TestAKeyHasAllThatItWasMadeWith(t *testing.T) {
	g := openStore(t)
	g.createUser(t, api.NewUser{Name: "dana"})
	made := g.createKey(t, api.NewKey{Name: "bot", User: "dana", Models: []string{"gpt-*", "!gpt-5-pro"}, Limits: []string{"600/min", "$50/month per user"}})
	if made.User != "dana" || !made.Enabled || made.State != "active" {
		t.Errorf("made %+v", made.Key)
	}
	identity, err := g.store.Store.Identify(t.Context(), accounts.HashKey(made.Secret))
	must(t, err)
	if identity.UserName != "dana" || len(identity.Models) != 2 || len(identity.Limits) != 2 {
		t.Errorf("its caller is %+v", identity)
	}
	if diff := cmp.Diff([]string{"600 requests/min", "$50/month per user"}, made.Limits); diff != "" {
		t.Error(diff)
	}
}

func TestAnEditChangesWhatIsGivenAndLeavesTheRest(t *testing.T) {
	g := openStore(t)
	g.createUser(t, api.NewUser{Name: "dana"})
	g.createUser(t, api.NewUser{Name: "lee"})
	end := g.clock.Now().Add(time.Hour)
	made := g.createKey(t, api.NewKey{Name: "bot", User: "dana", Tags: map[string]string{"a": "b"}, Models: []string{"m"}, Limits: []string{"5/min"}, ExpiresAt: &end})
	want := made.Key
	for _, c := range []struct {
		name string
		edit api.EditKey
		want func()
	}{
		{"nothing", api.EditKey{}, func() {}},
		{"a name", api.EditKey{Name: to("bot-2")}, func() { want.Name = "bot-2" }},
		{"another owner", api.EditKey{User: to("lee")}, func() { want.User = "lee" }},
		{"tags", api.EditKey{Tags: &map[string]string{"c": "d"}}, func() { want.Tags = map[string]string{"c": "d"} }},
		{"models", api.EditKey{Models: &[]string{"x*"}}, func() { want.Models = []string{"x*"} }},
		{"limits", api.EditKey{Limits: &[]string{"7 concurrent"}}, func() { want.Limits = []string{"7 concurrent"} }},
		{"an end", api.EditKey{ExpiresAt: to("2027-01-01T00:00:00+01:00")}, func() {
			want.ExpiresAt = to(time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC))
		}},
		{"off", api.EditKey{Enabled: to(false)}, func() { want.Enabled, want.State = false, "disabled" }},
		{"on", api.EditKey{Enabled: to(true)}, func() { want.Enabled, want.State = true, "active" }},
		{"all of it away", api.EditKey{User: to(""), Tags: &map[string]string{}, Models: &[]string{}, Limits: &[]string{}, ExpiresAt: to("")}, func() {
			want.User, want.Tags, want.Models, want.Limits, want.ExpiresAt = "", nil, nil, nil, nil
		}},
	} {
		c.want()
		got, err := g.EditKey(t.Context(), made.ID, c.edit)
		must(t, err)
		if c.name != "nothing" && got.ETag == want.ETag || c.name == "nothing" && got.ETag != want.ETag {
			t.Errorf("%s: the tag was %s and is %s", c.name, want.ETag, got.ETag)
		}
		want.ETag = got.ETag
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestEditsOfKeysThatAreRefused(t *testing.T) {
	g := openStore(t)
	g.createKey(t, api.NewKey{Name: "bot"})
	g.createKey(t, api.NewKey{Name: "other"})
	for name, c := range map[string]struct {
		edit   api.EditKey
		code   string
		status int
		text   string
	}{
		"a name of another key":   {api.EditKey{Name: to("other")}, api.CodeConflict, 409, `key "other" already exists`},
		"a name that cannot be":   {api.EditKey{Name: to("")}, api.CodeInvalid, 422, "name: must match"},
		"a user who is not there": {api.EditKey{User: to("nobody")}, api.CodeNotFound, 404, `no user "nobody"`},
		"an end in the past":      {api.EditKey{ExpiresAt: to("2020-01-01T00:00:00Z")}, api.CodeInvalid, 422, "expires_at: is in the past"},
		"an end that is no time":  {api.EditKey{ExpiresAt: to("tomorrow")}, api.CodeInvalid, 422, "expires_at: is not a time"},
		"a limit that is none":    {api.EditKey{Limits: &[]string{"5/min", "many"}}, api.CodeInvalid, 422, "limits[1]: is not a limit"},
		"a pattern that is none":  {api.EditKey{Models: &[]string{"gpt-?"}}, api.CodeInvalid, 422, "models[0]: is not a pattern"},
		"the gateway's own tag":   {api.EditKey{Tags: &map[string]string{"one-use": "true"}}, api.CodeInvalid, 422, "tags.one-use: is kept"},
		"too many limits":         {api.EditKey{Limits: to(strings.Split(strings.Repeat("5/min,", 40), ","))}, api.CodeInvalid, 422, "limits: are more than 32"},
		"too many models":         {api.EditKey{Models: to(make([]string, 300))}, api.CodeInvalid, 422, "models: are more than 256"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := g.EditKey(t.Context(), "bot", c.edit)
			refusedWith(t, err, c.code, c.status, c.text)
		})
	}
	_, err := g.EditKey(t.Context(), "nobody", api.EditKey{})
	refusedWith(t, err, api.CodeNotFound, 404)
	_, err = g.RevokeKey(t.Context(), "bot", api.RevokeKey{})
	must(t, err)
	_, err = g.EditKey(t.Context(), "bot", api.EditKey{Enabled: to(true)})
	refusedWith(t, err, api.CodeConflict, 409, `key "bot" is revoked`)
	_, err = g.RotateKey(t.Context(), "bot", api.RotateKey{})
	refusedWith(t, err, api.CodeConflict, 409, `key "bot" is revoked`)
}

func TestARotationLeavesTheOldSecretItsGrace(t *testing.T) {
	for grace, last := range map[string]time.Duration{"": 24 * time.Hour, "1h": time.Hour, "0s": 0} {
		g := openStore(t)
		made := g.createKey(t, api.NewKey{Name: "bot"})
		lent, err := g.AddSecret(t.Context(), "bot", api.NewSecret{ExpiresAt: g.clock.Now().Add(48 * time.Hour)})
		must(t, err)
		rotated, err := g.RotateKey(t.Context(), "bot", api.RotateKey{Grace: grace})
		must(t, err)
		if rotated.Secret == made.Secret || rotated.Last4 != rotated.Secret[len(rotated.Secret)-4:] || rotated.ID != made.ID {
			t.Errorf("%q: rotated %+v", grace, rotated.Key)
		}
		if last > 0 {
			g.clock.Pass(last - time.Millisecond)
			if got := g.stateOf(t, made.Secret); got != "active" {
				t.Errorf("%q: right before the end of its grace the old secret is %q", grace, got)
			}
			g.clock.Pass(time.Millisecond)
		}
		if got := g.stateOf(t, made.Secret); got != "expired" {
			t.Errorf("%q: after its grace the old secret is %q", grace, got)
		}
		if got := g.stateOf(t, rotated.Secret) + g.stateOf(t, lent.Secret); got != "activeactive" {
			t.Errorf("%q: the new secret and the lent one are %q", grace, got)
		}
		again, err := g.RotateKey(t.Context(), "bot", api.RotateKey{Grace: "0s"})
		must(t, err)
		if got := g.stateOf(t, rotated.Secret) + g.stateOf(t, again.Secret) + g.stateOf(t, made.Secret); got != "expiredactiveexpired" {
			t.Errorf("%q: after the next rotation the secrets are %q", grace, got)
		}
	}
	g := openStore(t)
	g.createKey(t, api.NewKey{Name: "bot"})
	for grace, text := range map[string]string{"soon": "grace: is not a duration", "-1s": "grace: is not a duration", "721h": "grace: is more than 30 days"} {
		_, err := g.RotateKey(t.Context(), "bot", api.RotateKey{Grace: grace})
		refusedWith(t, err, api.CodeInvalid, 422, text)
	}
}

func TestMembersRotateTheirOwnKeysOnly(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	member := as(t, base, g.everybody(t, base)[accounts.RoleMember])
	g.createKey(t, api.NewKey{Name: "own", User: "member"})
	g.createKey(t, api.NewKey{Name: "danas", User: "operator"})
	_, err := member.RotateKey(t.Context(), "own", api.RotateKey{})
	must(t, err)
	_, err = member.RotateKey(t.Context(), "danas", api.RotateKey{})
	refusedWith(t, err, api.CodeNotFound, 404, `no key "danas"`)
	if keys, err := member.Keys(t.Context()); err != nil || len(keys) != 1 || keys[0].User != "member" {
		t.Errorf("a member sees %+v, %v", keys, err)
	}
	_, err = member.EditKey(t.Context(), "own", api.EditKey{Models: &[]string{}})
	refusedWith(t, err, api.CodeDenied, 403, "needs the role operator")
}

func TestRevokingEndsEverySecretOfAKey(t *testing.T) {
	g := openStore(t)
	made := g.createKey(t, api.NewKey{Name: "bot"})
	rotated, err := g.RotateKey(t.Context(), "bot", api.RotateKey{})
	must(t, err)
	_, err = g.RevokeKey(t.Context(), "bot", api.RevokeKey{KeepStreams: true})
	must(t, err)
	if got := g.stateOf(t, made.Secret) + g.stateOf(t, rotated.Secret); got != "revokedrevoked" {
		t.Errorf("secrets of a revoked key are %q", got)
	}
	identity, err := g.store.Store.Identify(t.Context(), accounts.HashKey(made.Secret))
	if err != nil || !identity.KeepStreams {
		t.Errorf("streams are not left to end: %+v, %v", identity, err)
	}
	_, err = g.RevokeKey(t.Context(), "bot", api.RevokeKey{})
	must(t, err)
	if identity, err = g.store.Store.Identify(t.Context(), accounts.HashKey(made.Secret)); err != nil || identity.KeepStreams {
		t.Errorf("streams are left to end after all: %+v, %v", identity, err)
	}
	must(t, g.DeleteKey(t.Context(), "bot"))
	if got := g.stateOf(t, made.Secret); got != "" {
		t.Errorf("a deleted key's secret is %q", got)
	}
	refusedWith(t, g.DeleteKey(t.Context(), "bot"), api.CodeNotFound, 404)
}

// TestWhoeverReadBeforeTheLastChangeChangesNothing takes every operation that
// knows If-Match, with the tag of before, then with that of now.
func TestWhoeverReadBeforeTheLastChangeChangesNothing(t *testing.T) {
	g := openStore(t)
	g.upstreamAt(t, "up", "http://127.0.0.1:1")
	g.createUser(t, api.NewUser{Name: "dana"})
	g.createKey(t, api.NewKey{Name: "bot"})
	binding, err := g.CreateBinding(t.Context(), api.NewBinding{User: "dana", Upstream: "up"})
	must(t, err)
	moved, err := g.MoveBinding(t.Context(), binding.ID, api.MoveBinding{Order: 7})
	must(t, err)
	for _, call := range []struct{ path, method, body string }{
		{"/keys/bot", http.MethodPatch, `{"tags":{"a":"b"}}`},
		{"/keys/bot/rotate", http.MethodPost, `{}`},
		{"/keys/bot/revoke", http.MethodPost, `{}`},
		{"/keys/bot", http.MethodDelete, ""},
		{"/bindings/" + binding.ID + "/move", http.MethodPost, `{"order":8}`},
		{"/bindings/" + binding.ID, http.MethodDelete, ""},
		{"/users/dana", http.MethodPatch, `{"role":"viewer"}`},
		{"/users/dana", http.MethodDelete, ""},
	} {
		object := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(call.path, "/rotate"), "/revoke"), "/move")
		before := g.tag(t, http.MethodGet, object, "", "")
		if before == "" {
			t.Fatalf("%s has no ETag", object)
		}
		for _, stale := range []string{`"1000000"`, `W/` + before, strings.Trim(before, `"`), binding.ETag} {
			if status := g.status(t, call.method, call.path, call.body, stale); status != http.StatusPreconditionFailed {
				t.Errorf("%s %s with If-Match %s answers %d", call.method, call.path, stale, status)
			}
		}
		if after := g.tag(t, http.MethodGet, object, "", ""); after != before {
			t.Errorf("%s was changed all the same", object)
		}
		if status := g.status(t, call.method, call.path, call.body, `"77", `+before); status >= 300 {
			t.Errorf("%s %s with the tag of now answers %d", call.method, call.path, status)
		}
	}
	refusedWith(t, g.If(moved.ETag).DeleteUpstream(t.Context(), "nowhere"), api.CodeNotFound, 404)
}

// tag calls an operation with If-Match and gives the ETag of the answer.
func (g *gateway) tag(t testing.TB, method, path, body, ifMatch string) string {
	t.Helper()
	header := http.Header{}
	if ifMatch != "" {
		header.Set("If-Match", ifMatch)
	}
	return g.sent(t, method, path, body, header).Header.Get("ETag")
}

func (g *gateway) status(t testing.TB, method, path, body, ifMatch string) int {
	t.Helper()
	return g.sent(t, method, path, body, http.Header{"If-Match": {ifMatch}}).StatusCode
}
