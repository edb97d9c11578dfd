package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestTheGatewaysOwnKeysAreNoCredentials(t *testing.T) {
	dir := t.TempDir()
	key, link, hard, other := filepath.Join(dir, "secret.key"), filepath.Join(dir, "link"), filepath.Join(dir, "hard"), filepath.Join(dir, "other")
	for _, path := range []string{key, other} {
		if err := os.WriteFile(path, []byte("sk-canary\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(key, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(key, hard); err != nil {
		t.Fatal(err)
	}
	refused := []string{key, link, hard, filepath.Join(dir, "..", filepath.Base(dir), "secret.key")}
	if runtime.GOOS == "linux" {
		refused = append(refused, "/proc/self/environ", "/proc/thread-self/environ", "/proc/self/root"+key)
	}
	from := references("", filepath.Join(dir, "none"), key)
	for _, path := range refused {
		secret, err := from.Read(t.Context(), "file:"+path)
		if err == nil || !secret.IsZero() || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if secret, err := from.Read(t.Context(), "file:"+other); err != nil || secret.Reveal() != "sk-canary" {
		t.Errorf("another file beside it: %v", err)
	}
}
