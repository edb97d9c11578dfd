package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// Logins are no changes of the log: they come and go all day, and nobody keeps
// them in memory. One that is deleted is gone for every node. Sessions that an
// operator makes or ends are changes; see tokens.go.

// endedSessionKept is how long a session that has ended can still be looked at.
const endedSessionKept = 24 * time.Hour

// sessionRow is the table of sessions.
type sessionRow struct {
	ID        string       `db:"id"`
	UserID    string       `db:"user_id"`
	Name      string       `db:"name"`
	Hash      []byte       `db:"hash"`
	Last4     string       `db:"last4"`
	Role      string       `db:"role"`
	CreatedAt time.Time    `db:"created_at"`
	UsedAt    sql.NullTime `db:"used_at"`
	ExpiresAt sql.NullTime `db:"expires_at"`
	From      string       `db:"from_addr"`
}

const sessionColumns = `id, user_id, name, hash, last4, role, created_at, used_at, expires_at, from_addr`

func (r *sessionRow) session() accounts.Session {
	s := accounts.Session{
		ID: r.ID, UserID: r.UserID, Name: r.Name, Last4: r.Last4, Role: accounts.Role(r.Role),
		CreatedAt: moment(r.CreatedAt), UsedAt: orZero(r.UsedAt), ExpiresAt: orZero(r.ExpiresAt), From: r.From,
	}
	copy(s.Hash[:], r.Hash)
	return s
}

func readSessions(ctx context.Context, on session, where string, args ...any) ([]accounts.Session, error) {
	var rows []sessionRow
	err := on.all(ctx, &rows, `SELECT `+sessionColumns+` FROM sessions `+where+` ORDER BY id`, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	sessions := make([]accounts.Session, 0, len(rows))
	for i := range rows {
		sessions = append(sessions, rows[i].session())
	}
	return sessions, nil
}

func noSession() error { return fmt.Errorf("session: %w", accounts.ErrNotFound) }

func readSession(ctx context.Context, on session, where string, arg any) (accounts.Session, error) {
	found, err := readSessions(ctx, on, where, arg)
	if err != nil {
		return accounts.Session{}, err
	}
	if len(found) == 0 {
		return accounts.Session{}, noSession()
	}
	return found[0], nil
}

// Session finds a session by its id, ended or not. ErrNotFound where there is
// none.
func (s *Store) Session(ctx context.Context, id string) (accounts.Session, error) {
	return s.findSession(ctx, `WHERE id = ?`, id)
}

// SessionByHash finds a session by the hash of its refresh token, or a personal
// access token by its own, ended or not. ErrNotFound where there is none.
func (s *Store) SessionByHash(ctx context.Context, hash accounts.KeyHash) (accounts.Session, error) {
	return s.findSession(ctx, `WHERE hash = ?`, hash[:])
}

func (s *Store) findSession(ctx context.Context, where string, arg any) (accounts.Session, error) {
	var found accounts.Session
	err := s.read(ctx, "finding session", func(ctx context.Context, on session) (err error) {
		found, err = readSession(ctx, on, where, arg)
		return err
	})
	return found, err
}

// Sessions gives the sessions of a user by age; those of all users where userID
// is empty.
func (s *Store) Sessions(ctx context.Context, userID string) ([]accounts.Session, error) {
	var sessions []accounts.Session
	err := s.read(ctx, "listing sessions", func(ctx context.Context, on session) (err error) {
		sessions, err = readSessionsOf(ctx, on, userID)
		return err
	})
	return sessions, err
}

func readSessionsOf(ctx context.Context, on session, userID string) ([]accounts.Session, error) {
	if userID == "" {
		return readSessions(ctx, on, "")
	}
	return readSessions(ctx, on, `WHERE user_id = ?`, userID)
}

// PutSession adds a session. ErrExists where its id or hash is taken;
// ErrNotFound where its user is not there or disabled. Sessions that ended more
// than a day ago go. A zero CreatedAt means now; UsedAt is not asked.
func (s *Store) PutSession(ctx context.Context, put accounts.Session) error {
	return s.write(ctx, "storing session", func(ctx context.Context, on session) error { return insertSession(ctx, on, &put) })
}

func insertSession(ctx context.Context, on session, put *accounts.Session) error {
	if put.ID == "" {
		return errors.New("it has no id")
	}
	now := moment(time.Now())
	if _, err := deleteSessions(ctx, on, `WHERE expires_at < ?`, now.Add(-endedSessionKept)); err != nil {
		return err
	}
	rows, err := on.run(ctx, `INSERT INTO sessions (`+sessionColumns+`)
		SELECT ?, id, ?, ?, ?, ?, ?, NULL, ?, ? FROM users WHERE id = ? AND NOT disabled`,
		put.ID, put.Name, put.Hash[:], put.Last4, string(put.Role),
		moment(cmpTime(put.CreatedAt, now)), maybe(put.ExpiresAt), put.From, put.UserID)
	switch {
	case err != nil:
		return taken(err, "session", put.ID)
	case rows == 0:
		return notFound("user", put.UserID)
	}
	return nil
}

// RenewSession exchanges the refresh token of a login, which is good for one
// use, and moves the login's end. ErrNotFound where there is no such login, and
// where it has ended. A token that was used before is in two hands, of which one
// stole it: that ends the login, and is ErrNotFound.
func (s *Store) RenewSession(ctx context.Context, old, next accounts.KeyHash, now, expires time.Time) (accounts.Session, error) {
	var renewed accounts.Session
	const doing = "renewing session"
	err := s.write(ctx, doing, func(ctx context.Context, on session) error {
		found, err := readSession(ctx, on, `WHERE name = '' AND hash = ?`, old[:])
		switch {
		case errors.Is(err, accounts.ErrNotFound):
			return endReused(ctx, on, old)
		case err != nil:
			return err
		case !found.ExpiresAt.After(now):
			return nil
		}
		if err := spend(ctx, on, &found, now); err != nil {
			return err
		}
		found.Hash, found.UsedAt, found.ExpiresAt = next, moment(now).Truncate(time.Minute), moment(expires)
		_, err = on.run(ctx, `UPDATE sessions SET hash = ?, used_at = ?, expires_at = ? WHERE id = ?`,
			next[:], found.UsedAt, found.ExpiresAt, found.ID)
		if err != nil {
			return taken(err, "session", found.ID)
		}
		renewed = found
		return nil
	})
	if err == nil && renewed.ID == "" {
		err = fmt.Errorf("%s: %w", doing, noSession()) // after the commit: what was ended stays so
	}
	return renewed, err
}

// maxSpent is how many used refresh tokens of a login are known. A login that is
// refreshed as its access tokens end uses 1,344 in the two weeks until the first of
// them is forgotten.
const maxSpent = 2048

// spend notes that the refresh token of a session is used, and forgets those
// that would have ended by now, and the oldest of too many.
func spend(ctx context.Context, on session, s *accounts.Session, now time.Time) error {
	if _, err := on.run(ctx, `DELETE FROM spent_refreshes WHERE session_id = ? AND expires_at <= ?`, s.ID, moment(now)); err != nil {
		return unavailable(err)
	}
	_, err := on.run(ctx, `DELETE FROM spent_refreshes WHERE session_id = ? AND expires_at < (SELECT expires_at FROM spent_refreshes
		WHERE session_id = ? ORDER BY expires_at DESC LIMIT 1 OFFSET ?)`, s.ID, s.ID, maxSpent-2)
	if err != nil {
		return unavailable(err)
	}
	_, err = on.run(ctx, `INSERT INTO spent_refreshes (hash, session_id, expires_at) VALUES (?, ?, ?)`,
		s.Hash[:], s.ID, s.ExpiresAt)
	return unavailable(err)
}

// endReused ends the login of which hash was a refresh token.
func endReused(ctx context.Context, on session, hash accounts.KeyHash) error {
	_, err := deleteSessions(ctx, on, `WHERE id IN (SELECT session_id FROM spent_refreshes WHERE hash = ?)`, hash[:])
	return err
}

// DeleteSession ends a session. ErrNotFound where there is none of that id.
func (s *Store) DeleteSession(ctx context.Context, id string) error {
	return s.write(ctx, "ending session", func(ctx context.Context, on session) error {
		gone, err := deleteSessions(ctx, on, `WHERE id = ?`, id)
		if err == nil && gone == 0 {
			return noSession()
		}
		return err
	})
}

// DeleteSessions ends all sessions of a user, of which there may be none.
func (s *Store) DeleteSessions(ctx context.Context, userID string) error {
	return s.write(ctx, "ending sessions", func(ctx context.Context, on session) error {
		_, err := deleteSessions(ctx, on, `WHERE user_id = ?`, userID)
		return err
	})
}

// deleteSessions deletes those that where selects; what they spent goes along.
func deleteSessions(ctx context.Context, on session, where string, args ...any) (int64, error) {
	gone, err := on.run(ctx, `DELETE FROM sessions `+where, args...)
	return gone, unavailable(err)
}
