package rules_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

func TestReadTargetReadsTheModelOfARealtimeSession(t *testing.T) {
	long := strings.Repeat("m", 5000)
	for name, c := range map[string]struct {
		path, query, model string
		known              bool
		wire               accounts.Wire
	}{
		"the only parameter":              {"/v1/realtime", "model=gpt-realtime", "gpt-realtime", true, accounts.WireOpenAIRealtime},
		"behind a prefix, before a slash": {"/openai/v1/realtime/", "a=b&model=m&c", "m", true, accounts.WireOpenAIRealtime},
		"escaped":                         {"/v1/realtime", "mode%6C=my%2Fmodel+1", "my/model 1", true, accounts.WireOpenAIRealtime},
		"empty":                           {"/v1/realtime", "model=", "", true, accounts.WireOpenAIRealtime},
		"without a value":                 {"/v1/realtime", "model", "", false, accounts.WireOpenAIRealtime},
		"none":                            {"/v1/realtime", "models=a&Model=b", "", false, accounts.WireOpenAIRealtime},
		"no query":                        {"/v1/realtime", "", "", false, accounts.WireOpenAIRealtime},
		"no text":                         {"/v1/realtime", "model=%ff", "", false, accounts.WireOpenAIRealtime},
		"longer than a name":              {"/v1/realtime", "model=" + long, "", false, accounts.WireOpenAIRealtime},
		"twice":                           {"/v1/realtime", "model=a&model=a", "", false, accounts.WireOpenAIRealtime},
		"a part of the API without one":   {"/v1/realtime/client_secrets", "model=m", "", false, accounts.WireNone},
		"a path whose body names it":      {"/v1/chat/completions", "model=m", "", false, accounts.WireOpenAIChat},
		"a path that names it itself":     {"/v1beta/models/g:generateContent", "model=m", "g", true, accounts.WireGoogleGenerate},
	} {
		t.Run(name, func(t *testing.T) {
			got := rules.ReadTarget(c.path, c.query)
			if got.Model != c.model || got.HasModel != c.known || got.Wire != c.wire || got.Stream {
				t.Errorf("read %+v", got)
			}
		})
	}
}

func TestAQueryThatNamesTheModelTwiceIsRefused(t *testing.T) {
	for query, want := range map[string]error{
		"model=a&model=b": rules.ErrTwoModels, "model=a&x&mode%6c=": rules.ErrTwoModels, "model=a&model=b&model=c": rules.ErrTwoModels,
		"model=a&xmodel=b": nil, "model=a": nil, "": nil,
	} {
		_, err := rules.ReadTarget("/v1/realtime", query).ReadBody(nil, nil)
		if !errors.Is(err, want) {
			t.Errorf("%q: %v", query, err)
		}
		if want != nil && rules.RefuseBody(err).Code != rules.CodeTwoModels {
			t.Errorf("%q is refused as %+v", query, rules.RefuseBody(err))
		}
	}
}

// Only the bytes of the one value change, and what is read back is what was
// written.
func TestARewriteChangesOnlyTheModelInTheQuery(t *testing.T) {
	part := rapid.SampledFrom([]string{"", "a", "a=b", "a=%20+", "models=x", "=", ";model=y", "b=%zz"})
	rapid.Check(t, func(t *rapid.T) {
		before := strings.Join(rapid.SliceOfN(part, 0, 3).Draw(t, "before"), "&")
		after := strings.Join(rapid.SliceOfN(part, 0, 3).Draw(t, "after"), "&")
		name := rapid.SampledFrom([]string{"model", "mode%6c", "%6Dodel"}).Draw(t, "name")
		model := rapid.StringMatching(`[a-z][ -~]{0,20}é?`).Draw(t, "model")
		if before != "" {
			before += "&"
		}
		if after != "" {
			after = "&" + after
		}
		set := compile(t, "version: 1\nrules:\n- {name: one, action: {upstream: up, model: \"${header.x-model}\"}}\n", realtimeUpstream())
		query := before + name + "=old%2Fone" + after
		q := &rules.Request{Method: "GET", Path: "/v1/realtime", RawQuery: query, Header: map[string][]string{"X-Model": {model}}}
		read := rules.ReadTarget(q.Path, q.RawQuery)
		q.Wire, q.Model, q.HasModel = read.Wire, read.Model, read.HasModel
		var d rules.Decision
		set.Decide(q, &d)
		to, sent, inBody, err := d.Destination(q, d.Candidates[0], read)
		if err != nil || sent != model || inBody {
			t.Fatalf("%v, model %q, in body %v", err, sent, inBody)
		}
		if want := before + name + "=" + url.QueryEscape(model) + after; to.RawQuery != want {
			t.Fatalf("query %q, want %q", to.RawQuery, want)
		}
		if again := rules.ReadTarget(q.Path, to.RawQuery); again.Model != model {
			t.Fatalf("read back as %q", again.Model)
		}
	})
}

func realtimeUpstream() accounts.Upstream {
	return accounts.Upstream{ID: "1", Name: "up", Provider: accounts.ProviderOpenAI, URL: "https://up.example/v1", Enabled: true, Websocket: true}
}

func TestAWebSocketGoesWhereItIsAllowed(t *testing.T) {
	allowed := func(u *accounts.Upstream) { u.Websocket = true }
	upstreams := []accounts.Upstream{
		upstream("plain"), upstream("ws", allowed), upstream("claude", anthropic, allowed), upstream("off", off, allowed),
	}
	for _, c := range []struct {
		name, action string
		outcome      rules.Outcome
		want         string
		message      string
	}{
		{"one that takes them", "upstream: ws", rules.Forward, "ws", ""},
		{"the only peer that does", "upstreams: [{name: plain}, {name: ws}]", rules.Forward, "ws", ""},
		{"a fallback that does", "upstream: plain, fallback: [{name: off}, {name: ws}]", rules.Forward, "[ws]", ""},
		{"one that takes none", "upstream: plain", rules.NoWebsocket, "plain",
			`upstream "plain" does not take WebSockets. Admin: llmgw upstreams create NAME --websocket, and a rule that sends there`},
		{"none of several", "upstreams: [{name: off}, {name: claude}, {name: plain}]", rules.NoWebsocket, "plain",
			`upstream "plain" does not take WebSockets. Admin: llmgw upstreams create NAME --websocket, and a rule that sends there`},
		{"one that speaks another format", "upstreams: [{name: off}, {name: claude}]", rules.WrongWire, "claude",
			`upstream "claude" does not speak the Realtime API (/v1/realtime); route this model to one that does`},
		{"one that is off", "upstream: off", rules.UpstreamOff, "off", `rule "one" sends to upstream "off", which is disabled. Admin: llmgw upstreams enable off`},
		{"a target, of which nobody says that it does", `target: "https://t.example/x"`, rules.NoWebsocket, "t.example",
			`the rule's target does not take WebSockets; only an upstream made with --websocket does. Admin: llmgw upstreams create NAME --websocket`},
		{"a model that is rewritten and not there", "upstream: ws, model: m", rules.ModelUnreadable, "ws",
			`rule "one" changes the model, and this request does not show one`},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := one(t, "action: {"+c.action+"}", upstreams...)
			q := &rules.Request{Method: "GET", Path: "/v1/realtime", Wire: accounts.WireOpenAIRealtime, Websocket: true}
			d := decide(set, q)
			if got := candidates(d); d.Outcome != c.outcome || got != c.want {
				t.Errorf("outcome %d, candidates %q", d.Outcome, got)
			}
			if refusal, refused := set.Refusal(q, d); refused != (c.message != "") || refusal.Message != c.message {
				t.Errorf("refused %v: %+v", refused, refusal)
			}
			if q.Websocket = false; strings.Contains(c.action, "plain") {
				if d := decide(set, q); d.Outcome != rules.Forward {
					t.Errorf("the same without a WebSocket: outcome %d", d.Outcome)
				}
			}
		})
	}
}

func TestAsksForWebsocket(t *testing.T) {
	type header = map[string][]string
	for name, c := range map[string]struct {
		method string
		header header
		want   bool
	}{
		"as the RFC writes it":  {"GET", header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}, true},
		"in another case":       {"GET", header{"Upgrade": {"WebSocket"}, "Connection": {"keep-alive, uPGRADE"}}, true},
		"on lines of their own": {"GET", header{"Upgrade": {"h2c", " websocket "}, "Connection": {"keep-alive", "upgrade"}}, true},
		"another protocol":      {"GET", header{"Upgrade": {"h2c, websockets"}, "Connection": {"Upgrade"}}, false},
		"another connection":    {"GET", header{"Upgrade": {"websocket"}, "Connection": {"keep-alive"}}, false},
		"no connection":         {"GET", header{"Upgrade": {"websocket"}}, false},
		"a POST":                {"POST", header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}, false},
		"nothing":               {"GET", nil, false},
	} {
		if got := rules.AsksForWebsocket(c.method, c.header); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
