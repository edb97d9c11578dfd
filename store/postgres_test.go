package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
	"github.com/llmgw/llmgw/store/storetest"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

func TestContractOnPostgres(t *testing.T) {
	storetest.Run(t, func(t *testing.T) func(*testing.T) *store.Store {
		at := newDatabase(t)
		return func(t *testing.T) *store.Store { return openWith(t, onPostgres(t, at)) }
	})
}

// newDatabase is an empty database on a real server whose tables are there. A
// store of its own is made by the first that opens it.
func newDatabase(t testing.TB) string {
	t.Helper()
	return servers.Clone(t, "tables", func(ctx context.Context, at string) error {
		p, err := store.ParsePostgres(at, accounts.Secret{})
		if err != nil {
			return err
		}
		_, err = store.Migrate(ctx, &store.Options{Postgres: p, Log: zerolog.Nop()})
		return err
	})
}

func onPostgres(t testing.TB, at string) store.Options {
	t.Helper()
	p, err := store.ParsePostgres(at, accounts.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	p.Connections = 4
	return store.Options{Postgres: p, Secret: secretKey(t, 1), Log: zerolog.Nop(), PollEvery: 10 * time.Millisecond, Version: "0.1.0", Node: store.Membership{Name: "a1"}}
}
