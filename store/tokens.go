package store

import (
	"fmt"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// Personal access tokens and admin links are ways in that somebody makes, and
// ends, for themselves or others: a change, which stands in the audit.

// Session finds a session by its id, ended or not. ErrNotFound where there is
// none.
func (st *State) Session(id string) (accounts.Session, error) {
	return readSession(st.ctx, st.on, `WHERE id = ?`, id)
}

// Sessions gives the sessions of a user by age; those of all users where userID
// is empty.
func (st *State) Sessions(userID string) ([]accounts.Session, error) {
	return readSessionsOf(st.ctx, st.on, userID)
}

// PutSession is Store.PutSession as a part of the change.
func (st *State) PutSession(put accounts.Session) error {
	if err := insertSession(st.ctx, st.on, &put); err != nil {
		return fmt.Errorf("storing session: %w", err)
	}
	st.touch("session:"+put.ID, false)
	st.note("session:"+put.ID, put.Name, nil, auditSessionOf(&put))
	return nil
}

// DeleteSession is Store.DeleteSession as a part of the change.
func (st *State) DeleteSession(id string) error {
	gone, err := st.Session(id)
	if err != nil {
		return err
	}
	if _, err := deleteSessions(st.ctx, st.on, `WHERE id = ?`, id); err != nil {
		return fmt.Errorf("ending session: %w", err)
	}
	st.touch("session:"+id, false)
	st.note("session:"+id, gone.Name, auditSessionOf(&gone), nil)
	return nil
}

// auditSession is a session as it stands in the audit. The hash of a link is
// left out, and so is every other: a link has few enough bits to be guessed at.
type auditSession struct {
	Name      string     `json:"name,omitempty"` // empty: a login
	UserID    string     `json:"user_id"`
	Role      string     `json:"role"`
	Last4     string     `json:"last4,omitempty"`
	From      string     `json:"from,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

func auditSessionOf(s *accounts.Session) *auditSession {
	return &auditSession{
		Name: s.Name, UserID: s.UserID, Role: string(s.Role), Last4: s.Last4, From: s.From,
		CreatedAt: s.CreatedAt, ExpiresAt: someTime(s.ExpiresAt),
	}
}
