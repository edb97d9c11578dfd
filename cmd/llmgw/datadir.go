package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

const (
	lockName      = "lock"
	secretKeyName = "secret.key"
)

// openData makes the data directory and takes it for this process. The lock is
// the kernel's: it ends with the process, however that ends.
func (n *node) openData(ctx context.Context) error {
	dir, err := n.settings.data()
	if err != nil {
		return err
	}
	n.data = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return invalid("making the data directory: %v", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return invalid("opening the data directory: %v", err)
	}
	taken, err := lockFile(lock)
	switch {
	case err != nil:
		return errors.Join(invalid("locking the data directory %s: %v", shortPath(dir), err), lock.Close())
	case !taken:
		return errors.Join(n.inUse(ctx, lock), lock.Close())
	}
	n.onClose(lock.Close)
	n.warnOfRights(dir, 0o700)
	return writePID(lock)
}

// inUse says which gateway has the data directory.
func (n *node) inUse(ctx context.Context, lock io.Reader) *failure {
	listen := n.settings.text("listen")
	other, err := statusAt(ctx, filepath.Join(n.data, socketName))
	switch {
	case err == nil && other.Proxy == localURL(n.settings):
		return usedBy(listen, other, "listen")
	case err == nil:
		return failed(nil, "%s is already used by llmgw (pid %d, up %s). Look at it: llmgw status. Or choose another: --data DIR",
			shortPath(n.data), other.PID, age(time.Since(other.StartedAt)))
	}
	pid, err := io.ReadAll(io.LimitReader(lock, 20))
	who := strings.TrimSpace(string(pid))
	if err != nil || who == "" {
		who = "unknown"
	}
	return failed(nil, "%s is already used by llmgw (pid %s). Wait for it, or choose another: --data DIR", shortPath(n.data), who)
}

// writePID is for people and for inUse; nothing depends on it.
func writePID(lock *os.File) error {
	if err := lock.Truncate(0); err != nil {
		return fmt.Errorf("writing the lock: %w", err)
	}
	if _, err := lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("writing the lock: %w", err)
	}
	return nil
}

// warnOfRights tells of files that others may look at. They are not narrowed:
// whoever mounted them may have had a reason.
func (n *node) warnOfRights(path string, want fs.FileMode) {
	stat, err := os.Stat(path)
	if err == nil && stat.Mode().Perm()&^want != 0 {
		n.log.Warn().Str("path", path).Str("mode", stat.Mode().Perm().String()).Msg("open to other users")
	}
}

// openSecretKey finds the key that seals credentials: LLMGW_SECRET_KEY, else
// the file that LLMGW_SECRET_KEY_FILE names, else secret.key in the data
// directory, which the first start makes. With PostgreSQL one must be given.
func (n *node) openSecretKey(context.Context) (err error) {
	if err := n.needsSecretKey(); err != nil {
		return err
	}
	if text := n.settings.text("secret-key"); text != "" {
		n.secret, err = accounts.ParseSecretKey(text)
		if err != nil {
			return invalid("LLMGW_SECRET_KEY: %v", err)
		}
		return nil
	}
	path := n.settings.text("secret-key-file")
	if path == "" {
		path = filepath.Join(n.data, secretKeyName)
		if err := n.makeSecretKey(path); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return invalid("reading the secret key: %v", err)
	}
	n.warnOfRights(path, 0o600)
	if n.secret, err = accounts.ParseSecretKey(string(text)); err != nil {
		return invalid("%s: %v", shortPath(path), err)
	}
	return nil
}

// makeSecretKey makes a key where none can have been lost: a store that exists
// was sealed with one.
func (n *node) makeSecretKey(path string) error {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return nil // what is wrong with it shows when it is read
	}
	if stat, err := os.Stat(n.storePath()); err == nil && stat.Size() > 0 {
		return invalid("the secret key %s is missing, and %s is sealed with it. Put it back, or give it: LLMGW_SECRET_KEY",
			shortPath(path), shortPath(n.storePath()))
	}
	var key [accounts.SecretKeyBytes]byte
	if _, err := rand.Read(key[:]); err != nil {
		return fmt.Errorf("reading random bytes: %w", err)
	}
	return writeWhole(path, base64.StdEncoding.EncodeToString(key[:])+"\n")
}

// writeWhole writes a file that is there whole or not at all, for its owner
// only.
func writeWhole(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new") // 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// storePath is where the SQLite file is.
func (n *node) storePath() string {
	if path, ok := strings.CutPrefix(n.settings.text("store"), "sqlite://"); ok {
		return expandHome(path)
	}
	return filepath.Join(n.data, "llmgw.db")
}

// secretSource names where the secret key came from.
func (n *node) secretSource() string {
	switch {
	case n.settings.text("secret-key") != "":
		return "LLMGW_SECRET_KEY"
	case n.settings.text("secret-key-file") != "":
		return "the one in " + shortPath(n.settings.text("secret-key-file"))
	}
	return "the one in " + shortPath(filepath.Join(n.data, secretKeyName))
}
