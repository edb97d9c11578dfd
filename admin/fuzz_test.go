package admin_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// FuzzBodies sends any bytes to the operations that read most: the answer is a
// success or a refusal in our own shape, never the gateway's own failure.
func FuzzBodies(f *testing.F) {
	apply, err := json.Marshal(api.ApplyRequest{Files: []api.Source{{Name: "rules.yaml", Content: twoRules}}})
	must(f, err)
	f.Add(string(apply))
	f.Add(`{"name":"up","provider":"generic","url":"http://h","auth":"query:k","timeouts":{"total":"1s"},"credential":{"secret":"abc"}}`)
	f.Add(`{"name":"up","provider":"azure","url":"http://[::1]:x","credential":{"reference":"env:"}}`)
	f.Add(`{"name":"key","tags":{"a":"b"},"expires_at":"2030-01-01T00:00:00Z"}`)
	f.Add(`{"files":[{"name":"a","content":"version: 1\nset: x\nrules: [{name: a, match: {path: {regex: '('}}, action: {}}]"}]}`)
	f.Add(`{"path":"/v1/messages?a=b","headers":{"x":["y"]},"body":"e30=","model":"m","source":"::1","tags":{"a":"b"},"files":[{"name":"a","content":"version: 1\nrules: []"}]}`)
	f.Add(`{"yaml":"- name: a\n  action: {respond: {status: 400, message: no}}","set":"team","dry_run":true}`)
	f.Add(`{"revision":1,"if_revision":2}`)
	f.Add(`[null]`)
	g := open(f)
	g.upstreamAt(f, "openai", "http://127.0.0.1:1")
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"/keys", "/upstreams", "/apply", "/apply/all", "/diff", "/explain", "/rules", "/rollback"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1"+path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			g.server.API().ServeHTTP(w, r)
			if w.Code < 300 {
				continue
			}
			var refusal api.Error
			if err := json.Unmarshal(w.Body.Bytes(), &refusal); err != nil || w.Code >= 500 || refusal.Status != w.Code || refusal.Code == "" || refusal.Detail == "" {
				t.Fatalf("%s answers %d %s", path, w.Code, w.Body)
			}
		}
	})
}

// FuzzAuthorization sends any bytes as a login: without a secret of this
// installation nobody gets in, and nothing breaks.
func FuzzAuthorization(f *testing.F) {
	g := open(f)
	g.user(f, "dana", accounts.RoleAdmin, "")
	f.Add("Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJsbG1ndyJ9.AAAA")
	f.Add("Bearer eyJhbGciOiJub25lIn0.e30.")
	f.Add("Bearer lgw_pat_0000000000000000000000000000000000000000000-000000")
	f.Add("Bearer sk-lgw-0000000000000000000000000000000000000000000-000000")
	f.Add("Basic ZGFuYTpw")
	f.Fuzz(func(t *testing.T, text string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/api/v1/me", nil)
		r.Header["Authorization"] = []string{text}
		g.server.Public().ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Fatalf("%q is answered with %d %s", text, w.Code, w.Body)
		}
	})
}
