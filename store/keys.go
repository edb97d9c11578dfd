package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
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
	ID        string       `db:"id"`
	Name      string       `db:"name"`
	Tags      string       `db:"tags"` // JSON object
	CreatedAt time.Time    `db:"created_at"`
	ExpiresAt sql.NullTime `db:"expires_at"`
	RevokedAt sql.NullTime `db:"revoked_at"`
}

type secretRow struct {
	Hash      []byte       `db:"hash"`
	KeyID     string       `db:"key_id"`
	Last4     string       `db:"last4"`
	CreatedAt time.Time    `db:"created_at"`
	ExpiresAt sql.NullTime `db:"expires_at"`
}

const (
	keyColumns    = `id, name, tags, created_at, expires_at, revoked_at`
	secretColumns = `hash, key_id, last4, created_at, expires_at`
)

func (r *keyRow) key() (accounts.Key, error) {
	k := accounts.Key{
		ID: r.ID, Name: r.Name,
		CreatedAt: moment(r.CreatedAt), ExpiresAt: orZero(r.ExpiresAt), RevokedAt: orZero(r.RevokedAt),
	}
	tags, err := readTags(r.Tags)
	if err != nil {
		return k, fmt.Errorf("reading key %q: %w", r.Name, err)
	}
	k.Tags = tags
	return k, nil
}

func (r *secretRow) secret() accounts.KeySecret {
	s := accounts.KeySecret{Last4: r.Last4, CreatedAt: moment(r.CreatedAt), ExpiresAt: orZero(r.ExpiresAt)}
	copy(s.Hash[:], r.Hash)
	return s
}

// readTags gives nil for no tags.
func readTags(text string) (map[string]string, error) {
	var tags map[string]string
	if err := json.Unmarshal([]byte(text), &tags); err != nil {
		return nil, fmt.Errorf("reading tags: %w", err)
	}
	if len(tags) == 0 {
		return nil, nil
	}
	return tags, nil
}

// readKeys gives the keys that where selects from the table of keys, by id,
// each with its secrets by age.
func readKeys(ctx context.Context, s session, where string, args ...any) ([]accounts.Key, error) {
	var rows []keyRow
	if err := s.all(ctx, &rows, `SELECT `+keyColumns+` FROM keys `+where+` ORDER BY id`, args...); err != nil {
		return nil, fmt.Errorf("reading keys: %w", unavailable(err))
	}
	var secrets []secretRow
	err := s.all(ctx, &secrets, `SELECT `+secretColumns+` FROM key_secrets
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
// included. ErrExists where the name is taken. A zero CreatedAt means now.
func (st *State) PutKey(k accounts.Key) error {
	if k.ID == "" {
		return errors.New("storing key: it has no id")
	}
	stored, err := st.Key(k.ID)
	if err != nil && !errors.Is(err, accounts.ErrNotFound) {
		return err
	}
	k = st.normalKey(k, stored)
	if reflect.DeepEqual(k, stored) {
		return nil
	}
	if err := st.writeKey(&k); err != nil {
		return fmt.Errorf("storing %w", err)
	}
	if err := st.writeSecrets(&k, stored.Secrets); err != nil {
		return fmt.Errorf("storing key %q: %w", k.Name, err)
	}
	st.touch("key:"+k.ID, false)
	return nil
}

// normalKey is k as it would be read back.
func (st *State) normalKey(k, stored accounts.Key) accounts.Key {
	k.CreatedAt = moment(cmpTime(k.CreatedAt, stored.CreatedAt, st.now))
	k.ExpiresAt, k.RevokedAt = orZero(maybe(k.ExpiresAt)), orZero(maybe(k.RevokedAt))
	if k.Tags = maps.Clone(k.Tags); len(k.Tags) == 0 {
		k.Tags = nil
	}
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
	tags := []byte("{}")
	if k.Tags != nil {
		var err error
		if tags, err = json.Marshal(k.Tags); err != nil {
			return fmt.Errorf("tags of key %q: %w", k.Name, err)
		}
	}
	_, err := st.on.run(st.ctx, `INSERT INTO keys (`+keyColumns+`, seq) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, tags = excluded.tags, created_at = excluded.created_at,
			expires_at = excluded.expires_at, revoked_at = excluded.revoked_at, seq = excluded.seq`,
		k.ID, k.Name, string(tags), k.CreatedAt, maybe(k.ExpiresAt), maybe(k.RevokedAt), st.seq)
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
