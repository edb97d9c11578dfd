package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func TestAKeyIsShownOnceAndWorks(t *testing.T) {
	g := open(t)
	expires := g.clock.Now().Add(90 * 24 * time.Hour)
	created, err := g.CreateKey(t.Context(), api.NewKey{Name: "ci-bot", Tags: map[string]string{"env": "ci"}, ExpiresAt: &expires})
	must(t, err)
	if err := g.store.Issuer().Check(created.Secret); err != nil {
		t.Errorf("the secret is no key of this installation: %v", err)
	}
	stored, err := g.store.Key(t.Context(), "ci-bot")
	must(t, err)
	if len(stored.Secrets) != 1 || stored.Secrets[0].Hash != accounts.HashKey(created.Secret) {
		t.Error("what is stored is not the hash of the secret")
	}
	want := api.Key{
		ID: created.ID, Name: "ci-bot", Tags: map[string]string{"env": "ci"}, Enabled: true, State: "active",
		Last4: created.Secret[len(created.Secret)-4:], CreatedAt: g.clock.Now(), ExpiresAt: &expires, ETag: "1",
		Secrets: []api.KeySecret{{Last4: created.Secret[len(created.Secret)-4:], CreatedAt: g.clock.Now()}},
	}
	if diff := cmp.Diff(want, created.Key); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	shown, err := g.Key(t.Context(), "ci-bot")
	must(t, err)
	listed, err := g.Keys(t.Context())
	must(t, err)
	if diff := cmp.Diff([]api.Key{want, want}, append(listed, shown)); diff != "" {
		t.Errorf("listed and shown (-want +got):\n%s", diff)
	}
	g.clock.Pass(91 * 24 * time.Hour)
	if shown, err = g.Key(t.Context(), "ci-bot"); err != nil || shown.State != "expired" {
		t.Errorf("after its end the key is %s, %v", shown.State, err)
	}
}

func TestKeysAreListedByName(t *testing.T) {
	g := open(t)
	for _, name := range []string{"b", "c", "a"} {
		_, err := g.CreateKey(t.Context(), api.NewKey{Name: name})
		must(t, err)
	}
	keys, err := g.Keys(t.Context())
	must(t, err)
	var names []string
	for _, key := range keys {
		names = append(names, key.Name)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestRevokingEndsAKeyOnce(t *testing.T) {
	g := open(t)
	_, err := g.CreateKey(t.Context(), api.NewKey{Name: "ci-bot"})
	must(t, err)
	revoked, err := g.RevokeKey(t.Context(), "ci-bot", api.RevokeKey{})
	must(t, err)
	if revoked.State != "revoked" || revoked.RevokedAt == nil || !revoked.RevokedAt.Equal(g.clock.Now()) {
		t.Errorf("revoked key is %+v", revoked)
	}
	head, err := g.store.Head(t.Context())
	must(t, err)
	g.clock.Pass(time.Hour)
	again, err := g.RevokeKey(t.Context(), "ci-bot", api.RevokeKey{})
	must(t, err)
	if diff := cmp.Diff(revoked, again); diff != "" {
		t.Errorf("revoking twice changed the key:\n%s", diff)
	}
	if after, err := g.store.Head(t.Context()); err != nil || after.Seq != head.Seq {
		t.Errorf("revoking twice made change %d after %d, %v", after.Seq, head.Seq, err)
	}
}

func TestRefusedKeys(t *testing.T) {
	g := open(t)
	_, err := g.CreateKey(t.Context(), api.NewKey{Name: "taken"})
	must(t, err)
	past := g.clock.Now().Add(-time.Second)

	_, err = g.CreateKey(t.Context(), api.NewKey{Name: "taken"})
	refusedWith(t, err, api.CodeConflict, 409, `key "taken" already exists`)
	_, err = g.Key(t.Context(), "nobody")
	refusedWith(t, err, api.CodeNotFound, 404, `no key "nobody"`)
	_, err = g.RevokeKey(t.Context(), "nobody", api.RevokeKey{})
	refusedWith(t, err, api.CodeNotFound, 404, `no key "nobody"`)
	for _, name := range []string{"", ".", "..", "a/b", "sk-lgw-Secret", "%2e"} {
		_, err = g.Key(t.Context(), name)
		refusedWith(t, err, api.CodeNotFound, 404)
	}

	_, err = g.CreateKey(t.Context(), api.NewKey{
		Name: "Not A Name", ExpiresAt: &past,
		Tags: map[string]string{"one-use": "true", "Bad Name": "x", "long": strings.Repeat("x", 257), "lines": "a\nb"},
	})
	refusal := refusedWith(t, err, api.CodeInvalid, 422, "expires_at: is in the past (and 5 more)")
	var fields []string
	for _, p := range refusal.Problems {
		fields = append(fields, p.Field)
	}
	if diff := cmp.Diff([]string{"expires_at", "name", "tags", "tags.lines", "tags.long", "tags.one-use"}, fields); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	tags := map[string]string{}
	for c := 'a'; c <= 'z'; c++ {
		tags[string(c)], tags[string(c)+"2"] = "x", "y"
	}
	_, err = g.CreateKey(t.Context(), api.NewKey{Name: "many-tags", Tags: tags})
	refusedWith(t, err, api.CodeInvalid, 422, "tags: are more than 32")
}

func TestOneUseKeysDoNotPileUp(t *testing.T) {
	g := open(t)
	first, err := g.ChatKey(t.Context())
	must(t, err)
	if first.ExpiresAt == nil || !first.ExpiresAt.Equal(g.clock.Now().Add(10*time.Minute)) || first.Tags["one-use"] != "true" {
		t.Errorf("one-use key is %+v", first.Key)
	}
	if !accounts.ValidName(first.Name) || !strings.HasPrefix(first.Name, "chat-") {
		t.Errorf("one-use key is called %q", first.Name)
	}
	second, err := g.ChatKey(t.Context())
	must(t, err)
	if second.ID == first.ID || second.Name == first.Name {
		t.Error("a one-use key in force was given away again")
	}
	if keys, err := g.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("one-use keys are listed: %v, %v", keys, err)
	}

	g.clock.Pass(11 * time.Minute)
	third, err := g.ChatKey(t.Context())
	must(t, err)
	all, err := g.AllKeys(t.Context())
	must(t, err)
	if len(all) != 2 {
		t.Errorf("there are %d one-use keys, want the place of an ended one used again", len(all))
	}
	stored, err := g.store.Key(t.Context(), third.Name)
	must(t, err)
	if len(stored.Secrets) != 1 || stored.Secrets[0].Hash != accounts.HashKey(third.Secret) {
		t.Error("the new key has not just the new secret")
	}
	if third.State != "active" || !third.CreatedAt.Equal(g.clock.Now()) {
		t.Errorf("the new key is %+v", third.Key)
	}
}
