package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

func backup(t testing.TB, s *store.Store, path string) store.Manifest {
	t.Helper()
	m, err := s.Backup(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func names(t testing.TB, dir string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found
}

func closeNow(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBackup(t *testing.T) {
	t.Run("it is the store of one moment, for its owner only, and its manifest says what it holds", func(t *testing.T) {
		s := open(t, newPath(t))
		fill(t, s, secretKey(t, 1), 3)
		putKey(t, s, "a", "s1")
		h, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "copy.db")
		m := backup(t, s, path)
		if m.Lineage != h.Lineage || m.Seq != h.Seq || m.Revision != h.Revision || m.Schema != 4 || m.LogHash != fmt.Sprintf("%x", h.Hash) ||
			m.SecretKey != secretKey(t, 1).Fingerprint() || m.SHA256 != fmt.Sprintf("%x", fingerprint(t, path)) || m.MadeAt.IsZero() {
			t.Errorf("the manifest is %+v", m)
		}
		putKey(t, s, "later", "s2")
		if got, err := store.VerifyBackup(t.Context(), path); err != nil || got != m {
			t.Errorf("verified: %+v, %v", got, err)
		}
		for _, name := range []string{path, store.ManifestPath(path)} {
			if f, err := os.Stat(name); err != nil || f.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, f.Mode(), err)
			}
		}
		if got := names(t, filepath.Dir(path)); len(got) != 2 {
			t.Errorf("files are %v", got)
		}
	})
	t.Run("it overwrites nothing, and leaves nothing where it fails", func(t *testing.T) {
		s, dir := open(t, newPath(t)), t.TempDir()
		path := filepath.Join(dir, "copy.db")
		for _, there := range []string{path, store.ManifestPath(path)} {
			if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Backup(t.Context(), path); !errors.Is(err, accounts.ErrExists) {
				t.Errorf("%s: %v", there, err)
			}
			if text, err := os.ReadFile(there); err != nil || string(text) != "mine" {
				t.Errorf("%s is %q, %v", there, text, err)
			}
			if err := os.Remove(there); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Backup(t.Context(), filepath.Join(dir, "none", "copy.db")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("into no folder: %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Backup(gone, path); !errors.Is(err, context.Canceled) {
			t.Errorf("cut off: %v", err)
		}
		closeNow(t, s)
		if _, err := s.Backup(t.Context(), path); !errors.Is(err, accounts.ErrUnavailable) {
			t.Errorf("after Close: %v", err)
		}
		if got := names(t, dir); len(got) != 0 {
			t.Errorf("left are %v", got)
		}
	})
	t.Run("while changes go on, each is of one moment and verifies", testBackupUnderWrites)
	t.Run("it holds no secret in clear", func(t *testing.T) {
		s := open(t, newPath(t))
		fill(t, s, secretKey(t, 1), 1)
		key, err := s.Issuer().Issue()
		if err != nil {
			t.Fatal(err)
		}
		putKey(t, s, "canary", key.Reveal())
		path := filepath.Join(t.TempDir(), "copy.db")
		backup(t, s, path)
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte("canary")) {
			t.Fatalf("the search finds nothing at all: %v", err)
		}
		for _, secret := range []string{secretOf(0).Reveal(), key.Reveal(), key.Reveal()[7:50], "signing"} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%q stands in it", secret)
			}
		}
	})
}

// testBackupUnderWrites puts each key and an upstream of the same number in one
// change: a backup with one and not the other is of no moment.
func testBackupUnderWrites(t *testing.T) {
	s, dir := open(t, newPath(t)), t.TempDir()
	ended := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-ended:
				return
			default:
			}
			_, err := s.Change(context.Background(), accounts.Meta{Kind: "test"}, func(st *store.State) error {
				k := accounts.Key{ID: fmt.Sprintf("key_%d", i), Name: fmt.Sprintf("k%d", i)}
				return errors.Join(st.PutKey(k), st.PutUpstream(sealedUpstream(t, secretKey(t, 1), i)))
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	var last int64
	for i := range 5 {
		path := filepath.Join(dir, fmt.Sprintf("%d.db", i))
		m := backup(t, s, path)
		if _, err := store.VerifyBackup(t.Context(), path); err != nil {
			t.Error(err)
		}
		copied := open(t, path)
		keys, err := copied.Keys(t.Context())
		config, err2 := copied.Load(t.Context())
		if err != nil || err2 != nil || int64(len(keys)) != m.Seq || int64(len(config.Upstreams)) != m.Seq || config.Revision != m.Seq || m.Seq < last {
			t.Errorf("of change %d it has %d keys and %d upstreams (%v, %v)", m.Seq, len(keys), len(config.Upstreams), err, err2)
		}
		last = m.Seq
	}
	close(ended)
	writer.Wait()
	if last == 0 {
		t.Error("nothing was written meanwhile, so this shows nothing")
	}
}

func TestVerifyBackup(t *testing.T) {
	s := open(t, newPath(t))
	fill(t, s, secretKey(t, 1), 2)
	for i := range 5 {
		putKey(t, s, fmt.Sprintf("k%d", i), fmt.Sprint(i))
	}
	original := filepath.Join(t.TempDir(), "copy.db")
	backup(t, s, original)

	// resign makes the manifest fit the file again, as somebody would who changed
	// one and knows of the other.
	resign := func(t *testing.T, path string) {
		t.Helper()
		old, err := os.ReadFile(store.ManifestPath(path))
		if err != nil {
			t.Fatal(err)
		}
		stat, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(old), "\n")
		for i, line := range lines {
			switch {
			case strings.Contains(line, `"sha256"`):
				lines[i] = fmt.Sprintf(`  "sha256": "%x",`, fingerprint(t, path))
			case strings.Contains(line, `"bytes"`):
				lines[i] = fmt.Sprintf(`  "bytes": %d,`, stat.Size())
			}
		}
		if err := os.WriteFile(store.ManifestPath(path), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edit := func(statements ...string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			t.Helper()
			db := raw(t, path)
			for _, text := range statements {
				execute(t, db, text)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			resign(t, path)
		}
	}
	for name, spoil := range map[string]func(*testing.T, string){
		"a byte is another": func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text[len(text)/2] ^= 1
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"its end is missing": func(t *testing.T, path string) {
			if err := os.Truncate(path, 8192); err != nil {
				t.Fatal(err)
			}
		},
		"its end is missing, and the manifest fits": func(t *testing.T, path string) {
			if err := os.Truncate(path, 8192); err != nil {
				t.Fatal(err)
			}
			resign(t, path)
		},
		"the log was rewritten":  edit(`DROP TRIGGER changes_is_not_updated`, `UPDATE changes SET actor = 'other' WHERE seq = 3`),
		"a change is missing":    edit(`DROP TRIGGER changes_is_not_deleted`, `DELETE FROM changes WHERE seq = 4`),
		"the head is ahead":      edit(`UPDATE head SET seq = seq + 1`),
		"the lineage is another": edit(`UPDATE head SET lineage = 'lineage_other'`),
		"the manifest is none": func(t *testing.T, path string) {
			if err := os.WriteFile(store.ManifestPath(path), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "copy.db")
			copyFile(t, original, path)
			copyFile(t, store.ManifestPath(original), store.ManifestPath(path))
			if _, err := store.VerifyBackup(t.Context(), path); err != nil {
				t.Fatalf("before: %v", err)
			}
			spoil(t, path)
			if _, err := store.VerifyBackup(t.Context(), path); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("error is %v", err)
			}
		})
	}
	t.Run("without its manifest it is none", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "copy.db")
		copyFile(t, original, path)
		if _, err := store.VerifyBackup(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error is %v", err)
		}
	})
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// holdPath tells the test's binary to be a gateway that does nothing: it holds
// the path of the store.
const holdPath = "LLMGW_TEST_HOLD_STORE"

// holdOpen has the store open until its input ends.
func holdOpen(path string) int {
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{1}, accounts.SecretKeyBytes))
	if err != nil {
		return 3
	}
	s, err := store.Open(context.Background(), store.Options{Path: path, Secret: key, Log: zerolog.Nop()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	fmt.Println("open")
	_, err = io.Copy(io.Discard, os.Stdin)
	if errors.Join(err, s.Close()) != nil {
		return 3
	}
	return 0
}

func TestRestoreBesideAnotherProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	path, copied := newPath(t), filepath.Join(t.TempDir(), "copy.db")
	s := open(t, path)
	putKey(t, s, "old", "s1")
	backup(t, s, copied)
	closeNow(t, s)

	gateway := exec.CommandContext(t.Context(), os.Args[0])
	gateway.Env = append(os.Environ(), holdPath+"="+path)
	gateway.Stderr = os.Stderr
	in, err1 := gateway.StdinPipe()
	out, err2 := gateway.StdoutPipe()
	if err := errors.Join(err1, err2, gateway.Start()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("open"))); err != nil {
		t.Fatal(err)
	}
	_, refused := store.Restore(t.Context(), copied, options(t, path))
	if err := errors.Join(in.Close(), gateway.Wait()); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(refused, accounts.ErrInUse) {
		t.Errorf("while it ran: %v", refused)
	}
	if _, err := store.Restore(t.Context(), copied, options(t, path)); err != nil {
		t.Errorf("after it ended: %v", err)
	}
}

func TestRestore(t *testing.T) {
	// a store with the key "old" and a backup of it, then the key "new"
	ready := func(t *testing.T) (s *store.Store, path, copied string) {
		t.Helper()
		path, copied = newPath(t), filepath.Join(t.TempDir(), "copy.db")
		s = open(t, path)
		putKey(t, s, "old", "s1")
		backup(t, s, copied)
		putKey(t, s, "new", "s2")
		return s, path, copied
	}
	has := func(t *testing.T, path string, want ...string) {
		t.Helper()
		s := open(t, path)
		keys, err := s.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, k := range keys {
			got = append(got, k.Name)
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s has the keys %v, want %v", filepath.Base(path), got, want)
		}
		closeNow(t, s)
	}

	t.Run("the backup is in force, and what was there is aside, whole", func(t *testing.T) {
		s, path, copied := ready(t)
		closeNow(t, s)
		before := fingerprint(t, copied)
		aside, err := store.Restore(t.Context(), copied, options(t, path))
		if err != nil || filepath.Dir(aside) != filepath.Dir(path) {
			t.Fatalf("put aside at %q, %v", aside, err)
		}
		if f, err := os.Stat(path); err != nil || f.Mode().Perm() != 0o600 {
			t.Errorf("it is %v, %v", f.Mode(), err)
		}
		if got := names(t, filepath.Dir(path)); len(got) != 2 {
			t.Errorf("files are %v", got)
		}
		has(t, path, "old")
		has(t, aside, "new", "old")
		if fingerprint(t, copied) != before {
			t.Error("the backup was touched")
		}
	})
	t.Run("a store whose gateway was killed is put aside with what it had not yet tidied up", func(t *testing.T) {
		s, path, copied := ready(t)
		crashed := filepath.Join(t.TempDir(), "llmgw.db")
		for _, suffix := range []string{"", "-wal", "-shm"} { // as a kill would leave them
			copyFile(t, path+suffix, crashed+suffix)
		}
		closeNow(t, s)
		aside, err := store.Restore(t.Context(), copied, options(t, crashed))
		if err != nil {
			t.Fatal(err)
		}
		has(t, crashed, "old")
		has(t, aside, "new", "old")
	})
	t.Run("where there is nothing it makes the store", func(t *testing.T) {
		s, _, copied := ready(t)
		closeNow(t, s)
		path := newPath(t)
		if aside, err := store.Restore(t.Context(), copied, options(t, path)); err != nil || aside != "" {
			t.Fatalf("put aside at %q, %v", aside, err)
		}
		has(t, path, "old")
	})
	t.Run("a broken store is put aside as it is", func(t *testing.T) {
		s, _, copied := ready(t)
		closeNow(t, s)
		path := newPath(t)
		for _, suffix := range []string{"", "-wal"} {
			if err := os.WriteFile(path+suffix, bytes.Repeat([]byte("broken"), 5000), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		aside, err := store.Restore(t.Context(), copied, options(t, path))
		if err != nil {
			t.Fatal(err)
		}
		has(t, path, "old")
		for _, suffix := range []string{"", "-wal"} {
			if text, err := os.ReadFile(aside + suffix); err != nil || !bytes.HasPrefix(text, []byte("broken")) {
				t.Errorf("%s: %v", suffix, err)
			}
		}
	})
	t.Run("refused, it changes nothing", func(t *testing.T) {
		s, path, copied := ready(t)
		damaged := filepath.Join(t.TempDir(), "copy.db")
		copyFile(t, copied, damaged)
		copyFile(t, store.ManifestPath(copied), store.ManifestPath(damaged))
		if err := os.Truncate(damaged, 4096); err != nil {
			t.Fatal(err)
		}
		other := options(t, path)
		other.Secret = secretKey(t, 2)
		if _, err := store.Restore(t.Context(), copied, options(t, path)); !errors.Is(err, accounts.ErrInUse) {
			t.Errorf("while a gateway runs: %v", err)
		}
		if _, err := s.Identify(t.Context(), accounts.HashKey("s2")); err != nil {
			t.Errorf("the gateway that runs: %v", err)
		}
		putKey(t, s, "newer", "s3")
		closeNow(t, s)
		var wrong *accounts.WrongKeyError
		if _, err := store.Restore(t.Context(), copied, other); !errors.As(err, &wrong) {
			t.Errorf("with another secret key: %v", err)
		}
		if _, err := store.Restore(t.Context(), damaged, options(t, path)); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("of a damaged backup: %v", err)
		}
		if got := names(t, filepath.Dir(path)); len(got) != 1 {
			t.Errorf("files are %v", got)
		}
		has(t, path, "new", "newer", "old")
	})
	t.Run("a gateway that goes on with a store that was restored under it loads everything", func(t *testing.T) {
		s, path, copied := ready(t)
		closeNow(t, s)
		if _, err := store.Restore(t.Context(), copied, options(t, path)); err != nil {
			t.Fatal(err)
		}
		restored := open(t, path)
		if err := restored.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := restored.Identify(t.Context(), accounts.HashKey("s2")); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("a key that came later: %v", err)
		}
		if c := putKey(t, restored, "next", "s4"); c.Seq != 2 || time.Since(c.At) > time.Minute {
			t.Errorf("the next change is %+v", c)
		}
	})
}
