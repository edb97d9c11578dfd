package proxy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// unruled leaves every request to a tag's binding, marked by a rule that goes on.
func unruled(s *setup) {
	s.config.Files = []rules.File{{Set: "default", Rules: []rules.Rule{
		{Name: "mark", Continue: true, Action: rules.Action{Headers: rules.HeaderEdits{Set: map[string]string{"x-marked": "for ${upstream.name}"}}}},
	}}}
	s.config.Bindings = []accounts.Binding{{ID: "bind_1", Tag: "plan", TagValue: "trial", UpstreamID: "up_up"}}
}

func trial(i *accounts.Identity) { i.Tags = map[string]string{"plan": "trial"} }

func TestARequestThatNoRuleTakesGoesWhereItsCallerIsBound(t *testing.T) {
	marked := make(chan string, 1)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		marked <- r.Header.Get("X-Marked")
		w.Header().Set("Content-Type", "application/json")
		if _, err := w.Write([]byte(`{"ok":true}`)); err != nil {
			t.Error(err)
		}
	}))
	defer up.Close()
	g := newGateway(t, up.URL, unruled)
	body := `{"model":"new"}`
	if response, answer, err := g.do(g.post("/v1/chat/completions", body)); err != nil || response.StatusCode != http.StatusBadRequest || !strings.Contains(string(answer), "no_rule") {
		t.Errorf("a caller who is bound nowhere: %d %s, %v", response.StatusCode, answer, err)
	}
	g.key = g.keys.issue(t, "trial", trial)
	response, answer, err := g.do(g.post("/v1/chat/completions", body))
	if err != nil || response.StatusCode != http.StatusOK || string(answer) != `{"ok":true}` {
		t.Fatalf("%d %s, %v", response.StatusCode, answer, err)
	}
	if got := <-marked; got != "for up" {
		t.Errorf("it was marked %q", got)
	}
	if line := g.line(response); line["upstream"] != "up" || line["rule"] != "" && line["rule"] != nil || line["end_reason"] != "complete" {
		t.Errorf("line %v", line)
	}
}

func TestABoundUpstreamWithoutACredentialIsNamed(t *testing.T) {
	g := newGateway(t, "http://127.0.0.1:1", unruled, func(s *setup) { s.config.Upstreams[0].Credentials = nil })
	g.key = g.keys.issue(t, "trial", trial)
	response, answer, err := g.do(g.post("/v1/chat/completions", `{"model":"new"}`))
	want := `your key is bound to upstream \"up\", which has no credential. Admin: llmgw upstreams credential set up`
	if err != nil || response.StatusCode != http.StatusBadRequest || !strings.Contains(string(answer), want) {
		t.Errorf("%d %s, %v", response.StatusCode, answer, err)
	}
}
