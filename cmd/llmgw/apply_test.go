package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestApplyAsksOnATerminal answers no, then yes, and finds what was shown done.
func TestApplyAsksOnATerminal(t *testing.T) {
	g := serveLogged(t)
	file := filepath.Join(t.TempDir(), "team.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("version: 1\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("users: [{name: dana}]\nkeys: [{name: ci, user: dana}]\n")
	for _, c := range []struct {
		typed string
		code  int
		shows []string
		args  []string
	}{
		{"n\n", exitFailed, []string{"+ user  dana", "Apply 2 changes? [y/N]", "cancelled, nothing was changed"}, nil},
		{"y\n", exitDone, []string{"+ key   ci", "Apply 2 changes? [y/N]", "applied 2 changes in "}, nil},
		{"", exitDone, []string{"nothing to do", "key ci has no secret yet: llmgw keys rotate ci"}, nil},
	} {
		code, shown := types(t, c.typed, append([]string{"apply", "-f", file, "--data", g.data, "--color", "never"}, c.args...)...)
		if code != c.code {
			t.Errorf("%q ends with %d: %s", c.typed, code, shown)
		}
		for _, text := range c.shows {
			if !strings.Contains(shown, text) {
				t.Errorf("%q shows no %q: %s", c.typed, text, shown)
			}
		}
	}
	write("keys: []\n")
	code, shown := types(t, "n\n", "apply", "-f", file, "--prune", "--data", g.data)
	if code != exitFailed || !strings.Contains(shown, "Apply 1 change, deleting key ci? [y/N]") {
		t.Errorf("pruning ends with %d: %s", code, shown)
	}
	if code, _, text := typed("", "keys", "get", "ci", "--data", g.data); code != exitDone {
		t.Errorf("the key is gone: %s", text)
	}
	if code, shown := types(t, "y\n", "apply", "-f", file, "--prune", "--data", g.data); code != exitDone {
		t.Errorf("pruning ends with %d: %s", code, shown)
	}
	if code, _, _ := typed("", "keys", "get", "ci", "--data", g.data); code != exitNotFound {
		t.Error("the key is still there")
	}
}
