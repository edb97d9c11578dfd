package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/store/storetest/servers"
)

// What the store adds to the database: each piece of work beside the same
// statements on a bare pool, on one server in one run.
//
//	go test ./store -run - -bench Postgres -benchtime 2s
func BenchmarkPostgres(b *testing.B) {
	at := servers.Database(b)
	p, err := ParsePostgres(at, accounts.Secret{})
	if err != nil {
		b.Fatal(err)
	}
	key, err := accounts.NewSecretKey(make([]byte, accounts.SecretKeyBytes))
	if err != nil {
		b.Fatal(err)
	}
	s, err := Open(b.Context(), Options{Postgres: p, Secret: key, Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	bare, err := sqlx.ConnectContext(b.Context(), "postgres", at)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = bare.Close() }()
	if err := putKey(s, keyOf("a")); err != nil {
		b.Fatal(err)
	}
	hash := accounts.HashKey("a")

	b.Run("identify/store", func(b *testing.B) {
		for b.Loop() {
			s.keys.reset()
			if _, err := s.Identify(b.Context(), hash); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("identify/bare", func(b *testing.B) {
		for b.Loop() {
			var r identityRow
			if err := bare.GetContext(b.Context(), &r, bare.Rebind(identifyText), hash[:]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("change/store", func(b *testing.B) {
		for b.Loop() {
			if err := putKey(s, keyOf(rand.Text())); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("change/bare", func(b *testing.B) {
		for b.Loop() {
			if err := changeBare(b.Context(), bare, rand.Text()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// changeBare writes the rows of a change that adds a key, and looks at nothing.
func changeBare(ctx context.Context, db *sqlx.DB, name string) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	on := session{on: tx}
	head, err := lockHead(ctx, on)
	if err != nil {
		return err
	}
	seq, at, hash := head.Seq+1, moment(time.Now()), accounts.HashKey(name)
	for _, write := range []struct {
		text string
		args []any
	}{
		{`INSERT INTO keys (id, name, tags, created_at, seq) VALUES (?, ?, '{}', ?, ?)`, []any{"key_" + name, name, at, seq}},
		{`INSERT INTO key_secrets (hash, key_id, last4, created_at, seq) VALUES (?, ?, 'last', ?, ?)`, []any{hash[:], "key_" + name, at, seq}},
		{`INSERT INTO changes (` + entryColumns + `) VALUES (?, 0, ?, 'key.put', '[]', ?, '', '', '', ?)`, []any{seq, "chg_" + name, hash[:], at}},
		{`UPDATE head SET hash = ?`, []any{hash[:]}},
		{`INSERT INTO audit (seq, n, subject, name, after_change) VALUES (?, 1, ?, ?, '{}')`, []any{seq, "key:key_" + name, name}},
	} {
		if _, err := on.run(ctx, write.text, write.args...); err != nil {
			return fmt.Errorf("%s: %w", write.text, err)
		}
	}
	return tx.Commit()
}
