package admin_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

func TestPagesOfOtherSitesAreKeptOut(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	g.user(t, "dana", accounts.RoleViewer, rightPassword)
	token := login(t, base, "dana").Access
	host := strings.TrimPrefix(base, "http://")
	_, port, _ := strings.Cut(host, ":")
	for _, c := range []struct {
		name   string
		header http.Header
		status int
	}{
		{"a program", http.Header{}, 200},
		{"its own page", http.Header{"Origin": {base}, "Sec-Fetch-Site": {"same-origin"}}, 200},
		{"its own page behind what ends TLS", http.Header{"Origin": {"https://" + host}}, 200},
		{"an address that was typed", http.Header{"Sec-Fetch-Site": {"none"}}, 200},
		{"by the name localhost", http.Header{"Host": {"localhost:" + port}}, 200},
		{"by a name without a dot", http.Header{"Host": {"gw:" + port}}, 200},
		{"by an IPv6 address", http.Header{"Host": {"[::1]:" + port}}, 200},
		{"another site's page", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"another port's page", http.Header{"Origin": {"http://127.0.0.1:1"}}, 403},
		{"a page of no site", http.Header{"Origin": {"null"}}, 403},
		{"another site's page without an origin", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"a sister's page", http.Header{"Sec-Fetch-Site": {"same-site"}}, 403},
		{"a name that was made to lead here", http.Header{"Host": {"evil.example:" + port}}, 403},
		{"such a name, and its own page", http.Header{"Host": {"evil.example:" + port}, "Origin": {"http://evil.example:" + port}}, 403},
		{"a name that only looks like localhost", http.Header{"Host": {"localhost.evil.example"}}, 403},
		{"a name that looks like an address", http.Header{"Host": {"127.0.0.1.evil.example"}}, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := c.header.Clone()
			header.Set("Authorization", "Bearer "+token)
			status, text := request(t, "GET", base+"/api/v1/me", "", header)
			if status != c.status {
				t.Errorf("answer is %d %s, want %d", status, text, c.status)
			}
			response, _ := exchange(t, "GET", base+"/healthz", "", c.header)
			if response.StatusCode != 200 || response.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("health is answered with %d %v", response.StatusCode, response.Header)
			}
		})
	}
}

func TestAProxyInFrontMayUseItsOwnName(t *testing.T) {
	g := open(t)
	g.peer = func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") }
	g.open = true
	g.restart(t, nil)
	base := g.listen(t)
	status, text := request(t, "GET", base+"/api/v1/me", "", http.Header{"Host": {"llm.example.com"}})
	if status != 200 || !strings.Contains(text, `"via":"open"`) {
		t.Errorf("answer is %d %s", status, text)
	}
}

func TestWhereNobodyIsAsked(t *testing.T) {
	g := open(t)
	g.open = true
	g.restart(t, nil)
	base := g.listen(t)
	status, text := request(t, "POST", base+"/api/v1/keys", `{"name":"k"}`, nil)
	if status != 201 {
		t.Errorf("answer is %d %s", status, text)
	}
	for name, header := range map[string]http.Header{
		"another site's page": {"Origin": {"https://evil.example"}}, "a name that was made to lead here": {"Host": {"evil.example"}},
	} {
		if status, text := request(t, "POST", base+"/api/v1/keys", `{"name":"evil"}`, header); status != 403 {
			t.Errorf("%s makes a key: %d %s", name, status, text)
		}
	}
	g.upstreamAtBase(t, base)
}

// upstreamAtBase makes a change as nobody in particular, and looks for who is
// said to have made it.
func (g *gateway) upstreamAtBase(t *testing.T, base string) {
	t.Helper()
	status, text := request(t, "POST", base+"/api/v1/upstreams", `{"name":"up","provider":"generic","auth":"none","url":"http://127.0.0.1:1"}`, nil)
	last, err := g.store.LastConfigChange(t.Context())
	must(t, err)
	if status != 201 || last.Actor != "open" || last.From != "127.0.0.1" {
		t.Errorf("answer is %d %s, the change %+v", status, text, last)
	}
}
