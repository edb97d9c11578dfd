package admin_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/llmgw/llmgw/admin/api"
)

// documented holds answers against the OpenAPI document.
type documented struct {
	compiler *jsonschema.Compiler
	ops      map[string]operation // by method and path
	seen     map[string]bool      // those that answered with success
}

const documentURL = "https://llmgw.test/openapi.json"

func document(t *testing.T, g *gateway) *documented {
	t.Helper()
	_, text := g.raw(t, http.MethodGet, "/openapi.json", "", "")
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	must(t, err)
	d := &documented{compiler: jsonschema.NewCompiler(), ops: map[string]operation{}, seen: map[string]bool{}}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	must(t, d.compiler.AddResource(documentURL, parsed))
	for _, op := range operations(t, g) {
		d.ops[op.method+" "+op.path] = op
	}
	return d
}

// holds says whether an answer of an operation is what the document says: its
// status, its type and its members.
func (d *documented) holds(t *testing.T, name string, response *http.Response, text string) {
	t.Helper()
	op, there := d.ops[name]
	if !there {
		t.Fatalf("the document has no %s", name)
	}
	responses, _ := op.document["responses"].(map[string]any)
	status := strconv.Itoa(response.StatusCode)
	contentType := "application/json"
	if _, said := responses[status]; !said {
		status, contentType = "default", "application/problem+json"
		if response.StatusCode < 400 {
			t.Errorf("%s answers %d, of which the document says nothing", name, response.StatusCode)
		}
	}
	if response.StatusCode < 300 {
		d.seen[name] = true
	}
	if response.StatusCode == http.StatusNoContent {
		if text != "" {
			t.Errorf("%s answers 204 with %s", name, text)
		}
		return
	}
	if got := response.Header.Get("Content-Type"); got != contentType {
		t.Errorf("%s answers %s as %s, want %s", name, status, got, contentType)
	}
	pointer := "#/paths/" + strings.ReplaceAll(op.path, "/", "~1") + "/" + strings.ToLower(op.method) +
		"/responses/" + status + "/content/" + strings.ReplaceAll(contentType, "/", "~1") + "/schema"
	schema, err := d.compiler.Compile(documentURL + strings.NewReplacer("{", "%7B", "}", "%7D").Replace(pointer))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	answer, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
	if err != nil {
		t.Fatalf("%s answers %s", name, text)
	}
	if err := schema.Validate(answer); err != nil {
		t.Errorf("%s answers %d %s\n%v", name, response.StatusCode, text, err)
	}
}

// TestEveryOperationAnswersAsTheDocumentSays makes every operation succeed once,
// in an order in which each finds what it needs, and be refused once.
func TestEveryOperationAnswersAsTheDocumentSays(t *testing.T) {
	g := openStore(t)
	d := document(t, g)
	later := g.clock.Now().AddDate(0, 0, 7).Format("2006-01-02T15:04:05Z")
	ids := strings.NewReplacer() // {x} in the paths below
	kept := []string{}
	call := func(method, path, target, body string) string {
		t.Helper()
		response, text := g.request(t, method, "/api/v1"+ids.Replace(target), ids.Replace(body), http.Header{"Content-Type": {"application/json"}})
		if response.StatusCode >= 300 {
			t.Errorf("%s %s answers %d %s", method, target, response.StatusCode, text)
		}
		d.holds(t, method+" /api/v1"+path, response, text)
		return text
	}
	keep := func(name, text, member string) {
		var object map[string]any
		must(t, json.Unmarshal([]byte(text), &object))
		value, _ := object[member].(string)
		kept = append(kept, "<"+name+">", value)
		ids = strings.NewReplacer(kept...)
	}

	call("GET", "/status", "/status", "")
	call("GET", "/nodes", "/nodes", "")
	call("GET", "/settings", "/settings", "")
	call("GET", "/me", "/me", "")
	call("POST", "/users", "/users", `{"name":"dana","email":"d@example.com","role":"admin","tags":{"a":"b"},"password":"`+rightPassword+`"}`)
	keep("refresh", call("POST", "/login", "/login", `{"user":"dana","password":"`+rightPassword+`"}`), "refresh_token")
	keep("refreshed", call("POST", "/refresh", "/refresh", `{"refresh_token":"<refresh>"}`), "refresh_token")
	call("GET", "/users", "/users?limit=1", "")
	call("GET", "/users/{name}", "/users/dana", "")
	call("PATCH", "/users/{name}", "/users/dana", `{"tags":{}}`)

	call("POST", "/keys", "/keys", `{"name":"bot","user":"dana","tags":{"a":"b"},"models":["gpt-*"],"limits":["5 requests/min"],"expires_at":"`+later+`"}`)
	call("GET", "/keys", "/keys", "")
	call("GET", "/keys/{name}", "/keys/bot", "")
	call("PATCH", "/keys/{name}", "/keys/bot", `{"enabled":true}`)
	call("POST", "/keys/{name}/rotate", "/keys/bot/rotate", `{"grace":"1h"}`)
	keep("secret", call("POST", "/keys/{name}/secrets", "/keys/bot/secrets", `{"expires_at":"`+later+`"}`), "secret_id")
	call("PUT", "/keys/{name}/secrets/{id}", "/keys/bot/secrets/<secret>", `{"expires_at":"`+later+`"}`)
	call("POST", "/chat-keys", "/chat-keys", "")

	call("POST", "/upstreams", "/upstreams", `{"name":"up","provider":"openai","url":"http://127.0.0.1:1","timeouts":{"total":"1s"},"credential":{"secret":"abcdefgh"}}`)
	call("GET", "/upstreams", "/upstreams", "")
	call("GET", "/upstreams/{name}", "/upstreams/up", "")
	call("PATCH", "/upstreams/{name}", "/upstreams/up", `{"max_idle":4}`)
	call("POST", "/upstreams/{name}/test", "/upstreams/up/test", "")
	call("POST", "/upstreams/{name}/disable", "/upstreams/up/disable", "")
	call("POST", "/upstreams/{name}/enable", "/upstreams/up/enable", "")
	call("POST", "/upstreams/{name}/drain", "/upstreams/up/drain", "")
	call("POST", "/upstreams/{name}/undrain", "/upstreams/up/undrain", "")
	call("POST", "/upstreams/{name}/test", "/upstreams/up/test", `{"chat":"m-1"}`)
	call("PUT", "/upstreams/{name}/credential", "/upstreams/up/credential", `{"name":"b","secret":"ijklmnop","weight":2}`)
	call("POST", "/upstreams/{name}/credential/rotate", "/upstreams/up/credential/rotate", `{"name":"b","secret":"qrstuvwx"}`)
	call("POST", "/upstreams/{name}/credentials/{id}/disable", "/upstreams/up/credentials/b/disable", "")
	call("POST", "/upstreams/{name}/credentials/{id}/enable", "/upstreams/up/credentials/b/enable", "")
	call("POST", "/upstreams/{name}/credentials/{id}/clear", "/upstreams/up/credentials/b/clear", "")

	keep("binding", call("POST", "/bindings", "/bindings", `{"key":"bot","upstream":"up","models":["a*"]}`), "id")
	call("GET", "/bindings", "/bindings", "")
	call("GET", "/bindings/{id}", "/bindings/<binding>", "")
	call("POST", "/bindings/{id}/move", "/bindings/<binding>/move", `{"order":3}`)

	call("POST", "/rules", "/rules", `{"yaml":"name: a\naction: {upstream: up}"}`)
	call("POST", "/rules", "/rules", `{"yaml":"name: b\nmatch: {model: [b]}\naction: {upstream: up}"}`)
	call("GET", "/rules", "/rules", "")
	call("GET", "/rules/{name}", "/rules/a", "")
	call("PUT", "/rules/{name}", "/rules/a", `{"yaml":"name: a\nmatch: {model: [a]}\naction: {upstream: up}"}`)
	call("POST", "/rules/{name}/disable", "/rules/a/disable", "")
	call("POST", "/rules/{name}/enable", "/rules/a/enable", "")
	call("POST", "/rules/{name}/move", "/rules/b/move", `{"before":"a"}`)
	call("POST", "/explain", "/explain", `{"path":"/v1/chat/completions","model":"a","key":"bot"}`)
	call("GET", "/export", "/export", "")
	call("POST", "/apply", "/apply", `{"files":[{"name":"r.yaml","content":"version: 1\nset: x\nrules: [{name: z, match: {model: [z]}, action: {upstream: up}}]\n"}]}`)
	all := `"files":[{"name":"all.yaml","content":"version: 1\nusers: [{name: lee}]\nkeys: [{name: low, user: lee}]\nbindings: [{key: low, upstream: up}]\n"}]`
	call("POST", "/diff", "/diff", `{`+all+`,"prune":true}`)
	call("POST", "/apply/all", "/apply/all", `{`+all+`}`)
	call("GET", "/export/all", "/export/all", "")
	history := call("GET", "/history", "/history", "")
	var list api.List[api.HistoryEntry]
	must(t, json.Unmarshal([]byte(history), &list))
	revision := strconv.FormatInt(list.Items[0].Revision, 10)
	call("GET", "/history/{revision}", "/history/"+revision, "")
	call("POST", "/rollback", "/rollback", `{"revision":`+revision+`,"dry_run":true}`)
	call("DELETE", "/rules/{name}", "/rules/b", "")

	g.node.fly("req_1", time.Second)
	call("GET", "/streams", "/streams", "")
	call("GET", "/traffic", "/traffic?window=5m&points=20&by=key&by=rule&names=3", "")
	call("POST", "/streams/{id}/cut", "/streams/req_1/cut", "")

	call("GET", "/audit", "/audit?limit=1000", "")
	call("GET", "/tokens", "/tokens", "")
	call("POST", "/logout", "/logout", `{"refresh_token":"<refreshed>"}`)
	call("PUT", "/users/{name}/password", "/users/dana/password", `{"password":"`+rightPassword+`2"}`)
	call("DELETE", "/bindings/{id}", "/bindings/<binding>", "")
	call("POST", "/keys/{name}/revoke", "/keys/bot/revoke", "")
	call("DELETE", "/keys/{name}", "/keys/bot", "")
	call("DELETE", "/users/{name}", "/users/dana", "")
	call("POST", "/upstreams", "/upstreams", `{"name":"spare","provider":"generic","url":"http://127.0.0.1:1"}`)
	call("DELETE", "/upstreams/{name}", "/upstreams/spare", "")

	elsewhere := map[string]bool{ // on a login, with a listener, or without an end, or answers with a file; their own tests have them
		"GET /api/v1/events": true, "POST /api/v1/backup": true,
		"GET /api/v1/secret": true, "POST /api/v1/secret/rotate": true, // of a whole node
		"POST /api/v1/tokens": true, "DELETE /api/v1/tokens/{name}": true, "POST /api/v1/admin-link": true,
	}
	for name, op := range d.ops {
		if !d.seen[name] && !elsewhere[name] {
			t.Errorf("nothing calls %s", name)
		}
		path := strings.NewReplacer("{name}", "nobodys", "{id}", "ab", "{revision}", "x").Replace(op.path)
		response, text := g.request(t, op.method, path+"?what=x", `{"what":1}`, http.Header{"Content-Type": {"application/json"}})
		if response.StatusCode < 400 {
			t.Errorf("%s takes what it does not know: %d %s", name, response.StatusCode, text)
			continue
		}
		d.holds(t, name, response, text)
	}
}
