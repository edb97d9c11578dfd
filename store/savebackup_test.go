package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

// taken is a backup with its manifest, and what is in its file.
func taken(t *testing.T, s *store.Store) (store.Manifest, []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "taken.db")
	m := backup(t, s, path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return m, text
}

func TestSaveBackup(t *testing.T) {
	s := open(t, newPath(t))
	fill(t, s, secretKey(t, 1), 2)
	m, text := taken(t, s)
	putKey(t, s, "later", "s2")
	newer, newerText := taken(t, s)

	t.Run("what comes is kept as it would have been made here", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "copy.db")
		if err := store.SaveBackup(t.Context(), path, m, bytes.NewReader(text), false); err != nil {
			t.Fatal(err)
		}
		if got, err := store.VerifyBackup(t.Context(), path); err != nil || got != m {
			t.Errorf("verified: %+v, %v", got, err)
		}
		for _, name := range []string{path, store.ManifestPath(path)} {
			if f, err := os.Stat(name); err != nil || f.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, f, err)
			}
		}
		if got := names(t, dir); len(got) != 2 {
			t.Errorf("files are %v", got)
		}
	})
	for name, from := range map[string]io.Reader{
		"nothing comes":         bytes.NewReader(nil),
		"its end is missing":    bytes.NewReader(text[:len(text)-1]),
		"more comes":            io.MultiReader(bytes.NewReader(text), bytes.NewReader(text)),
		"another comes":         bytes.NewReader(newerText),
		"it is not a database":  bytes.NewReader(make([]byte, len(text))),
		"it breaks off":         io.MultiReader(bytes.NewReader(text[:9000]), brokenReader{}),
		"it breaks off at once": brokenReader{},
	} {
		t.Run("nothing is left where "+name, func(t *testing.T) {
			dir := t.TempDir()
			err := store.SaveBackup(t.Context(), filepath.Join(dir, "copy.db"), m, from, false)
			if !errors.Is(err, store.ErrDamaged) && !errors.Is(err, errBroken) {
				t.Errorf("error is %v", err)
			}
			if got := names(t, dir); len(got) != 0 {
				t.Errorf("left are %v", got)
			}
		})
	}
	t.Run("one that is there is replaced when that is asked for, and by a whole one only", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "copy.db")
		save := func(m store.Manifest, text []byte, replace bool) error {
			return store.SaveBackup(t.Context(), path, m, bytes.NewReader(text), replace)
		}
		if err := save(m, text, true); err != nil {
			t.Fatal(err)
		}
		if err := save(newer, newerText, false); !errors.Is(err, accounts.ErrExists) {
			t.Errorf("without being asked: %v", err)
		}
		if err := save(newer, newerText[:100], true); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("by a part: %v", err)
		}
		if got, err := store.VerifyBackup(t.Context(), path); err != nil || got != m {
			t.Errorf("the first one is %+v, %v", got, err)
		}
		if err := save(newer, newerText, true); err != nil {
			t.Fatal(err)
		}
		if got, err := store.VerifyBackup(t.Context(), path); err != nil || got != newer {
			t.Errorf("the second one is %+v, %v", got, err)
		}
		if got := names(t, dir); len(got) != 2 {
			t.Errorf("files are %v", got)
		}
	})
	t.Run("a manifest alone is somebody's, too", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "copy.db")
		if err := os.WriteFile(store.ManifestPath(path), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := store.SaveBackup(t.Context(), path, m, bytes.NewReader(text), false); !errors.Is(err, accounts.ErrExists) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("one of a newer llmgw is named", func(t *testing.T) {
		dir, later := t.TempDir(), m
		later.Schema = 99
		var refused *store.NewerSchemaError
		err := store.SaveBackup(t.Context(), filepath.Join(dir, "copy.db"), later, bytes.NewReader(text), false)
		if !errors.As(err, &refused) || refused.Has != 99 || len(names(t, dir)) != 0 {
			t.Errorf("error is %v, left are %v", err, names(t, dir))
		}
	})
	t.Run("a folder that is not there is not made", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "none", "copy.db")
		if err := store.SaveBackup(t.Context(), path, m, bytes.NewReader(text), false); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error is %v", err)
		}
	})
}

var errBroken = errors.New("the line is dead")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

func TestBackupFile(t *testing.T) {
	t.Run("a store that is closed is copied as it is", func(t *testing.T) {
		from := newPath(t)
		s := open(t, from)
		fill(t, s, secretKey(t, 1), 2)
		closeNow(t, s)
		before := fingerprint(t, from)
		path := filepath.Join(t.TempDir(), "copy.db")
		m, err := store.BackupFile(t.Context(), from, path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := store.VerifyBackup(t.Context(), path); err != nil || got != m || m.Seq != 1 {
			t.Errorf("verified: %+v, %v", got, err)
		}
		if fmt.Sprint(fingerprint(t, from)) != fmt.Sprint(before) {
			t.Error("the store was changed")
		}
	})
	t.Run("where there is no store none is made", func(t *testing.T) {
		dir := t.TempDir()
		_, err := store.BackupFile(t.Context(), filepath.Join(dir, "llmgw.db"), filepath.Join(dir, "copy.db"))
		if !errors.Is(err, accounts.ErrNotFound) || len(names(t, dir)) != 0 {
			t.Errorf("error is %v, left are %v", err, names(t, dir))
		}
	})
	t.Run("what is no store is none", func(t *testing.T) {
		dir := t.TempDir()
		from := filepath.Join(dir, "llmgw.db")
		if err := os.WriteFile(from, bytes.Repeat([]byte("x"), 8192), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store.BackupFile(t.Context(), from, filepath.Join(dir, "copy.db")); err == nil || len(names(t, dir)) != 1 {
			t.Errorf("error is %v, left are %v", err, names(t, dir))
		}
	})
}

func TestBackupOpens(t *testing.T) {
	s := open(t, newPath(t))
	fill(t, s, secretKey(t, 1), 3)
	path := filepath.Join(t.TempDir(), "copy.db")
	backup(t, s, path)
	if err := store.BackupOpens(t.Context(), path, secretKey(t, 1)); err != nil {
		t.Errorf("with its key: %v", err)
	}
	if err := store.BackupOpens(t.Context(), path, accounts.NewKeyring(secretKey(t, 2), secretKey(t, 1))); err != nil {
		t.Errorf("with its key beside another: %v", err)
	}
	var sealed *store.SealedError
	var wrong *accounts.WrongKeyError
	err := store.BackupOpens(t.Context(), path, secretKey(t, 2))
	if !errors.As(err, &sealed) || !errors.As(err, &wrong) || sealed.Credentials != 3 || wrong.Sealed != secretKey(t, 1).Fingerprint() {
		t.Errorf("with another: %v", err)
	}
}
