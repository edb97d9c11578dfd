package admin

import (
	"context"
	"errors"

	"github.com/llmgw/llmgw/accounts"
)

// errLeave ends a change that has nothing to store: everything is rolled back,
// no revision is made, and that is no failure.
var errLeave = errors.New("nothing to store")

// change runs f in one change of the store, where the caller may still call by
// then. It gives false where f left things as they were.
func (s *Server) change(ctx context.Context, meta accounts.Meta, f func(State) error) (accounts.Change, bool, error) {
	change, err := s.store.Change(ctx, meta, func(st State) error {
		if err := s.mayStill(ctx, st); err != nil {
			return err
		}
		return f(st)
	})
	if errors.Is(err, errLeave) {
		return accounts.Change{}, false, nil
	}
	return change, err == nil, err
}

// mayStill says why a caller who was let in may not change anything any more. A
// call takes its time to send its body, and that of hashing a password; whoever
// kept one waiting could else undo that their login was ended.
func (s *Server) mayStill(ctx context.Context, st State) error {
	c := callerOf(ctx)
	if c.Session == "" { // no login: the socket, or somebody who is about to log in
		return nil
	}
	session, err := st.Session(c.Session)
	if err != nil {
		return gone(err)
	}
	user, err := st.User(session.UserID)
	if err != nil {
		return gone(err)
	}
	switch role := s.roleNow(&session, &user); {
	case role == "":
		return loginEnded()
	case !role.Covers(c.Role):
		return denied("the role of "+user.Name+" was changed meanwhile", "repeat the command")
	}
	return nil
}
