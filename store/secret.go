package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/llmgw/llmgw/accounts"
)

// issuerSecret is the name of the checksum secret among what is sealed.
const issuerSecret = "issuer"

// settle makes what a store has from its first moment: the head of its log and
// the secret of its issuer. What is there stays, so that of two processes that
// open a new store at once both get the same.
func settle(ctx context.Context, db *sqlx.DB, key *accounts.SecretKey) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return unavailable(err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	s := session{on: tx}

	lineage := accounts.NewID("lineage", time.Now())
	if _, err := s.run(ctx, `INSERT INTO head (id, lineage, seq, config_revision, hash) VALUES (1, ?, 0, 0, ?)
		ON CONFLICT (id) DO NOTHING`, lineage, origin(lineage)); err != nil {
		return unavailable(err)
	}
	if _, err := readIssuer(ctx, s, key); !errors.Is(err, accounts.ErrNotFound) {
		return err
	}
	if err := makeIssuer(ctx, s, key); err != nil {
		return err
	}
	return unavailable(tx.Commit())
}

func makeIssuer(ctx context.Context, s session, key *accounts.SecretKey) error {
	secret := make([]byte, accounts.IssuerSecretBytes)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("making checksum secret: %w", err)
	}
	seal, err := issuerSeal(ctx, s)
	if err != nil {
		return err
	}
	sealed, err := key.Seal(seal, secret)
	if err != nil {
		return fmt.Errorf("sealing checksum secret: %w", err)
	}
	_, err = s.run(ctx, `INSERT INTO sealed (name, value) VALUES (?, ?)`, issuerSecret, sealed)
	return unavailable(err)
}

// readIssuer opens the checksum secret, which also proves that key is the one
// that everything in this store is sealed with.
func readIssuer(ctx context.Context, s session, key *accounts.SecretKey) (*accounts.Issuer, error) {
	var sealed []byte
	err := s.one(ctx, &sealed, `SELECT value FROM sealed WHERE name = ?`, issuerSecret)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("sealed secret", issuerSecret)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	seal, err := issuerSeal(ctx, s)
	if err != nil {
		return nil, err
	}
	secret, err := key.Open(seal, sealed)
	if err != nil {
		return nil, fmt.Errorf("opening checksum secret: %w", err)
	}
	return accounts.NewIssuer(secret)
}

// issuerSeal is what the secret's seal is bound to: this lineage, so that it
// cannot be carried over from another store.
func issuerSeal(ctx context.Context, s session) (string, error) {
	h, err := readHead(ctx, s)
	return "issuer\x00" + h.Lineage, err
}
