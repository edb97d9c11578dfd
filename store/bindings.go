package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// bindingRow is the table of bindings.
type bindingRow struct {
	ID           string         `db:"id"`
	KeyID        sql.NullString `db:"key_id"`
	UserID       sql.NullString `db:"user_id"`
	Tag          string         `db:"tag"`
	TagValue     string         `db:"tag_value"`
	UpstreamID   string         `db:"upstream_id"`
	CredentialID string         `db:"credential_id"`
	Order        int            `db:"ord"`
	Weight       int            `db:"weight"`
	Models       string         `db:"models"` // JSON array
	CreatedAt    time.Time      `db:"created_at"`
	Seq          int64          `db:"seq"`
}

const bindingColumns = `id, key_id, user_id, tag, tag_value, upstream_id, credential_id, ord, weight, models, created_at, seq`

// readBindings gives the bindings that where selects, in the order in which
// they are tried among equals: by Order, then by age.
func readBindings(ctx context.Context, s session, where string, args ...any) ([]accounts.Binding, error) {
	var rows []bindingRow
	err := s.all(ctx, &rows, `SELECT `+bindingColumns+` FROM bindings `+where+` ORDER BY ord, id`, args...)
	if err != nil {
		return nil, fmt.Errorf("reading bindings: %w", unavailable(err))
	}
	var bindings []accounts.Binding
	for i := range rows {
		r := &rows[i]
		models, err := readGlobs(r.Models)
		if err != nil {
			return nil, fmt.Errorf("reading binding %s: %w", r.ID, err)
		}
		bindings = append(bindings, accounts.Binding{
			ID: r.ID, KeyID: r.KeyID.String, UserID: r.UserID.String, Tag: r.Tag, TagValue: r.TagValue,
			UpstreamID: r.UpstreamID, CredentialID: r.CredentialID, Order: r.Order, Weight: r.Weight, Models: models,
			CreatedAt: moment(r.CreatedAt), Seq: r.Seq,
		})
	}
	return bindings, nil
}

// Bindings gives all bindings by Order, then by age.
func (s *Store) Bindings(ctx context.Context) ([]accounts.Binding, error) {
	var bindings []accounts.Binding
	err := s.read(ctx, "listing bindings", func(ctx context.Context, on session) (err error) {
		bindings, err = readBindings(ctx, on, "")
		return err
	})
	return bindings, err
}

// Bindings gives all bindings by Order, then by age.
func (st *State) Bindings() ([]accounts.Binding, error) { return readBindings(st.ctx, st.on, "") }

// Binding finds a binding by its id. ErrNotFound where there is none.
func (st *State) Binding(id string) (accounts.Binding, error) {
	found, err := readBindings(st.ctx, st.on, `WHERE id = ?`, id)
	if err != nil {
		return accounts.Binding{}, err
	}
	if len(found) == 0 {
		return accounts.Binding{}, notFound("binding", id)
	}
	return found[0], nil
}

// PutBinding adds a binding, or makes the one with its ID what b says.
// ErrNotFound where it names a key, user, upstream or credential that is not
// there. A zero CreatedAt means now; Seq is not asked.
func (st *State) PutBinding(b accounts.Binding) error {
	if err := wellFormed(&b); err != nil {
		return fmt.Errorf("storing binding: %w", err)
	}
	stored, err := st.Binding(b.ID)
	isNew := errors.Is(err, accounts.ErrNotFound)
	if err != nil && !isNew {
		return err
	}
	b.CreatedAt, b.Seq = moment(cmpTime(b.CreatedAt, stored.CreatedAt, st.now)), stored.Seq
	b.Models = someOrNil(b.Models)
	if reflect.DeepEqual(b, stored) {
		return nil
	}
	if err := st.resolves(&b); err != nil {
		return fmt.Errorf("storing binding: %w", err)
	}
	if err := st.writeBinding(&b); err != nil {
		return fmt.Errorf("storing binding %s: %w", b.ID, err)
	}
	st.touch("binding:"+b.ID, true)
	st.note("binding:"+b.ID, "", unless(isNew, auditBindingOf(&stored)), auditBindingOf(&b))
	return nil
}

func wellFormed(b *accounts.Binding) error {
	callers := 0
	for _, caller := range []string{b.KeyID, b.UserID, b.Tag} {
		if caller != "" {
			callers++
		}
	}
	switch {
	case b.ID == "":
		return errors.New("it has no id")
	case callers != 1:
		return errors.New("exactly one of key, user and tag says whose it is")
	case b.Weight < 1:
		return errors.New("its weight is less than 1")
	}
	return nil
}

// resolves says whether all that b names is there.
func (st *State) resolves(b *accounts.Binding) error {
	for _, named := range []struct {
		noun, id, count string
		args            []any
	}{
		{"key", b.KeyID, `SELECT count(*) FROM keys WHERE id = ?`, []any{b.KeyID}},
		{"user", b.UserID, `SELECT count(*) FROM users WHERE id = ?`, []any{b.UserID}},
		{"upstream", b.UpstreamID, `SELECT count(*) FROM upstreams WHERE id = ?`, []any{b.UpstreamID}},
		{"credential", b.CredentialID, `SELECT count(*) FROM credentials WHERE id = ? AND upstream_id = ?`,
			[]any{b.CredentialID, b.UpstreamID}},
	} {
		if named.id == "" && named.noun != "upstream" {
			continue
		}
		var there int
		if err := st.on.one(st.ctx, &there, named.count, named.args...); err != nil {
			return unavailable(err)
		}
		if there == 0 {
			return notFound(named.noun, named.id)
		}
	}
	return nil
}

func (st *State) writeBinding(b *accounts.Binding) error {
	models, err := writeGlobs(b.Models)
	if err != nil {
		return err
	}
	_, err = st.on.run(st.ctx, `INSERT INTO bindings (`+bindingColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET key_id = excluded.key_id, user_id = excluded.user_id, tag = excluded.tag,
			tag_value = excluded.tag_value, upstream_id = excluded.upstream_id, credential_id = excluded.credential_id,
			ord = excluded.ord, weight = excluded.weight, models = excluded.models,
			created_at = excluded.created_at, seq = excluded.seq`,
		b.ID, someText(b.KeyID), someText(b.UserID), b.Tag, b.TagValue, b.UpstreamID, b.CredentialID,
		b.Order, b.Weight, models, b.CreatedAt, st.seq)
	return unavailable(err)
}

// DeleteBinding deletes a binding. ErrNotFound where there is none of that id.
func (st *State) DeleteBinding(id string) error {
	if _, err := st.Binding(id); err != nil {
		return err
	}
	return st.deleteBindings(`WHERE id = ?`, id)
}

// deleteBindings deletes those that where selects, which may be none.
func (st *State) deleteBindings(where string, args ...any) error {
	gone, err := readBindings(st.ctx, st.on, where, args...)
	if err != nil {
		return err
	}
	for i := range gone {
		b := &gone[i]
		if _, err := st.on.run(st.ctx, `DELETE FROM bindings WHERE id = ?`, b.ID); err != nil {
			return fmt.Errorf("deleting binding %s: %w", b.ID, unavailable(err))
		}
		st.touch("binding:"+b.ID, true)
		st.note("binding:"+b.ID, "", auditBindingOf(b), nil)
	}
	return nil
}

// boundTo says, for people, whose bindings lead to an upstream, or, where
// credentials are given, to one of those.
func (st *State) boundTo(upstreamID string, credentials ...string) ([]string, error) {
	bindings, err := readBindings(st.ctx, st.on, `WHERE upstream_id = ?`, upstreamID)
	if err != nil {
		return nil, err
	}
	var whose []string
	for i := range bindings {
		b := &bindings[i]
		if len(credentials) > 0 && !slices.Contains(credentials, b.CredentialID) {
			continue
		}
		name, err := st.callerOf(b)
		if err != nil {
			return nil, err
		}
		whose = append(whose, name)
	}
	slices.Sort(whose)
	return slices.Compact(whose), nil
}

// callerOf says, for people, whose binding b is.
func (st *State) callerOf(b *accounts.Binding) (string, error) {
	var name string
	var err error
	switch {
	case b.KeyID != "":
		err = st.on.one(st.ctx, &name, `SELECT 'key ' || name FROM keys WHERE id = ?`, b.KeyID)
	case b.UserID != "":
		err = st.on.one(st.ctx, &name, `SELECT 'user ' || name FROM users WHERE id = ?`, b.UserID)
	default:
		name = "tag " + b.Tag + "=" + b.TagValue
	}
	return name, unavailable(err)
}
