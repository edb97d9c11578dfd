package proxy

import (
	"net"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/rules"
)

func TestWhatTheMetricsCount(t *testing.T) {
	answer := `{"id":"1","object":"chat.completion","usage":{"prompt_tokens":3,"completion_tokens":4}}`
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		if strings.Contains(string(r.body), "stream") {
			say(c, streamHead, chunk(firstEvent), chunk("data: [DONE]\n\n"), "0\r\n\r\n")
			return true
		}
		say(c, answerText("application/json", answer))
		return true
	})
	g := newGateway(t, up.url, func(s *setup) { s.config.Upstreams[0].Models = []string{"known"} })
	for _, body := range []string{`{"model":"known"}`, `{"model":"made-up-by-a-caller"}`, `{"model":"known","stream":true}`} {
		if _, _, err := g.do(g.post("/v1/chat/completions", body)); err != nil {
			t.Fatal(err)
		}
	}
	for _, method := range []string{"ODD-METHOD", "POST"} {
		r := g.post("/v1/chat/completions", "{}")
		r.Header.Set("Authorization", "Bearer nobody")
		r.Method = method
		_, _, _ = g.do(r)
	}
	g.noneInFlight()

	text := g.metrics()
	for _, want := range []string{
		`llmgw_requests_total{code="200",method="POST",rule="everything",upstream="up"} 3`,
		`llmgw_requests_total{code="401",method="POST",rule="",upstream=""} 1`,
		`llmgw_requests_total{code="405",method="other",rule="",upstream=""} 1`,
		`llmgw_tokens_total{kind="input_tokens",model="known",upstream="up"} 3`,
		`llmgw_tokens_total{kind="output_tokens",model="other",upstream="up"} 4`,
		`llmgw_streams_ended_total{reason="complete",rule="everything",upstream="up"} 1`,
		`llmgw_first_token_seconds_count{upstream="up"} 1`,
		`llmgw_upstream_duration_seconds_count{phase="total",upstream="up"} 3`,
		`llmgw_upstream_duration_seconds_count{phase="header",upstream="up"} 3`,
		`llmgw_request_duration_seconds_count 5`,
		`llmgw_overhead_seconds_count 5`,
		`llmgw_auth_failures_total{reason="unknown"} 1`,
		`llmgw_errors_total{code="invalid_api_key"} 1`,
		`llmgw_upstream_up{upstream="up"} 1`,
		`llmgw_in_flight_requests 0`,
		`llmgw_in_flight_streams 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, "made-up") || strings.Contains(text, "ODD") {
		t.Error("a label is a caller's text")
	}
	if totals := g.proxy.Totals(); totals.Requests != 5 || totals.InputTokens != 6 || totals.OutputTokens != 8 {
		t.Errorf("totals %+v", totals)
	}
	if state := g.proxy.Upstreams(); len(state) != 1 || state[0].Requests != 3 || state[0].Errors != 0 || state[0].Problem != nil {
		t.Errorf("upstreams %+v", state)
	}
}

func TestAReloadKeepsConnectionsAndLetsGoOfUpstreams(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, answerText("text/plain", c.RemoteAddr().String()))
		return true
	})
	var config rules.Config
	g := newGateway(t, up.url, func(s *setup) { config = s.config })
	_, first, _ := g.do(g.post("/x", "{}"))
	config.Revision++
	config.Files[0].Rules[0].Action.Headers.Set = map[string]string{"x-a": "1"}
	if err := g.proxy.Reload(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	response, second, _ := g.do(g.post("/x", "{}"))
	if string(first) != string(second) {
		t.Error("a reload that changed no upstream gave up its connections")
	}
	if line := g.line(response); line["revision"] != 8.0 {
		t.Errorf("revision %v", line["revision"])
	}
	broken := config
	broken.Revision++
	broken.Files = []rules.File{{Set: "default", Rules: []rules.Rule{{Name: "bad", Action: rules.Action{Upstream: "nobody"}}}}}
	if err := g.proxy.Reload(t.Context(), broken); err == nil {
		t.Fatal("a broken set was taken")
	}
	response, _, _ = g.do(g.post("/x", "{}"))
	if line := g.line(response); line["revision"] != 8.0 {
		t.Errorf("after a broken reload: revision %v", line["revision"])
	}
	config.Upstreams, config.Files = nil, nil
	if err := g.proxy.Reload(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(g.metrics(), `llmgw_upstream_up{upstream="up"}`) {
		t.Error("an upstream that is gone is still up")
	}
}

func TestAnAnswerThatRefusesHasNoFirstToken(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool {
		say(c, "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"error\":{}}")
		return true
	})
	g := newGateway(t, up.url)
	response, _, err := g.do(g.post("/v1/chat/completions", chatRequest))
	if err != nil {
		t.Fatal(err)
	}
	line := g.line(response)
	if line["status"] != 429.0 || line["stream"] != true {
		t.Fatalf("it ended otherwise: %v", line)
	}
	if at, told := line["first_token_ms"]; told {
		t.Errorf("its first token is told, after %v ms", at)
	}
	if text := g.metrics(); strings.Contains(text, `llmgw_first_token_seconds_count{upstream="up"} 1`) {
		t.Error("it is among the times to the first token")
	}
}
