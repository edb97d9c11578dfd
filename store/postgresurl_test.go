package store_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// plain takes away what the environment of a developer may say of PostgreSQL.
func plain(t testing.TB) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "PG") {
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
			value := strings.TrimPrefix(pair, name+"=")
			t.Cleanup(func() { _ = os.Setenv(name, value) })
		}
	}
}

const hidden = "hunter2"

func TestParsePostgres(t *testing.T) {
	plain(t)
	for name, c := range map[string]struct {
		url, place, problem string
	}{
		"host, port and database":              {"postgres://gw:hunter2@db:5433/llmgw", "db:5433/llmgw", ""},
		"the port is the usual one":            {"postgresql://gw@db/llmgw", "db:5432/llmgw", ""},
		"an address of six":                    {"postgres://gw@[::1]:5433/llmgw", "[::1]:5433/llmgw", ""},
		"a socket":                             {"postgres:///llmgw?host=/run/postgresql", "/run/postgresql/llmgw", ""},
		"a password with everything in it":     {"postgres://gw:hunter2%40%2F%3F%23%25%27%5C@db/llmgw", "db:5432/llmgw", ""},
		"several hosts":                        {"postgres://gw@a,b/llmgw?port=1,2", "a:1/llmgw", ""},
		"modes that check or say so":           {"postgres://gw@db/llmgw?sslmode=require", "db:5432/llmgw", ""},
		"a mode that falls back":               {"postgres://gw:hunter2@db/llmgw?sslmode=prefer", "", "its sslmode must be verify-full"},
		"a mode that is none":                  {"postgres://gw:hunter2@db/llmgw?sslmode=hunter2", "", "has a value that is not possible"},
		"a database is missing":                {"postgres://gw:hunter2@db", "", "it names no database"},
		"a password with a slash":              {"postgres://gw:hunter2/x@db/llmgw", "", "write @ as %40"},
		"a password with a question mark":      {"postgres://gw:1?hunter2@db/llmgw", "", "a parameter that is not known"},
		"a password with a hash":               {"postgres://gw:1#hunter2@db/llmgw", "", "write @ as %40"},
		"a password with a percent sign":       {"postgres://gw:hunter2%zz@db/llmgw", "", "write @ as %40"},
		"a parameter that is not known":        {"postgres://gw:hunter2@db/llmgw?sslmod=disable", "", `a parameter "sslmod", which is none of application_name, `},
		"a parameter twice":                    {"postgres://gw:hunter2@db/llmgw?sslmode=disable&sslmode=require", "", "stands there twice"},
		"a parameter with a value that is bad": {"postgres://gw:hunter2@db/llmgw?port=hunter2", "", "has a value that is not possible"},
		"something else":                       {"mysql://gw:hunter2@db/llmgw", "", "not of the form postgres://"},
		"nothing":                              {"", "", "not of the form postgres://"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := store.ParsePostgres(c.url, accounts.Secret{})
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) || strings.Contains(err.Error(), hidden) {
					t.Fatalf("error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.String() != c.place {
				t.Errorf("it is at %s", p)
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
				shown := fmt.Sprintf(verb, p) + fmt.Sprintf(verb, store.Options{Postgres: p})
				if strings.Contains(shown, hidden) {
					t.Errorf("%s gives the password away: %s", verb, shown)
				}
			}
			if text, err := json.Marshal(p); err != nil || strings.Contains(string(text), hidden) {
				t.Errorf("JSON gives the password away: %s, %v", text, err)
			}
		})
	}
}

// The password is taken from where it is said first, and always a server that
// wants it is the judge of that.
func TestWhereThePasswordComesFrom(t *testing.T) {
	plain(t)
	at := newDatabase(t)
	role := `llmgw_` + strings.ToLower(rand.Text())
	db := rawPostgres(t, at)
	execute(t, db, `CREATE ROLE `+role+` SUPERUSER LOGIN PASSWORD 'it''s \ r"ight'`)
	defer func() { execute(t, db, `DROP ROLE `+role) }()
	const right, wrong = `it's \ r"ight`, "wrong"
	passfile := filepath.Join(t.TempDir(), "pgpass")
	if err := os.WriteFile(passfile, []byte(`*:*:*:`+role+`:it's \\ r"ight`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		inURL, given, variable, file string
		works                        bool
	}{
		"in the URL":                          {inURL: right, given: wrong, variable: wrong, works: true},
		"beside it":                           {given: right, variable: wrong, file: "none", works: true},
		"in the variable of the driver":       {variable: right, works: true},
		"in the password file of the driver":  {file: passfile, works: true},
		"the one in the URL is not passed by": {inURL: wrong, given: right, variable: right, file: passfile},
		"nowhere":                             {file: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PGPASSWORD", c.variable)
			t.Setenv("PGPASSFILE", c.file)
			if c.file == "" {
				t.Setenv("PGPASSFILE", "none")
			}
			p, err := store.ParsePostgres(asRole(t, at, role, c.inURL), accounts.NewSecret(c.given))
			if err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			o := store.Options{Postgres: p, Secret: secretKey(t, 1), Log: zerolog.New(&said)}
			s, err := store.Open(t.Context(), o)
			if c.works {
				if err != nil {
					t.Fatal(err)
				}
				listens(t, s, at)
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "(the password is wrong, or none was given)") {
				t.Errorf("error is %v", err)
			}
			if text := fmt.Sprint(err, said.String()); strings.Contains(text, wrong+`"`) || strings.Contains(text, right) {
				t.Errorf("it gives a password away: %s", text)
			}
		})
	}
}

// asRole is a URL with somebody else in it.
func asRole(t testing.TB, at, role, password string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	if password != "" {
		u.User = url.UserPassword(role, password)
	}
	return u.String()
}

// listens waits until a store has a connection that listens, which logs in by
// another way.
func listens(t *testing.T, s *store.Store, at string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	following, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Follow(following) }()
	db, n := rawPostgres(t, at), 0
	for n == 0 && ctx.Err() == nil {
		err := db.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`).Scan(&n)
		if err != nil {
			t.Error(err)
		}
	}
	stop()
	if err := <-done; err != nil || n == 0 {
		t.Errorf("%d connections listen, %v", n, err)
	}
}

func TestThePasswordStandsInNoError(t *testing.T) {
	server := servers.PrivatePostgres(t, servers.PostgresOptions{})
	p := parsed(t, asRole(t, server.URL(), "nobody_at_all", hidden))
	var said strings.Builder
	_, err := store.Open(t.Context(), store.Options{Postgres: p, Secret: secretKey(t, 1), Log: zerolog.New(&said)})
	if err == nil {
		t.Fatal("somebody who is not there was let in")
	}
	if text := fmt.Sprintf("%+v %s", err, said.String()); strings.Contains(text, hidden) {
		t.Error(text)
	}
}

func FuzzParsePostgres(f *testing.F) {
	plain(f)
	for _, seed := range []string{
		"postgres://gw:" + hidden + "@db:5433/llmgw?sslmode=disable", "postgres://gw:" + hidden + "@", "postgres://" + hidden + "?a=" + hidden,
		"postgresql://[::1]/x?host=/tmp&port=1", "postgres://gw:" + hidden + "@a,b:1/x?port=1,2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := store.ParsePostgres(text, accounts.Secret{})
		if err != nil {
			// A parameter's name is all of the URL that an error may repeat.
			_, parameters, _ := strings.Cut(text, "?")
			if strings.Contains(err.Error(), hidden) && !strings.Contains(parameters, hidden) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if p.String() == "" || p.Server() == "" {
			t.Errorf("%q is nowhere", text)
		}
	})
}
