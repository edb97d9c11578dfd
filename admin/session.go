package admin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// The bounds of logins. One that is not refreshed for loginLife ends; of more
// than maxLogins of a user the oldest end.
const (
	loginLife = 14 * 24 * time.Hour
	maxLogins = 50
)

// kind is what a session stands for.
type kind uint8

const (
	loginKind kind = iota
	tokenKind
	linkKind
)

// linkName is the Name of a session that is an admin link's. No personal access
// token can be called so.
const linkName = "admin link"

func kindOf(session *accounts.Session) kind {
	switch session.Name {
	case "":
		return loginKind
	case linkName:
		return linkKind
	}
	return tokenKind
}

// begin starts a session for a user who has shown to be that.
func (s *Server) begin(ctx context.Context, user *accounts.User) (api.Tokens, error) {
	if err := s.makeRoom(ctx, user.ID); err != nil {
		return api.Tokens{}, err
	}
	refresh, err := s.issuer().IssueRefresh()
	if err != nil {
		return api.Tokens{}, err
	}
	now := s.now()
	session := accounts.Session{
		ID: accounts.NewID("login", now), UserID: user.ID, Hash: accounts.HashKey(refresh.Reveal()), Last4: refresh.Last4(),
		Role:      accounts.RoleAdmin, // the user's own bounds it, on every call
		CreatedAt: now, ExpiresAt: now.Add(loginLife), From: callerOf(ctx).From,
	}
	if err := s.accounts.PutSession(ctx, session); err != nil {
		return api.Tokens{}, gone(err)
	}
	if err := s.stillSo(ctx, &session, user); err != nil {
		return api.Tokens{}, err
	}
	if err := s.accounts.NoteLogin(ctx, user.ID, now); err != nil {
		return api.Tokens{}, err
	}
	return s.tokens(ctx, &session, user, refresh)
}

// stillSo looks again once the session is there: a change of the user that came
// between could not end it.
func (s *Server) stillSo(ctx context.Context, session *accounts.Session, user *accounts.User) error {
	now, err := s.accounts.User(ctx, user.ID)
	if err == nil && now.Password.Equal(user.Password) && mayLogIn(&now) {
		return nil
	}
	if err := s.accounts.DeleteSession(ctx, session.ID); err != nil && !errors.Is(err, accounts.ErrNotFound) {
		return err
	}
	if err == nil {
		return loginEnded()
	}
	return gone(err)
}

func mayLogIn(user *accounts.User) bool { return !user.Disabled && user.Role.Valid() }

// makeRoom ends the logins of a user that are over, and the oldest of too many.
func (s *Server) makeRoom(ctx context.Context, userID string) error {
	sessions, err := s.accounts.Sessions(ctx, userID)
	if err != nil {
		return err
	}
	logins := slices.DeleteFunc(sessions, func(l accounts.Session) bool { return kindOf(&l) != loginKind })
	slices.SortFunc(logins, func(a, b accounts.Session) int { return b.CreatedAt.Compare(a.CreatedAt) })
	for i := range logins {
		if i < maxLogins-1 && !ended(logins[i].ExpiresAt, s.now()) {
			continue
		}
		if err := s.accounts.DeleteSession(ctx, logins[i].ID); err != nil && !errors.Is(err, accounts.ErrNotFound) {
			return err
		}
	}
	return nil
}

func (s *Server) tokens(ctx context.Context, session *accounts.Session, user *accounts.User, refresh accounts.Secret) (api.Tokens, error) {
	access, expires, err := s.signer.sign(ctx, session, user.Role)
	if err != nil {
		return api.Tokens{}, err
	}
	return api.Tokens{
		Access: access, ExpiresAt: expires, Refresh: refresh.Reveal(), User: user.Name, Role: string(user.Role),
	}, nil
}

// refresh gives the next access token, and the next refresh token: each is good
// for one use. One that comes a second time was copied, and ends the session.
func (s *Server) refresh(ctx context.Context, in *body[api.Refresh]) (api.Tokens, error) {
	if !s.issuer().IsRefresh(in.Body.Refresh) {
		return api.Tokens{}, loginEnded()
	}
	next, err := s.issuer().IssueRefresh()
	if err != nil {
		return api.Tokens{}, err
	}
	now := s.now()
	session, err := s.accounts.RenewSession(ctx, accounts.HashKey(in.Body.Refresh), accounts.HashKey(next.Reveal()), now, now.Add(loginLife))
	if err != nil {
		if errors.Is(err, accounts.ErrNotFound) {
			s.log.Warn().Str("from", callerOf(ctx).From).Msg("refresh token refused: used twice, or of a login that has ended")
		}
		return api.Tokens{}, gone(err)
	}
	user, err := s.accounts.User(ctx, session.UserID)
	switch {
	case err != nil:
		return api.Tokens{}, gone(err)
	case !mayLogIn(&user) || kindOf(&session) != loginKind:
		return api.Tokens{}, loginEnded()
	}
	return s.tokens(ctx, &session, &user, next)
}

// logout ends the session of a refresh token. One that is over already is as
// the caller wants it.
func (s *Server) logout(ctx context.Context, in *body[api.Refresh]) (nothing, error) {
	if !s.issuer().IsRefresh(in.Body.Refresh) {
		return nothing{}, nil
	}
	session, err := s.accounts.SessionByHash(ctx, accounts.HashKey(in.Body.Refresh))
	if err == nil {
		err = s.accounts.DeleteSession(ctx, session.ID)
	}
	if errors.Is(err, accounts.ErrNotFound) {
		err = nil
	}
	return nothing{}, err
}
