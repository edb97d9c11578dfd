package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// userRow is the table of users.
type userRow struct {
	ID        string       `db:"id"`
	Name      string       `db:"name"`
	Email     string       `db:"email"`
	Role      string       `db:"role"`
	Tags      string       `db:"tags"` // JSON object
	Disabled  bool         `db:"disabled"`
	Password  string       `db:"password"` // empty: none
	CreatedAt time.Time    `db:"created_at"`
	Seq       int64        `db:"seq"`
	LastLogin sql.NullTime `db:"last_login"` // of the table of logins
}

const userColumns = `id, name, email, role, tags, disabled, password, created_at, seq`

func (r *userRow) user() (accounts.User, error) {
	tags, err := readTags(r.Tags)
	if err != nil {
		return accounts.User{}, fmt.Errorf("reading user %q: %w", r.Name, err)
	}
	u := accounts.User{
		ID: r.ID, Name: r.Name, Email: r.Email, Role: accounts.Role(r.Role), Tags: tags, Disabled: r.Disabled,
		CreatedAt: moment(r.CreatedAt), LastLogin: orZero(r.LastLogin), Seq: r.Seq,
	}
	if r.Password != "" {
		u.Password = accounts.NewSecret(r.Password)
	}
	return u, nil
}

// readUsers gives the users that where selects, by id.
func readUsers(ctx context.Context, s session, where string, args ...any) ([]accounts.User, error) {
	var rows []userRow
	err := s.all(ctx, &rows, `SELECT `+userColumns+`, user_logins.at AS last_login
		FROM users LEFT JOIN user_logins ON user_logins.user_id = users.id `+where+` ORDER BY id`, args...)
	if err != nil {
		return nil, fmt.Errorf("reading users: %w", unavailable(err))
	}
	users := make([]accounts.User, 0, len(rows))
	for i := range rows {
		u, err := rows[i].user()
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return users, nil
}

// readUser finds the one user that where selects. The last of args is how it
// was asked for.
func readUser(ctx context.Context, s session, where string, args ...any) (accounts.User, error) {
	users, err := readUsers(ctx, s, where, args...)
	if err != nil {
		return accounts.User{}, err
	}
	if len(users) == 0 {
		return accounts.User{}, notFound("user", fmt.Sprint(args[len(args)-1]))
	}
	return users[0], nil
}

const userByNameOrID = `WHERE id = ? OR name = ?`

// Users gives all users by age.
func (s *Store) Users(ctx context.Context) ([]accounts.User, error) {
	var users []accounts.User
	err := s.read(ctx, "listing users", func(ctx context.Context, on session) (err error) {
		users, err = readUsers(ctx, on, "")
		return err
	})
	return users, err
}

// User finds a user by name or id. ErrNotFound where there is none.
func (s *Store) User(ctx context.Context, nameOrID string) (accounts.User, error) {
	var u accounts.User
	err := s.read(ctx, "finding user", func(ctx context.Context, on session) (err error) {
		u, err = readUser(ctx, on, userByNameOrID, nameOrID, nameOrID)
		return err
	})
	return u, err
}

// Users gives all users by age.
func (st *State) Users() ([]accounts.User, error) { return readUsers(st.ctx, st.on, "") }

// User finds a user by name or id. ErrNotFound where there is none.
func (st *State) User(nameOrID string) (accounts.User, error) {
	return readUser(st.ctx, st.on, userByNameOrID, nameOrID, nameOrID)
}

// PutUser adds a user, or makes the one with its ID what u says. One who is
// disabled or given another password loses all sessions. ErrExists where the
// name is taken. A zero CreatedAt means now; LastLogin and Seq are not asked.
func (st *State) PutUser(u accounts.User) error {
	switch {
	case u.ID == "":
		return errors.New("storing user: it has no id")
	case !u.Role.Valid():
		return fmt.Errorf("storing user %q: its role is none", u.Name)
	}
	stored, err := st.User(u.ID)
	isNew := errors.Is(err, accounts.ErrNotFound)
	if err != nil && !isNew {
		return err
	}
	u = st.normalUser(u, &stored)
	if reflect.DeepEqual(u, stored) {
		return nil
	}
	if err := st.writeUser(&u); err != nil {
		return fmt.Errorf("storing %w", err)
	}
	if u.Disabled || !u.Password.Equal(stored.Password) {
		if _, err := deleteSessions(st.ctx, st.on, `WHERE user_id = ?`, u.ID); err != nil {
			return fmt.Errorf("ending sessions of user %q: %w", u.Name, err)
		}
	}
	st.touch("user:"+u.ID, false)
	st.note("user:"+u.ID, u.Name, unless(isNew, auditUserOf(&stored)), auditUserOf(&u))
	return nil
}

// normalUser is u as it would be read back.
func (st *State) normalUser(u accounts.User, stored *accounts.User) accounts.User {
	u.CreatedAt = moment(cmpTime(u.CreatedAt, stored.CreatedAt, st.now))
	u.LastLogin, u.Seq = stored.LastLogin, stored.Seq
	if u.Tags = maps.Clone(u.Tags); len(u.Tags) == 0 {
		u.Tags = nil
	}
	if u.Password.IsZero() {
		u.Password = accounts.Secret{}
	}
	return u
}

func (st *State) writeUser(u *accounts.User) error {
	tags, err := writeTags(u.Tags)
	if err != nil {
		return fmt.Errorf("user %q: %w", u.Name, err)
	}
	_, err = st.on.run(st.ctx, `INSERT INTO users (`+userColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email, role = excluded.role,
			tags = excluded.tags, disabled = excluded.disabled, password = excluded.password,
			created_at = excluded.created_at, seq = excluded.seq`,
		u.ID, u.Name, u.Email, string(u.Role), tags, u.Disabled, u.Password.Reveal(), u.CreatedAt, st.seq)
	if err != nil {
		return taken(err, "user", u.Name)
	}
	return nil
}

// DeleteUser deletes a user, found by name or id, with its sessions and
// bindings. ErrNotFound where there is none; ErrInUse, with their names, where
// the user owns keys that are not revoked. Those that are become nobody's.
func (st *State) DeleteUser(nameOrID string) error {
	u, err := st.User(nameOrID)
	if err != nil {
		return err
	}
	keys, err := readKeys(st.ctx, st.on, `WHERE user_id = ?`, u.ID)
	if err != nil {
		return err
	}
	if names := notRevoked(keys); len(names) > 0 {
		return fmt.Errorf("user %q is %w by %s", u.Name, accounts.ErrInUse, inWords("key", names))
	}
	for _, k := range keys {
		k.UserID = ""
		if err := st.PutKey(k); err != nil {
			return err
		}
	}
	if err := st.deleteBindings(`WHERE user_id = ?`, u.ID); err != nil {
		return fmt.Errorf("deleting user %q: %w", u.Name, err)
	}
	if _, err := st.on.run(st.ctx, `DELETE FROM users WHERE id = ?`, u.ID); err != nil {
		return fmt.Errorf("deleting user %q: %w", u.Name, unavailable(err))
	}
	st.touch("user:"+u.ID, false)
	st.note("user:"+u.ID, u.Name, auditUserOf(&u), nil)
	return nil
}

func notRevoked(keys []accounts.Key) (names []string) {
	for i := range keys {
		if keys[i].RevokedAt.IsZero() {
			names = append(names, keys[i].Name)
		}
	}
	return names
}
