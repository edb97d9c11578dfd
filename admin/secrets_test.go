package admin_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func TestASecretForAWhileIsTheKeys(t *testing.T) {
	g := open(t)
	created, err := g.CreateKey(t.Context(), api.NewKey{Name: "ci-bot", Tags: map[string]string{"env": "ci"}})
	must(t, err)
	g.clock.Pass(time.Minute)
	added, err := g.AddSecret(t.Context(), "ci-bot", api.NewSecret{ExpiresAt: g.clock.Now().Add(time.Hour)})
	must(t, err)
	if added.ID != created.ID || added.State != "active" || !added.SecretExpiresAt.Equal(g.clock.Now().Add(time.Hour)) {
		t.Errorf("added is %+v", added)
	}
	if added.Last4 != created.Last4 {
		t.Error("the key is shown by the secret that will end, not by its own")
	}
	who, err := g.store.Identify(t.Context(), accounts.HashKey(added.Secret))
	must(t, err)
	if who.KeyName != "ci-bot" || who.Tags["env"] != "ci" || who.State(g.clock.Now()) != accounts.KeyActive {
		t.Errorf("whoever sends it is %+v", who)
	}
	if state := who.State(g.clock.Now().Add(61 * time.Minute)); state != accounts.KeyExpired {
		t.Errorf("an hour later it is %s", state)
	}
}

// state tells in which state a secret is now.
func (g *gateway) state(t *testing.T, secret string) string {
	t.Helper()
	who, err := g.store.Identify(t.Context(), accounts.HashKey(secret))
	if err != nil {
		return err.Error()
	}
	return who.State(g.clock.Now()).String()
}

func TestTheEndOfASecretCanBeMoved(t *testing.T) {
	g := open(t)
	own, err := g.CreateKey(t.Context(), api.NewKey{Name: "ci-bot"})
	must(t, err)
	added, err := g.AddSecret(t.Context(), "ci-bot", api.NewSecret{ExpiresAt: g.clock.Now().Add(time.Hour)})
	must(t, err)

	_, err = g.SetSecretEnd(t.Context(), "ci-bot", added.SecretID, g.clock.Now().Add(3*time.Hour))
	must(t, err)
	g.clock.Pass(2 * time.Hour)
	if state := g.state(t, added.Secret); state != "active" {
		t.Errorf("within the longer time it is %s", state)
	}
	_, err = g.SetSecretEnd(t.Context(), "ci-bot", added.SecretID, time.Time{})
	must(t, err)
	if state := g.state(t, added.Secret); state != "expired" {
		t.Errorf("after its end it is %s", state)
	}
	if state := g.state(t, own.Secret); state != "active" {
		t.Errorf("the key's own secret is %s", state)
	}

	hash := accounts.HashKey(own.Secret)
	for name, id := range map[string]string{"its own": hex.EncodeToString(hash[:]), "none": "ab", "empty": "-"} {
		t.Run(name, func(t *testing.T) {
			_, err := g.SetSecretEnd(t.Context(), "ci-bot", id, time.Time{})
			refusedWith(t, err, api.CodeNotFound, 404, `key "ci-bot" has no such secret`)
		})
	}
	_, err = g.SetSecretEnd(t.Context(), "nobody", "ab", time.Time{})
	refusedWith(t, err, api.CodeNotFound, 404, `no key "nobody"`)
	_, err = g.SetSecretEnd(t.Context(), "ci-bot", added.SecretID, g.clock.Now().Add(31*24*time.Hour))
	refusedWith(t, err, api.CodeInvalid, 422, "expires_at: is more than 30 days away")
}

func TestAKeyForProgramsIsMadeOnceAndAgainAfterItWasRevoked(t *testing.T) {
	g := open(t)
	hour := func() time.Time { return g.clock.Now().Add(time.Hour) }
	_, err := g.AddSecret(t.Context(), "run@laptop", api.NewSecret{ExpiresAt: hour()})
	refusedWith(t, err, api.CodeNotFound, 404, "no such key")

	first, err := g.AddSecret(t.Context(), "run@laptop", api.NewSecret{ExpiresAt: hour(), Make: true})
	must(t, err)
	second, err := g.AddSecret(t.Context(), "run@laptop", api.NewSecret{ExpiresAt: hour(), Make: true})
	must(t, err)
	if first.ID != second.ID || first.Secret == second.Secret {
		t.Errorf("two programs have %s and %s", first.ID, second.ID)
	}
	_, err = g.RevokeKey(t.Context(), "run@laptop", api.RevokeKey{})
	must(t, err)
	if got := []string{g.state(t, first.Secret), g.state(t, second.Secret)}; !cmp.Equal(got, []string{"revoked", "revoked"}) {
		t.Errorf("after the key was revoked its secrets are %v", got)
	}
	third, err := g.AddSecret(t.Context(), "run@laptop", api.NewSecret{ExpiresAt: hour(), Make: true})
	must(t, err)
	if state := g.state(t, third.Secret); third.ID != first.ID || state != "active" {
		t.Errorf("the key is %s, used again with a secret that is %s", third.ID, state)
	}
	if state := g.state(t, first.Secret); state == "active" {
		t.Error("a secret came back from being revoked")
	}
}

func TestSecretsThatEndedDoNotPileUp(t *testing.T) {
	g := open(t)
	for range 3 {
		_, err := g.AddSecret(t.Context(), "run@laptop", api.NewSecret{ExpiresAt: g.clock.Now().Add(time.Hour), Make: true})
		must(t, err)
		g.clock.Pass(26 * time.Hour)
	}
	stored, err := g.store.Key(t.Context(), "run@laptop")
	must(t, err)
	if len(stored.Secrets) != 1 {
		t.Errorf("there are %d secrets, want the last alone", len(stored.Secrets))
	}
}

func TestAKeyHasOnlySoManySecrets(t *testing.T) {
	g := open(t)
	_, err := g.CreateKey(t.Context(), api.NewKey{Name: "ci-bot"})
	must(t, err)
	ask := api.NewSecret{ExpiresAt: g.clock.Now().Add(time.Hour)}
	for range 255 {
		_, err := g.AddSecret(t.Context(), "ci-bot", ask)
		must(t, err)
	}
	_, err = g.AddSecret(t.Context(), "ci-bot", ask)
	refusedWith(t, err, api.CodeConflict, 409, `key "ci-bot" has 256 secrets, and more are not kept`)
}

func TestRefusedSecrets(t *testing.T) {
	g := open(t)
	end := g.clock.Now().Add(time.Hour)
	_, err := g.CreateKey(t.Context(), api.NewKey{Name: "old", ExpiresAt: &end})
	must(t, err)
	_, err = g.CreateKey(t.Context(), api.NewKey{Name: "gone"})
	must(t, err)
	_, err = g.RevokeKey(t.Context(), "gone", api.RevokeKey{})
	must(t, err)
	g.clock.Pass(2 * time.Hour)
	soon := g.clock.Now().Add(time.Hour)
	for _, c := range []struct {
		name, key string
		ask       api.NewSecret
		code      string
		status    int
		detail    string
	}{
		{"of no key", "nobody", api.NewSecret{ExpiresAt: soon}, api.CodeNotFound, 404, `no key "nobody"`},
		{"of a key that was revoked", "gone", api.NewSecret{ExpiresAt: soon}, api.CodeConflict, 409, `key "gone" is revoked`},
		{"of a key that expired", "old", api.NewSecret{ExpiresAt: soon}, api.CodeConflict, 409, `key "old" is expired`},
		{"without an end", "gone", api.NewSecret{}, api.CodeInvalid, 422, "expires_at: is in the past"},
		{"that lasts too long", "gone", api.NewSecret{ExpiresAt: soon.Add(30 * 24 * time.Hour)}, api.CodeInvalid, 422, "expires_at: is more than 30 days away"},
		{"of a key to be made with an operator's name", "new", api.NewSecret{ExpiresAt: soon, Make: true}, api.CodeInvalid, 422, "make: is for keys called MAKER@MACHINE only"},
		{"of a key to be made with a wild name", "run@lap top", api.NewSecret{ExpiresAt: soon, Make: true}, api.CodeInvalid, 422, "make: is for keys called MAKER@MACHINE only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := g.AddSecret(t.Context(), c.key, c.ask)
			refusedWith(t, err, c.code, c.status, c.detail)
		})
	}
	_, err = g.CreateKey(t.Context(), api.NewKey{Name: "run@laptop"})
	if refusal := refusedWith(t, err, api.CodeInvalid, 422); !strings.HasPrefix(refusal.Detail, "name: must match") {
		t.Errorf("an operator may choose the name of a made key: %s", refusal.Detail)
	}
}
