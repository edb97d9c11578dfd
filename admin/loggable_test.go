package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

func TestWhatIsPastedIntoAPathIsNotLogged(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	token := g.everybody(t, base)[accounts.RoleViewer]
	made := g.createKey(t, api.NewKey{Name: "ci-bot"})
	for _, canary := range []string{made.Secret, "sk-ant-api03-canary", "Canary-With_Capitals", "lgw_pat_canary", "gsk_canary", "AIzaCanary"} {
		g.raw(t, http.MethodGet, "/api/v1/keys/"+canary, "", "")
		g.called(t, base, token, http.MethodGet, "/api/v1/keys/"+canary+"/canary")
		g.called(t, base, "", http.MethodPost, "/"+canary)
		if log := g.log.String(); strings.Contains(log, canary) {
			t.Errorf("the log has %s", canary)
		}
	}
	g.raw(t, http.MethodGet, "/api/v1/keys/"+made.ID, "", "")
	g.raw(t, http.MethodGet, "/api/v1/keys/ci-bot", "", "")
	log := g.log.String()
	if !strings.Contains(log, `"path":"/api/v1/keys/`+made.ID+`"`) || !strings.Contains(log, `"path":"/api/v1/keys/ci-bot"`) ||
		!strings.Contains(log, `"path":"/api/v1/keys/…"`) {
		t.Errorf("the log has\n%s", log)
	}
}

func TestAMemberSendsNoLargeBodies(t *testing.T) {
	g := openStore(t)
	base := g.listen(t)
	tokens := g.everybody(t, base)
	large := `{"name":"` + strings.Repeat("a", 100<<10) + `"}`
	for role, want := range map[accounts.Role]int{accounts.RoleMember: 413, accounts.RoleViewer: 422} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/v1/tokens", strings.NewReader(large))
		must(t, err)
		request.Header.Set("Authorization", "Bearer "+tokens[role])
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		must(t, err)
		must(t, response.Body.Close())
		if response.StatusCode != want {
			t.Errorf("%s: %d", role, response.StatusCode)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
