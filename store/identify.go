package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// lookers is how many keys are read at once. It is less than there are
// connections, so that a flood of unknown keys leaves some to the rest.
const lookers = readers / 2

// Identify finds whose key a hash is. A key that was revoked or has expired is
// found like any other: the Identity says so. The Identity is shared and must
// not be changed.
//
// Errors: accounts.ErrNotFound where there is no such key, and only then;
// accounts.ErrUnavailable where that cannot be told.
func (s *Store) Identify(ctx context.Context, hash accounts.KeyHash) (*accounts.Identity, error) {
	return s.keys.identify(ctx, hash, s.spawn)
}

// spawn runs f in a goroutine that Close waits for, with a deadline of its
// own: the caller who asked first may leave before the others. It is false
// after Close.
func (s *Store) spawn(f func(context.Context)) bool {
	if !s.enter() {
		return false
	}
	go func() {
		defer s.live.Done()
		ctx, cancel := context.WithTimeout(context.Background(), lookWithin)
		defer cancel()
		f(ctx)
	}()
	return true
}

// lookUp reads a key from the database.
func (s *Store) lookUp(ctx context.Context, hash accounts.KeyHash) (finding, error) {
	select {
	case s.looks <- struct{}{}:
		defer func() { <-s.looks }()
	case <-ctx.Done():
		return finding{}, fmt.Errorf("waiting to look for key: %w", unavailable(ctx.Err()))
	}
	found, err := readIdentity(ctx, session{on: s.files.Load().reader}, hash)
	if err != nil {
		return finding{}, fmt.Errorf("looking for key: %w", err)
	}
	return found, nil
}

// identityRow is what one statement says of a hash: where the log stood, and
// the key, in the same moment.
type identityRow struct {
	Seq             int64          `db:"seq"`
	ID              sql.NullString `db:"id"`
	Name            sql.NullString `db:"name"`
	Tags            sql.NullString `db:"tags"`
	ExpiresAt       sql.NullTime   `db:"expires_at"`
	RevokedAt       sql.NullTime   `db:"revoked_at"`
	SecretExpiresAt sql.NullTime   `db:"secret_expires_at"`
}

func readIdentity(ctx context.Context, on session, hash accounts.KeyHash) (finding, error) {
	var r identityRow
	err := on.one(ctx, &r, `SELECT h.seq, k.id, k.name, k.tags, k.expires_at, k.revoked_at, s.expires_at AS secret_expires_at
		FROM head h LEFT JOIN key_secrets s ON s.hash = ? LEFT JOIN keys k ON k.id = s.key_id`, hash[:])
	if err != nil {
		return finding{}, unavailable(err)
	}
	if !r.ID.Valid {
		return finding{seq: r.Seq}, nil
	}
	tags, err := readTags(r.Tags.String)
	if err != nil {
		return finding{}, unavailable(err)
	}
	return finding{seq: r.Seq, who: &accounts.Identity{
		KeyID: r.ID.String, KeyName: r.Name.String, Tags: tags,
		ExpiresAt: earlier(r.ExpiresAt, r.SecretExpiresAt), RevokedAt: orZero(r.RevokedAt), Seq: r.Seq,
	}}, nil
}

// earlier is the first of two ends, of which either may be never.
func earlier(a, b sql.NullTime) time.Time {
	if !a.Valid || b.Valid && b.Time.Before(a.Time) {
		a = b
	}
	return orZero(a)
}
