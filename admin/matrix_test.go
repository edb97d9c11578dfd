package admin_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// least is what an operation of the document says of who may call it.
func (o operation) least() string {
	who, _ := o.document["x-llmgw-role"].(string)
	return who
}

// exceptions are the operations that ask for less or more than their method
// does: to look is a viewer's, to change an operator's. A new operation that is
// neither stands here.
func exceptions() map[string]string {
	return map[string]string{
		"POST /api/v1/login":   "anybody",
		"POST /api/v1/refresh": "anybody",
		"POST /api/v1/logout":  "anybody",

		"POST /api/v1/admin-link": "socket",

		"GET /api/v1/me":                       "member",
		"GET /api/v1/keys":                     "member", // of their own
		"GET /api/v1/keys/{name}":              "member",
		"POST /api/v1/keys/{name}/rotate":      "member",
		"POST /api/v1/keys/{name}/secrets":     "member",
		"PUT /api/v1/keys/{name}/secrets/{id}": "member",
		"PUT /api/v1/users/{name}/password":    "member",
		"GET /api/v1/tokens":                   "member",
		"POST /api/v1/tokens":                  "member",
		"DELETE /api/v1/tokens/{name}":         "member",

		"POST /api/v1/explain": "viewer", // changes nothing
		"POST /api/v1/diff":    "viewer",

		"GET /api/v1/secret":         "admin",
		"POST /api/v1/backup":        "admin",
		"POST /api/v1/secret/rotate": "socket",
	}
}

func TestEveryOperationSaysWhoMayCallIt(t *testing.T) {
	g := open(t)
	excepted := exceptions()
	for _, op := range operations(t, g) {
		name := op.method + " " + op.path
		want := "operator"
		if op.method == "GET" {
			want = "viewer"
		}
		if other, ok := excepted[name]; ok {
			want = other
			delete(excepted, name)
		}
		if op.least() != want {
			t.Errorf("%s is for %q, and by its method for %q: if that is meant, it stands among the exceptions", name, op.least(), want)
		}
		security, ok := op.document["security"].([]any)
		if !ok || (len(security) == 0) != (op.least() == "anybody") {
			t.Errorf("%s is for %q and has the security %v", name, op.least(), op.document["security"])
		}
	}
	for name := range excepted {
		t.Errorf("%s is no operation any more", name)
	}
}

// mayCall says what the matrix is: which caller may call what is for whom.
func mayCall(least string, via string, role accounts.Role) bool {
	switch least {
	case "anybody":
		return true
	case "socket":
		return via == "socket"
	}
	rank := []accounts.Role{accounts.RoleMember, accounts.RoleViewer, accounts.RoleOperator, accounts.RoleAdmin}
	return slices.Index(rank, role) >= slices.Index(rank, accounts.Role(least)) && slices.Contains(rank, accounts.Role(least))
}

// TestEveryRoleOnEveryOperation sends a real request for every cell: each
// operation of the document, called by a stranger, by each role with a login and
// with a token, at the socket, and where nobody is asked.
func TestEveryRoleOnEveryOperation(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	type cell struct {
		via   string
		role  accounts.Role
		base  string
		token string
	}
	callers := map[string]cell{"a stranger": {base: base}}
	for role, token := range g.everybody(t, base) {
		callers[string(role)+" with a login"] = cell{"login", role, base, token}
		pat, err := as(t, base, token).CreateToken(t.Context(), api.NewToken{Name: "ci"})
		must(t, err)
		callers[string(role)+" with a token"] = cell{"token", role, base, pat.Secret}
	}
	roots, err := as(t, base, login(t, base, "admin").Access).CreateToken(t.Context(), api.NewToken{Name: "low", Role: "viewer"})
	must(t, err)
	callers["an admin with a viewer's token"] = cell{"token", accounts.RoleViewer, base, roots.Secret}
	g.open = true
	g.restart(t, nil)
	callers["anybody where nobody is asked"] = cell{"open", accounts.RoleAdmin, g.listen(t), ""}
	callers["whoever is at the socket"] = cell{"socket", accounts.RoleAdmin, "", ""}

	cells := 0
	for name, c := range callers {
		t.Run(name, func(t *testing.T) {
			for _, op := range operations(t, g) {
				path := strings.NewReplacer("{name}", "nobodys", "{id}", "ab", "{revision}", "1").Replace(op.path)
				if op.path == "/api/v1/events" {
					path += "?status=none" // which is refused: a stream has no end
				}
				status, text := g.called(t, c.base, c.token, op.method, path)
				refusal := api.Error{}
				_ = json.Unmarshal([]byte(text), &refusal) // what is no refusal has no detail
				role := status == http.StatusForbidden && (strings.Contains(refusal.Detail, "needs the role") || strings.Contains(refusal.Detail, "only the admin socket"))
				switch may := mayCall(op.least(), c.via, c.role); {
				case c.via == "" && !may:
					if status != http.StatusUnauthorized {
						t.Errorf("%s %s (%s) answers %d %s", op.method, op.path, op.least(), status, text)
					}
				case may && (refusal.Detail == "no login in the request" || strings.Contains(refusal.Detail, "this login is not valid") && op.least() != "anybody" || role && !ownOnly(op)):
					t.Errorf("%s %s (%s) is refused: %d %s", op.method, op.path, op.least(), status, text)
				case !may && !role:
					t.Errorf("%s %s (%s) answers %d %s", op.method, op.path, op.least(), status, text)
				}
				cells++
			}
		})
	}
	if want := len(callers) * 30; cells < want {
		t.Errorf("only %d cells", cells)
	}
	if keys, err := g.AllKeys(t.Context()); err != nil || slices.ContainsFunc(keys, func(k api.Key) bool { return !strings.HasPrefix(k.Name, "chat-") }) {
		t.Errorf("somebody made keys: %v, %v", keys, err)
	}
}

// ownOnly says whether an operation of members asks for more where the object is
// not their own.
func ownOnly(op operation) bool { return op.path == "/api/v1/users/{name}/password" }

// called sends an empty object to an operation: over TCP to base, or where that
// is empty to the socket.
func (g *gateway) called(t *testing.T, base, token, method, path string) (int, string) {
	t.Helper()
	body := ""
	if method != http.MethodGet && method != http.MethodDelete {
		body = "{}"
	}
	if base == "" {
		response, text := g.raw(t, method, path, "application/json", body)
		return response.StatusCode, text
	}
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return request(t, method, base+path, body, header)
}

func TestNothingBesideTheDocumentAnswersStrangers(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	answers := map[string]int{}
	for _, path := range []string{
		"/healthz", "/readyz", "/metrics", "/openapi.json", "/", "/setup", "/docs", "/debug/pprof/", "/api", "/api/", "/api/v1/", "/api/v2/status",
		"/api/v1/nothing", "/api/v1/status/", "/api/v1//status", "/api/v1/../v1/status", "/API/v1/status", "//api/v1/status", "/api%2fv1/status", "/api/v1/login",
	} {
		response, _ := exchange(t, "GET", base+path, "", nil)
		answers[path] = response.StatusCode
	}
	open := map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/openapi.json": 200}
	for path, status := range answers {
		if want, ok := open[path]; ok && status != want || !ok && status < 300 {
			t.Errorf("%s answers %d", path, status)
		}
	}
	if slices.Sorted(maps.Keys(open))[0] != "/healthz" || answers["/api/v1/nothing"] != 401 {
		t.Errorf("strangers find out what there is: %v", answers)
	}
	for _, method := range []string{"OPTIONS", "HEAD", "PATCH", "TRACE"} {
		for _, path := range []string{"/api/v1/status", "/api/v1/keys"} {
			if status, text := request(t, method, base+path, "", nil); status < 400 {
				t.Errorf("%s %s answers %d %s", method, path, status, text)
			}
		}
	}
}

func TestLittleIsReadOfAStranger(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	for path, c := range map[string]struct{ size, status int }{"/api/v1/keys": {1 << 20, 401}, "/api/v1/login": {65 << 10, 413}} {
		response, text := exchange(t, "POST", base+path, `{"name":"`+strings.Repeat("x", c.size)+`"}`, nil)
		if response.StatusCode != c.status || !response.Close {
			t.Errorf("%s answers a large body with %d %s", path, response.StatusCode, text)
		}
	}
	response, _ := exchange(t, "GET", base+"/api/v1/me", "", nil)
	if got := response.Header.Get("Www-Authenticate"); got != `Bearer realm="llmgw"` {
		t.Errorf("WWW-Authenticate is %q", got)
	}
}

func TestMembersSeeTheirOwnKeysOnly(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	tokens := g.everybody(t, base)
	mia, err := g.people.User(t.Context(), "member")
	must(t, err)
	for name, owner := range map[string]string{"own": mia.ID, "danas": "user_01ARZ3NDEKTSV4RRFFQ69G5FAV", "nobodys": ""} {
		_, err := g.CreateKey(t.Context(), api.NewKey{Name: name})
		must(t, err)
		g.giveKey(t, name, owner)
	}
	member := as(t, base, tokens[accounts.RoleMember])
	keys, err := member.Keys(t.Context())
	must(t, err)
	if len(keys) != 1 || keys[0].Name != "own" {
		t.Errorf("a member sees %+v", keys)
	}
	if all, err := as(t, base, tokens[accounts.RoleViewer]).Keys(t.Context()); err != nil || len(all) != 3 {
		t.Errorf("a viewer sees %d keys, %v", len(all), err)
	}
	later := g.clock.Now().Add(time.Hour)
	added, err := member.AddSecret(t.Context(), "own", api.NewSecret{ExpiresAt: later})
	must(t, err)
	_, err = member.SetSecretEnd(t.Context(), "own", added.SecretID, later)
	must(t, err)
	for _, name := range []string{"danas", "nobodys"} {
		_, err := member.Key(t.Context(), name)
		refusedWith(t, err, api.CodeNotFound, 404, fmt.Sprintf("no key %q", name))
		_, err = member.AddSecret(t.Context(), name, api.NewSecret{ExpiresAt: later})
		refusedWith(t, err, api.CodeNotFound, 404)
		_, err = member.SetSecretEnd(t.Context(), name, added.SecretID, later)
		refusedWith(t, err, api.CodeNotFound, 404)
		_, err = as(t, base, tokens[accounts.RoleViewer]).AddSecret(t.Context(), name, api.NewSecret{ExpiresAt: later})
		refusedWith(t, err, api.CodeDenied, 403, "is not viewer's own")
	}
	_, err = member.AddSecret(t.Context(), "run@laptop", api.NewSecret{ExpiresAt: later, Make: true})
	refusedWith(t, err, api.CodeDenied, 403, "needs the role operator")
	_, err = g.RevokeKey(t.Context(), "danas", api.RevokeKey{})
	must(t, err)
	_, err = member.AddSecret(t.Context(), "danas", api.NewSecret{ExpiresAt: later})
	refusedWith(t, err, api.CodeNotFound, 404, `no key "danas"`)
}
