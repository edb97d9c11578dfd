package store

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// credentialRow is the table of credentials.
type credentialRow struct {
	ID         string    `db:"id"`
	UpstreamID string    `db:"upstream_id"`
	Name       string    `db:"name"`
	Reference  string    `db:"reference"`
	Sealed     []byte    `db:"sealed"`
	Last4      string    `db:"last4"`
	Weight     int       `db:"weight"`
	Enabled    bool      `db:"enabled"`
	CreatedAt  time.Time `db:"created_at"`
}

const credentialColumns = `id, upstream_id, name, reference, sealed, last4, weight, enabled, created_at`

// readCredentials gives the credentials that where selects by their upstreams,
// each one's in the order of their ids.
func readCredentials(ctx context.Context, s session, where string, args ...any) (map[string][]accounts.Credential, error) {
	var rows []credentialRow
	if err := s.all(ctx, &rows, `SELECT `+credentialColumns+` FROM credentials `+where+` ORDER BY id`, args...); err != nil {
		return nil, fmt.Errorf("reading credentials: %w", unavailable(err))
	}
	of := make(map[string][]accounts.Credential)
	for _, r := range rows {
		of[r.UpstreamID] = append(of[r.UpstreamID], accounts.Credential{
			ID: r.ID, Name: r.Name, Reference: r.Reference, Sealed: someOrNil(r.Sealed), Last4: r.Last4,
			Weight: r.Weight, Enabled: r.Enabled, CreatedAt: moment(r.CreatedAt),
		})
	}
	return of, nil
}

// writeCredentials makes what is stored for u what u says.
func (st *State) writeCredentials(u *accounts.Upstream, stored []accounts.Credential) error {
	for _, old := range stored {
		kept := slices.ContainsFunc(u.Credentials, func(c accounts.Credential) bool { return c.ID == old.ID })
		if kept {
			continue
		}
		if _, err := st.on.run(st.ctx, `DELETE FROM credentials WHERE id = ?`, old.ID); err != nil {
			return unavailable(err)
		}
	}
	for i := range u.Credentials {
		c := &u.Credentials[i]
		same := func(old accounts.Credential) bool { return reflect.DeepEqual(old, *c) }
		if slices.ContainsFunc(stored, same) {
			continue
		}
		if err := st.writeCredential(u, c); err != nil {
			return err
		}
	}
	return nil
}

func (st *State) writeCredential(u *accounts.Upstream, c *accounts.Credential) error {
	if c.ID == "" {
		return fmt.Errorf("credential %q has no id", c.Name)
	}
	rows, err := st.on.run(st.ctx, `INSERT INTO credentials (`+credentialColumns+`, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, reference = excluded.reference, sealed = excluded.sealed,
			last4 = excluded.last4, weight = excluded.weight, enabled = excluded.enabled,
			created_at = excluded.created_at, seq = excluded.seq
		WHERE credentials.upstream_id = excluded.upstream_id`,
		c.ID, u.ID, c.Name, c.Reference, c.Sealed, c.Last4, c.Weight, c.Enabled, c.CreatedAt, st.seq)
	if err != nil {
		return taken(err, "credential", c.Name)
	}
	if rows == 0 {
		return fmt.Errorf("credential %s of another upstream: %w", c.ID, accounts.ErrExists)
	}
	return nil
}
