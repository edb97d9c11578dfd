package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin"
	"github.com/llmgw/llmgw/admin/api"
)

// copyOf is a copy of a store, and counts how often it was closed.
type copyOf struct {
	io.Reader
	closed atomic.Int32
}

func (c *copyOf) Close() error { c.closed.Add(1); return nil }

// giving is a gateway that backs up to the given copy.
func giving(t *testing.T, b api.Backup, from *copyOf, err error) *gateway {
	t.Helper()
	g := open(t)
	g.backup = func(context.Context) (api.Backup, io.ReadCloser, error) { return b, from, err }
	g.restart(t, nil)
	return g
}

func TestABackupComesWithItsManifest(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 200_000)
	want := api.Backup{Lineage: "l", Seq: 7, Revision: 3, Schema: 2, SecretKey: "ab12", SHA256: "ff", Bytes: int64(len(content)), MadeAt: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	from := &copyOf{Reader: bytes.NewReader(content)}
	g := giving(t, want, from, nil)
	var got bytes.Buffer
	err := g.Backup(t.Context(), func(b api.Backup, r io.Reader) error {
		if b != want {
			t.Errorf("the manifest is %+v", b)
		}
		_, err := io.Copy(&got, r)
		return err
	})
	must(t, err)
	if !bytes.Equal(got.Bytes(), content) {
		t.Errorf("%d bytes came, or others", got.Len())
	}
	if from.closed.Load() != 1 {
		t.Errorf("the copy was closed %d times", from.closed.Load())
	}
	if log := g.log.String(); !strings.Contains(log, `"seq":7,"actor":"local","from":"socket","message":"store backed up"`) {
		t.Errorf("the log does not tell who has it: %s", log)
	}
}

func TestABackupThatBreaksOffDoesNotLookWhole(t *testing.T) {
	from := &copyOf{Reader: io.MultiReader(strings.NewReader("some"), failing{errors.New("the disk is gone")})}
	g := giving(t, api.Backup{Bytes: 1000}, from, nil)
	err := g.Backup(t.Context(), func(_ api.Backup, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return fmt.Errorf("keeping it: %w", err)
	})
	refusedWith(t, err, api.CodeUnreachable, 0)
	if from.closed.Load() != 1 || !strings.Contains(g.log.String(), "backup broken off") {
		t.Errorf("closed %d times; log: %s", from.closed.Load(), g.log.String())
	}
	// Whoever does not want it any more says so themselves.
	own := errors.New("the disk here is full")
	from.Reader = strings.NewReader(strings.Repeat("x", 1000))
	if err := g.Backup(t.Context(), func(api.Backup, io.Reader) error { return own }); !errors.Is(err, own) {
		t.Errorf("error is %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestWhyThereIsNoBackup(t *testing.T) {
	for _, c := range []struct {
		name   string
		backup admin.Backup
		code   string
		status int
		text   string
	}{
		{"nothing of its own", nil, api.CodeNotFound, 404, "this gateway has no store of its own to back up"},
		{"no room", failed(fmt.Errorf("copying: %w", syscall.ENOSPC)), api.CodeInternal, 507, "there is no room for the copy"},
		{"no store", failed(accounts.ErrUnavailable), api.CodeUnavailable, 503, "store unreachable"},
		{"anything else", failed(errors.New("sk-canary")), api.CodeInternal, 500, "the gateway could not do it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := open(t)
			g.backup = c.backup
			g.restart(t, nil)
			err := g.Backup(t.Context(), func(api.Backup, io.Reader) error { t.Error("something came"); return nil })
			refusedWith(t, err, c.code, c.status, c.text)
		})
	}
}

func failed(err error) admin.Backup {
	return func(context.Context) (api.Backup, io.ReadCloser, error) { return api.Backup{}, nil, err }
}

func TestOneBackupAtATime(t *testing.T) {
	g := open(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	g.backup = func(context.Context) (api.Backup, io.ReadCloser, error) {
		close(begun)
		<-goOn
		return api.Backup{}, &copyOf{Reader: strings.NewReader("")}, nil
	}
	g.restart(t, nil)
	first := make(chan error, 1)
	nothing := func(api.Backup, io.Reader) error { return nil }
	go func() { first <- g.Backup(t.Context(), nothing) }()
	<-begun
	refusedWith(t, g.Backup(t.Context(), nothing), api.CodeConflict, 409, "another backup is being made")
	close(goOn)
	must(t, <-first)
}

func TestWhoeverLeavesEndsTheCopy(t *testing.T) {
	g := open(t)
	ended := make(chan struct{})
	begun := make(chan struct{})
	g.backup = func(ctx context.Context) (api.Backup, io.ReadCloser, error) {
		close(begun)
		<-ctx.Done()
		close(ended)
		return api.Backup{}, nil, ctx.Err()
	}
	g.restart(t, nil)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- g.Backup(ctx, func(api.Backup, io.Reader) error { return nil }) }()
	<-begun
	leave()
	refusedWith(t, <-gone, api.CodeUnreachable, 0, "cancelled")
	<-ended
}
