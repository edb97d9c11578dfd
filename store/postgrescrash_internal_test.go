package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// Three nodes change as fast as they can while the server is killed under them.
// Whoever is told that a change was not made, or not known to be, makes it again
// under its id. In the end each is there once, and the chain is whole.
func TestChangesOfManyNodesOutliveAServerThatIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("kills servers")
	}
	const nodes, each, kills = 3, 200, 3
	server := servers.PrivatePostgres(t, servers.PostgresOptions{})
	var made atomic.Int64
	var all sync.WaitGroup
	stores := make([]*Store, nodes)
	for n := range stores {
		stores[n] = openAt(t, server.URL())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for n, s := range stores {
		all.Go(func() {
			for i := range each {
				changeUntilMade(ctx, t, s, fmt.Sprintf("k%d-%d", n, i))
				made.Add(1)
			}
		})
	}
	for k := range kills {
		waitFor(t, "some changes", func() bool { return made.Load() >= int64(nodes*each*(k+1)/(kills+2)) })
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	if h := mustHead(t, stores[0]); h.Seq != nodes*each {
		t.Errorf("the log is at %d after %d changes", h.Seq, nodes*each)
	}
	wholeLog(t, stores[0])
	keys, err := stores[0].Keys(ctx)
	if err != nil || len(keys) != nodes*each {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

// changeUntilMade makes a change that has an id until the store says it is made.
func changeUntilMade(ctx context.Context, t *testing.T, s *Store, name string) {
	m := accounts.Meta{ID: "chg_" + name, Kind: "key.put"}
	for {
		_, err := s.Change(ctx, m, func(st *State) error { return st.PutKey(keyOf(name)) })
		switch {
		case err == nil:
			return
		case !errors.Is(err, accounts.ErrUnavailable) || ctx.Err() != nil:
			t.Errorf("%s: %v", name, err)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}
