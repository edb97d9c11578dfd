package store

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
)

func openHere(t *testing.T) *Store {
	t.Helper()
	key, err := accounts.NewSecretKey(bytes.Repeat([]byte{1}, accounts.SecretKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "llmgw.db"), Secret: key, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestACommitThatWasNotAnswered(t *testing.T) {
	lost := errors.New("the connection broke")
	change := func(s *Store) (accounts.Change, error) {
		return s.Change(context.Background(), accounts.Meta{ID: "chg_1", Kind: "key.create"}, func(st *State) error {
			return st.PutKey(accounts.Key{ID: "key_1", Name: "a"})
		})
	}
	t.Run("is a success where the log has the change", func(t *testing.T) {
		s := openHere(t)
		s.commit = func(tx committer) error { return errors.Join(tx.Commit(), lost) }
		if c, err := change(s); err != nil || c.Seq != 1 || c.ID != "chg_1" {
			t.Errorf("got %+v, %v", c, err)
		}
		if seq, _ := s.Applied(); seq != 1 {
			t.Errorf("applied %d", seq)
		}
	})
	t.Run("is a failure where it has not", func(t *testing.T) {
		s := openHere(t)
		s.commit = func(committer) error { return lost }
		if _, err := change(s); !errors.Is(err, accounts.ErrUnavailable) || !errors.Is(err, lost) {
			t.Errorf("error is %v", err)
		}
		s.commit = committer.Commit
		if c, err := change(s); err != nil || c.Seq != 1 {
			t.Errorf("made again: %+v, %v", c, err)
		}
	})
}

func TestAgeIsTheLargerOfTwoClocks(t *testing.T) {
	start := now()
	for name, c := range map[string]struct{ monotonic, wall, want time.Duration }{
		"both went":              {time.Second, time.Second, time.Second},
		"the machine slept":      {time.Second, time.Hour, time.Hour},
		"the clock was set back": {time.Minute, -time.Hour, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			later := instant{monotonic: start.monotonic.Add(c.monotonic), wall: start.wall.Add(c.wall)}
			if got := later.since(start); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestTheChainCoversEveryField(t *testing.T) {
	before := origin("lineage_1")
	whole := entry{
		Seq: 1, Revision: 1, ID: "chg_1", Kind: "k", Subjects: `["key:1"]`, Actor: "me", From: "socket", Why: "so",
		At: time.Unix(1, 0),
	}
	sum := func(e entry, before []byte) string {
		t.Helper()
		h, err := e.chained(before)
		if err != nil {
			t.Fatal(err)
		}
		return string(h)
	}
	want := sum(whole, before)
	for name, edit := range map[string]func(*entry){
		"seq": func(e *entry) { e.Seq++ }, "revision": func(e *entry) { e.Revision++ }, "id": func(e *entry) { e.ID = "x" },
		"kind": func(e *entry) { e.Kind = "x" }, "subjects": func(e *entry) { e.Subjects = `[]` },
		"actor": func(e *entry) { e.Actor = "x" }, "from": func(e *entry) { e.From = "x" },
		"why": func(e *entry) { e.Why = "x" }, "at": func(e *entry) { e.At = e.At.Add(time.Microsecond) },
	} {
		changed := whole
		edit(&changed)
		if sum(changed, before) == want {
			t.Errorf("another %s gives the same hash", name)
		}
	}
	if sum(whole, origin("lineage_2")) == want {
		t.Error("another past gives the same hash")
	}
}
