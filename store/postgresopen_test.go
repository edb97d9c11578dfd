package store_test

import (
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

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// rawPostgres opens the database beside the store, to do what nobody should.
func rawPostgres(t testing.TB, at string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestManyGatewaysThatStartAtOnceMakeOneStore(t *testing.T) {
	at := servers.Database(t)
	stores := make([]*store.Store, 5)
	var all sync.WaitGroup
	for i := range stores {
		all.Go(func() {
			s, err := store.Open(t.Context(), onPostgres(t, at))
			if err != nil {
				t.Error(err)
				return
			}
			stores[i] = s
		})
	}
	all.Wait()
	var lineage string
	var key accounts.Secret
	for i, s := range stores {
		if s == nil {
			continue
		}
		t.Cleanup(func() { _ = s.Close() })
		h, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if lineage == "" {
			lineage = h.Lineage
			if key, err = s.Issuer().Issue(); err != nil {
				t.Fatal(err)
			}
		}
		if h.Lineage != lineage {
			t.Errorf("gateway %d has lineage %s, another has %s", i, h.Lineage, lineage)
		}
		if err := s.Issuer().Check(key.Reveal()); err != nil {
			t.Errorf("gateway %d does not know another's key: %v", i, err)
		}
	}
}

func TestWhatIsNotOursOrNotFitIsRefusedAndNotTouched(t *testing.T) {
	for name, c := range map[string]struct {
		before []string
		edit   func(t *testing.T, o *store.Options, at string)
		opened bool // the store was opened before, with before run after that
		want   string
	}{
		"a database of something else": {
			before: []string{`CREATE TABLE invoices (id int)`}, want: "database of something else",
		},
		"tables of a newer program": {
			opened: true, before: []string{`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)`}, want: "the store has schema 99, this llmgw 0.1.0 knows",
		},
		"another secret key": {
			opened: true, edit: func(t *testing.T, o *store.Options, _ string) { o.Secret = secretKey(t, 2) }, want: "key",
		},
		"tables that are missing, where nobody may make them": {
			edit: func(_ *testing.T, o *store.Options, _ string) { o.KeepSchema = true }, want: "the store has schema 0, this llmgw 0.1.0 needs",
		},
		"a schema that is not there": {
			edit: func(t *testing.T, o *store.Options, at string) {
				o.Postgres = parsed(t, at+"&search_path=nowhere")
			}, want: "search_path leads to no schema",
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := servers.Database(t)
			o := onPostgres(t, at)
			if c.opened {
				s, err := store.Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			db := rawPostgres(t, at)
			for _, text := range c.before {
				execute(t, db, text)
			}
			if c.edit != nil {
				c.edit(t, &o, at)
			}
			before := tables(t, db)
			_, err := store.Open(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, accounts.ErrUnavailable) {
				t.Errorf("error is %v", err)
			}
			if after := tables(t, db); after != before {
				t.Errorf("tables were %s, are %s", before, after)
			}
		})
	}
}

func parsed(t testing.TB, at string) *store.Postgres {
	t.Helper()
	p, err := store.ParsePostgres(at, accounts.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tables lists the tables of a database.
func tables(t *testing.T, db *sql.DB) string {
	t.Helper()
	var names string
	err := db.QueryRowContext(t.Context(),
		`SELECT coalesce(string_agg(tablename, ' ' ORDER BY tablename), '') FROM pg_tables WHERE schemaname = 'public'`).Scan(&names)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestADatabaseThatIsNotUTF8IsRefused(t *testing.T) {
	db := rawPostgres(t, servers.Database(t))
	const name = "llmgw_latin"
	execute(t, db, `DROP DATABASE IF EXISTS `+name)
	execute(t, db, `CREATE DATABASE `+name+` ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`)
	defer execute(t, db, `DROP DATABASE `+name+` WITH (FORCE)`)
	_, err := store.Open(t.Context(), onPostgres(t, named(t, servers.Database(t), name)))
	if err == nil || !strings.Contains(err.Error(), "its encoding is LATIN1") {
		t.Errorf("error is %v", err)
	}
}

// named is the URL of another database on the same server.
func named(t testing.TB, at, database string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + database
	return u.String()
}

func TestARoleThatMayMakeNoTablesIsToldSo(t *testing.T) {
	at := servers.Database(t)
	db := rawPostgres(t, at)
	const role = "llmgw_reader"
	execute(t, db, `DROP ROLE IF EXISTS `+role)
	execute(t, db, `CREATE ROLE `+role+` LOGIN PASSWORD 'reader-password'`)
	defer func() { execute(t, db, `DROP OWNED BY `+role); execute(t, db, `DROP ROLE `+role) }()
	execute(t, db, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "reader-password")
	_, err = store.Open(t.Context(), onPostgres(t, u.String()))
	if err == nil || !strings.Contains(err.Error(), "run llmgw migrate up as one that may") || errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
	t.Run("and needs none once somebody else has made them", func(t *testing.T) {
		if _, err := store.Migrate(t.Context(), ptr(onPostgres(t, at))); err != nil {
			t.Fatal(err)
		}
		execute(t, db, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO `+role)
		o := onPostgres(t, u.String())
		o.KeepSchema = true
		putKey(t, openWith(t, o), "a", "s1")
	})
}

func ptr(o store.Options) *store.Options { return &o }

func TestMigrateSaysHowFarTheTablesAre(t *testing.T) {
	for name, o := range map[string]func() store.Options{
		"SQLite":     func() store.Options { return options(t, newPath(t)) },
		"PostgreSQL": func() store.Options { return onPostgres(t, servers.Database(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			o := o()
			before, err := store.Schema(t.Context(), &o)
			if err != nil || before.Has != 0 || before.Knows < 3 {
				t.Fatalf("%+v, %v", before, err)
			}
			if was, err := store.Migrate(t.Context(), &o); err != nil || was != before {
				t.Fatalf("%+v, %v", was, err)
			}
			want := store.SchemaState{Has: before.Knows, Knows: before.Knows}
			if after, err := store.Schema(t.Context(), &o); err != nil || after != want {
				t.Errorf("%+v, %v", after, err)
			}
			o.KeepSchema = true
			putKey(t, openWith(t, o), "a", "s1")
		})
	}
}

func TestTheSameNumbersMeanTheSameTablesInBothDatabases(t *testing.T) {
	names := func(folder string) string {
		files, err := filepath.Glob(filepath.Join("..", "migrations", folder, "*.sql"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		var all strings.Builder
		for _, f := range files {
			fmt.Fprintln(&all, filepath.Base(f))
		}
		return all.String()
	}
	if lite, full := names("sqlite"), names("postgres"); lite != full {
		t.Errorf("SQLite has\n%sand PostgreSQL\n%s", lite, full)
	}
}

func TestTheLogAndTheAuditAreAppendOnlyOnPostgres(t *testing.T) {
	at := newDatabase(t)
	putKey(t, openWith(t, onPostgres(t, at)), "a", "s1")
	db := rawPostgres(t, at)
	for _, text := range []string{
		`UPDATE audit SET name = 'b'`, `DELETE FROM audit`, `TRUNCATE audit`,
		`UPDATE changes SET actor = 'b'`, `DELETE FROM changes`, `TRUNCATE changes CASCADE`,
	} {
		if _, err := db.ExecContext(t.Context(), text); err == nil || !strings.Contains(err.Error(), "is append-only") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestABackupOfPostgresIsItsOwnBusiness(t *testing.T) {
	s := openWith(t, onPostgres(t, newDatabase(t)))
	path := filepath.Join(t.TempDir(), "backup")
	if _, err := s.Backup(t.Context(), path); !errors.Is(err, store.ErrNoCopy) {
		t.Errorf("error is %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
}

func TestAServerThatDoesNotAnswerMayBeTriedAgain(t *testing.T) {
	server := servers.PrivatePostgres(t, servers.PostgresOptions{})
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	o := onPostgres(t, server.URL())
	_, err := store.Open(t.Context(), o)
	var away *store.UnreachableError
	if !errors.As(err, &away) || !errors.Is(err, accounts.ErrUnavailable) || away.Reason != "connection refused" || away.Server != server.Address() {
		t.Fatalf("error is %v", err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := openWith(t, o)
	putKey(t, s, "a", "s1")

	// Killed between two statements, it is a failure of that change and of no other.
	_, err = s.Change(t.Context(), accounts.Meta{Kind: "key.create"}, func(st *store.State) error {
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
		return st.PutKey(accounts.Key{ID: "key_lost", Name: "lost"})
	})
	if !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := putKey(t, s, "b", "s2"); c.Seq != 2 {
		t.Errorf("the change after is %d", c.Seq)
	}
}

func TestAStandbysAnswerDoesNotCount(t *testing.T) {
	server := servers.PrivatePostgres(t, servers.PostgresOptions{})
	o := onPostgres(t, server.URL())
	s := openWith(t, o)
	putKey(t, s, "a", "s1")
	var data string
	if err := rawPostgres(t, server.URL()).QueryRowContext(t.Context(), `SHOW data_directory`).Scan(&data); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	signal := filepath.Join(data, "standby.signal")
	if err := os.WriteFile(signal, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for doing, do := range map[string]func() error{
		"looking at the log": func() error { return s.Advance(t.Context()) },
		"reading":            func() error { _, err := s.Keys(t.Context()); return err },
		"finding a key":      func() error { _, err := s.Identify(t.Context(), accounts.HashKey("s1")); return err },
		"opening":            func() error { _, err := store.Open(t.Context(), o); return err },
	} {
		err := do()
		if !errors.Is(err, accounts.ErrUnavailable) || !strings.Contains(err.Error(), "standby") {
			t.Errorf("%s: %v", doing, err)
		}
	}
}

func TestAServerThatIsSwitchedToReadOnlyIsReadAndNotWritten(t *testing.T) {
	at := newDatabase(t)
	first := openWith(t, onPostgres(t, at))
	putKey(t, first, "a", "s1")
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, rawPostgres(t, at), `ALTER DATABASE "`+strings.TrimPrefix(u.Path, "/")+`" SET default_transaction_read_only = on`)
	execute(t, rawPostgres(t, named(t, at, "postgres")), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, strings.TrimPrefix(u.Path, "/"))
	deadline := time.Now().Add(10 * time.Second)
	for { // connections that were ended are found out one by one
		if _, err = first.Keys(t.Context()); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Errorf("reading: %v", err)
	}
	_, err = first.Change(t.Context(), accounts.Meta{Kind: "key.create"}, func(st *store.State) error {
		return st.PutKey(accounts.Key{ID: "key_b", Name: "b"})
	})
	if !errors.Is(err, accounts.ErrUnavailable) || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("writing: %v", err)
	}
}
