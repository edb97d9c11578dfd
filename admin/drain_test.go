package admin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

// states lists upstreams as name:state.
func states(t *testing.T, g *gateway, query string) string {
	t.Helper()
	_, text := g.raw(t, "GET", "/api/v1/upstreams"+query, "", "")
	var list api.List[api.Upstream]
	must(t, json.Unmarshal([]byte(text), &list))
	var all []string
	for _, u := range list.Items {
		all = append(all, u.Name+":"+u.State)
	}
	return strings.Join(all, " ")
}

func TestAnUpstreamIsDrainedAndTakenBack(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "up", "http://127.0.0.1:1")
	g.upstreamAt(t, "other", "http://127.0.0.1:1")
	up, err := g.Upstream(t.Context(), "up")
	must(t, err)
	g.flying = func() map[string]int { return map[string]int{up.ID: 3} }
	g.restart(t, nil)

	drained, err := g.DrainUpstream(t.Context(), "up")
	must(t, err)
	if !drained.Enabled || !drained.Draining || drained.State != "draining" || drained.InFlight != 3 || drained.ETag == up.ETag {
		t.Errorf("drained is %+v", drained)
	}
	again, err := g.DrainUpstream(t.Context(), "up")
	must(t, err)
	if again.ETag != drained.ETag {
		t.Error("draining it again was a change")
	}
	for query, want := range map[string]string{
		"": "other:enabled up:draining", "?state=draining": "up:draining", "?state=enabled": "other:enabled", "?state=disabled": "",
	} {
		if got := states(t, g, query); got != want {
			t.Errorf("%q lists %q, want %q", query, got, want)
		}
	}
	back, err := g.UndrainUpstream(t.Context(), "up")
	must(t, err)
	if back.State != "enabled" || back.Draining {
		t.Errorf("taken back it is %+v", back)
	}
	_, err = g.DrainUpstream(t.Context(), "nowhere")
	refusedWith(t, err, api.CodeNotFound, 404, `no upstream "nowhere"`)
	_, err = g.If("old").DrainUpstream(t.Context(), "up")
	refusedWith(t, err, api.CodeConflict, 412)

	_, text := g.raw(t, "GET", "/api/v1/audit?action=upstream.*", "", "")
	if strings.Count(text, `"upstream.drain"`) != 1 || strings.Count(text, `"upstream.undrain"`) != 1 {
		t.Errorf("the audit is %s", text)
	}
}

func TestSwitchingAnUpstreamEndsItsDraining(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "up", "http://127.0.0.1:1")
	step := func(name string, do func() (api.Upstream, error), want string) {
		t.Helper()
		u, err := do()
		must(t, err)
		if u.State != want {
			t.Errorf("after %s it is %s, want %s", name, u.State, want)
		}
	}
	drain := func() (api.Upstream, error) { return g.DrainUpstream(t.Context(), "up") }
	undrain := func() (api.Upstream, error) { return g.UndrainUpstream(t.Context(), "up") }
	enable := func() (api.Upstream, error) { return g.EnableUpstream(t.Context(), "up") }
	disable := func() (api.Upstream, error) { return g.DisableUpstream(t.Context(), "up") }
	step("drain", drain, "draining")
	step("enable", enable, "enabled")
	step("drain", drain, "draining")
	step("disable", disable, "disabled")
	step("drain of a disabled one", drain, "disabled")
	step("undrain of a disabled one", undrain, "disabled")
	step("enable of one that was drained before", enable, "enabled")
}

func TestExplainTellsThatAnUpstreamIsDraining(t *testing.T) {
	g := explaining(t)
	_, err := g.DrainUpstream(t.Context(), "groq-b")
	must(t, err)
	answer := g.explain(t, api.ExplainRequest{Path: "/v1/chat/completions", Key: "ci-bot", Model: text("gpt-5-mini")})
	problems := map[string]string{}
	for _, c := range answer.Candidates {
		problems[c.Upstream] = c.Problem
	}
	if answer.Outcome != "forward" || problems["groq-b"] != "it is draining" {
		t.Errorf("explanation is %+v", answer)
	}
	_, err = g.DrainUpstream(t.Context(), "bare")
	must(t, err)
	answer = g.explain(t, api.ExplainRequest{Path: "/v1/chat/completions", Model: text("bare")})
	if answer.Code != "upstream_draining" || len(answer.Candidates) != 1 || answer.Candidates[0].Problem != "it is draining" {
		t.Errorf("explanation is %+v", answer)
	}
}
