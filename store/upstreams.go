package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// upstreamRow is the table of upstreams.
type upstreamRow struct {
	ID        string    `db:"id"`
	Name      string    `db:"name"`
	Provider  string    `db:"provider"`
	URL       string    `db:"url"`
	Auth      string    `db:"auth"`
	Enabled   bool      `db:"enabled"`
	Settings  string    `db:"settings"` // JSON of settings
	CreatedAt time.Time `db:"created_at"`
	Seq       int64     `db:"seq"`
}

const upstreamColumns = `id, name, provider, url, auth, enabled, settings, created_at, seq`

// settings is what an upstream has that no query asks for.
type settings struct {
	Wires          []string `json:"wires,omitempty"`
	Models         []string `json:"models,omitempty"`
	Connect        span     `json:"connect,omitempty"`
	ResponseHeader span     `json:"response_header,omitempty"`
	FirstToken     span     `json:"first_token,omitempty"`
	Idle           span     `json:"idle,omitempty"`
	Total          span     `json:"total,omitempty"`
	MaxIdle        int      `json:"max_idle,omitempty"`
	IdleTimeout    span     `json:"idle_timeout,omitempty"`
	Websocket      bool     `json:"websocket,omitempty"`
	Draining       bool     `json:"draining,omitempty"`
}

// span is a duration that stands in JSON as people write it: "1m30s".
type span time.Duration

// MarshalText writes the duration as time.ParseDuration reads it.
func (d span) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText is the way back.
func (d *span) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = span(parsed)
	return err
}

func upstreamRowOf(u *accounts.Upstream) (upstreamRow, error) {
	text, err := json.Marshal(settings{
		Wires: u.Wires, Models: u.Models,
		Connect: span(u.Timeouts.Connect), ResponseHeader: span(u.Timeouts.ResponseHeader),
		FirstToken: span(u.Timeouts.FirstToken), Idle: span(u.Timeouts.Idle), Total: span(u.Timeouts.Total),
		MaxIdle: u.MaxIdle, IdleTimeout: span(u.IdleTimeout), Websocket: u.Websocket, Draining: u.Draining,
	})
	return upstreamRow{
		ID: u.ID, Name: u.Name, Provider: string(u.Provider), URL: u.URL, Auth: string(u.Auth),
		Enabled: u.Enabled, Settings: string(text), CreatedAt: u.CreatedAt,
	}, err
}

func (r *upstreamRow) upstream() (accounts.Upstream, error) {
	var s settings
	if err := json.Unmarshal([]byte(r.Settings), &s); err != nil {
		return accounts.Upstream{}, fmt.Errorf("reading settings of upstream %q: %w", r.Name, err)
	}
	return accounts.Upstream{
		ID: r.ID, Name: r.Name, Provider: accounts.Provider(r.Provider), URL: r.URL, Auth: accounts.Auth(r.Auth),
		Wires: s.Wires, Models: s.Models,
		Timeouts: accounts.Timeouts{
			Connect: time.Duration(s.Connect), ResponseHeader: time.Duration(s.ResponseHeader),
			FirstToken: time.Duration(s.FirstToken), Idle: time.Duration(s.Idle), Total: time.Duration(s.Total),
		},
		MaxIdle: s.MaxIdle, IdleTimeout: time.Duration(s.IdleTimeout), Websocket: s.Websocket,
		Enabled: r.Enabled, Draining: s.Draining, CreatedAt: moment(r.CreatedAt), Seq: r.Seq,
	}, nil
}

// readUpstreams gives the upstreams that where selects by name, with their
// credentials.
func readUpstreams(ctx context.Context, s session, where string, args ...any) ([]accounts.Upstream, error) {
	var rows []upstreamRow
	if err := s.all(ctx, &rows, `SELECT `+upstreamColumns+` FROM upstreams `+where+` ORDER BY name`, args...); err != nil {
		return nil, fmt.Errorf("reading upstreams: %w", unavailable(err))
	}
	of := ""
	if where != "" {
		of = `WHERE upstream_id IN (SELECT id FROM upstreams ` + where + `)`
	}
	credentials, err := readCredentials(ctx, s, of, args...)
	if err != nil {
		return nil, err
	}
	upstreams := make([]accounts.Upstream, 0, len(rows))
	for i := range rows {
		u, err := rows[i].upstream()
		if err != nil {
			return nil, err
		}
		u.Credentials = credentials[u.ID]
		upstreams = append(upstreams, u)
	}
	return upstreams, nil
}

// Upstreams gives all upstreams by name, each with its credentials in the
// order of their ids, which is that of their making.
func (st *State) Upstreams() ([]accounts.Upstream, error) { return readUpstreams(st.ctx, st.on, "") }

// Upstream finds one by its name or id. ErrNotFound where there is none.
func (st *State) Upstream(nameOrID string) (accounts.Upstream, error) {
	found, err := readUpstreams(st.ctx, st.on, `WHERE id = ? OR name = ?`, nameOrID, nameOrID)
	if err != nil {
		return accounts.Upstream{}, err
	}
	if len(found) == 0 {
		return accounts.Upstream{}, notFound("upstream", nameOrID)
	}
	return found[0], nil
}

// PutUpstream adds an upstream, or makes the one with its ID what u says, its
// credentials included. ErrExists where the name, or that of a credential, is
// taken; ErrInUse where a binding names a credential that u has no more. A zero
// CreatedAt means now; Seq is not asked.
func (st *State) PutUpstream(u accounts.Upstream) error {
	if u.ID == "" {
		return errors.New("storing upstream: it has no id")
	}
	stored, err := st.Upstream(u.ID)
	isNew := errors.Is(err, accounts.ErrNotFound)
	if err != nil && !isNew {
		return err
	}
	u = st.normal(u, stored)
	if reflect.DeepEqual(u, stored) {
		return nil
	}
	if err := st.keepsBound(&u, &stored); err != nil {
		return err
	}
	if err := st.writeUpstream(&u); err != nil {
		return fmt.Errorf("storing %w", err)
	}
	if err := st.writeCredentials(&u, stored.Credentials); err != nil {
		return fmt.Errorf("storing upstream %q: %w", u.Name, err)
	}
	st.touch("upstream:"+u.ID, true)
	st.note("upstream:"+u.ID, u.Name, unless(isNew, auditUpstreamOf(&stored)), auditUpstreamOf(&u))
	return nil
}

// keepsBound refuses to take away a credential that a binding names.
func (st *State) keepsBound(u, stored *accounts.Upstream) error {
	var gone []string
	for _, old := range stored.Credentials {
		if !slices.ContainsFunc(u.Credentials, func(c accounts.Credential) bool { return c.ID == old.ID }) {
			gone = append(gone, old.ID)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	whose, err := st.boundTo(u.ID, gone...)
	if err != nil || len(whose) == 0 {
		return err
	}
	return fmt.Errorf("a credential of upstream %q is %w by bindings of %s", u.Name, accounts.ErrInUse, strings.Join(whose, ", "))
}

// normal is u as it would be read back.
func (st *State) normal(u, stored accounts.Upstream) accounts.Upstream {
	u.CreatedAt, u.Seq = moment(cmpTime(u.CreatedAt, stored.CreatedAt, st.now)), stored.Seq
	u.Wires, u.Models = someOrNil(u.Wires), someOrNil(u.Models)
	u.Credentials = someOrNil(slices.Clone(u.Credentials))
	slices.SortFunc(u.Credentials, func(a, b accounts.Credential) int { return cmp.Compare(a.ID, b.ID) })
	for i := range u.Credentials {
		c := &u.Credentials[i]
		var before time.Time
		for _, old := range stored.Credentials {
			if old.ID == c.ID {
				before = old.CreatedAt
			}
		}
		c.CreatedAt = moment(cmpTime(c.CreatedAt, before, st.now))
		c.Sealed = someOrNil(c.Sealed)
	}
	return u
}

// someOrNil makes an empty list nil, as it is read back.
func someOrNil[S ~[]E, E any](list S) S {
	if len(list) == 0 {
		return nil
	}
	return list
}

// cmpTime is the first of the times that is not zero.
func cmpTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func (st *State) writeUpstream(u *accounts.Upstream) error {
	row, err := upstreamRowOf(u)
	if err != nil {
		return fmt.Errorf("upstream %q: %w", u.Name, err)
	}
	_, err = st.on.run(st.ctx, `INSERT INTO upstreams (`+upstreamColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, provider = excluded.provider, url = excluded.url,
			auth = excluded.auth, enabled = excluded.enabled, settings = excluded.settings,
			created_at = excluded.created_at, seq = excluded.seq`,
		row.ID, row.Name, row.Provider, row.URL, row.Auth, row.Enabled, row.Settings, row.CreatedAt, st.seq)
	if err != nil {
		return taken(err, "upstream", u.Name)
	}
	return nil
}

// DeleteUpstream deletes an upstream, found by name or id, with its
// credentials. ErrNotFound where there is none; ErrInUse, with their names,
// where rules send requests to it or bindings lead to it.
func (st *State) DeleteUpstream(nameOrID string) error {
	u, err := st.Upstream(nameOrID)
	if err != nil {
		return err
	}
	users, err := st.usersOf(&u)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return fmt.Errorf("upstream %q is %w by %s", u.Name, accounts.ErrInUse, strings.Join(users, "; "))
	}
	for _, text := range []string{`DELETE FROM credentials WHERE upstream_id = ?`, `DELETE FROM upstreams WHERE id = ?`} {
		if _, err := st.on.run(st.ctx, text, u.ID); err != nil {
			return fmt.Errorf("deleting upstream %q: %w", u.Name, unavailable(err))
		}
	}
	st.touch("upstream:"+u.ID, true)
	st.note("upstream:"+u.ID, u.Name, auditUpstreamOf(&u), nil)
	return nil
}

// usersOf says, for people, what names an upstream.
func (st *State) usersOf(u *accounts.Upstream) ([]string, error) {
	files, err := st.Files()
	if err != nil {
		return nil, err
	}
	var named []string
	for _, f := range files {
		for _, r := range f.Rules {
			if slices.Contains(r.Upstreams(), u.Name) {
				named = append(named, r.Name)
			}
		}
	}
	var users []string
	if len(named) > 0 {
		users = append(users, inWords("rule", named))
	}
	whose, err := st.boundTo(u.ID)
	if len(whose) > 0 {
		users = append(users, "bindings of "+strings.Join(whose, ", "))
	}
	return users, err
}

// inWords lists names behind their noun: rule a; rules a, b.
func inWords(noun string, names []string) string {
	if len(names) > 1 {
		noun += "s"
	}
	return noun + " " + strings.Join(names, ", ")
}
