package admin_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// beside are bindings, and the owner and models of one key, beside what is
// stored.
type beside struct {
	bindings []accounts.Binding
	key      string // name
	owner    accounts.Identity
	models   []string
	disabled bool
	failing  error
	off      string // name of credentials that are disabled
}

func (p *beside) disable(upstreams []accounts.Upstream) {
	for i := range upstreams {
		for j := range upstreams[i].Credentials {
			if c := &upstreams[i].Credentials[j]; c.Name == p.off {
				c.Enabled = false
			}
		}
	}
}

// alter makes a key what is said of it.
func (p *beside) alter(key accounts.Key) accounts.Key {
	if key.Name == p.key && p.key != "" {
		key.Models, key.Disabled = p.models, p.disabled
	}
	return key
}

func (s *onStore) Identify(ctx context.Context, hash accounts.KeyHash) (*accounts.Identity, error) {
	found, err := s.Store.Identify(ctx, hash)
	if s.beside.failing != nil {
		return nil, s.beside.failing
	}
	if err != nil || found.KeyName != s.beside.key {
		return found, err
	}
	owned := *found
	owned.UserID, owned.UserName, owned.UserTags, owned.UserDisabled = s.beside.owner.UserID, s.beside.owner.UserName, s.beside.owner.UserTags, s.beside.owner.UserDisabled
	return &owned, nil
}

// explainingPeople is explaining, with ci-bot of dana's, who is in a team.
func explainingPeople(t *testing.T) *gateway {
	t.Helper()
	g := explaining(t)
	g.store.beside = beside{key: "ci-bot", owner: accounts.Identity{UserID: "user_dana", UserName: "dana", UserTags: map[string]string{"team": "core", "plan": "paid"}}}
	return g
}

// bind binds a key (by name), a user's ID, or a tag's value to an upstream.
func (g *gateway) bind(t *testing.T, b accounts.Binding, upstream, credential string) {
	t.Helper()
	if b.KeyID != "" {
		key, err := g.store.Key(t.Context(), b.KeyID)
		must(t, err)
		b.KeyID = key.ID
	}
	config, err := g.store.Load(t.Context())
	must(t, err)
	for _, u := range config.Upstreams {
		if u.Name != upstream {
			continue
		}
		b.UpstreamID = u.ID
		for _, c := range u.Credentials {
			if c.Name == credential {
				b.CredentialID = c.ID
			}
		}
	}
	g.store.beside.bindings = append(g.store.beside.bindings, b)
}

func TestExplainTellsWhatBindingsDecide(t *testing.T) {
	for _, c := range []struct {
		name    string
		bind    func(t *testing.T, g *gateway)
		request api.ExplainRequest
		rule    string
		binding *api.ExplainedBinding
		first   string
		message string
	}{
		{"no rule, and a key's binding", func(t *testing.T, g *gateway) {
			g.bind(t, accounts.Binding{ID: "bind_1", KeyID: "ci-bot", Order: 10}, "groq-a", "")
		}, api.ExplainRequest{Model: text("new"), Key: "ci-bot"}, "", &api.ExplainedBinding{ID: "bind_1", Of: "key ci-bot", Order: 10}, "groq-a", ""},
		{"a user's binding", func(t *testing.T, g *gateway) {
			g.bind(t, accounts.Binding{ID: "bind_1", UserID: "user_dana", Order: 10}, "groq-a", "")
		}, api.ExplainRequest{Model: text("new"), Key: "ci-bot"}, "", &api.ExplainedBinding{ID: "bind_1", Of: "user dana", Order: 10}, "groq-a", ""},
		{"a binding of the owner's tag", func(t *testing.T, g *gateway) {
			g.bind(t, accounts.Binding{ID: "bind_1", Tag: "plan", TagValue: "paid"}, "groq-b", "")
			g.bind(t, accounts.Binding{ID: "bind_2", Tag: "team", TagValue: "core"}, "groq-a", "")
		}, api.ExplainRequest{Model: text("new"), Key: "ci-bot"}, "", &api.ExplainedBinding{ID: "bind_2", Of: "tag team=core"}, "groq-a", ""},
		{"a tag that is asked for", func(t *testing.T, g *gateway) {
			g.bind(t, accounts.Binding{ID: "bind_1", Tag: "plan", TagValue: "paid"}, "groq-b", "")
		}, api.ExplainRequest{Model: text("new"), Tags: map[string]string{"plan": "paid"}}, "", &api.ExplainedBinding{ID: "bind_1", Of: "tag plan=paid"}, "groq-b", ""},
		{"the rule leaves the destination open", func(t *testing.T, g *gateway) {
			g.bind(t, accounts.Binding{ID: "bind_1", KeyID: "ci-bot"}, "groq-a", "")
		}, api.ExplainRequest{Model: text("open"), Key: "ci-bot"}, "open", &api.ExplainedBinding{ID: "bind_1", Of: "key ci-bot"}, "groq-a", ""},
		{"the rule names the upstream", func(t *testing.T, g *gateway) {
			g.bind(t, accounts.Binding{ID: "bind_1", KeyID: "ci-bot"}, "groq-a", "")
		}, api.ExplainRequest{Model: text("bare"), Key: "ci-bot"}, "bare", nil, "bare", `rule "bare" sends to upstream "bare", which has no credential. Admin: llmgw upstreams credential set bare`},
		{"another user is asked about", func(t *testing.T, g *gateway) {
			g.bind(t, accounts.Binding{ID: "bind_1", UserID: "user_dana"}, "groq-a", "")
		}, api.ExplainRequest{Model: text("new"), Key: "ci-bot", User: "erin"}, "", nil, "", "no rule takes model \"new\" on /v1/chat/completions. Models you can use: GET /v1/models"},
		{"the bound upstream has no credential", func(t *testing.T, g *gateway) {
			g.bind(t, accounts.Binding{ID: "bind_1", KeyID: "ci-bot"}, "bare", "")
		}, api.ExplainRequest{Model: text("new"), Key: "ci-bot"}, "", &api.ExplainedBinding{ID: "bind_1", Of: "key ci-bot"}, "bare", `your key is bound to upstream "bare", which has no credential. Admin: llmgw upstreams credential set bare`},
		{"the first has no credential, and the next is taken", func(t *testing.T, g *gateway) {
			g.bind(t, accounts.Binding{ID: "bind_1", KeyID: "ci-bot"}, "bare", "")
			g.bind(t, accounts.Binding{ID: "bind_2", UserID: "user_dana"}, "groq-b", "")
		}, api.ExplainRequest{Model: text("new"), Key: "ci-bot"}, "", &api.ExplainedBinding{ID: "bind_2", Of: "user dana"}, "groq-b", ""},
		{"the bound upstream speaks another format", func(t *testing.T, g *gateway) {
			g.bind(t, accounts.Binding{ID: "bind_1", KeyID: "ci-bot"}, "google", "")
		}, api.ExplainRequest{Model: text("new"), Key: "ci-bot"}, "", &api.ExplainedBinding{ID: "bind_1", Of: "key ci-bot"}, "google", `upstream "google" does not speak the Chat Completions API (/v1/chat/completions); route this model to one that does`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := explainingPeople(t)
			c.bind(t, g)
			c.request.Path = "/v1/chat/completions"
			answer := g.explain(t, c.request)
			if diff := cmp.Diff(c.binding, answer.Binding); diff != "" || answer.Rule != c.rule {
				t.Errorf("rule %q, binding (-want +got):\n%s", answer.Rule, diff)
			}
			if answer.Message != c.message || (answer.Outcome == "forward") != (c.message == "") {
				t.Errorf("%s: %s", answer.Outcome, answer.Message)
			}
			if got := len(answer.Candidates) > 0; got != (c.first != "") || got && answer.Candidates[0].Upstream != c.first {
				t.Errorf("candidates %+v, wants %s first", answer.Candidates, c.first)
			}
			if len(answer.Rules) == 0 {
				t.Error("no rule is explained")
			}
		})
	}
}

func TestExplainTellsTheCredentialThatACallerIsBoundTo(t *testing.T) {
	g := explainingPeople(t)
	g.env["BATCH"] = "gsk_0123456789bAtc"
	_, err := g.SetCredential(t.Context(), "groq-a", api.NewCredential{Name: "batch", Reference: "env:BATCH"})
	must(t, err)
	g.bind(t, accounts.Binding{ID: "bind_1", UserID: "user_dana"}, "groq-a", "batch")
	request := api.ExplainRequest{Path: "/v1/chat/completions", Model: text("gpt-5"), Key: "ci-bot"}
	credential := func(name string) string {
		for _, c := range g.explain(t, request).Candidates {
			if c.Upstream == name {
				return c.Credential + c.Problem
			}
		}
		t.Fatalf("%s is no candidate", name)
		return ""
	}
	if got := credential("groq-a"); got != "batch …bAtc" {
		t.Errorf("the rule's upstream is called with %q", got)
	}
	if got := credential("groq-b"); got != "default …x4Qd" {
		t.Errorf("another upstream is called with %q", got)
	}
	g.store.beside.off = "batch"
	if got := credential("groq-a"); got != `the caller is bound to its credential "batch", which is disabled` {
		t.Errorf("a bound credential that is disabled: %q", got)
	}
	g.store.beside.off = ""
	delete(g.env, "BATCH")
	if got := credential("groq-a"); got != "reading credential env:BATCH: it is not set" {
		t.Errorf("a bound credential that cannot be read: %q", got)
	}
}

func TestExplainAsksTheAllowList(t *testing.T) {
	g := explainingPeople(t)
	g.store.beside.models = []string{"gpt-5*", "!gpt-5-pro"}
	answer := g.explain(t, api.ExplainRequest{Path: "/v1/chat/completions", Model: text("gpt-5-pro"), Key: "ci-bot"})
	want := api.Explanation{
		Method: "POST", Path: "/v1/chat/completions", Wire: "openai-chat", Model: "gpt-5-pro", Key: "ci-bot", User: "dana",
		Allowed: []string{"gpt-5*", "!gpt-5-pro"}, Revision: answer.Revision, Rules: []api.ExplainedRule{},
		Outcome: "refuse", Status: http.StatusBadRequest, Code: "model_not_allowed", Message: `key "ci-bot" may not use "gpt-5-pro"; it may use gpt-5* but gpt-5-pro`,
	}
	if diff := cmp.Diff(want, answer); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if answer = g.explain(t, api.ExplainRequest{Path: "/v1/chat/completions", Model: text("gpt-5"), Key: "ci-bot"}); answer.Outcome != "forward" || len(answer.Allowed) != 2 {
		t.Errorf("%s: %s, allowed %q", answer.Outcome, answer.Message, answer.Allowed)
	}
}

func TestExplainTellsOfDisabledCallers(t *testing.T) {
	g := explainingPeople(t)
	ask := func() api.Explanation {
		return g.explain(t, api.ExplainRequest{Path: "/v1/chat/completions", Model: text("gpt-5"), Key: "ci-bot"})
	}
	g.store.beside.owner.UserDisabled = true
	if answer := ask(); answer.Status != http.StatusUnauthorized || answer.Code != "disabled_api_key" || answer.Message != `API key "ci-bot" belongs to a user who is disabled` {
		t.Errorf("%+v", answer)
	}
	g.store.beside.disabled = true
	if answer := ask(); answer.Message != `API key "ci-bot" is disabled` {
		t.Errorf("%+v", answer)
	}
}

func TestAKeyWhoseOwnerNobodyCanTellIsExplainedWithoutOrNotAtAll(t *testing.T) {
	g := explainingPeople(t)
	request := api.ExplainRequest{Path: "/v1/chat/completions", Model: text("gpt-5"), Key: "ci-bot"}
	g.store.beside.failing = accounts.ErrNotFound
	if answer := g.explain(t, request); answer.User != "" || answer.Rule != "trial" {
		t.Errorf("%+v", answer)
	}
	g.store.beside.failing = accounts.ErrUnavailable
	_, err := g.Explain(t.Context(), request)
	if problem := (*api.Error)(nil); !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable {
		t.Errorf("%v", err)
	}
}
