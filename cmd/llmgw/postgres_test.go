package main

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/store/storetest/servers"
)

// sharedKey is a secret key as an operator gives it.
func sharedKey(letter string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32)))
}

func TestGatewaysOnOnePostgres(t *testing.T) {
	at := servers.Database(t)
	t.Setenv("LLMGW_STORE", at)
	t.Setenv("LLMGW_SECRET_KEY", sharedKey("a"))
	here, there := serveAt(t, shortDir(t), "--no-detect"), serveAt(t, shortDir(t), "--no-detect")

	code, shown := types(t, "", "keys", "create", "ci", "--data", here.data)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, shown)
	}
	code, shown = types(t, "", "keys", "get", "ci", "--data", there.data)
	if code != exitDone || !strings.Contains(shown, "ci") {
		t.Errorf("the other gateway: exit %d: %s", code, shown)
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	for _, command := range [][]string{{"status"}, {"status", "-o", "json"}, {"doctor"}, {"config", "show"}} {
		_, shown := types(t, "", append(command, "--data", here.data)...)
		if !strings.Contains(shown, u.Host+u.Path) {
			t.Errorf("%s does not say where the store is: %s", command, shown)
		}
		if strings.Contains(shown, password) || command[0] != "config" && strings.Contains(shown, u.User.Username()+":") {
			t.Errorf("%s says how to log in: %s", command, shown)
		}
	}
	if _, err := os.Stat(filepath.Join(here.data, "llmgw.db")); err == nil {
		t.Error("there is an SQLite file, too")
	}
}

func TestWhatKeepsAGatewayFromStartingOnPostgres(t *testing.T) {
	at := servers.Database(t)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	bare := *u
	bare.User = url.User(u.User.Username())
	missing := filepath.Join(t.TempDir(), "none")

	t.Setenv("LLMGW_STORE", at)
	t.Setenv("LLMGW_SECRET_KEY", sharedKey("a"))
	serveAt(t, shortDir(t), "--no-detect").end(t)

	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		exit int
		want string
	}{
		"no secret key": {
			env:  map[string]string{"LLMGW_SECRET_KEY": ""},
			exit: exitInvalid, want: "every gateway needs the one key",
		},
		"another secret key": {
			env:  map[string]string{"LLMGW_SECRET_KEY": sharedKey("b")},
			exit: exitInvalid, want: "the store cannot be read: it was encrypted with key",
		},
		"a password on the command line": {
			args: []string{"--store", at}, exit: exitUsage, want: "do not put a password on the command line",
		},
		"a password file that is not there": {
			env:  map[string]string{"LLMGW_STORE": bare.String(), "LLMGW_STORE_PASSWORD_FILE": missing},
			exit: exitInvalid, want: "reading the store's password: ",
		},
		"a wrong password": {
			env:  map[string]string{"LLMGW_STORE": bare.String(), "LLMGW_STORE_PASSWORD": "hunter2"},
			exit: exitFailed, want: "(the password is wrong, or none was given)",
		},
		"no number of connections": {
			args: []string{"--store-connections", "0"}, exit: exitUsage, want: "is not a number from 1 to 1000",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			args := append([]string{"serve", "--data", shortDir(t), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, c.args...)
			code, shown := types(t, "", args...)
			if code != c.exit || !strings.Contains(shown, c.want) {
				t.Errorf("exit %d: %s", code, shown)
			}
			if password, _ := u.User.Password(); strings.Contains(shown, password) || strings.Contains(shown, "hunter2") {
				t.Errorf("it gives a password away: %s", shown)
			}
		})
	}
}

func TestMigrate(t *testing.T) {
	for name, environment := range map[string]func(t *testing.T) map[string]string{
		"SQLite": func(*testing.T) map[string]string { return nil },
		"PostgreSQL": func(t *testing.T) map[string]string {
			return map[string]string{"LLMGW_STORE": servers.Database(t), "LLMGW_SECRET_KEY": sharedKey("a")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range environment(t) {
				t.Setenv(name, value)
			}
			data := shortDir(t)
			says := func(exit int, want string, args ...string) {
				t.Helper()
				code, shown := types(t, "", append(args, "--data", data, "--color", "never")...)
				if code != exit || !strings.Contains(shown, want) {
					t.Errorf("%s: exit %d, want %d: %s", args, code, exit, shown)
				}
			}
			says(exitFailed, "has no tables yet", "migrate", "status")
			says(exitInvalid, "the store has schema 0, this llmgw", "serve", "--migrate=false", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
			says(exitDone, "now, it had 0", "migrate", "up")
			says(exitDone, "already, the newest", "migrate", "up")
			says(exitDone, ", the newest", "migrate", "status")
			says(exitDone, `"pending": 0`, "migrate", "status", "-o", "json")
			serveAt(t, data, "--no-detect", "--migrate=false").end(t)
		})
	}
}

func TestMaskedStore(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://gw:hunter2@db/llmgw":                            "postgres://gw:***@db/llmgw",
		"postgres://gw@db/llmgw?password=hunter2":                   "postgres://gw@db/llmgw?password=***",
		"postgres://gw:hunter2@db/llmgw?password=x&sslmode=disable": "postgres://gw:***@db/llmgw?password=***&sslmode=disable",
		"postgres://gw@db/llmgw?sslmode=disable":                    "postgres://gw@db/llmgw?sslmode=disable",
		"postgres://gw:hunter2/@db/llmgw":                           "***",
		"sqlite:///var/lib/llmgw.db":                                "sqlite:///var/lib/llmgw.db",
	} {
		if got := masked(setting{name: "store"}, text); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
}

func TestPostgresThatGoesAwayWhileAGatewayRuns(t *testing.T) {
	server := servers.PrivatePostgres(t, servers.PostgresOptions{})
	t.Setenv("LLMGW_STORE", server.URL())
	t.Setenv("LLMGW_SECRET_KEY", sharedKey("a"))
	g := serveAt(t, shortDir(t), "--no-detect")
	code, secret := types(t, "", "keys", "create", "known", "--data", g.data, "-o", "json", "--jq", ".secret")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, secret)
	}
	asked := func() int {
		body := strings.NewReader(`{"model":"mock","messages":[{"role":"user","content":"hello"}]}`)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.status(t).Proxy+"/v1/chat/completions", body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(secret))
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
		return answer.StatusCode
	}
	if status := asked(); status != http.StatusOK {
		t.Fatalf("answered %d", status)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if status := asked(); status != http.StatusOK {
		t.Errorf("with the store away, a known key is answered %d", status)
	}
	code, shown := types(t, "", "keys", "create", "late", "--data", g.data)
	if code == exitDone || !regexp.MustCompile(`store unreachable( since [\d:]+)?; traffic continues with (revision 1|the rules in force), changes are refused`).MatchString(shown) {
		t.Errorf("a change: exit %d: %s", code, shown)
	}
	if s := g.status(t); s.Store.OK || s.Store.Kind != "postgres" {
		t.Errorf("status says %+v", s.Store)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "changes again", func() bool {
		code, _ := types(t, "", "keys", "create", "again", "--data", g.data)
		return code == exitDone
	})
}
