package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// typed runs a command without a terminal.
func typed(stdin string, args ...string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	code = run(context.Background(), shell{args: args, in: strings.NewReader(stdin), out: &stdout, err: &stderr})
	return code, stdout.String(), stderr.String()
}

// remoteCommands are what is done at both gateways, one after another; {binding} is
// the first binding there is. Whoever adds a command that talks to a gateway adds it
// here.
func remoteCommands(dir string) [][]string {
	rules, password, backup := filepath.Join(dir, "rules.yaml"), filepath.Join(dir, "password.txt"), filepath.Join(dir, "copy.db")
	all := filepath.Join(dir, "all.yaml")
	return [][]string{
		{"status"},
		{"status", "-o", "json"},
		{"keys", "create", "ci", "--tag", "env=ci", "--expires", "2099-01-02"},
		{"keys", "create", "ci"},
		{"keys", "create", "Not a Name"},
		{"keys", "list"},
		{"keys", "get", "ci", "nobody"},
		{"keys", "get", "ci", "-o", "yaml"},
		{"keys", "revoke", "ci"},
		{"keys", "revoke", "ci", "--yes"},
		{"upstreams", "create", "team", "--provider", "openai", "--url", "http://mock.llmgw.internal", "--credential", "-"},
		{"upstreams", "list", "-o", "wide"},
		{"upstreams", "get", "team", "-o", "json"},
		{"upstreams", "disable", "team"},
		{"upstreams", "enable", "team"},
		{"upstreams", "edit", "team", "--max-idle", "3"},
		{"upstreams", "drain", "team"},
		{"upstreams", "drain", "team", "--wait", "5s", "-o", "json"},
		{"upstreams", "drain", "team", "--undo"},
		{"upstreams", "test", "team"},
		{"upstreams", "test", "team", "--chat", "mock", "--jq", ".ok,.status,(.chat|keys|length>2)"},
		{"upstreams", "test", "team", "--chat", "mock-401"},
		{"upstreams", "credential", "rotate", "team", "--credential", "-", "--no-test"},
		{"upstreams", "credential", "set", "team", "--credential-from-env", "NOWHERE", "--no-test"},
		{"upstreams", "test", "nowhere"},
		{"users", "create", "lee", "--role", "member", "--email", "lee@example.com"},
		{"users", "create", "lee", "--role", "member"},
		{"users", "list"},
		{"users", "get", "lee", "-o", "yaml"},
		{"users", "edit", "lee", "--role", "viewer"},
		{"users", "password", "lee", "--password-file", password},
		{"users", "disable", "lee"},
		{"users", "enable", "lee"},
		{"keys", "create", "lees", "--user", "lee"},
		{"keys", "edit", "lees", "--models", "gpt-*"},
		{"keys", "limits", "set", "lees", "600/min"},
		{"keys", "get", "lees"},
		{"keys", "limits", "clear", "lees"},
		{"keys", "rotate", "lees", "--grace", "0"},
		{"keys", "disable", "lees"},
		{"keys", "enable", "lees"},
		{"bindings", "create", "--key", "lees", "--upstream", "team", "--order", "5"},
		{"bindings", "list"},
		{"bindings", "get", "{binding}"},
		{"bindings", "move", "{binding}", "--order", "7"},
		{"bindings", "delete", "{binding}", "--yes"},
		{"users", "delete", "lee", "--yes"},
		{"keys", "revoke", "lees", "--yes"},
		{"keys", "delete", "lees", "--yes"},
		{"users", "delete", "lee", "--yes"},
		{"rules", "list"},
		{"rules", "apply", "-f", rules, "--yes"},
		{"rules", "diff", "-f", rules},
		{"rules", "get", "fast"},
		{"rules", "explain", "--path", "/v1/chat/completions", "--model", "gpt-9", "--all"},
		{"rules", "disable", "fast"},
		{"rules", "enable", "fast"},
		{"rules", "edit", "nowhere"},
		{"rules", "move", "fast", "--before", "slow"},
		{"rules", "history"},
		{"rules", "export"},
		{"rules", "rollback", "1", "--yes"},
		{"rules", "delete", "nowhere", "--yes"},
		{"upstreams", "delete", "team", "--yes"},
		{"rules", "create", "made", "--model", "gpt-8", "--upstream", "mock"},
		{"audit", "list", "--limit", "12"},
		{"audit", "list", "--action", "user.*", "-o", "wide"},
		{"backup", "create", backup, "--force", "--jq", ".revision,.schema"},
		{"backup", "create", backup},
		{"diff", "-f", all},
		{"apply", "-f", all, "--dry-run", "-o", "json"},
		{"apply", "-f", all, "--if-revision", "1"},
		{"apply", "-f", all},
		{"diff", "-f", all, "--prune"},
		{"apply", "-f", all, "--prune"},
		{"apply", "-f", rules, "--wait", "10s", "--yes"},
		{"validate", "-f", all},
		{"export", "-o", "json", "--jq", "[.documents[].name]"},
		{"secret", "check"},
		{"secret", "check", "-o", "json", "--jq", ".sealed"},
	}
}

// personalCommands are about whoever makes the call, who is nobody at a socket: at
// both gateways they are made with a login.
func personalCommands() [][]string {
	return [][]string{
		{"whoami"},
		{"whoami", "--jq", ".role,.via"},
		{"tokens", "create", "ci", "--role", "viewer", "--expires", "2099-01-02"},
		{"tokens", "create", "ci"},
		{"tokens", "list"},
		{"tokens", "list", "--logins", "--jq", "[.items[].name]"},
		{"tokens", "delete", "ci", "--yes"},
		{"tokens", "delete", "ci", "--yes"},
	}
}

// TestEveryCommandWorksOverTLSAsOverTheSocket does the same things at two
// gateways: at one through its socket, at the other as somebody on another
// machine does who is logged in.
func TestEveryCommandWorksOverTLSAsOverTheSocket(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_DATA_HOME", "LLMGW_SERVER", "LLMGW_CONTEXT", "LLMGW_DATA", "LLMGW_TOKEN"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	t.Chdir(home)
	for name, text := range map[string]string{
		"rules.yaml": "version: 1\nset: more\nrules:\n" +
			"  - {name: slow, match: {model: ['gpt-7*']}, action: {upstream: mock}}\n" +
			"  - {name: fast, match: {model: ['gpt-9*']}, action: {upstream: mock}}\n",
		"all.yaml":     "version: 1\nkeys: [{name: more, tags: {team: core}}]\nbindings: [{key: more, upstream: mock}]\n",
		"password.txt": "correct horse battery\n",
	} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := certificate(t)
	near := serveLogged(t, "--admin-listen", "127.0.0.1:0")
	far := serveLogged(t, "--admin-listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key)
	// The first login at a gateway makes the secret that logins are signed with.
	_, link, _ := typed("", "admin", "link", "--user", "dana", "--data", near.data, "--jq", ".url")
	if code, _, text := typed("", "login", strings.TrimSpace(link), "--context", "near", "--password-file", "password.txt"); code != exitDone {
		t.Fatal(text)
	}
	logInOverTLS(t, far, cert)

	for _, args := range remoteCommands(home) {
		sameAt(t, args, "--data", near.data)
	}
	for _, args := range personalCommands() {
		sameAt(t, args, "--context", "near")
	}
}

// sameAt runs a command at the gateway that the flags name and at the current one,
// and wants the same of both.
func sameAt(t *testing.T, args []string, flags ...string) {
	t.Helper()
	run := func(flags ...string) (int, string, string) {
		words := slices.Clone(args)
		if i := slices.Index(words, "{binding}"); i >= 0 {
			_, id, _ := typed("", append([]string{"bindings", "list", "--jq", ".items[0].id"}, flags...)...)
			words[i] = strings.TrimSpace(id)
		}
		return typed("sk-0123456789wxyz\n", append(words, flags...)...)
	}
	code, out, text := run(flags...)
	remoteCode, remoteOut, remoteText := run()
	here, there := [3]any{code, alike(out), alike(text)}, [3]any{remoteCode, alike(remoteOut), alike(remoteText)}
	if diff := cmp.Diff(here, there); diff != "" {
		t.Errorf("llmgw %s differs:\n%s", strings.Join(args, " "), diff)
	}
	if code == exitUnreachable || code == exitDenied || mustWork(args) && code != exitDone {
		t.Errorf("llmgw %s ends with %d: %s", strings.Join(args, " "), code, text)
	}
}

// mustWork says which of the commands are not there to be refused.
func mustWork(args []string) bool {
	command := strings.Join(args, " ")
	return strings.HasPrefix(command, "rules apply") || strings.HasPrefix(command, "export") || strings.HasPrefix(command, "validate")
}

// logInOverTLS takes the way of a new admin who is told a link.
func logInOverTLS(t *testing.T, far *logged, cert string) {
	t.Helper()
	_, link, _ := typed("", "admin", "link", "--user", "dana", "--data", far.data, "--jq", ".url")
	login := []string{"login", strings.TrimSpace(link), "--context", "far", "--password-file", "password.txt"}
	code, _, text := typed("", login...)
	if code != exitUnreachable || !strings.Contains(text, "is not trusted: nobody known here has signed it") || !strings.Contains(text, "--ca-file FILE") {
		t.Fatalf("a certificate that nobody knows: %d, %s", code, text)
	}
	if code, _, text := typed("", append(login, "--ca-file", cert, "--server-name", "gw.example.com")...); code != exitUnreachable || !strings.Contains(text, "another name") {
		t.Fatalf("a certificate for another name: %d, %s", code, text)
	}
	code, out, text := typed("", append(login, "--ca-file", cert)...)
	if code != exitDone || !strings.Contains(out, "as dana (admin); context far is current") {
		t.Fatalf("logging in: %d, %s%s", code, out, text)
	}
	if code, out, text := typed("", "whoami", "--jq", ".via"); code != exitDone || out != "login\n" {
		t.Fatalf("whoami: %d, %s%s", code, out, text)
	}
}

// alike takes out what differs between two gateways.
func alike(text string) string {
	for _, of := range []struct{ is, reads string }{
		{`(sk-lgw-|lgw_pat_)[\w-]+`, "SECRET"},
		{`\b(key|user|up|upstream|cred|credential|rule|token|binding|node)_[0-9A-Za-z]+`, "ID"},
		{`https?://(127\.0\.0\.1|\[::1?\]|0\.0\.0\.0|localhost):\d+`, "ADDRESS"},
		{`\d{4}-\d\d-\d\d[T ][\d:.]+Z`, "TIME"},
		{`\d+(\.\d+)? ?(ms|µs|s)\b`, "TOOK"},
		{`"(config_age_seconds|pid|\w*_ms)": ?[\d.e-]+`, "N"},
		{`/\S*/lgw\d+`, "DATA"},
		{`\b(local|dana)\b`, "WHO"},
		{`[\w/.]*admin\.sock`, "SOCKET"},
		{`TIME +WHO +(socket|::1|127\.0\.0\.1)`, "TIME WHO FROM"}, // of the audit
		{`\b(near|far)\b`, "CONTEXT"},
		{`key [0-9a-f]{8}…`, "KEY"},
		{`"etag": ?"[^"]*"|(?m)^etag: .*$`, "ETAG"},
		{`…[\w-]{4}\b`, "LAST4"},
		{`(?m)("last4": ?"|last4: ).*$`, "LAST4"},
		{` +`, " "},
	} {
		text = regexp.MustCompile(of.is).ReplaceAllString(text, of.reads)
	}
	return text
}
