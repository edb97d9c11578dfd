package admin_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

const testSecret = "sk-proj-CANARY-secret-x4Qd"

func TestAnUpstreamIsTestedTheWayItsProviderWantsIt(t *testing.T) {
	for _, c := range []struct {
		name, provider, auth, path string
		want                       string // of the request, as the upstream saw it
		url                        string // that is shown, behind the host
		answer                     string
		models                     int
	}{
		{"openai, with a base that has /v1", "openai", "", "/v1", "/v1/models Bearer " + testSecret, "/v1/models", `{"data":[{},{}]}`, 2},
		{"openai, with a base of more segments", "openai", "", "/openai/v1", "/openai/v1/models Bearer " + testSecret, "/openai/v1/models", `{"data":[]}`, 0},
		{"openai, with a base without a path", "openai", "", "", "/v1/models Bearer " + testSecret, "/v1/models", `{"data":[{}]}`, 1},
		{"anthropic", "anthropic", "", "", "/v1/models?limit=1000 x-api-key=" + testSecret + " version=2023-06-01", "/v1/models?limit=1000", `{"data":[{}]}`, 1},
		{"gemini", "gemini", "", "", "/v1beta/models?pageSize=1000 x-goog-api-key=" + testSecret, "/v1beta/models?pageSize=1000", `{"models":[{},{},{}]}`, 3},
		{"azure", "azure", "", "", "/openai/v1/models api-key=" + testSecret, "/openai/v1/models", `{"data":[{}]}`, 1},
		{"generic with a query parameter, which is not shown", "generic", "query:key", "/v1", "/v1/models?key=" + testSecret, "/v1/models", `no json`, 0},
		{"generic without a credential", "generic", "none", "/api", "/api/v1/models", "/api/v1/models", `{}`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := open(t)
			var saw string
			url := onLoopback(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				saw = r.URL.RequestURI()
				for _, h := range [][2]string{{"Authorization", ""}, {"X-Api-Key", "x-api-key="}, {"X-Goog-Api-Key", "x-goog-api-key="}, {"Api-Key", "api-key="}, {"Anthropic-Version", "version="}} {
					if v := r.Header.Get(h[0]); v != "" {
						saw += " " + h[1] + v
					}
				}
				_, _ = fmt.Fprint(w, c.answer)
			}))
			_, err := g.CreateUpstream(t.Context(), api.NewUpstream{
				Name: "up", Provider: c.provider, Auth: c.auth, URL: url + c.path, Credential: &api.NewCredential{Secret: testSecret}})
			must(t, err)
			test, err := g.TestUpstream(t.Context(), "up")
			must(t, err)
			if saw != c.want {
				t.Errorf("the upstream saw %q, want %q", saw, c.want)
			}
			if !test.OK || test.Status != 200 || test.Models != c.models || test.Method != "GET" || test.URL != url+c.url || test.Error != "" {
				t.Errorf("test is %+v", test)
			}
		})
	}
}

func TestAFailedTestSaysWhatToDo(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	nobody := "http://" + closed.Addr().String()
	must(t, closed.Close())
	status := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://"+r.Host+"/elsewhere")
			w.WriteHeader(code)
			_, _ = fmt.Fprint(w, `{"error":"`+r.Header.Get("Authorization")+`"}`)
		})
	}
	garbage := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = fmt.Fprintf(conn, "%s\r\n\r\n", r.Header.Get("Authorization"))
		_ = conn.Close()
	})
	secret := &api.NewCredential{Secret: testSecret}
	for _, c := range []struct {
		name     string
		upstream api.NewUpstream
		handler  http.Handler
		status   int
		want     string
	}{
		{"the credential is refused", api.NewUpstream{Provider: "openai", Credential: secret}, status(401), 401, `upstream "up" refused the credential (401); set another: llmgw upstreams credential set up`},
		{"the provider is down", api.NewUpstream{Provider: "openai", Credential: secret}, status(503), 503, `upstream "up" answered 503`},
		{"the path is wrong", api.NewUpstream{Provider: "openai", Credential: secret}, status(404), 404, "nothing at this path (404); check its URL"},
		{"a redirect is not followed", api.NewUpstream{Provider: "openai", Credential: secret}, status(302), 302, "answered 302, a redirect"},
		{"what answers is no HTTP server", api.NewUpstream{Provider: "openai", Credential: secret}, garbage, 0, `cannot reach upstream "up": it did not answer with HTTP`},
		{"nobody listens", api.NewUpstream{Provider: "openai", Credential: secret, URL: nobody}, nil, 0, `cannot reach upstream "up": connection refused`},
		{"the name does not resolve", api.NewUpstream{Provider: "openai", Credential: secret, URL: "http://nowhere.invalid"}, nil, 0, `name "nowhere.invalid" does not resolve`},
		{"there is no credential", api.NewUpstream{Provider: "openai"}, status(200), 0, `upstream "up" has no credential; set one: llmgw upstreams credential set up`},
		{"the credential cannot be read", api.NewUpstream{Provider: "openai", Credential: &api.NewCredential{Reference: "env:NOT_SET"}}, status(200), 0, "env:NOT_SET"},
		{"bedrock lists its models elsewhere", api.NewUpstream{Provider: "bedrock", Auth: "bearer", Credential: secret}, status(200), 0, "bedrock lists its models elsewhere"},
		{"bedrock is not tested this way", api.NewUpstream{Provider: "bedrock", Credential: secret}, status(200), 0, "llmgw chat"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := open(t)
			c.upstream.Name = "up"
			if c.upstream.URL == "" {
				c.upstream.URL = onLoopback(t, c.handler)
			}
			_, err := g.CreateUpstream(t.Context(), c.upstream)
			must(t, err)
			test, err := g.TestUpstream(t.Context(), "up")
			must(t, err)
			if test.OK || test.Status != c.status || !strings.Contains(test.Error, c.want) {
				t.Errorf("test is %+v, want %q", test, c.want)
			}
			if strings.Contains(fmt.Sprint(test), "CANARY") {
				t.Errorf("the test shows the credential: %+v", test)
			}
		})
	}
}

func TestAnUnknownCertificateIsNamed(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.StartTLS()
	t.Cleanup(server.Close)
	g := open(t)
	g.upstreamAt(t, "up", server.URL)
	test, err := g.TestUpstream(t.Context(), "up")
	must(t, err)
	if want := `cannot reach upstream "up": TLS: certificate is signed by an unknown authority`; test.Error != want {
		t.Errorf("test says %q, want %q", test.Error, want)
	}
	plain := onLoopback(t, http.NotFoundHandler())
	g.upstreamAt(t, "plain", "https"+strings.TrimPrefix(plain, "http"))
	test, err = g.TestUpstream(t.Context(), "plain")
	must(t, err)
	if !strings.Contains(test.Error, "it does not speak TLS") {
		t.Errorf("test of a server without TLS says %q", test.Error)
	}
}

func TestAGenericUpstreamNeedNotListModels(t *testing.T) {
	g := open(t)
	g.upstreamAt(t, "up", onLoopback(t, http.NotFoundHandler()))
	test, err := g.TestUpstream(t.Context(), "up")
	must(t, err)
	if !test.OK || test.Status != 404 {
		t.Errorf("test is %+v", test)
	}
}

func TestTestingAnUpstreamThatIsNot(t *testing.T) {
	g := open(t)
	_, err := g.TestUpstream(t.Context(), "nowhere")
	refusedWith(t, err, api.CodeNotFound, 404, `no upstream "nowhere"`)
}

func TestATestIsBoundedAndItsClientTaken(t *testing.T) {
	g := open(t)
	hang := make(chan struct{})
	url := onLoopback(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(hang) })
	g.upstreamAt(t, "up", url)
	transport := &http.Transport{DisableKeepAlives: true}
	g.restart(t, &http.Client{Transport: transport, Timeout: 100 * time.Millisecond})
	test, err := g.TestUpstream(t.Context(), "up")
	must(t, err)
	if test.OK || !strings.Contains(test.Error, `upstream "up" did not answer within`) || test.DurationMS < 90 {
		t.Errorf("test is %+v", test)
	}
}
