package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

// TestRequestsGoOnWhileTheSecretKeyIsExchanged exchanges the key again and again
// while callers use what is sealed with it.
func TestRequestsGoOnWhileTheSecretKeyIsExchanged(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	g := serveLogged(t, "--admin-listen", "127.0.0.1:0")
	client := api.NewClient(api.Options{Socket: filepath.Join(g.data, socketName)})
	defer client.Close()
	for i := range 12 {
		if _, err := client.CreateUpstream(t.Context(), api.NewUpstream{
			Name: fmt.Sprintf("u%d", i), Provider: "openai", URL: "http://mock.llmgw.internal",
			Credential: &api.NewCredential{Secret: "sk-canary-0123456789"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	rules := "version: 1\nset: sealed\nrules:\n  - name: sealed\n    match: {model: ['u-*']}\n    action: {affinity: none, upstreams: [{name: u0}, {name: u1}, {name: u2}, {name: u3}]}\n"
	if _, err := client.ApplyRules(t.Context(), api.ApplyRequest{Files: []api.Source{{Name: "rules.yaml", Content: rules}}}); err != nil {
		t.Fatal(err)
	}
	key, err := client.CreateKey(t.Context(), api.NewKey{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	proxy := g.status(t).Proxy

	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var sent atomic.Int64
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				if status, text := chatAt(t, proxy, key.Secret); status != http.StatusOK {
					t.Errorf("a request in between: %d, %s", status, text)
					return
				}
				sent.Add(1)
			}
		})
	}
	for i := range 6 {
		file := filepath.Join(t.TempDir(), "key")
		raw := strings.Repeat(string(rune('a'+i)), 32)
		if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString([]byte(raw))+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := sent.Load()
		if code, out, text := typed("", "secret", "rotate", "--new-file", file, "--data", g.data); code != exitDone {
			t.Fatalf("rotation %d: %d, %s%s", i, code, out, text)
		}
		until(t, "requests after a rotation", func() bool { return sent.Load() > before+4 })
	}
	stop()
	callers.Wait()
	report, err := client.SecretReport(t.Context())
	if err != nil || report.Sealed != 13 || report.Readable != 13 || report.ByKey[report.Fingerprint] != 13 {
		t.Errorf("in the end: %+v, %v", report, err)
	}
	if log := g.String(); strings.Contains(log, "canary") || strings.Contains(log, "YWFhYWFh") {
		t.Error("the log has a secret in it")
	}
}

// chatAt sends one request that needs a sealed credential.
func chatAt(t *testing.T, proxy, key string) (int, string) {
	t.Helper()
	const body = `{"model":"u-1","max_tokens":1,"messages":[{"role":"user","content":"hello"}]}`
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, proxy+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}
