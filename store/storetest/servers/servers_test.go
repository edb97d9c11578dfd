package servers_test

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"github.com/llmgw/llmgw/store/storetest/servers"
)

// The shared servers run on while leaks are looked for.
func TestMain(m *testing.M) {
	if os.Getenv(envChild) != "" {
		os.Exit(startAndWait())
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what comes.
const patience = 20 * time.Second

func open(t *testing.T, at string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func execute(t *testing.T, at, statement string) {
	t.Helper()
	db := open(t, at)
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	must(t, db.Close()) // a template must not be in use
}

func one(t *testing.T, at, query string) string {
	t.Helper()
	var got string
	if err := open(t, at).QueryRowContext(t.Context(), query).Scan(&got); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return got
}

func client(t *testing.T, at string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(at)
	if err != nil {
		t.Fatal(err)
	}
	o.MaxRetries, o.DialerRetries, o.DisableIdentity = -1, 1, true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c := redis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer reads one byte within a short time; a network timeout is an error.
func answer(t *testing.T, c net.Conn) (string, error) {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
	b := make([]byte, 1)
	n, err := c.Read(b)
	return string(b[:n]), err
}

func say(t *testing.T, c net.Conn, words ...byte) {
	t.Helper()
	_, err := c.Write(words)
	must(t, err)
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, time.Second)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestDatabasesOfOneServerDoNotSeeEachOther(t *testing.T) {
	a, b := servers.Database(t), servers.Database(t)
	execute(t, a, "CREATE TABLE t (n int)")
	if got := one(t, b, "SELECT count(*) FROM pg_tables WHERE tablename = 't'"); got != "0" {
		t.Errorf("the other database has %s tables of that name", got)
	}
}

func TestADatabaseIsDroppedWithItsTestThoughSomebodyIsConnected(t *testing.T) {
	var at string
	t.Run("the test", func(t *testing.T) {
		at = servers.Database(t)
	})
	err := open(t, at).PingContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("after the test: %v", err)
	}

	held := ""
	var connection *sql.Conn
	t.Run("a test that leaves a connection", func(t *testing.T) {
		held = servers.Database(t)
		db, err := sql.Open("postgres", held)
		must(t, err)
		connection, err = db.Conn(t.Context())
		must(t, err)
		t.Cleanup(func() { db.Close() })
	})
	connection.Close()
	if err := open(t, held).PingContext(t.Context()); err == nil {
		t.Error("the database is there still")
	}
}

func TestATemplateIsFilledOnceAndItsClonesAreApart(t *testing.T) {
	filled := 0
	fill := func(ctx context.Context, at string) error {
		filled++
		execute(t, at, "CREATE TABLE t AS SELECT 7 AS n")
		return nil
	}
	failed := errors.New("no")
	server := servers.PrivatePostgres(t, servers.PostgresOptions{})
	if _, err := server.Clone(t.Context(), "one", func(context.Context, string) error { return failed }); !errors.Is(err, failed) {
		t.Fatalf("a template that cannot be filled: %v", err)
	}
	a, err := server.Clone(t.Context(), "one", fill)
	must(t, err)
	execute(t, a, "UPDATE t SET n = 8")
	b, err := server.Clone(t.Context(), "one", fill)
	must(t, err)
	if got := one(t, b, "SELECT n FROM t"); got != "7" || filled != 1 {
		t.Errorf("the clone has %s; filled %d times", got, filled)
	}
	if got := one(t, server.URL(), "SELECT count(*) FROM pg_database WHERE datname LIKE 'llmgw_%'"); got != "3" {
		t.Errorf("%s databases where there are a template and two clones", got)
	}
}

func TestTheSharedServerOutlivesACollection(t *testing.T) {
	servers.Database(t)
	runtime.GC() // the finalizers of what nobody holds run behind it
	runtime.GC()
	for range 3 {
		must(t, open(t, servers.Database(t)).PingContext(t.Context()))
	}
}

func TestOnlyDatabasesMadeHereAreDropped(t *testing.T) {
	server := servers.OnServer("postgres://nobody@127.0.0.1:1/postgres?sslmode=disable")
	for _, at := range []string{"postgres://h/postgres", `postgres://h/llmgw_a"b`, "postgres://h/llmgw", "::"} {
		if err := server.Drop(t.Context(), at); err == nil || !strings.Contains(err.Error(), "reading the URL") {
			t.Errorf("%s: %v", at, err)
		}
	}
}

func TestAPasswordIsAskedForByTCP(t *testing.T) {
	at := strings.Replace(servers.Database(t), "throw-away", "another", 1)
	if os.Getenv("LLMGW_TEST_POSTGRES") != "" {
		t.Skip("somebody's server has passwords of its own")
	}
	err := open(t, at).PingContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), "password") {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestPostgresComesBackUnderTheSameAddress(t *testing.T) {
	server := servers.PrivatePostgres(t, servers.PostgresOptions{})
	execute(t, server.URL(), "CREATE TABLE t AS SELECT 1 AS n")
	for name, end := range map[string]func() error{"stopped": server.Stop, "killed": server.Kill} {
		t.Run(name, func(t *testing.T) {
			db := open(t, server.URL())
			must(t, db.PingContext(t.Context()))
			must(t, end())
			if err := db.PingContext(t.Context()); err == nil {
				t.Error("it answers")
			}
			must(t, end()) // once more changes nothing
			must(t, server.Start(t.Context()))
			if got := one(t, server.URL(), "SELECT n FROM t"); got != "1" {
				t.Errorf("it holds %s", got)
			}
		})
	}
	if err := server.Start(t.Context()); !errors.Is(err, servers.ErrState) {
		t.Errorf("starting it twice: %v", err)
	}
}

// It speaks PostgreSQL's protocol by hand, because the driver does not come back
// from a server that does not answer, deadline or not.
func TestAFrozenPostgresKeepsEverybodyWaiting(t *testing.T) {
	server := servers.PrivatePostgres(t, servers.PostgresOptions{})
	encryption := []byte{0, 0, 0, 8, 4, 210, 22, 47} // SSLRequest
	version := []byte{0, 0, 0, 19, 0, 3, 0, 0, 'u', 's', 'e', 'r', 0, 'l', 'l', 'm', 0, 0, 0}
	old := dial(t, server.Address())
	say(t, old, encryption...)
	if got, err := answer(t, old); got != "N" {
		t.Fatalf("to a wish for encryption it says %q, %v", got, err)
	}
	must(t, server.Freeze())
	say(t, old, version...)
	fresh := dial(t, server.Address())
	say(t, fresh, encryption...)
	for name, c := range map[string]net.Conn{"old": old, "fresh": fresh} {
		if got, err := answer(t, c); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("frozen, it answers an %s connection: %q, %v", name, got, err)
		}
	}
	must(t, server.Thaw())
	for name, c := range map[string]net.Conn{"old": old, "fresh": fresh} {
		if got, err := answer(t, c); err != nil {
			t.Errorf("thawed, it answers an %s connection: %q, %v", name, got, err)
		}
	}

	t.Run("and can be stopped and closed", func(t *testing.T) {
		must(t, server.Freeze())
		must(t, server.Stop())
		if err := server.Freeze(); !errors.Is(err, servers.ErrState) {
			t.Errorf("freezing what does not run: %v", err)
		}
		must(t, server.Start(t.Context()))
		must(t, server.Freeze())
	})
}

func TestAnOlderCopyComesBack(t *testing.T) {
	server := servers.PrivatePostgres(t, servers.PostgresOptions{})
	if _, err := server.CopyData(t.Context()); !errors.Is(err, servers.ErrState) {
		t.Errorf("copying while it runs: %v", err)
	}
	execute(t, server.URL(), "CREATE TABLE t (n int)")
	must(t, server.Stop())
	older, err := server.CopyData(t.Context())
	must(t, err)
	must(t, server.Start(t.Context()))
	execute(t, server.URL(), "INSERT INTO t VALUES (1)")
	if err := server.RestoreData(t.Context(), older); !errors.Is(err, servers.ErrState) {
		t.Errorf("restoring while it runs: %v", err)
	}
	for range 2 { // a copy serves more than once
		must(t, server.Kill())
		must(t, server.RestoreData(t.Context(), older))
		must(t, server.Start(t.Context()))
		if got := one(t, server.URL(), "SELECT count(*) FROM t"); got != "0" {
			t.Errorf("%s rows of those that the copy does not have", got)
		}
		execute(t, server.URL(), "INSERT INTO t VALUES (1)")
	}
}

func TestSettingsReachTheServer(t *testing.T) {
	server := servers.PrivatePostgres(t, servers.PostgresOptions{Durable: true, Settings: []string{"work_mem = 5MB"}})
	if got := one(t, server.URL(), "SHOW work_mem") + " " + one(t, server.URL(), "SHOW fsync"); got != "5MB on" {
		t.Errorf("work_mem and fsync are %s", got)
	}
}

func TestAServerThatDoesNotStartSaysWhyAndLeavesNothing(t *testing.T) {
	roof, err := os.MkdirTemp("", "roof") // t.TempDir's paths are too long for sockets
	must(t, err)
	defer func() { must(t, os.RemoveAll(roof)) }()
	must(t, os.Chmod(roof, 0o755))
	t.Setenv("TMPDIR", roof)
	p, err := servers.StartPostgres(t.Context(), servers.PostgresOptions{Settings: []string{"shared_buffers = many"}})
	if errors.Is(err, servers.ErrMissing) {
		t.Skip(err)
	}
	if err == nil || !strings.Contains(err.Error(), "shared_buffers") {
		t.Errorf("%v %v", p, err)
	}
	_, err = servers.StartRedis(t.Context(), servers.RedisOptions{Settings: []string{"nonsense 1"}})
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Error(err)
	}
	left, err := os.ReadDir(roof)
	must(t, err)
	if len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

func TestRedisComesBackUnderTheSameAddress(t *testing.T) {
	for name, c := range map[string]struct {
		options servers.RedisOptions
		end     func(*servers.Redis) error
		want    string
	}{
		"stopped, with nothing":                 {servers.RedisOptions{}, (*servers.Redis).Stop, ""},
		"killed, with nothing":                  {servers.RedisOptions{}, (*servers.Redis).Kill, ""},
		"killed, with all where it is durable":  {servers.RedisOptions{Durable: true}, (*servers.Redis).Kill, "v"},
		"stopped, with all where it is durable": {servers.RedisOptions{Durable: true}, (*servers.Redis).Stop, "v"},
	} {
		t.Run(name, func(t *testing.T) {
			server := servers.PrivateRedis(t, c.options)
			r := client(t, server.URL())
			must(t, r.Set(t.Context(), "k", "v", 0).Err())
			must(t, c.end(server))
			if err := r.Ping(t.Context()).Err(); err == nil {
				t.Error("it answers")
			}
			must(t, server.Start(t.Context()))
			got, err := r.Get(t.Context(), "k").Result()
			if err != nil && !errors.Is(err, redis.Nil) {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("it holds %q", got)
			}
		})
	}
}

func TestRedisFreezesAndForgets(t *testing.T) {
	server := servers.PrivateRedis(t, servers.RedisOptions{})
	r := client(t, server.URL())
	must(t, r.Set(t.Context(), "k", "v", 0).Err())
	must(t, server.Freeze())
	c := dial(t, server.Address())
	say(t, c, []byte("PING\r\n")...)
	if got, err := answer(t, c); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("frozen, it answers %q, %v", got, err)
	}
	must(t, server.Thaw())
	if got := r.Get(t.Context(), "k").Val(); got != "v" {
		t.Errorf("thawed, it holds %q", got)
	}
	must(t, server.FlushAll(t.Context()))
	if err := r.Get(t.Context(), "k").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("flushed: %v", err)
	}
	wrong := client(t, strings.Replace(server.URL(), "throw-away", "another", 1))
	if err := wrong.Ping(t.Context()).Err(); err == nil {
		t.Error("a wrong password is taken")
	}
}

func TestTestsShareARedisAndSeeTheirOwnOnly(t *testing.T) {
	var first string
	t.Run("one", func(t *testing.T) {
		first = servers.RedisDatabase(t)
		must(t, client(t, first).Set(t.Context(), "k", "v", 0).Err())
		if err := client(t, servers.RedisDatabase(t)).Get(t.Context(), "k").Err(); !errors.Is(err, redis.Nil) {
			t.Errorf("another database: %v", err)
		}
	})
	t.Run("the next", func(t *testing.T) {
		for range 2 { // both that were given back
			at := servers.RedisDatabase(t)
			if n := client(t, at).DBSize(t.Context()).Val(); n != 0 {
				t.Errorf("%s begins with %d keys", at, n)
			}
		}
	})
}

func TestAURLGoesThroughAnotherAddress(t *testing.T) {
	got, err := servers.Through("postgres://a:b@127.0.0.1:5432/d?sslmode=disable", "127.0.0.1:6000")
	if err != nil || got != "postgres://a:b@127.0.0.1:6000/d?sslmode=disable" {
		t.Errorf("%s %v", got, err)
	}
	if _, err := servers.Through("postgres://a:secret@%", "x"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("what is no URL: %v", err)
	}
}

func TestPostgresCountsStatements(t *testing.T) {
	p := servers.PrivatePostgres(t, servers.PostgresOptions{})
	at, err := p.Empty(t.Context())
	must(t, err)
	must(t, p.Run(t.Context(), at, `CREATE TABLE things (n int); INSERT INTO things VALUES (1), (2)`))
	counts, err := p.CountStatements(t.Context())
	must(t, err)
	if !counts {
		t.Skip("NOT TESTED HERE: this PostgreSQL lacks pg_stat_statements")
	}
	for range 3 {
		if got := one(t, at, `SELECT count(*) FROM things`); got != "2" {
			t.Fatalf("%s things", got)
		}
	}
	for text, want := range map[string]int64{"count(*) FROM things": 3, "FROM nothings": 0} {
		if n, err := p.Statements(t.Context(), text); err != nil || n != want {
			t.Errorf("%q was asked %d times, %v; want %d", text, n, err, want)
		}
	}
	must(t, p.Stop())
	must(t, p.Start(t.Context()))
	if n, err := p.Statements(t.Context(), "FROM things"); err != nil || n != 3 {
		t.Errorf("after a restart %d, %v", n, err)
	}
	if err := p.Run(t.Context(), p.URL(), `SELECT 1`); err == nil {
		t.Error("statements ran in a database that was not made here")
	}
}
