package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Environment variables that tests listen to.
const (
	envRequire  = "LLMGW_TEST_REQUIRE_SERVICES" // 1: a missing server is a failure
	envPostgres = "LLMGW_TEST_POSTGRES"         // URL of a running server to make databases on
)

// The servers that the tests of one binary share, started by the first that asks.
// Nobody stops them: their keepers do when the binary ends, and until then they
// have no goroutine here that a search for leaks could find.
var (
	sharedPostgres = sync.OnceValues(func() (*Databases, error) {
		if at := os.Getenv(envPostgres); at != "" {
			return OnServer(at), nil
		}
		p, err := StartPostgres(context.Background(), PostgresOptions{})
		if err != nil {
			return nil, err
		}
		return p.Databases, nil
	})
	sharedRedis = sync.OnceValues(func() (*numbers, error) {
		r, err := StartRedis(context.Background(), RedisOptions{})
		if err != nil {
			return nil, err
		}
		return &numbers{server: r}, nil
	})
)

// Database gives a test an empty database on the server that the whole test
// binary shares, or on that of LLMGW_TEST_POSTGRES: its URL. It is dropped with
// the test.
func Database(tb testing.TB) string {
	tb.Helper()
	return database(tb, func(ctx context.Context, d *Databases) (string, error) { return d.Empty(ctx) })
}

// Clone is Database, as fill left another one under this name. See
// Databases.Clone.
func Clone(tb testing.TB, name string, fill func(ctx context.Context, url string) error) string {
	tb.Helper()
	return database(tb, func(ctx context.Context, d *Databases) (string, error) { return d.Clone(ctx, name, fill) })
}

func database(tb testing.TB, how func(context.Context, *Databases) (string, error)) string {
	tb.Helper()
	shared, err := sharedPostgres()
	need(tb, err)
	at, err := how(tb.Context(), shared)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := shared.Drop(context.WithoutCancel(tb.Context()), at); err != nil {
			tb.Errorf("after the test: %v", err)
		}
	})
	return at
}

// DropTemplates drops what Clone keeps for the next test. It is needed only where
// tests run against somebody's server, in TestMain behind m.Run.
func DropTemplates(ctx context.Context) error {
	if os.Getenv(envPostgres) == "" {
		return nil // they end with the server
	}
	shared, err := sharedPostgres()
	if err != nil {
		return err
	}
	return shared.close(ctx)
}

// PrivatePostgres gives a test a server that it may stop, kill and freeze.
func PrivatePostgres(tb testing.TB, o PostgresOptions) *Postgres {
	tb.Helper()
	p, err := StartPostgres(tb.Context(), o)
	need(tb, err)
	tb.Cleanup(func() { closed(tb, p.Close()) })
	return p
}

// PrivateRedis gives a test a server that it may stop, kill, freeze and flush.
func PrivateRedis(tb testing.TB, o RedisOptions) *Redis {
	tb.Helper()
	r, err := StartRedis(tb.Context(), o)
	need(tb, err)
	tb.Cleanup(func() { closed(tb, r.Close()) })
	return r
}

func closed(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Errorf("after the test: %v", err)
	}
}

// RedisDatabase gives a test a database of its own on the server that the whole
// test binary shares: its URL. Channels are the server's: who publishes is heard
// in all databases.
func RedisDatabase(tb testing.TB) string {
	tb.Helper()
	shared, err := sharedRedis()
	need(tb, err)
	number, err := shared.take()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closed(tb, shared.giveBack(number)) })
	return shared.server.numbered(number)
}

// numbers hands out the databases of one Redis.
type numbers struct {
	server *Redis

	mu   sync.Mutex
	next int
	free []int
}

func (n *numbers) take() (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if last := len(n.free) - 1; last >= 0 {
		number := n.free[last]
		n.free = n.free[:last]
		return number, nil
	}
	if n.next == redisDatabases {
		return 0, fmt.Errorf("taking a database of Redis: all %d are taken", redisDatabases)
	}
	n.next++
	return n.next - 1, nil
}

// giveBack empties a database for the next who takes it.
func (n *numbers) giveBack(number int) error {
	err := n.server.do(context.Background(), func(ctx context.Context, c *redis.Client) error {
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Select(ctx, number)
			p.FlushDB(ctx)
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("emptying database %d of Redis: %w", number, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.free = append(n.free, number)
	return nil
}

// need ends a test whose server did not start: skipped where the program is
// missing and nobody insists, else failed.
func need(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrMissing) && os.Getenv(envRequire) != "1":
		tb.Skipf("NOT TESTED HERE: %v", err)
	default:
		tb.Fatal(err)
	}
}
