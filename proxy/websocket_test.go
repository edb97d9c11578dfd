package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/rules"
)

func TestTheHandshakeArrivesWithTheUpstreamsCredential(t *testing.T) {
	up := newSocketUpstream(t, holdOpen())
	g := newGateway(t, up.url, allowed)
	for name, headers := range map[string][]string{
		"in a header":            {"Authorization: Bearer " + g.key, "Sec-WebSocket-Protocol: realtime, openai-beta.realtime-v1"},
		"among the subprotocols": {"Sec-WebSocket-Protocol: realtime, " + keyProtocol + g.key + ", openai-beta.realtime-v1"},
		"in both":                {"X-Api-Key: " + g.key, "Sec-WebSocket-Protocol: realtime," + keyProtocol + g.key + ",openai-beta.realtime-v1"},
		"on a line of its own":   {"Sec-WebSocket-Protocol: realtime, openai-beta.realtime-v1", "Sec-WebSocket-Protocol: " + keyProtocol + g.key},
		"beside somebody else's": {"Authorization: Bearer " + g.key, "Sec-WebSocket-Protocol: realtime, x" + g.key + ", openai-beta.realtime-v1"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(up.asked())
			s := g.handshake(realtime, "", headers...)
			if response := s.answered(t); response.StatusCode != 101 {
				t.Fatal(response.Status)
			}
			h := up.asked()[before].Header
			for name, want := range map[string]string{
				"Authorization": "Bearer " + credentialCanary, "Connection": "Upgrade", "Upgrade": "websocket",
				"Sec-Websocket-Protocol": "realtime, openai-beta.realtime-v1",
				"Sec-Websocket-Key":      "dGhlIHNhbXBsZSBub25jZQ==", "Sec-Websocket-Version": "13",
			} {
				if got := strings.Join(h[name], "|"); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestAHandshakeWithoutPermissionIsRefused(t *testing.T) {
	up := newSocketUpstream(t, holdOpen())
	g := newGateway(t, up.url)
	other := g.keys.issue(t, "another", nil)
	for name, c := range map[string]struct {
		path    string
		headers []string
		status  int
		code    string
	}{
		"the upstream takes none": {realtime, nil, 400, rules.CodeNoWebsocket},
		"no key":                  {realtime, []string{"X-A: b"}, 401, codeNoKey},
		"two keys": {realtime, []string{"Authorization: Bearer " + g.key, "Sec-WebSocket-Protocol: realtime, " + keyProtocol + other},
			400, codeTwoKeys},
		"two models": {realtime + "&%6dodel=other", nil, 400, rules.CodeTwoModels},
	} {
		t.Run(name, func(t *testing.T) {
			s := g.handshake(c.path, "", c.headers...)
			response := s.answered(t)
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != c.status || response.Header.Get("X-Llmgw-Error") != c.code || response.Header.Get("X-Should-Retry") != "false" {
				t.Errorf("%d %v %s", response.StatusCode, response.Header, body)
			}
			if c.code == rules.CodeNoWebsocket && !strings.Contains(string(body), `upstream \"up\" does not take WebSockets. Admin: llmgw upstreams create NAME --websocket`) {
				t.Errorf("says %s", body)
			}
		})
	}
	if len(up.asked()) > 0 {
		t.Error("the upstream was asked")
	}
}

func TestWhatIsNoHandshakeIsSentWithoutItsUpgrade(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool { say(c, answerText("text/plain", r.Header.Get("Upgrade"))); return true })
	g := newGateway(t, up.url, allowed)
	for name, change := range map[string]func(*http.Request){
		"h2c":                     func(r *http.Request) { r.Header.Set("Upgrade", "h2c"); r.Header.Set("Connection", "Upgrade") },
		"a connection that stays": func(r *http.Request) { r.Header.Set("Upgrade", "websocket") },
		"a POST": func(r *http.Request) {
			r.Method = "POST"
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("Connection", "Upgrade")
		},
		"with a body": func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("Connection", "Upgrade")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := g.post("/v1/anything", "")
			r.Method, r.Body, r.ContentLength = "GET", nil, 0
			change(r)
			if response, body, err := g.do(r); err != nil || response.StatusCode != 200 || len(body) > 0 {
				t.Errorf("%d %q %v", response.StatusCode, body, err)
			}
		})
	}
	t.Run("over HTTP/2", func(t *testing.T) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/anything", nil)
		r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
		r.Header = http.Header{"Authorization": {"Bearer " + g.key}, "Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
		w := httptest.NewRecorder()
		g.proxy.ServeHTTP(w, r)
		if w.Code != 200 || w.Body.Len() > 0 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestAnUpstreamThatRefusesAHandshakeIsHeard(t *testing.T) {
	const refusal = `{"error":{"message":"no such model","code":"model_not_found"}}`
	for name, c := range map[string]struct {
		answer string
		status int
		body   string
		code   string
	}{
		"in its own words":                  {"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nX-Own: yes\r\nContent-Length: 62\r\n\r\n" + refusal, 404, refusal, ""},
		"unless it is about our credential": {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 502, "", codeCredentialRefused},
		"unless it speaks something else":   {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nPRI", 502, "", codeUpstreamReset},
		"unless it is gone":                 {"", 502, "", codeUpstreamReset},
	} {
		t.Run(name, func(t *testing.T) {
			up := newSocketUpstream(t, func(conn net.Conn, _ *bufio.Reader, _ *http.Request) { say(conn, c.answer) })
			g := newGateway(t, up.url, allowed)
			response := g.handshake(realtime, "").answered(t)
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != c.status || response.Header.Get("X-Llmgw-Error") != c.code || c.body != "" && string(body) != c.body {
				t.Errorf("%v %s %v", response, body, err)
			}
			if line := g.line(response); line["status"] != float64(c.status) || line["error"] != c.code {
				t.Errorf("log %v", line)
			}
		})
	}
}

func TestARuleChangesTheModelOfASession(t *testing.T) {
	up := newSocketUpstream(t, holdOpen())
	g := newGateway(t, up.url, allowed, func(s *setup) {
		s.config.Files[0].Rules[0].Action.Model = "gpt-realtime-mini"
	})
	s := g.handshake("/v1/realtime?a=%20b&model=gpt%2Drealtime&c", "")
	if response := s.answered(t); response.StatusCode != 101 {
		t.Fatal(response.Status)
	}
	if got := up.asked()[0].RequestURI; got != "/v1/realtime?a=%20b&model=gpt-realtime-mini&c" {
		t.Errorf("sent %s", got)
	}
	if response := g.handshake("/v1/realtime?a=b", "").answered(t); response.StatusCode != 400 || response.Header.Get("X-Llmgw-Error") != codeModelUnreadable {
		t.Errorf("a model that is not there: %v", response)
	}
	_ = s.Close()
	if line := g.line(s.response); line["model"] != "gpt-realtime" || line["upstream_model"] != "gpt-realtime-mini" {
		t.Errorf("log %v", line)
	}
}
