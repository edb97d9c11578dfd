package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// scan is a gateway that is full of marked secrets, and everything that it ever
// shows.
type scan struct {
	canaries
	*logged
	t        *testing.T
	home     string
	provider *provider
	proxy    string
	admin    string
	access   string // of an admin who is logged in
	http     *http.Client
}

// TestNoSecretIsEverShown lets a gateway, at the most talkative level of its log,
// handle secrets of every kind, in good days and bad ones, and looks for them in
// the log, in the metrics, in every answer of proxy and admin API, in what
// commands print with --debug, in audit, export and events, in the files of the
// store and of a backup. Where a secret stands by contract, the exhibit names it:
// the answers that make a key, a token, a link or a login, and a provider's text
// in the answer to its caller. What is not looked through are files that are
// there to hold a secret: secret.key and what becomes of it in a rotation, and
// the file of the command line's logins.
//
// What a panic holds is looked at where a handler can be made to panic: in the
// packages proxy and admin.
func TestNoSecretIsEverShown(t *testing.T) {
	s := newScan(t)
	stop := s.listen()
	s.equip()
	s.people()
	s.callers()
	s.mistakes()
	s.operate()
	s.rotate()
	s.readAll()
	stop()
	s.files()
	s.show("log", s.logged.String())

	for _, kind := range []string{"log", "GET /api/v1/audit", "GET /api/v1/keys", "llmgw audit", "llmgw export", "events", "file llmgw.db", "backup"} {
		if !s.seen(kind, "control-name") {
			t.Errorf("the name of a key is not found in %s, so that this proves nothing of it", kind)
		}
	}
	if !s.seen("GET /metrics", "llmgw_requests_total{") || !s.seen("log", `"level":"debug"`) || !s.seen("GET /api/v1/export", "good-rule") {
		t.Error("metrics, the talkative log or the export are missing")
	}
	t.Logf("%d secrets, %d exhibits", len(s.marks), len(s.exhibits))
	for _, hit := range s.find() {
		t.Error(hit)
	}
}

func newScan(t *testing.T) *scan {
	t.Helper()
	s := &scan{t: t, home: t.TempDir(), http: &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}}
	t.Cleanup(s.http.CloseIdleConnections)
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_DATA_HOME", "LLMGW_SERVER", "LLMGW_CONTEXT", "LLMGW_DATA", "LLMGW_TOKEN"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", s.home)
	t.Chdir(s.home)
	t.Setenv("CANARY_CREDENTIAL", s.mark("the credential by reference", "sk-canary-referred-0123456789abcdefghij"))
	s.provider = newProvider(t, s.mark("a provider's text", "canary text of an answer, which is its caller's"))
	s.logged = serveLogged(t, "--admin-listen", "127.0.0.1:0", "--log-level", "debug", "--log-format", "json")
	st := s.status(t)
	s.proxy, s.admin = st.Proxy, st.Admin
	s.markKey("the first secret key", secretKeyName)
	return s
}

// markKey marks a secret key, as it is written and as it is.
func (s *scan) markKey(name, file string) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.data, file))
	if err != nil {
		s.t.Fatal(err)
	}
	written := s.mark(name, strings.TrimSpace(string(text)))
	raw, err := base64.StdEncoding.DecodeString(written)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mark(name+", decoded", string(raw))
}

// types runs a command at the gateway's socket, and shows what it prints. What
// made is the name of a secret that stands on stdout, alone.
func (s *scan) types(want int, made, stdin string, args ...string) string {
	s.t.Helper()
	code, out, text := typed(stdin, append(args, "--data", s.data, "--yes", "--debug")...)
	if code != want {
		s.t.Fatalf("llmgw %s ends with %d, want %d: %s%s", strings.Join(args, " "), code, want, out, text)
	}
	where := "llmgw " + strings.Join(args[:min(2, len(args))], " ")
	if made != "" {
		out = s.mark(made, strings.TrimSpace(out))
		s.show(where+", stdout", out, made)
	} else {
		s.show(where+", stdout", out)
	}
	s.show(where+", stderr", text)
	return out
}

func (s *scan) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.home, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// equip makes upstreams whose credentials are kept in each of the ways there are,
// and some that nobody answers well at.
func (s *scan) equip() {
	sealed := s.mark("the sealed credential", "sk-canary-sealed-0123456789abcdefghijkl")
	filed := s.mark("the credential in a file", "sk-canary-filed-0123456789abcdefghijklm")
	path := s.file("credential.txt", filed+"\n")
	s.types(exitDone, "", sealed, "upstreams", "create", "sealed", "--provider", "openai", "--url", s.provider.URL, "--credential", "-")
	s.types(exitDone, "", "", "upstreams", "create", "referred", "--provider", "anthropic", "--url", s.provider.URL, "--credential-from-env", "CANARY_CREDENTIAL")
	s.types(exitDone, "", "", "upstreams", "create", "filed", "--provider", "generic", "--auth", "query:token", "--url", s.provider.URL, "--credential-from-file", path)
	s.types(exitDone, "", sealed, "upstreams", "create", "untrusted", "--provider", "openai", "--url", s.provider.untrusted, "--credential", "-")
	s.types(exitDone, "", sealed, "upstreams", "create", "no-tls", "--provider", "openai", "--url", "https"+strings.TrimPrefix(s.provider.URL, "http"), "--credential", "-")
	s.types(exitDone, "", sealed, "upstreams", "create", "away", "--provider", "openai", "--url", "http://127.0.0.1:1", "--credential", "-")
	next := s.mark("the credential that replaces it", "sk-canary-rotated-0123456789abcdefghijk")
	s.types(exitDone, "", next, "upstreams", "credential", "rotate", "sealed")
	s.types(exitFailed, "", "", "upstreams", "test", "untrusted")
	rules := "version: 1\nrules:\n"
	for _, upstream := range []string{"sealed", "referred", "filed", "untrusted", "no-tls", "away"} {
		rules += fmt.Sprintf("  - {name: to-%s, match: {model: ['%s-*']}, action: {upstream: %s}}\n", upstream, upstream, upstream)
	}
	rules += "  - {name: good-rule, match: {path: /v1/messages}, action: {upstream: referred, retry: {on: [connect, 429, 500], attempts: 2}}}\n"
	s.types(exitDone, "", "", "rules", "apply", "-f", s.file("rules.yaml", rules))
}

// people makes users with passwords, a link, a login and a token.
func (s *scan) people() {
	password := s.mark("a password", "canary correct horse battery")
	wrong := s.mark("a wrong password", "canary incorrect horse battery")
	s.types(exitDone, "", password, "users", "create", "lee", "--role", "operator")
	s.types(exitDone, "", password, "users", "password", "lee", "--password-file", "-")
	link := s.types(exitDone, "an admin link", "", "admin", "link", "--user", "dana", "--jq", ".url|split(\"#\")|.[1]")
	code, out, text := typed("", "login", s.admin+"/setup#"+link, "--context", "here", "--debug", "--password-file", s.file("password.txt", password+"\n"))
	if code != exitDone {
		s.t.Fatalf("login ends with %d: %s", code, text)
	}
	s.show("llmgw login", out+text)

	for _, body := range []any{
		api.Login{User: "dana", Password: wrong}, api.Login{User: "nobody", Password: wrong}, api.Login{Link: link, New: password},
		api.Refresh{Refresh: s.mark("a refresh token that is none", accounts.RefreshPrefix+"canary0123456789canary0123456789")},
	} {
		path := "/api/v1/login"
		if _, ok := body.(api.Refresh); ok {
			path = "/api/v1/refresh"
		}
		if status, text := s.call(http.MethodPost, path, body); status != http.StatusUnauthorized {
			s.t.Errorf("a login that must fail: %d %s", status, text)
		}
	}
	s.logIn(api.Login{User: "dana", Password: password}, "/api/v1/login", "first")
	refreshed := s.logIn(api.Login{User: "dana", Password: password}, "/api/v1/login", "second")
	s.logIn(api.Refresh{Refresh: refreshed}, "/api/v1/refresh", "third")

	var token api.CreatedToken
	s.make("a personal access token", "/api/v1/tokens", api.NewToken{Name: "control-token"}, &token, func() string { return token.Secret })
	login := s.access
	s.access = token.Secret
	s.call(http.MethodGet, "/api/v1/me", nil)
	s.access = s.mark("a token that is none", accounts.TokenPrefix+"canary"+strings.Repeat("0123456789", 4))
	s.call(http.MethodGet, "/api/v1/me", nil)
	s.access = login + "x"
	s.call(http.MethodGet, "/api/v1/me", nil)
	s.access = login
}

// logIn gives the refresh token of a new login, whose access token is used from
// now on.
func (s *scan) logIn(body any, path, name string) string {
	s.t.Helper()
	var tokens api.Tokens
	text := s.send(path, body, &tokens)
	access, refresh := "an access token", "the "+name+" refresh token"
	s.mark(access, tokens.Access) // one that is refreshed within its first second is the same
	s.mark(refresh, tokens.Refresh)
	s.show("POST "+path, text, access, refresh)
	s.access = tokens.Access
	return tokens.Refresh
}

// send makes a call that must succeed, and shows nothing of it.
func (s *scan) send(path string, body, into any) string {
	s.t.Helper()
	status, text := s.raw(http.MethodPost, path, body)
	if status >= 300 {
		s.t.Fatalf("%s answers %d %s", path, status, text)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		s.t.Fatal(err)
	}
	return text
}

// make makes something that has a secret, which stands in the answer.
func (s *scan) make(name, path string, body, into any, secret func() string) {
	s.t.Helper()
	text := s.send(path, body, into)
	s.mark(name, secret())
	s.show("POST "+path, text, name)
}

// call calls the admin API and shows the answer.
func (s *scan) call(method, path string, body any) (int, string) {
	s.t.Helper()
	status, text := s.raw(method, path, body)
	s.show(method+" "+path, text)
	return status, text
}

func (s *scan) raw(method, path string, body any) (int, string) {
	s.t.Helper()
	var sent io.Reader
	if body != nil {
		sent = bytes.NewReader(mustEncode(body))
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.admin+path, sent)
	if err != nil {
		s.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if s.access != "" {
		r.Header.Set("Authorization", "Bearer "+s.access)
	}
	answer, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	s.show(method+" "+path+", header", fmt.Sprint(answer.Header))
	return answer.StatusCode, string(text)
}
