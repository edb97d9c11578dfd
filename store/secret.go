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
func settle(ctx context.Context, db *sqlx.DB, key accounts.Sealer) error {
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
	if _, err := readSealed(ctx, s, key, issuerSecret); !errors.Is(err, accounts.ErrNotFound) {
		return err
	}
	if _, err := makeSealed(ctx, s, key, issuerSecret, newIssuerSecret); err != nil {
		return err
	}
	return unavailable(tx.Commit())
}

func newIssuerSecret() ([]byte, error) {
	secret := make([]byte, accounts.IssuerSecretBytes)
	_, err := rand.Read(secret)
	return secret, err
}

// readIssuerSecret opens the checksum secret, which also proves that key is the one
// that everything in this store is sealed with: it is the last to be sealed anew
// where the key is exchanged.
func readIssuerSecret(ctx context.Context, s session, key accounts.Sealer) (accounts.Secret, error) {
	secret, err := readSealed(ctx, s, key, issuerSecret)
	return accounts.NewSecret(string(secret)), err
}

// Sealed gives a secret of the installation, such as one that tokens are signed
// with, which fresh makes when it is asked for the first time. Every node gets
// the same.
func (s *Store) Sealed(ctx context.Context, name string, fresh func() ([]byte, error)) ([]byte, error) {
	if name == issuerSecret {
		return nil, fmt.Errorf("secret %q is the store's own", name)
	}
	var secret []byte
	err := s.read(ctx, "opening secret "+name, func(ctx context.Context, on session) (err error) {
		secret, err = readSealed(ctx, on, s.options.Secret, name)
		return err
	})
	if !errors.Is(err, accounts.ErrNotFound) {
		return secret, err
	}
	err = s.write(ctx, "making secret "+name, func(ctx context.Context, on session) (err error) {
		secret, err = readSealed(ctx, on, s.options.Secret, name)
		if errors.Is(err, accounts.ErrNotFound) { // still: nobody else was first
			secret, err = makeSealed(ctx, on, s.options.Secret, name, fresh)
		}
		return err
	})
	return secret, err
}

func makeSealed(ctx context.Context, s session, key accounts.Sealer, name string, fresh func() ([]byte, error)) ([]byte, error) {
	secret, err := fresh()
	if err != nil {
		return nil, fmt.Errorf("making secret %q: %w", name, err)
	}
	place, err := sealContext(ctx, s, name)
	if err != nil {
		return nil, err
	}
	sealed, err := key.Seal(place, secret)
	if err != nil {
		return nil, fmt.Errorf("sealing secret %q: %w", name, err)
	}
	_, err = s.run(ctx, `INSERT INTO sealed (name, value) VALUES (?, ?)`, name, sealed)
	return secret, unavailable(err)
}

func readSealed(ctx context.Context, s session, key accounts.Sealer, name string) ([]byte, error) {
	var sealed []byte
	err := s.one(ctx, &sealed, `SELECT value FROM sealed WHERE name = ?`, name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound("sealed secret", name)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	place, err := sealContext(ctx, s, name)
	if err != nil {
		return nil, err
	}
	secret, err := key.Open(place, sealed)
	if err != nil {
		return nil, fmt.Errorf("opening secret %q: %w", name, err)
	}
	return secret, nil
}

// sealContext is what a secret's seal is bound to: its name, and this lineage,
// so that it cannot be carried over from another store.
func sealContext(ctx context.Context, s session, name string) (string, error) {
	h, err := readHead(ctx, s)
	return name + "\x00" + h.Lineage, err
}
