package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/store"
)

// provider answers as the model's name says, and where it refuses a credential,
// or answers what is no HTTP, it quotes the credential.
type provider struct {
	*httptest.Server
	untrusted string // the same, with a certificate that nobody knows
	text      string
}

func newProvider(t *testing.T, text string) *provider {
	t.Helper()
	p := &provider{text: text}
	p.Server = httptest.NewServer(http.HandlerFunc(p.answer))
	t.Cleanup(p.Close)
	tls := httptest.NewUnstartedServer(http.HandlerFunc(p.answer))
	tls.Config.ErrorLog = nil
	tls.StartTLS()
	t.Cleanup(tls.Close)
	p.untrusted = tls.URL
	return p
}

// troubles are the ends of models' names that a provider does something by.
func troubles() []string {
	return []string{"ok", "stream", "cut", "401", "403", "429", "500", "503", "no-http", "odd-field", "reset", "error-event"}
}

func (p *provider) answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever asked has gone
	}
	quoted := r.Header.Get("Authorization") + r.Header.Get("X-Api-Key") + r.URL.Query().Get("token")
	var asked struct{ Model string }
	_ = json.Unmarshal(body, &asked) // a list of models is asked for without one
	_, does, _ := strings.Cut(asked.Model, "-do-")
	status := map[string]int{"401": 401, "403": 403, "429": 429, "500": 500, "503": 503}[does]
	switch does {
	case "stream", "cut", "error-event":
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":%q}}]}\n\n", p.text)
		if does == "error-event" {
			fmt.Fprintf(w, "event: error\ndata: {\"error\":{\"message\":%q}}\n\n", p.text)
		}
		_ = http.NewResponseController(w).Flush()
		if does != "stream" {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "data: [DONE]\n\n")
	case "401":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"message":"Incorrect API key provided: %s. %s"}}`, quoted, p.text)
	case "403", "429", "500", "503": // these pass as they are
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"message":%q}}`, p.text)
	case "no-http", "odd-field", "reset":
		p.breaks(w, does, quoted)
	default:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"x","choices":[{"message":{"content":%q}}],"usage":{"prompt_tokens":3,"completion_tokens":4},"data":[]}`, p.text)
	}
}

func (p *provider) breaks(w http.ResponseWriter, how, quoted string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	switch how {
	case "no-http":
		fmt.Fprintf(conn, "what is %s\r\n\r\n", quoted)
	case "odd-field":
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nX-%s odd\r\nContent-Length: x%s\r\n\r\n", quoted, quoted)
	}
	_ = conn.Close()
}

// callers sends requests that fail in every way at every upstream, each with a
// prompt that is nobody else's business.
func (s *scan) callers() {
	s.t.Helper()
	prompt := s.mark("a prompt", "canary prompt, which is between its writer and the provider")
	key := s.types(exitDone, "a gateway key", "", "keys", "create", "control-name", "--user", "lee", "--tag", "env=ci")
	for _, upstream := range []string{"sealed", "referred", "filed", "untrusted", "no-tls", "away"} {
		for _, trouble := range troubles() {
			for _, path := range []string{"/v1/chat/completions", "/v1/messages"} {
				model := upstream + "-do-" + trouble
				body := fmt.Sprintf(`{"model":%q,"max_tokens":9,"stream":%v,"messages":[{"role":"user","content":%q}]}`, model, trouble == "stream" || trouble == "cut", prompt)
				s.ask(path, body, http.Header{"Authorization": {"Bearer " + key}})
			}
		}
	}
	session := s.mark("a cookie", "canary-session-0123456789abcdefghijklmn")
	s.ask("/v1/chat/completions?key="+key, `{"model":"filed-do-no-http"}`, http.Header{"Cookie": {"session=" + session}})
	s.ask("/v1/chat/completions?other="+key, `{"model":"filed-do-401"}`, http.Header{"X-Api-Key": {key}, "X-Mine": {session}})
	s.ask("/v1/chat/completions", `{"model":"sealed-do-ok","messages":["`+prompt, http.Header{"X-Api-Key": {key}})
	s.ask("/v1/v1/messages", prompt, http.Header{"X-Api-Key": {key}})
	s.ask("/v1/models", "", http.Header{"X-Api-Key": {key}})

	s.types(exitDone, "a rotated gateway key", "", "keys", "rotate", "control-name")
	other := s.types(exitDone, "a revoked gateway key", "", "keys", "create", "control-other")
	s.types(exitDone, "", "", "keys", "revoke", "control-other")
	s.ask("/v1/messages", `{"model":"m"}`, http.Header{"X-Api-Key": {other}})
	s.types(exitDone, "", "", "chat", "--model", "mock", "hello")
}

// ask sends a request to the proxy and shows the answer, in which a provider's
// text stands by contract.
func (s *scan) ask(path, body string, header http.Header) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.proxy+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/json")
	if strings.HasSuffix(path, "/models") {
		r.Method = http.MethodGet
	}
	answer, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		s.t.Fatal(err)
	}
	s.show("the proxy's answer to "+body[:min(len(body), 40)], fmt.Sprint(answer.StatusCode, answer.Header, string(text)), "a provider's text")
}

// mistakes are secrets that are sent where they do not belong.
func (s *scan) mistakes() {
	s.t.Helper()
	for _, key := range []string{
		s.mark("an Anthropic key sent by mistake", "sk-ant-api03-canary-0123456789abcdefghijkl"),
		s.mark("an OpenAI key sent by mistake", "sk-proj-canary-0123456789abcdefghijklmnopq"),
		s.mark("a Google key sent by mistake", "AIzaCanary0123456789abcdefghijklmnopqrs"),
		s.mark("a key that was cut", accounts.KeyPrefix+"canary0123456789abcdefghijklmno"),
		s.mark("a text that is no key", "canary-password-of-something-else-0123"),
	} {
		s.ask("/v1/chat/completions", `{"model":"m"}`, http.Header{"Authorization": {"Bearer " + key}})
		s.ask("/v1beta/models/m:generateContent?key="+key, `{}`, http.Header{})
		s.ask("/v1/messages", `{"model":"m"}`, http.Header{"X-Api-Key": {key}, "Authorization": {"Bearer x" + key}})
		for _, body := range []string{
			`{"name":"x","user":5,"` + key + `":1}`, `{"name":"` + key, `"` + key + `"`, `{"secret":["` + key + `"]}`,
		} {
			s.callText(http.MethodPost, "/api/v1/keys", body)
			s.callText(http.MethodPut, "/api/v1/upstreams/sealed/credential", body)
			s.callText(http.MethodPost, "/api/v1/secret/rotate", `{"key":"`+key+`"}`)
		}
	}
	leaked := s.mark("a secret in a rules file", "sk-canary-in-rules-0123456789abcdefghijkl")
	for name, rules := range map[string]string{
		"a credential as a header":    "version: 1\nrules:\n  - {name: x, action: {upstream: sealed, headers: {set: {authorization: 'Bearer " + leaked + "'}}}}\n",
		"in a URL's user":             "version: 1\nrules:\n  - {name: x, action: {url: 'https://user:" + leaked + "@api.example.com'}}\n",
		"a field that there is not":   "version: 1\nrules:\n  - {name: x, action: {upstream: sealed, credential: '" + leaked + "'}}\n",
		"no YAML at all":              "version: 1\nrules: {\n  x: '" + leaked + "\n",
		"a header with a new line":    "version: 1\nrules:\n  - {name: x, action: {upstream: sealed, headers: {set: {x-a: \"" + leaked + "\\n\"}}}}\n",
		"a number that is none":       "version: 1\nrules:\n  - {name: x, action: {upstreams: [{name: sealed, weight: '" + leaked + "'}]}}\n",
		"a placeholder that is wrong": "version: 1\nrules:\n  - {name: x, action: {upstream: sealed, headers: {set: {x-a: '" + leaked + "${nothing}'}}}}\n",
	} {
		status, text := s.call(http.MethodPost, "/api/v1/apply", api.ApplyRequest{Files: []api.Source{{Name: "rules.yaml", Content: rules}}})
		if status < 400 {
			s.t.Errorf("%s: %d %s", name, status, text)
		}
	}
	s.types(exitUsage, "", "", "upstreams", "create", "x", "--provider", "openai", "--credential", s.mark("a credential in a flag", "sk-canary-flag-0123456789abcdefghijklmn"))
}

// callText sends a text that may be no JSON.
func (s *scan) callText(method, path, body string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.admin+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+s.access)
	answer, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode < 400 {
		s.t.Fatalf("%s %s: %d %s, %v", method, path, answer.StatusCode, text, err)
	}
	s.show(method+" "+path, fmt.Sprint(answer.Header, string(text)))
}

// operate is what an operator looks at.
func (s *scan) operate() {
	s.t.Helper()
	for _, command := range []string{
		"status", "keys list -o json", "users list -o wide", "upstreams list -o wide", "upstreams get sealed referred filed -o json", "bindings list",
		"rules list", "rules export", "export", "export -o json", "status -o json", "rules history -o json", "audit list -o json", "audit list", "secret check -o json", "tokens list --user dana",
		"rules explain --model sealed-do-ok --path /v1/chat/completions --key control-name --all -o json", "config show --origin",
	} {
		s.types(exitDone, "", "", strings.Fields(command)...)
	}
}

// rotate exchanges the secret key.
func (s *scan) rotate() {
	s.t.Helper()
	raw := make([]byte, accounts.SecretKeyBytes)
	_, _ = rand.Read(raw) // never fails
	s.types(exitDone, "", base64.StdEncoding.EncodeToString(raw), "secret", "rotate", "--new-file", "-")
	s.markKey("the second secret key", secretKeyName)
}

// readAll makes every GET that the OpenAPI document tells of, and those beside
// it.
func (s *scan) readAll() {
	s.t.Helper()
	status, text := s.call(http.MethodGet, "/openapi.json", nil)
	var document struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		s.t.Fatalf("%d: %v", status, err)
	}
	names := map[string]string{"keys": "control-name", "users": "dana", "upstreams": "sealed", "rules": "good-rule", "bindings": "none"}
	read := 0
	for path, methods := range document.Paths {
		if _, there := methods["get"]; !there || path == "/api/v1/events" {
			continue
		}
		noun := strings.Split(path, "/")[3:][0]
		path = strings.NewReplacer("{name}", names[noun], "{id}", names[noun], "{revision}", "2").Replace(path)
		if status, text := s.call(http.MethodGet, path, nil); status != http.StatusOK && !strings.HasSuffix(path, "/none") {
			s.t.Errorf("GET %s: %d %s", path, status, text)
		}
		read++
	}
	if read < 15 {
		s.t.Errorf("only %d operations were read", read)
	}
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/api/v1/keys?one_use=true", "/api/v1/tokens?user=dana", "/api/v1/audit?limit=1000"} {
		if status, text := s.call(http.MethodGet, path, nil); status != http.StatusOK {
			s.t.Errorf("GET %s: %d %s", path, status, text)
		}
	}
}

// listen follows all events until what it gives is called.
func (s *scan) listen() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	socket := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.data, socketName))
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://llmgw/api/v1/events?kind=change&kind=started&kind=exchange", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := socket.Do(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("listening to events: %v, %v", answer, err)
	}
	var mu sync.Mutex
	var told bytes.Buffer
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewReader(answer.Body); ; {
			line, err := lines.ReadString('\n')
			mu.Lock()
			told.WriteString(line)
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return func() {
		until(s.t, "the last change to be told", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(told.String(), "secret.rotate")
		})
		cancel()
		<-ended
		_ = answer.Body.Close()
		socket.CloseIdleConnections()
		s.show("events", told.String())
	}
}

// files shows what lies in the data directory, while the gateway runs, and a
// backup of it.
func (s *scan) files() {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.data, secretKeyName))
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := accounts.ParseSecretKey(strings.TrimSpace(string(text)))
	if err != nil {
		s.t.Fatal(err)
	}
	opened, err := store.Open(s.t.Context(), store.Options{Path: filepath.Join(s.data, "llmgw.db"), Secret: accounts.NewKeyring(key), Log: zerolog.Nop(), Version: version})
	if err != nil {
		s.t.Fatal(err)
	}
	backup := filepath.Join(s.home, "backup.db")
	if _, err := opened.Backup(s.t.Context(), backup); err != nil {
		s.t.Error(err)
	}
	if err := opened.Close(); err != nil {
		s.t.Error(err)
	}
	for _, path := range []string{backup, store.ManifestPath(backup)} {
		s.showFile("backup "+filepath.Base(path), path)
	}
	err = filepath.WalkDir(s.data, func(path string, entry fs.DirEntry, err error) error {
		holdsKey := strings.HasPrefix(entry.Name(), secretKeyName)
		if err == nil && entry.Type().IsRegular() && !holdsKey {
			s.showFile("file "+entry.Name(), path)
		}
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
	if !s.seen("file llmgw.db-wal", "") {
		s.t.Error("there is no WAL")
	}
}

func (s *scan) showFile(where, path string) {
	s.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.show(where, string(text))
}
