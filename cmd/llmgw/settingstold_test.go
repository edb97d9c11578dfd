package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
)

// TestARunningGatewayTellsItsSettings holds what the API says against what
// config show prints for the same flags and variables.
func TestARunningGatewayTellsItsSettings(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Chdir(t.TempDir())
	t.Setenv("LLMGW_SECRET_KEY", sharedKey("a"))
	t.Setenv("LLMGW_DRAIN", "3m")
	g := serveAt(t, shortDir(t), "--no-detect", "--max-body", "1MiB")
	client := api.NewClient(api.Options{Socket: filepath.Join(g.data, socketName)})
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	told, err := client.Settings(ctx)
	if err != nil {
		t.Fatal(err)
	}
	code, text := types(t, "", "config", "show", "--origin", "-o", "json",
		"--data", g.data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--no-detect", "--max-body", "1MiB")
	var shown api.List[api.Setting]
	if err := json.Unmarshal([]byte(text), &shown); err != nil || code != exitDone {
		t.Fatalf("exit %d: %s", code, text)
	}
	if diff := cmp.Diff(shown.Items, told); diff != "" {
		t.Errorf("config show (-), told (+):\n%s", diff)
	}
	named := map[string]api.Setting{}
	for _, s := range told {
		named[s.Name] = s
	}
	for _, want := range []api.Setting{
		{Name: "drain", Value: "3m", Origin: "env", Source: "LLMGW_DRAIN"},
		{Name: "max_body", Value: "1MiB", Origin: "flag", Source: "--max-body"},
		{Name: "secret_key", Value: "***", Origin: "env", Source: "LLMGW_SECRET_KEY"},
		{Name: "log_level", Value: "info", Origin: "default"},
	} {
		if got := named[want.Name]; got != want {
			t.Errorf("told is %+v, want %+v", got, want)
		}
	}
}

func TestNoSettingIsToldWithAPassword(t *testing.T) {
	const password = "hunter2-marked"
	for name, value := range map[string]string{
		"LLMGW_STORE":          "postgres://gw:" + password + "@db:5432/llmgw",
		"LLMGW_BUS":            "redis://gw:" + password + "@cache:6379/0",
		"LLMGW_STORE_PASSWORD": password, "LLMGW_BUS_PASSWORD": password, "LLMGW_SECRET_KEY": password, "LLMGW_TOKEN": password,
	} {
		t.Setenv(name, value)
	}
	a := &app{}
	newRoot(a)
	a.command = newServe(a)
	s, err := a.settings()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(s.told())
	if err != nil || strings.Contains(string(text), password) {
		t.Fatalf("%v: %s", err, text)
	}
	for _, want := range []string{`"postgres://gw:***@db:5432/llmgw"`, `"redis://gw:***@cache:6379/0"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}
