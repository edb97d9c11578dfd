package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
	"github.com/llmgw/llmgw/store/storetest"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashPath); path != "" {
		os.Exit(changeUntilKilled(path))
	}
	if path := os.Getenv(holdPath); path != "" {
		os.Exit(holdOpen(path))
	}
	if path := os.Getenv(rotatePath); path != "" {
		os.Exit(rotateUntilKilled(path, os.Getenv(rotateSeeds)))
	}
	if path := os.Getenv(store.CopyCrashPath); path != "" {
		os.Exit(store.CopyUntilKilled(path))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := servers.DropTemplates(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		os.Exit(code)
	}))
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func(*testing.T) *store.Store {
		path := newPath(t)
		return func(t *testing.T) *store.Store { return open(t, path) }
	})
}

func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "llmgw.db") }

func secretKey(t testing.TB, seed byte) *accounts.SecretKey {
	t.Helper()
	k, err := accounts.NewSecretKey(bytes.Repeat([]byte{seed}, accounts.SecretKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func options(t testing.TB, path string) store.Options {
	return store.Options{
		Path: path, Secret: secretKey(t, 1), Log: zerolog.Nop(), PollEvery: 10 * time.Millisecond, Version: "0.1.0",
		Node: store.Membership{Name: "a1"},
	}
}

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	return openWith(t, options(t, path))
}

func openWith(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

// raw opens the database beside the store, to do what nobody should.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	name := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "_busy_timeout=5000"}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func execute(t testing.TB, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func putKey(t testing.TB, s *store.Store, name, secret string) accounts.Change {
	t.Helper()
	c, err := s.Change(t.Context(), accounts.Meta{Kind: "key.create"}, func(st *store.State) error {
		return st.PutKey(accounts.Key{
			ID: "key_" + name, Name: name, Secrets: []accounts.KeySecret{{Hash: accounts.HashKey(secret)}},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpen(t *testing.T) {
	t.Run("the issuer is the same after reopening", func(t *testing.T) {
		path := newPath(t)
		first := open(t, path)
		key, err := first.Issuer().Issue()
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if err := open(t, path).Issuer().Check(key.Reveal()); err != nil {
			t.Errorf("a key of before: %v", err)
		}
	})
	t.Run("a path with any characters in it is a path", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a b?c=d#e%20f")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		putKey(t, open(t, filepath.Join(dir, "llmgw.db")), "a", "s1")
		if _, err := os.Stat(filepath.Join(dir, "llmgw.db-wal")); err != nil {
			t.Error(err)
		}
	})
	t.Run("the files are their owner's alone", func(t *testing.T) {
		path := newPath(t)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		putKey(t, open(t, path), "a", "s1")
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if f, err := os.Stat(path + suffix); err != nil || f.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", suffix, f.Mode(), err)
			}
		}
	})
	t.Run("another secret key is refused and nothing is touched", func(t *testing.T) {
		path := newPath(t)
		s := open(t, path)
		putKey(t, s, "a", "s1")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		before := fingerprint(t, path)
		o := options(t, path)
		o.Secret = secretKey(t, 2)
		_, err := store.Open(t.Context(), o)
		var wrong *accounts.WrongKeyError
		if !errors.As(err, &wrong) || wrong.Have != secretKey(t, 2).Fingerprint() || wrong.Sealed != secretKey(t, 1).Fingerprint() {
			t.Errorf("error is %v", err)
		}
		if fingerprint(t, path) != before {
			t.Error("the file was changed")
		}
	})
	t.Run("a newer schema is refused", func(t *testing.T) {
		path := newPath(t)
		if err := open(t, path).Close(); err != nil {
			t.Fatal(err)
		}
		execute(t, raw(t, path), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (14, 1)`)
		_, err := store.Open(t.Context(), options(t, path))
		var newer *store.NewerSchemaError
		if !errors.As(err, &newer) || newer.Has != 14 || !strings.Contains(err.Error(), "the store has schema 14, this llmgw 0.1.0 knows 4") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("a database of something else is refused and left alone", func(t *testing.T) {
		path := newPath(t)
		execute(t, raw(t, path), `CREATE TABLE recipes (name TEXT)`)
		before := fingerprint(t, path)
		if _, err := store.Open(t.Context(), options(t, path)); err == nil || fingerprint(t, path) != before {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("what is no database is refused and left alone", func(t *testing.T) {
		path := newPath(t)
		if err := os.WriteFile(path, []byte(strings.Repeat("no database. ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		before := fingerprint(t, path)
		if _, err := store.Open(t.Context(), options(t, path)); err == nil || fingerprint(t, path) != before {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("a directory that is not there is an error", func(t *testing.T) {
		if _, err := store.Open(t.Context(), options(t, filepath.Join(t.TempDir(), "none", "llmgw.db"))); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("many who open a new store at once get the same one", testOpenAtOnce)
}

func testOpenAtOnce(t *testing.T) {
	path := newPath(t)
	var all sync.WaitGroup
	stores := make([]*store.Store, 4)
	for i := range stores {
		all.Go(func() {
			s, err := store.Open(t.Context(), options(t, path))
			if err != nil {
				t.Error(err)
				return
			}
			stores[i] = s
		})
	}
	all.Wait()
	var key accounts.Secret
	for _, s := range stores {
		if s == nil {
			continue
		}
		if key.IsZero() {
			key, _ = s.Issuer().Issue()
		}
		if err := s.Issuer().Check(key.Reveal()); err != nil {
			t.Error("two stores issue different keys")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func fingerprint(t *testing.T, path string) [32]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

func TestNoSecretStandsInTheFiles(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	key, err := s.Issuer().Issue()
	if err != nil {
		t.Fatal(err)
	}
	credential := accounts.NewSecret("sk-canary-credential-0123456789")
	u := accounts.Upstream{ID: "up_1", Name: "u", Provider: accounts.ProviderOpenAI, URL: "https://u.example/v1", Enabled: true}
	c := accounts.Credential{ID: "cred_1", Name: "default", Enabled: true}
	if err := (accounts.Vault{Key: secretKey(t, 1)}).Seal(&u, &c, credential); err != nil {
		t.Fatal(err)
	}
	u.Credentials = []accounts.Credential{c}
	putKey(t, s, "canary", key.Reveal())
	if _, err := s.Change(t.Context(), accounts.Meta{Kind: "upstream.add"}, func(st *store.State) error { return st.PutUpstream(u) }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Identify(t.Context(), accounts.HashKey(key.Reveal())); err != nil {
		t.Fatal(err)
	}
	config, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stored := config.Upstreams[0]
	opened, err := accounts.Vault{Key: secretKey(t, 1)}.Read(t.Context(), &stored, &stored.Credentials[0])
	if err != nil || !opened.Equal(credential) {
		t.Errorf("the credential does not come back: %v", err)
	}
	if !grepFiles(t, path, "canary", "up_1") {
		t.Fatal("the search finds nothing at all, so it proves nothing")
	}
	if grepFiles(t, path, key.Reveal(), key.Reveal()[7:50], credential.Reveal(), credential.Reveal()[:20]) {
		t.Error("a secret stands in the files")
	}
}

// grepFiles says whether any of the texts stands in the database's files.
func grepFiles(t *testing.T, path string, texts ...string) bool {
	t.Helper()
	found := false
	for _, suffix := range []string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			found = found || bytes.Contains(b, []byte(text))
		}
	}
	return found
}

func TestAStoreThatCannotBeAskedIsNeverAnUnknownKey(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	putKey(t, s, "a", "s1")
	putKey(t, s, "b", "s2")
	if _, err := s.Identify(t.Context(), accounts.HashKey("s1")); err != nil {
		t.Fatal(err)
	}
	execute(t, raw(t, path), `ALTER TABLE key_secrets RENAME TO hidden`)
	for _, secret := range []string{"s2", "never was"} {
		_, err := s.Identify(t.Context(), accounts.HashKey(secret))
		if !errors.Is(err, accounts.ErrUnavailable) || errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("%s: %v", secret, err)
		}
	}
	if _, err := s.Identify(t.Context(), accounts.HashKey("s1")); err != nil {
		t.Errorf("one in memory: %v", err)
	}
	execute(t, raw(t, path), `ALTER TABLE hidden RENAME TO key_secrets`)
	if _, err := s.Identify(t.Context(), accounts.HashKey("s2")); err != nil {
		t.Errorf("once it can be asked again: %v", err)
	}
}

func TestMoreUnknownKeysAtOnceThanThereAreConnections(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	putKey(t, s, "good", "good")
	if _, err := s.Identify(t.Context(), accounts.HashKey("good")); err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	for worker := range 32 {
		asking.Go(func() {
			for i := range 60 {
				hash := accounts.HashKey(fmt.Sprint(worker, i))
				if _, err := s.Identify(t.Context(), hash); !errors.Is(err, accounts.ErrNotFound) {
					t.Errorf("unknown key %d: %v", i, err)
					return
				}
			}
		})
	}
	asking.Wait()
	execute(t, raw(t, path), `ALTER TABLE key_secrets RENAME TO hidden`) // memory only, from here
	if _, err := s.Identify(t.Context(), accounts.HashKey("good")); err != nil {
		t.Errorf("the known key: %v", err)
	}
}

func TestRulesKeepTheirIdentity(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	apply := func(f ...[]string) {
		t.Helper()
		if _, err := s.Change(t.Context(), accounts.Meta{Kind: "rule.apply", Actor: "me"}, func(st *store.State) error {
			return errors.Join(st.PutFile(answering("one", f[0]...)), st.PutFile(answering("two", f[1]...)))
		}); err != nil {
			t.Fatal(err)
		}
	}
	type row struct{ id, created string }
	rows := func() map[string]row {
		t.Helper()
		found := map[string]row{}
		result, err := raw(t, path).QueryContext(t.Context(), `SELECT name, id, created_at FROM rules`)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = result.Close() }()
		for result.Next() {
			var name string
			var r row
			if err := result.Scan(&name, &r.id, &r.created); err != nil {
				t.Fatal(err)
			}
			found[name] = r
		}
		if err := result.Err(); err != nil {
			t.Fatal(err)
		}
		return found
	}
	apply([]string{"a", "b", "c"}, []string{"d"})
	before := rows()
	apply([]string{"new", "c"}, []string{"a", "d"})
	after := rows()
	for _, kept := range []string{"a", "c", "d"} {
		if after[kept] != before[kept] || after[kept].id == "" {
			t.Errorf("%s was %v, is %v", kept, before[kept], after[kept])
		}
	}
	if _, there := after["b"]; there || len(after) != 4 {
		t.Errorf("rules are %v", after)
	}
}

func TestCloseEndsFollow(t *testing.T) {
	s := open(t, newPath(t))
	ended := make(chan error, 1)
	following := make(chan struct{})
	go func() { close(following); ended <- s.Follow(context.Background()) }()
	<-following
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err != nil && !errors.Is(err, accounts.ErrUnavailable) {
			t.Errorf("following: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Follow goes on after Close")
	}
}
