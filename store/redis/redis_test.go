package redis_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
	"github.com/llmgw/llmgw/store/redis"
	"github.com/llmgw/llmgw/store/storetest"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t testing.TB, url string) *redis.Client {
	t.Helper()
	at, err := redis.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := redis.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return c
}

func TestBus(t *testing.T) {
	storetest.RunBus(t, func(t *testing.T) func() store.Bus {
		// Channels are the server's, not the database's.
		url := servers.PrivateRedis(t, servers.RedisOptions{}).URL()
		return func() store.Bus { return connect(t, url) }
	})
}

func TestShelf(t *testing.T) {
	storetest.RunShelf(t, func(t *testing.T) func() store.Shelf {
		url := servers.RedisDatabase(t)
		return func() store.Shelf { return connect(t, url) }
	})
}

func TestNodes(t *testing.T) {
	storetest.RunOthers(t, func(t *testing.T) func(*testing.T) *store.Store {
		path, url := filepath.Join(t.TempDir(), "llmgw.db"), servers.RedisDatabase(t)
		return func(t *testing.T) *store.Store { return openStore(t, path, connect(t, url), zerolog.Nop()) }
	})
}

// openStore opens a store that polls too seldom for a test to notice. A nil client
// is no bus and no shelf.
func openStore(t testing.TB, path string, c *redis.Client, log zerolog.Logger) *store.Store {
	t.Helper()
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{1}, accounts.SecretKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	o := store.Options{Path: path, Secret: key, Log: log, PollEvery: time.Hour, Version: "0.1.0"}
	if c != nil {
		o.Bus, o.Shelf = c, c
	}
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
