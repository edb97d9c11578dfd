package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// lookers is how many keys are read at once. It is less than there are
// connections, so that a flood of unknown keys leaves some to the rest.
func (o *Options) lookers() int {
	if o.Postgres != nil {
		return max(o.Postgres.connections()/2, 1)
	}
	return readers / 2
}

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
	found, err := readIdentity(ctx, session{on: s.pools.Load().reader}, hash)
	if err != nil {
		return finding{}, fmt.Errorf("looking for key: %w", err)
	}
	return found, nil
}

// identityRow is what one statement says of a hash: where the log stood, the
// key and its owner, in the same moment.
type identityRow struct {
	Seq             int64          `db:"seq"`
	Hash            []byte         `db:"hash"`
	ID              sql.NullString `db:"id"`
	Name            sql.NullString `db:"name"`
	Tags            sql.NullString `db:"tags"`
	Models          sql.NullString `db:"models"`
	Limits          sql.NullString `db:"limits"`
	Disabled        sql.NullBool   `db:"disabled"`
	ExpiresAt       sql.NullTime   `db:"expires_at"`
	RevokedAt       sql.NullTime   `db:"revoked_at"`
	KeepStreams     sql.NullBool   `db:"keep_streams"`
	SecretExpiresAt sql.NullTime   `db:"secret_expires_at"`
	UserID          sql.NullString `db:"user_id"`
	UserName        sql.NullString `db:"user_name"`
	UserTags        sql.NullString `db:"user_tags"`
	UserDisabled    sql.NullBool   `db:"user_disabled"`
}

// identifyText finds everything by primary keys, but for head, which has one row.
const identifyText = `SELECT h.seq, h.hash, k.id, k.name, k.tags, k.models, k.limits, k.disabled, k.expires_at, k.revoked_at,
		k.keep_streams, s.expires_at AS secret_expires_at,
		u.id AS user_id, u.name AS user_name, u.tags AS user_tags, u.disabled AS user_disabled
	FROM head h LEFT JOIN key_secrets s ON s.hash = ? LEFT JOIN keys k ON k.id = s.key_id LEFT JOIN users u ON u.id = k.user_id`

func readIdentity(ctx context.Context, on session, hash accounts.KeyHash) (finding, error) {
	var r identityRow
	if err := on.one(ctx, &r, identifyText, hash[:]); err != nil {
		return finding{}, unavailable(err)
	}
	found := finding{seq: r.Seq, mark: markOf(r.Hash)}
	if !r.ID.Valid {
		return found, nil
	}
	who, err := r.identity()
	if err != nil {
		return finding{}, unavailable(err)
	}
	found.who = who
	return found, nil
}

func (r *identityRow) identity() (*accounts.Identity, error) {
	tags, err1 := readTags(r.Tags.String)
	models, err2 := readGlobs(r.Models.String)
	limits, err3 := readLimits(r.Limits.String)
	who := &accounts.Identity{
		KeyID: r.ID.String, KeyName: r.Name.String, Tags: tags, Models: models, Limits: limits, Disabled: r.Disabled.Bool,
		ExpiresAt: earlier(r.ExpiresAt, r.SecretExpiresAt), RevokedAt: orZero(r.RevokedAt),
		KeepStreams: r.KeepStreams.Bool, Seq: r.Seq,
	}
	if err := errors.Join(err1, err2, err3); err != nil || !r.UserID.Valid {
		return who, err
	}
	userTags, err := readTags(r.UserTags.String)
	who.UserID, who.UserName, who.UserTags, who.UserDisabled = r.UserID.String, r.UserName.String, userTags, r.UserDisabled.Bool
	return who, err
}

// earlier is the first of two ends, of which either may be never.
func earlier(a, b sql.NullTime) time.Time {
	if !a.Valid || b.Valid && b.Time.Before(a.Time) {
		a = b
	}
	return orZero(a)
}
