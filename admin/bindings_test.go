package admin_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
)

// bound is a gateway with what bindings lead from and to.
func bound(t *testing.T) *gateway {
	t.Helper()
	g := openStore(t)
	for _, name := range []string{"eu", "us"} {
		_, err := g.CreateUpstream(t.Context(), api.NewUpstream{
			Name: name, Provider: "openai", Credential: &api.NewCredential{Name: "batch", Secret: "sk-proj-first-secret-AAAA"}})
		must(t, err)
	}
	g.createUser(t, api.NewUser{Name: "dana"})
	g.createKey(t, api.NewKey{Name: "bot", User: "dana"})
	return g
}

func TestBindingsAreMadeListedMovedAndDeleted(t *testing.T) {
	g := bound(t)
	var made []api.Binding
	for _, b := range []api.NewBinding{
		{Key: "bot", Upstream: "eu", Credential: "batch", Models: []string{"gpt-*"}},
		{User: "dana", Upstream: "us", Order: to(5), Weight: 3},
		{Tag: "team=core", Upstream: "eu"},
		{Tag: "team=", Upstream: "us", Order: to(0)},
	} {
		binding, err := g.CreateBinding(t.Context(), b)
		must(t, err)
		want := api.Binding{
			ID: binding.ID, Key: b.Key, User: b.User, Tag: b.Tag, Upstream: b.Upstream, Credential: b.Credential,
			Order: 100, Weight: max(b.Weight, 1), Models: b.Models, CreatedAt: g.clock.Now(), ETag: binding.ETag,
		}
		if b.Order != nil {
			want.Order = *b.Order
		}
		if diff := cmp.Diff(want, binding); diff != "" {
			t.Errorf("made (-want +got):\n%s", diff)
		}
		if shown, err := g.Binding(t.Context(), binding.ID); err != nil || !cmp.Equal(shown, binding) {
			t.Errorf("shown %+v, %v", shown, err)
		}
		made = append(made, binding)
	}
	first, err := g.MoveBinding(t.Context(), made[0].ID, api.MoveBinding{Order: 1})
	must(t, err)
	if first.Order != 1 || first.ETag == made[0].ETag {
		t.Errorf("moved %+v", first)
	}
	listed, err := g.Bindings(t.Context())
	must(t, err)
	if diff := cmp.Diff([]api.Binding{made[3], first, made[1], made[2]}, listed); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	for path, want := range map[string][]string{
		"?key=bot": {made[0].ID}, "?user=dana": {made[1].ID}, "?tag=team%3Dcore": {made[2].ID}, "?tag=team": {made[3].ID, made[2].ID},
		"?upstream=us": {made[3].ID, made[1].ID}, "?key=eu": nil, "?limit=1": {made[3].ID},
	} {
		var list api.List[api.Binding]
		g.read(t, "/bindings"+path, &list)
		var ids []string
		for _, b := range list.Items {
			ids = append(ids, b.ID)
		}
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	refusedWith(t, g.DeleteUpstream(t.Context(), "eu"), api.CodeInUse, 409, "key bot", "tag team=core")
	must(t, g.DeleteBinding(t.Context(), first.ID))
	refusedWith(t, g.DeleteBinding(t.Context(), first.ID), api.CodeNotFound, 404, "no binding "+first.ID)
	must(t, g.DeleteKey(t.Context(), "bot"))
	must(t, g.DeleteUser(t.Context(), "dana"))
	if left, err := g.Bindings(t.Context()); err != nil || len(left) != 2 {
		t.Errorf("bindings of a user who is deleted stay: %+v, %v", left, err)
	}
}

func TestBindingsThatCannotBe(t *testing.T) {
	g := bound(t)
	for name, c := range map[string]struct {
		binding api.NewBinding
		code    string
		status  int
		text    string
	}{
		"nobody's":                   {api.NewBinding{Upstream: "eu"}, api.CodeInvalid, 422, "give one of key, user and tag"},
		"of two":                     {api.NewBinding{Key: "bot", User: "dana", Upstream: "eu"}, api.CodeInvalid, 422, "give one of key, user and tag"},
		"of a tag without a value":   {api.NewBinding{Tag: "team", Upstream: "eu"}, api.CodeInvalid, 422, "tag: is not NAME=VALUE"},
		"to nowhere":                 {api.NewBinding{Key: "bot"}, api.CodeInvalid, 422, "upstream: is missing"},
		"of a key not there":         {api.NewBinding{Key: "lost", Upstream: "eu"}, api.CodeNotFound, 404, `no key "lost"`},
		"of a user not there":        {api.NewBinding{User: "lost", Upstream: "eu"}, api.CodeNotFound, 404, `no user "lost"`},
		"to an upstream not there":   {api.NewBinding{Key: "bot", Upstream: "lost"}, api.CodeNotFound, 404, `no upstream "lost"`},
		"to a credential not there":  {api.NewBinding{Key: "bot", Upstream: "eu", Credential: "lost"}, api.CodeNotFound, 404, `no credential "lost"`},
		"with a negative order":      {api.NewBinding{Key: "bot", Upstream: "eu", Order: to(-1)}, api.CodeInvalid, 422, "order: must be"},
		"with a negative weight":     {api.NewBinding{Key: "bot", Upstream: "eu", Weight: -1}, api.CodeInvalid, 422, "weight: must be"},
		"for a pattern that is none": {api.NewBinding{Key: "bot", Upstream: "eu", Models: []string{"[a]"}}, api.CodeInvalid, 422, "models[0]: is not a pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := g.CreateBinding(t.Context(), c.binding)
			refusedWith(t, err, c.code, c.status, c.text)
		})
	}
	_, err := g.MoveBinding(t.Context(), "binding_1", api.MoveBinding{Order: 1})
	refusedWith(t, err, api.CodeNotFound, 404, "no binding binding_1")
	_, err = g.MoveBinding(t.Context(), "sk-secret", api.MoveBinding{Order: -1})
	refusedWith(t, err, api.CodeInvalid, 422, "order: must be")
	_, err = g.Binding(t.Context(), "sk-secret")
	if f := refusedWith(t, err, api.CodeNotFound, 404); f.Detail != "no such binding" {
		t.Errorf("what is no ID is repeated: %s", f.Detail)
	}
}
