//go:build unix

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

func TestACredentialInAPipeMakesNobodyWait(t *testing.T) {
	dir := t.TempDir()
	pipe, file, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("sk-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil { // as Kubernetes mounts secrets
		t.Fatal(err)
	}
	for _, c := range []struct{ path, secret, wrong string }{
		{file, "sk-secret", ""}, {link, "sk-secret", ""},
		{pipe, "", "pipe is not a regular file"}, {dir, "", "is not a regular file"}, {"/dev/zero", "", "zero is not a regular file"},
		{filepath.Join(dir, "none"), "", "no such file"},
	} {
		type result struct {
			secret accounts.Secret
			err    error
		}
		read := make(chan result, 1)
		go func() {
			secret, err := references().Read(context.Background(), "file:"+c.path)
			read <- result{secret, err}
		}()
		select {
		case r := <-read:
			if r.secret.Reveal() != c.secret || (r.err != nil) != (c.wrong != "") || r.err != nil && !strings.Contains(r.err.Error(), c.wrong) {
				t.Errorf("%s: %v, want %q", c.path, r.err, c.wrong)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s holds whoever reads it", c.path)
		}
	}
}
