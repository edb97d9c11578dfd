package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// keyRow and secretRow are the tables of keys.
type keyRow struct {
	ID          string         `db:"id"`
	Name        string         `db:"name"`
	UserID      sql.NullString `db:"user_id"`
	Tags        string         `db:"tags"`   // JSON object
	Models      string         `db:"models"` // JSON array
	Limits      string         `db:"limits"` // JSON array
	Disabled    bool           `db:"disabled"`
	CreatedAt   time.Time      `db:"created_at"`
	ExpiresAt   sql.NullTime   `db:"expires_at"`
	RevokedAt   sql.NullTime   `db:"revoked_at"`
	KeepStreams bool           `db:"keep_streams"`
	Seq         int64          `db:"seq"`
	LastUsedAt  sql.NullTime   `db:"last_used_at"` // of the table of uses
}

type secretRow struct {
	Hash      []byte       `db:"hash"`
	KeyID     string       `db:"key_id"`
	Last4     string       `db:"last4"`
	CreatedAt time.Time    `db:"created_at"`
	ExpiresAt sql.NullTime `db:"expires_at"`
}

const (
	keyColumns    = `id, name, user_id, tags, models, limits, disabled, created_at, expires_at, revoked_at, keep_streams, seq`
	secretColumns = `hash, key_id, last4, created_at, expires_at`
)

func (r *keyRow) key() (accounts.Key, error) {
	tags, err1 := readTags(r.Tags)
	models, err2 := readGlobs(r.Models)
	limits, err3 := readLimits(r.Limits)
	if err := errors.Join(err1, err2, err3); err != nil {
		return accounts.Key{}, fmt.Errorf("reading key %q: %w", r.Name, err)
	}
	return accounts.Key{
		ID: r.ID, Name: r.Name, UserID: r.UserID.String, Tags: tags, Models: models, Limits: limits, Disabled: r.Disabled,
		CreatedAt: moment(r.CreatedAt), ExpiresAt: orZero(r.ExpiresAt), RevokedAt: orZero(r.RevokedAt),
		KeepStreams: r.KeepStreams, LastUsedAt: orZero(r.LastUsedAt), Seq: r.Seq,
	}, nil
}

func (r *secretRow) secret() accounts.KeySecret {
	s := accounts.KeySecret{Last4: r.Last4, CreatedAt: moment(r.CreatedAt), ExpiresAt: orZero(r.ExpiresAt)}
	copy(s.Hash[:], r.Hash)
	return s
}

// readKeys gives the keys that where selects from the table of keys, by id,
// each with its secrets by age.
func readKeys(ctx context.Context, s session, where string, args ...any) ([]accounts.Key, error) {
	var rows []keyRow
	err := s.all(ctx, &rows, `SELECT `+keyColumns+`, key_uses.at AS last_used_at
		FROM keys LEFT JOIN key_uses ON key_uses.key_id = keys.id `+where+` ORDER BY id`, args...)
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", unavailable(err))
	}
	var secrets []secretRow
	err = s.all(ctx, &secrets, `SELECT `+secretColumns+` FROM key_secrets
		WHERE key_id IN (SELECT id FROM keys `+where+`) ORDER BY created_at, hash`, args...)
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", unavailable(err))
	}
	of := make(map[string][]accounts.KeySecret, len(rows))
	for i := range secrets {
		of[secrets[i].KeyID] = append(of[secrets[i].KeyID], secrets[i].secret())
	}
	keys := make([]accounts.Key, 0, len(rows))
	for i := range rows {
		k, err := rows[i].key()
		if err != nil {
			return nil, err
		}
		k.Secrets = of[k.ID]
		sortSecrets(k.Secrets)
		keys = append(keys, k)
	}
	return keys, nil
}

func sortSecrets(secrets []accounts.KeySecret) {
	slices.SortFunc(secrets, func(a, b accounts.KeySecret) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), bytes.Compare(a.Hash[:], b.Hash[:]))
	})
}

// readKey finds one key by its name or id. No name looks like an id: names
// have no capitals, ids do.
func readKey(ctx context.Context, s session, nameOrID string) (accounts.Key, error) {
	keys, err := readKeys(ctx, s, `WHERE id = ? OR name = ?`, nameOrID, nameOrID)
	if err != nil {
		return accounts.Key{}, err
	}
	if len(keys) == 0 {
		return accounts.Key{}, notFound("key", nameOrID)
	}
	return keys[0], nil
}

// Keys gives all keys by age, each with its secrets by age.
func (s *Store) Keys(ctx context.Context) ([]accounts.Key, error) {
	var keys []accounts.Key
	err := s.read(ctx, "listing keys", func(ctx context.Context, on session) (err error) {
		keys, err = readKeys(ctx, on, "")
		return err
	})
	return keys, err
}

// Key finds a key by its name or id. ErrNotFound where there is none.
func (s *Store) Key(ctx context.Context, nameOrID string) (accounts.Key, error) {
	var k accounts.Key
	err := s.read(ctx, "finding key", func(ctx context.Context, on session) (err error) {
		k, err = readKey(ctx, on, nameOrID)
		return err
	})
	return k, err
}

// Keys gives all keys by age, each with its secrets by age.
func (st *State) Keys() ([]accounts.Key, error) { return readKeys(st.ctx, st.on, "") }

// Key finds a key by its name or id. ErrNotFound where there is none.
func (st *State) Key(nameOrID string) (accounts.Key, error) { return readKey(st.ctx, st.on, nameOrID) }

// PutKey adds a key, or makes the one with its ID what k says, its secrets
// included. ErrExists where the name is taken; ErrNotFound where the owner is
// not there. A zero CreatedAt means now; LastUsedAt and Seq are not asked.
func (st *State) PutKey(k accounts.Key) error {
	if k.ID == "" {
		return errors.New("storing key: it has no id")
	}
	stored, err := st.Key(k.ID)
	isNew := errors.Is(err, accounts.ErrNotFound)
	if err != nil && !isNew {
		return err
	}
	k = st.normalKey(k, stored)
	if reflect.DeepEqual(k, stored) {
		return nil
	}
	if k.UserID != "" && k.UserID != stored.UserID {
		if _, err := readUser(st.ctx, st.on, `WHERE id = ?`, k.UserID); err != nil {
			return fmt.Errorf("storing key %q: owner: %w", k.Name, err)
		}
	}
	if err := st.writeKey(&k); err != nil {
		return fmt.Errorf("storing %w", err)
	}
	if err := st.writeSecrets(&k, stored.Secrets); err != nil {
		return fmt.Errorf("storing key %q: %w", k.Name, err)
	}
	st.touch("key:"+k.ID, false)
	st.note("key:"+k.ID, k.Name, unless(isNew, auditKeyOf(&stored)), auditKeyOf(&k))
	return nil
}

// DeleteKey deletes a key, found by name or id, with its secrets and bindings.
// ErrNotFound where there is none.
func (st *State) DeleteKey(nameOrID string) error {
	k, err := st.Key(nameOrID)
	if err != nil {
		return err
	}
	if err := st.deleteBindings(`WHERE key_id = ?`, k.ID); err != nil {
		return fmt.Errorf("deleting key %q: %w", k.Name, err)
	}
	for _, text := range []string{`DELETE FROM key_secrets WHERE key_id = ?`, `DELETE FROM keys WHERE id = ?`} {
		if _, err := st.on.run(st.ctx, text, k.ID); err != nil {
			return fmt.Errorf("deleting key %q: %w", k.Name, unavailable(err))
		}
	}
	st.touch("key:"+k.ID, false)
	st.note("key:"+k.ID, k.Name, auditKeyOf(&k), nil)
	return nil
}

// normalKey is k as it would be read back.
func (st *State) normalKey(k, stored accounts.Key) accounts.Key {
	k.CreatedAt = moment(cmpTime(k.CreatedAt, stored.CreatedAt, st.now))
	k.ExpiresAt, k.RevokedAt = orZero(maybe(k.ExpiresAt)), orZero(maybe(k.RevokedAt))
	if k.Tags = maps.Clone(k.Tags); len(k.Tags) == 0 {
		k.Tags = nil
	}
	k.Models, k.Limits = someOrNil(k.Models), someOrNil(k.Limits)
	k.LastUsedAt, k.Seq = stored.LastUsedAt, stored.Seq
	k.Secrets = someOrNil(slices.Clone(k.Secrets))
	for i := range k.Secrets {
		s := &k.Secrets[i]
		var before time.Time
		for _, old := range stored.Secrets {
			if old.Hash == s.Hash {
				before = old.CreatedAt
			}
		}
		s.CreatedAt = moment(cmpTime(s.CreatedAt, before, st.now))
		s.ExpiresAt = orZero(maybe(s.ExpiresAt))
	}
	sortSecrets(k.Secrets)
	return k
}

func (st *State) writeKey(k *accounts.Key) error {
	tags, err1 := writeTags(k.Tags)
	models, err2 := writeGlobs(k.Models)
	limits, err3 := writeLimits(k.Limits)
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("key %q: %w", k.Name, err)
	}
	_, err := st.on.run(st.ctx, `INSERT INTO keys (`+keyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, user_id = excluded.user_id, tags = excluded.tags,
			models = excluded.models, limits = excluded.limits, disabled = excluded.disabled,
			created_at = excluded.created_at, expires_at = excluded.expires_at, revoked_at = excluded.revoked_at,
			keep_streams = excluded.keep_streams, seq = excluded.seq`,
		k.ID, k.Name, someText(k.UserID), tags, models, limits, k.Disabled,
		k.CreatedAt, maybe(k.ExpiresAt), maybe(k.RevokedAt), k.KeepStreams, st.seq)
	if err != nil {
		return taken(err, "key", k.Name)
	}
	return nil
}

// writeSecrets makes what is stored for k what k says.
func (st *State) writeSecrets(k *accounts.Key, stored []accounts.KeySecret) error {
	for _, old := range stored {
		kept := slices.ContainsFunc(k.Secrets, func(s accounts.KeySecret) bool { return s.Hash == old.Hash })
		if kept {
			continue
		}
		if _, err := st.on.run(st.ctx, `DELETE FROM key_secrets WHERE hash = ?`, old.Hash[:]); err != nil {
			return unavailable(err)
		}
	}
	for i := range k.Secrets {
		if slices.Contains(stored, k.Secrets[i]) {
			continue
		}
		if err := st.writeSecret(k.ID, &k.Secrets[i]); err != nil {
			return err
		}
	}
	return nil
}

func (st *State) writeSecret(keyID string, s *accounts.KeySecret) error {
	rows, err := st.on.run(st.ctx, `INSERT INTO key_secrets (`+secretColumns+`, seq) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (hash) DO UPDATE SET last4 = excluded.last4, created_at = excluded.created_at,
			expires_at = excluded.expires_at, seq = excluded.seq
		WHERE key_secrets.key_id = excluded.key_id`,
		s.Hash[:], keyID, s.Last4, s.CreatedAt, maybe(s.ExpiresAt), st.seq)
	if err != nil {
		return unavailable(err)
	}
	if rows == 0 {
		return fmt.Errorf("this secret is another key's: %w", accounts.ErrExists)
	}
	return nil
}
