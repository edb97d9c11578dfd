package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/llmgw/llmgw/admin/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway answers every call with h, on a URL.
func gateway(t *testing.T, h http.HandlerFunc, options ...func(*api.Options)) *api.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	o := api.Options{BaseURL: server.URL + "/"}
	for _, option := range options {
		option(&o)
	}
	client := api.NewClient(o)
	t.Cleanup(client.Close)
	return client
}

func refusal(t *testing.T, err error) *api.Error {
	t.Helper()
	var e *api.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *api.Error", err)
	}
	return e
}

func TestEveryCallHasItsMethodPathAndBody(t *testing.T) {
	var saw string
	client := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body)
		saw = fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body)
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = fmt.Fprint(w, `{"items":[]}`)
	})
	ctx := t.Context()
	only := func(_ any, err error) error { return err }
	revision := int64(4)
	end := time.Date(2027, 2, 20, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		want string
		call func() error
	}{
		{"GET /api/v1/status ", func() error { return only(client.Status(ctx)) }},
		{"GET /api/v1/keys?limit=1000 ", func() error { return only(client.Keys(ctx)) }},
		{"GET /api/v1/keys?limit=1000&one_use=true ", func() error { return only(client.AllKeys(ctx)) }},
		{`POST /api/v1/login {"user":"dana","password":"p"}`, func() error { return only(client.Login(ctx, api.Login{User: "dana", Password: "p"})) }},
		{`POST /api/v1/refresh {"refresh_token":"r"}`, func() error { return only(client.Refresh(ctx, "r")) }},
		{`POST /api/v1/logout {"refresh_token":"r"}`, func() error { return client.Logout(ctx, "r") }},
		{"GET /api/v1/me ", func() error { return only(client.Me(ctx)) }},
		{`PUT /api/v1/users/dana/password {"password":"n","current":"o"}`, func() error {
			return client.SetPassword(ctx, "dana", api.SetPassword{Password: "n", Current: "o"})
		}},
		{`POST /api/v1/admin-link {"user":"dana"}`, func() error { return only(client.AdminLink(ctx, api.NewAdminLink{User: "dana"})) }},
		{"GET /api/v1/tokens ", func() error { return only(client.Tokens(ctx, "")) }},
		{"GET /api/v1/tokens?logins=true&user=dana ", func() error { return only(client.Logins(ctx, "dana")) }},
		{`POST /api/v1/tokens {"name":"ci","role":"viewer"}`, func() error { return only(client.CreateToken(ctx, api.NewToken{Name: "ci", Role: "viewer"})) }},
		{"DELETE /api/v1/tokens/ci ", func() error { return client.DeleteToken(ctx, "ci") }},
		{"GET /api/v1/keys/ci-bot ", func() error { return only(client.Key(ctx, "ci-bot")) }},
		{"GET /api/v1/keys/a%2Fb%3F ", func() error { return only(client.Key(ctx, "a/b?")) }},
		{"GET /api/v1/keys/%2E%2E ", func() error { return only(client.Key(ctx, "..")) }},
		{`POST /api/v1/keys {"name":"ci-bot"}`, func() error { return only(client.CreateKey(ctx, api.NewKey{Name: "ci-bot"})) }},
		{`POST /api/v1/keys/run@a/secrets {"expires_at":"2027-02-20T00:00:00Z","make":true}`, func() error {
			return only(client.AddSecret(ctx, "run@a", api.NewSecret{ExpiresAt: end, Make: true}))
		}},
		{`PUT /api/v1/keys/run@a/secrets/ab {"expires_at":"2027-02-20T00:00:00Z"}`, func() error {
			return only(client.SetSecretEnd(ctx, "run@a", "ab", end))
		}},
		{"POST /api/v1/chat-keys ", func() error { return only(client.ChatKey(ctx)) }},
		{`POST /api/v1/keys/ci-bot/revoke {"keep_streams":true}`, func() error {
			return only(client.RevokeKey(ctx, "ci-bot", api.RevokeKey{KeepStreams: true}))
		}},
		{`POST /api/v1/keys/ci-bot/rotate {"grace":"1h"}`, func() error {
			return only(client.RotateKey(ctx, "ci-bot", api.RotateKey{Grace: "1h"}))
		}},
		{`PATCH /api/v1/keys/ci-bot {"user":""}`, func() error { return only(client.EditKey(ctx, "ci-bot", api.EditKey{User: new(string)})) }},
		{"DELETE /api/v1/keys/ci-bot ", func() error { return client.DeleteKey(ctx, "ci-bot") }},
		{"GET /api/v1/users?limit=1000 ", func() error { return only(client.Users(ctx)) }},
		{"GET /api/v1/users/dana ", func() error { return only(client.User(ctx, "dana")) }},
		{`POST /api/v1/users {"name":"dana"}`, func() error { return only(client.CreateUser(ctx, api.NewUser{Name: "dana"})) }},
		{`PATCH /api/v1/users/dana {"email":""}`, func() error {
			return only(client.EditUser(ctx, "dana", api.EditUser{Email: new(string)}))
		}},
		{"DELETE /api/v1/users/dana ", func() error { return client.DeleteUser(ctx, "dana") }},
		{"GET /api/v1/bindings?limit=1000 ", func() error { return only(client.Bindings(ctx)) }},
		{"GET /api/v1/bindings/binding_1 ", func() error { return only(client.Binding(ctx, "binding_1")) }},
		{`POST /api/v1/bindings {"key":"a","upstream":"b"}`, func() error {
			return only(client.CreateBinding(ctx, api.NewBinding{Key: "a", Upstream: "b"}))
		}},
		{`POST /api/v1/bindings/binding_1/move {"order":5}`, func() error {
			return only(client.MoveBinding(ctx, "binding_1", api.MoveBinding{Order: 5}))
		}},
		{"DELETE /api/v1/bindings/binding_1 ", func() error { return client.DeleteBinding(ctx, "binding_1") }},
		{"GET /api/v1/audit ", func() error { return only(client.Audit(ctx, api.AuditQuery{})) }},
		{"GET /api/v1/audit?action=key.%2A&actor=dana&cursor=7&limit=5&name=a&since=2027-02-20T00%3A00%3A00Z&subject=key%3Ab ", func() error {
			return only(client.Audit(ctx, api.AuditQuery{Actor: "dana", Action: "key.*", Subject: "key:b", Name: "a", Since: end, Limit: 5, Cursor: "7"}))
		}},
		{"GET /api/v1/upstreams?limit=1000 ", func() error { return only(client.Upstreams(ctx)) }},
		{"GET /api/v1/upstreams/a ", func() error { return only(client.Upstream(ctx, "a")) }},
		{`POST /api/v1/upstreams {"name":"a","provider":"openai"}`, func() error {
			return only(client.CreateUpstream(ctx, api.NewUpstream{Name: "a", Provider: "openai"}))
		}},
		{"POST /api/v1/upstreams/a/test ", func() error { return only(client.TestUpstream(ctx, "a")) }},
		{"POST /api/v1/upstreams/a/enable ", func() error { return only(client.EnableUpstream(ctx, "a")) }},
		{"POST /api/v1/upstreams/a/disable ", func() error { return only(client.DisableUpstream(ctx, "a")) }},
		{"DELETE /api/v1/upstreams/a ", func() error { return client.DeleteUpstream(ctx, "a") }},
		{`PUT /api/v1/upstreams/a/credential {"reference":"env:K"}`, func() error {
			return only(client.SetCredential(ctx, "a", api.NewCredential{Reference: "env:K"}))
		}},
		{"GET /api/v1/nodes ", func() error { return only(client.Nodes(ctx)) }},
		{"GET /api/v1/rules ", func() error { return only(client.Rules(ctx)) }},
		{"GET /api/v1/rules/r ", func() error { return only(client.Rule(ctx, "r")) }},
		{"POST /api/v1/rules/r/enable ", func() error { return only(client.EnableRule(ctx, "r")) }},
		{"POST /api/v1/rules/r/disable ", func() error { return only(client.DisableRule(ctx, "r")) }},
		{"DELETE /api/v1/rules/r ", func() error { return client.DeleteRule(ctx, "r") }},
		{`POST /api/v1/apply {"files":[{"name":"f","content":"c"}],"if_revision":4}`, func() error {
			return only(client.ApplyRules(ctx, api.ApplyRequest{Files: []api.Source{{Name: "f", Content: "c"}}, IfRevision: &revision}))
		}},
		{`POST /api/v1/rules {"yaml":"name: a","before":"b"}`, func() error {
			return only(client.CreateRule(ctx, api.RuleText{YAML: "name: a", Before: "b"}))
		}},
		{`PUT /api/v1/rules/a {"yaml":"name: b","if_revision":4}`, func() error {
			return only(client.EditRule(ctx, "a", api.RuleText{YAML: "name: b", IfRevision: &revision}))
		}},
		{`POST /api/v1/rules/a/move {"after":"b"}`, func() error { return only(client.MoveRule(ctx, "a", api.MoveRule{After: "b"})) }},
		{`POST /api/v1/explain {"path":"/v1/messages","key":"ci-bot"}`, func() error {
			return only(client.Explain(ctx, api.ExplainRequest{Path: "/v1/messages", Key: "ci-bot"}))
		}},
		{"GET /api/v1/history ", func() error { return only(client.History(ctx, 0)) }},
		{"GET /api/v1/history?limit=5 ", func() error { return only(client.History(ctx, 5)) }},
		{"GET /api/v1/history/41 ", func() error { return only(client.Revision(ctx, 41)) }},
		{`POST /api/v1/rollback {"revision":41,"dry_run":true}`, func() error {
			return only(client.Rollback(ctx, api.RollbackRequest{Revision: 41, DryRun: true}))
		}},
		{"GET /api/v1/export ", func() error { return only(client.ExportRules(ctx, nil)) }},
		{`POST /api/v1/apply/all {"files":[{"name":"f","content":"c"}],"prune":true,"if_revision":4,"if_plan":"d"}`, func() error {
			return only(client.Apply(ctx, api.ApplyObjects{Files: []api.Source{{Name: "f", Content: "c"}}, Prune: true, IfRevision: &revision, IfPlan: "d"}))
		}},
		{`POST /api/v1/diff {"files":[{"name":"f","content":"c"}]}`, func() error {
			return only(client.Diff(ctx, api.DiffObjects{Files: []api.Source{{Name: "f", Content: "c"}}}))
		}},
		{"GET /api/v1/export/all ", func() error { return only(client.Export(ctx)) }},
		{"GET /api/v1/export?set=a&set=b ", func() error { return only(client.ExportRules(ctx, []string{"a", "b"})) }},
	} {
		if err := c.call(); err != nil {
			t.Errorf("%s: %v", c.want, err)
		}
		if diff := cmp.Diff(c.want, saw); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	}
}

func TestARefusalIsDecodedWhole(t *testing.T) {
	client := gateway(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = fmt.Fprint(w, `{"title":"T","status":422,"detail":"d","code":"invalid","hint":"h","problems":[{"file":"f","line":1,"column":2,"message":"m"}]}`)
	})
	_, err := client.Rules(t.Context())
	want := &api.Error{Title: "T", Status: 422, Detail: "d", Code: api.CodeInvalid, Hint: "h",
		Problems: []api.Problem{{File: "f", Line: 1, Column: 2, Message: "m"}}}
	if diff := cmp.Diff(want, refusal(t, err)); diff != "" {
		t.Errorf("refusal (-want +got):\n%s", diff)
	}
	if err.Error() != "d" {
		t.Errorf("the error reads %q", err)
	}
}

func TestWhatIsNoGatewayIsSaidSo(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a page":    func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>") },
		"a refusal": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadGateway) },
		"other JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			_, _ = fmt.Fprint(w, `{"error":"x"}`)
		},
		"a redirect":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
		"an empty page":  func(http.ResponseWriter, *http.Request) {},
		"a changed type": func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, `{"items":1}`) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := gateway(t, h).Rules(t.Context())
			e := refusal(t, err)
			if e.Code != api.CodeInternal || !strings.Contains(e.Detail, "not as the admin API of llmgw does") || e.Hint == "" {
				t.Errorf("refusal is %+v", e)
			}
		})
	}
}

func TestWithNobodyThere(t *testing.T) {
	dir, err := os.MkdirTemp("", "api")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	stale := filepath.Join(dir, "stale.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	_ = listener.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = tcp.Close()
	missing := filepath.Join(dir, "missing.sock")

	for _, c := range []struct {
		name    string
		options api.Options
		detail  string
	}{
		{"a socket that is not there", api.Options{Socket: missing}, "no gateway at " + missing + " (no such file or directory)"},
		{"a socket left behind", api.Options{Socket: stale}, "no gateway at " + stale + " (connection refused)"},
		{"a port that nobody has", api.Options{BaseURL: "http://" + tcp.Addr().String()}, "no gateway at http://" + tcp.Addr().String() + " (connection refused)"},
		{"a name that does not resolve", api.Options{BaseURL: "http://gateway.invalid"}, `no gateway at http://gateway.invalid (name "gateway.invalid" does not resolve)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := api.NewClient(c.options)
			t.Cleanup(client.Close)
			_, err := client.Status(t.Context())
			e := refusal(t, err)
			if e.Code != api.CodeUnreachable || e.Detail != c.detail || e.Hint != "start one: llmgw serve" || e.Cause == nil {
				t.Errorf("error is %+v, want %q", e, c.detail)
			}
		})
	}
}

func TestAGatewayThatSpeaksPlainHTTPIsNotTakenForNone(t *testing.T) {
	where := ""
	_, err := gateway(t, http.NotFound, func(o *api.Options) {
		where = "https" + strings.TrimSuffix(strings.TrimPrefix(o.BaseURL, "http"), "/")
		o.BaseURL = where
	}).Status(t.Context())
	e := refusal(t, err)
	if want := where + " answers in plain http: TLS does not begin there"; e.Code != api.CodeUnreachable || e.Detail != want || strings.Contains(e.Hint, "serve") {
		t.Errorf("error is %+v, want %q", e, want)
	}
}

func TestAnAddressThatIsNone(t *testing.T) {
	_, err := api.NewClient(api.Options{BaseURL: "http://a b"}).Status(t.Context())
	if e := refusal(t, err); e.Code != api.CodeUsage || e.Hint == "" {
		t.Errorf("error is %+v", e)
	}
}

// hang answers when the caller has gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestACallIsBoundedAndCanBeCancelled(t *testing.T) {
	client := gateway(t, hang, func(o *api.Options) { o.Timeout = 30 * time.Millisecond })
	_, err := client.Status(t.Context())
	if e := refusal(t, err); e.Code != api.CodeUnreachable || !strings.Contains(e.Detail, "within 30ms") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %+v", e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Status(ctx)
	if e := refusal(t, err); e.Code != api.CodeUnreachable || !errors.Is(err, context.Canceled) || e.Hint != "" {
		t.Errorf("error is %+v", e)
	}
}

func TestAnAnswerThatBreaksOffIsNoAnswer(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"before the status": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"within the body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = fmt.Fprint(w, `{"items":[]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := gateway(t, h).Keys(t.Context())
			if e := refusal(t, err); e.Code != api.CodeUnreachable || !strings.Contains(e.Detail, "connection closed without an answer") {
				t.Errorf("error is %+v", e)
			}
		})
	}
}

func TestAnEndlessAnswerIsCutOff(t *testing.T) {
	block := strings.Repeat(" ", 1<<20)
	client := gateway(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 80 {
			if _, err := fmt.Fprint(w, block); err != nil {
				return
			}
		}
	})
	_, err := client.Keys(t.Context())
	if e := refusal(t, err); e.Code != api.CodeUnreachable || !strings.Contains(e.Detail, "over 64 MiB") {
		t.Errorf("error is %+v", e)
	}
}

func TestCallsAreTraced(t *testing.T) {
	var lines []string
	client := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
		_, _ = fmt.Fprint(w, `{}`)
	}, func(o *api.Options) {
		o.Trace = func(method, path string, status int, took time.Duration) {
			lines = append(lines, fmt.Sprintf("%s %s %d %v", method, path, status, took > 0))
		}
	})
	_, err := client.ExportRules(t.Context(), []string{"a"})
	if err != nil {
		t.Error(err)
	}
	_, err = client.CreateKey(t.Context(), api.NewKey{Name: "a"})
	refusal(t, err)
	if diff := cmp.Diff([]string{"GET /api/v1/export?set=a 200 true", "POST /api/v1/keys 0 true"}, lines); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}

func TestListsAreReadToTheirEnd(t *testing.T) {
	pages := map[string]string{
		"/api/v1/keys?limit=1000":            `{"items":[{"name":"a"},{"name":"b"}],"next":"Yg"}`,
		"/api/v1/keys?cursor=Yg&limit=1000":  `{"items":[{"name":"c"}],"next":"Yw"}`,
		"/api/v1/keys?cursor=Yw&limit=1000":  `{"items":[]}`,
		"/api/v1/users?limit=1000":           `{"items":[{"name":"a"}],"next":"YQ"}`,
		"/api/v1/users?cursor=YQ&limit=1000": `nonsense`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, pages[r.URL.RequestURI()])
	}))
	defer server.Close()
	client := api.NewClient(api.Options{BaseURL: server.URL})
	defer client.Close()
	keys, err := client.Keys(t.Context())
	if err != nil || len(keys) != 3 || keys[2].Name != "c" {
		t.Errorf("keys are %+v, %v", keys, err)
	}
	if users, err := client.Users(t.Context()); err == nil {
		t.Errorf("half a list is %+v, and no error", users)
	}
}

func TestIfSendsTheTagAndLeavesItsClientAlone(t *testing.T) {
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Header.Get("If-Match"))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	client := api.NewClient(api.Options{BaseURL: server.URL})
	defer client.Close()
	for _, c := range []*api.Client{client, client.If("12"), client} {
		if err := c.DeleteKey(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"", `"12"`, ""}, sent); diff != "" {
		t.Error(diff)
	}
}
