package admin_test

import (
	"net/http"
	"testing"

	"github.com/llmgw/llmgw/accounts"
)

// Whoever may change upstreams could have the gateway's variables and files sent
// to one of their own; so a reference, and the address that it is sent to, are an
// admin's.
func TestReferencesToTheGatewaysOwnFilesAreAnAdmins(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	tokens := g.everybody(t, base)
	call := func(role accounts.Role, method, path, body string) (int, string) {
		t.Helper()
		return request(t, method, base+"/api/v1"+path, body, http.Header{"Authorization": {"Bearer " + tokens[role]}})
	}
	const made = `{"name":"up","provider":"generic","auth":"bearer","url":"http://127.0.0.1:9"`
	for _, c := range []struct {
		what, method, path, body string
		status                   int
	}{
		{"an upstream with a variable", "POST", "/upstreams", made + `,"credential":{"reference":"env:HOME"}}`, 403},
		{"an upstream with a secret", "POST", "/upstreams", made + `,"credential":{"secret":"sk-given-0123456789"}}`, 201},
		{"a variable in its place", "PUT", "/upstreams/up/credential", `{"reference":"env:HOME"}`, 403},
		{"another secret", "PUT", "/upstreams/up/credential", `{"secret":"sk-given-9876543210"}`, 200},
	} {
		if status, text := call(accounts.RoleOperator, c.method, c.path, c.body); status != c.status {
			t.Errorf("an operator gives %s: %d %s", c.what, status, text)
		}
	}
	if status, text := call(accounts.RoleAdmin, "PUT", "/upstreams/up/credential", `{"reference":"env:UP_KEY"}`); status != 200 {
		t.Fatalf("an admin gives a variable: %d %s", status, text)
	}
	if status, text := call(accounts.RoleOperator, "PATCH", "/upstreams/up", `{"url":"http://127.0.0.2:9"}`); status != 403 {
		t.Errorf("an operator sends it elsewhere: %d %s", status, text)
	}
	if status, text := call(accounts.RoleOperator, "PATCH", "/upstreams/up", `{"url":"http://127.0.0.1:9/v2"}`); status != 200 {
		t.Errorf("an operator changes the path: %d %s", status, text)
	}
}
