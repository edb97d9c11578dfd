package proxy

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

func TestAKeyThatIsNotInForceIsRefusedForWhatItIs(t *testing.T) {
	for name, c := range map[string]struct {
		state  func(*accounts.Identity)
		code   string
		want   string
		metric string
	}{
		"the key is disabled":               {func(who *accounts.Identity) { who.Disabled = true }, rules.CodeDisabledKey, `API key \"bot\" is disabled`, "disabled"},
		"its user is disabled":              {func(who *accounts.Identity) { dana(who); who.UserDisabled = true }, rules.CodeDisabledKey, `API key \"bot\" belongs to a user who is disabled`, "disabled"},
		"it was revoked, and then disabled": {func(who *accounts.Identity) { revokedNow(who); who.Disabled = true }, rules.CodeRevokedKey, `API key \"bot\" was revoked`, "revoked"},
		"its streams were kept":             {func(who *accounts.Identity) { revokedNow(who); who.KeepStreams = true }, rules.CodeRevokedKey, `API key \"bot\" was revoked`, "revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, newWireUpstream(t, func(net.Conn, *sent) bool { t.Error("it was sent"); return false }).url)
			g.key = g.keys.issue(t, "bot", c.state)
			response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest))
			if response.StatusCode != 401 || response.Header.Get("X-Llmgw-Error") != c.code || response.Header.Get("X-Should-Retry") != "false" || !strings.Contains(string(body), c.want) {
				t.Errorf("%d %s", response.StatusCode, body)
			}
			g.line(response)
			if metric := `llmgw_auth_failures_total{reason="` + c.metric + `"} 1`; !strings.Contains(g.metrics(), metric) {
				t.Errorf("no %s", metric)
			}
		})
	}
}

func TestAModelBeyondTheAllowListOfAKeyIsRefusedBeforeTheRules(t *testing.T) {
	g := newGateway(t, newWireUpstream(t, behave("ok")).url)
	g.key = g.keys.issue(t, "bot", func(who *accounts.Identity) { who.Models = []string{"gpt-5*", "claude-sonnet-*"} })
	for body, want := range map[string]string{
		`{"model":"gpt-5-mini"}`:    "",
		`{"model":"claude-opus-5"}`: `key \"bot\" may not use \"claude-opus-5\"; it may use gpt-5*, claude-sonnet-*`,
		`{"messages":[]}`:           "does not show a model",
	} {
		response, answer, _ := g.do(g.post("/v1/chat/completions", body))
		switch {
		case want == "":
			if response.StatusCode != 200 {
				t.Errorf("%s: %d %s", body, response.StatusCode, answer)
			}
		case response.StatusCode != 400 || response.Header.Get("X-Llmgw-Error") != rules.CodeModelNotAllowed || !strings.Contains(string(answer), want):
			t.Errorf("%s: %d %s", body, response.StatusCode, answer)
		}
		if line := g.line(response); want != "" && (line["rule"] != "" || line["attempts"] != 0.0) {
			t.Errorf("%s: log %v", body, line)
		}
	}
}

func TestTheListOfModelsIsThatOfTheAllowList(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:1", func(s *setup) {
		s.config.Upstreams[0].Models = []string{"gpt-5", "gpt-5-mini", "gpt-4", "claude-sonnet-5"}
	})
	all := g.key
	limited := g.keys.issue(t, "bot", func(who *accounts.Identity) { who.Models = []string{"gpt-5*", "!*-mini"} })
	for key, want := range map[string]string{all: "claude-sonnet-5 gpt-4 gpt-5 gpt-5-mini", limited: "gpt-5"} {
		g.key = key
		r := g.post("/v1/models", "")
		r.Method = "GET"
		_, body, _ := g.do(r)
		var list struct{ Data []struct{ ID string } }
		if err := json.Unmarshal(body, &list); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		var names []string
		for _, m := range list.Data {
			names = append(names, m.ID)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	r := g.post("/v1/models/gpt-4", "")
	r.Method, g.key = "GET", limited
	r.Header.Set("Authorization", "Bearer "+limited)
	if status := g.statusOf(r); status != 404 {
		t.Errorf("a model that it may not use is told of: %d", status)
	}
}

func TestRulesAndBindingsKnowTheUserOfAKey(t *testing.T) {
	marked := make(chan string, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		marked <- r.Header.Get("X-Caller")
		return behave("ok")(c, r)
	})
	for name, bind := range map[string]func(*accounts.Binding, string){
		"by its key":         func(b *accounts.Binding, keyID string) { b.KeyID = keyID },
		"by its user":        func(b *accounts.Binding, _ string) { b.UserID = "user_1" },
		"by its user's tags": func(b *accounts.Binding, _ string) { b.Tag, b.TagValue = "team", "search" },
	} {
		t.Run(name, func(t *testing.T) {
			var config rules.Config
			g := newGateway(t, up.url, unruled, func(s *setup) {
				s.config.Files[0].Rules[0].Action.Headers.Set = map[string]string{"x-caller": "${key.name} of ${user.name} in ${tag.team}"}
				config = s.config
			})
			g.key = g.keys.issue(t, "bot", func(who *accounts.Identity) { dana(who); who.UserTags = map[string]string{"team": "search"} })
			b := accounts.Binding{ID: "bind_1", UpstreamID: "up_up"}
			bind(&b, g.keys.change(g.key, func(*accounts.Identity) {}))
			config.Bindings = []accounts.Binding{b}
			if err := g.proxy.Reload(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest))
			if response.StatusCode != 200 {
				t.Fatalf("%d %s", response.StatusCode, body)
			}
			if got := waitFor(t, marked); got != "bot of dana in search" {
				t.Errorf("marked %q", got)
			}
			if line := g.line(response); line["user"] != "dana" || line["upstream"] != "up" {
				t.Errorf("log %v", line)
			}
			if want := `llmgw_requests_total{code="200",method="POST",rule="",upstream="up"} 1`; !strings.Contains(g.metrics(), want) {
				t.Errorf("no %s", want)
			}
		})
	}
}
