package store_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store"
)

// questions is how often is asked whose a key is, while the keys' state changes.
const questions = 100_000

// standing is what has been acknowledged of a key: odd while it is not in force.
// It is made odd after a change that ends it was acknowledged, and even before
// one begins that brings it back.
type standing struct{ turn atomic.Int64 }

// TestNoSuccessAfterAnAcknowledgedEnd asks two nodes without pause whose the
// keys of a user are, while the first of them revokes the keys, disables them,
// deletes them and disables the user. Once that was acknowledged, the node that
// did it never again says that a key is in force.
func TestNoSuccessAfterAnAcknowledgedEnd(t *testing.T) {
	path := newPath(t)
	s, other := open(t, path), open(t, path)
	keys := make([]accounts.Key, 4)
	for i := range keys {
		keys[i] = accounts.Key{
			ID: fmt.Sprintf("key_%d", i), Name: fmt.Sprintf("k%d", i), UserID: "user_1",
			Secrets: []accounts.KeySecret{{Hash: accounts.HashKey(fmt.Sprint(i))}},
		}
	}
	owner := accounts.User{ID: "user_1", Name: "dana", Role: accounts.RoleMember}
	change := func(f func(*store.State) error) {
		t.Helper()
		if _, err := s.Change(t.Context(), accounts.Meta{Kind: "test"}, f); err != nil {
			t.Fatal(err)
		}
	}
	put := func(st *store.State) error {
		err := st.PutUser(owner)
		for _, k := range keys {
			if err == nil {
				err = st.PutKey(k)
			}
		}
		return err
	}
	change(put)

	var now standing
	var asked atomic.Int64
	var askers sync.WaitGroup
	ended := make(chan struct{})
	ask := func() {
		for i := 0; ; i++ {
			select {
			case <-ended:
				return
			default:
			}
			turn := now.turn.Load()
			who, err := s.Identify(t.Context(), keys[i%len(keys)].Secrets[0].Hash)
			if turn%2 == 1 && now.turn.Load() == turn && err == nil && who.State(time.Now()) == accounts.KeyActive {
				t.Errorf("question %d: key %s is in force after its end was acknowledged", i, who.KeyName)
				return
			}
			if _, err := other.Identify(t.Context(), keys[i%len(keys)].Secrets[0].Hash); i%1000 == 0 && err == nil {
				_ = other.Advance(t.Context()) // it only keeps the database busy
			}
			asked.Add(1)
		}
	}
	for range 4 {
		askers.Go(ask)
	}
	each := func(edit func(*accounts.Key)) func(*store.State) error {
		return func(st *store.State) error {
			for _, k := range keys {
				edit(&k)
				if err := st.PutKey(k); err != nil {
					return err
				}
			}
			return nil
		}
	}
	ends := []func(*store.State) error{
		each(func(k *accounts.Key) { k.RevokedAt = time.Now() }),
		func(st *store.State) error { u := owner; u.Disabled = true; return st.PutUser(u) },
		each(func(k *accounts.Key) { k.Disabled = true }),
		each(func(k *accounts.Key) { k.Secrets = nil }),
		func(st *store.State) error {
			for _, k := range keys {
				if err := st.DeleteKey(k.ID); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for round := 0; asked.Load() < questions || round < 2*len(ends); round++ {
		change(ends[round%len(ends)])
		now.turn.Add(1)
		for target := asked.Load() + 500; asked.Load() < target && !t.Failed(); {
			runtime.Gosched()
		}
		now.turn.Add(1)
		change(put)
	}
	close(ended)
	askers.Wait()
}
