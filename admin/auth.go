package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// maxBearer is far beyond the longest token that is made here.
const maxBearer = 2048

// entrance finds out who makes a call, before anything of it is read.
type entrance func(r *http.Request) (caller, error)

// atSocket lets everybody in who could open the admin socket: the gateway's own
// user, who may do everything.
func (s *Server) atSocket(*http.Request) (caller, error) {
	return caller{User: localUser, Role: accounts.RoleAdmin, Via: viaSocket, From: viaSocket, Peer: viaSocket}, nil
}

// atListener wants a login of everybody, but for what is for anybody. Whoever
// has none comes no further than here: nothing is read of what they send.
func (s *Server) atListener(r *http.Request) (caller, error) {
	if refused := s.fromPage(r); refused != nil {
		return caller{}, refused
	}
	address := s.peer(r)
	from, peer := address.String(), peerName(address)
	switch {
	case s.open:
		return caller{User: openUser, Role: accounts.RoleAdmin, Via: viaOpen, From: from, Peer: peer}, nil
	case !strings.HasPrefix(r.URL.Path, "/api/"), s.openRoutes[r.Method+" "+r.URL.Path]:
		return caller{From: from, Peer: peer}, nil
	}
	c, err := s.authenticate(r.Context(), r.Header)
	c.From, c.Peer = from, peer
	return c, err
}

// authenticate reads the one place where a login is sent. There are no cookies,
// so a browser sends none by itself on behalf of another site.
func (s *Server) authenticate(ctx context.Context, h http.Header) (caller, error) {
	sent := h.Values("Authorization")
	if len(sent) == 0 {
		return caller{}, noLogin()
	}
	scheme, text, _ := strings.Cut(sent[0], " ")
	switch {
	case len(sent) > 1 || !strings.EqualFold(scheme, "bearer") || len(text) > maxBearer:
		return caller{}, noLogin()
	case strings.HasPrefix(text, accounts.KeyPrefix):
		return caller{}, isKey()
	case strings.HasPrefix(text, accounts.TokenPrefix):
		return s.callerByToken(ctx, text)
	}
	return s.callerByLogin(ctx, text)
}

func (s *Server) callerByToken(ctx context.Context, text string) (caller, error) {
	if !s.issuer().IsToken(text) {
		return caller{}, loginEnded()
	}
	session, err := s.accounts.SessionByHash(ctx, accounts.HashKey(text))
	if err != nil {
		return caller{}, gone(err)
	}
	if kindOf(&session) != tokenKind {
		return caller{}, loginEnded()
	}
	c, err := s.callerIn(ctx, &session, viaToken, session.Role)
	if err == nil {
		s.noteUse(ctx, &session)
	}
	return c, err
}

// noteUse writes down, once a minute, that a token is used. That it could not be
// is no reason to refuse a call.
func (s *Server) noteUse(ctx context.Context, session *accounts.Session) {
	now := s.now()
	if now.Sub(session.UsedAt) < time.Minute {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeLook)
	defer cancel()
	if err := s.accounts.NoteSessionUse(ctx, map[string]time.Time{session.ID: now}); err != nil {
		s.log.Warn().Err(err).Str("token", session.ID).Msg("the use of a token could not be noted")
	}
}

func (s *Server) callerByLogin(ctx context.Context, text string) (caller, error) {
	said, err := s.signer.read(ctx, text)
	if err != nil {
		return caller{}, err
	}
	if said == nil {
		return caller{}, loginEnded()
	}
	session, err := s.accounts.Session(ctx, said.Session)
	if err != nil {
		return caller{}, gone(err)
	}
	if kindOf(&session) != loginKind || session.UserID != said.Subject {
		return caller{}, loginEnded()
	}
	return s.callerIn(ctx, &session, viaLogin, said.Role)
}

// callerIn gives whoever has a session, as they are now: what was taken from the
// user since is gone.
func (s *Server) callerIn(ctx context.Context, session *accounts.Session, via string, role accounts.Role) (caller, error) {
	user, err := s.accounts.User(ctx, session.UserID)
	if err != nil {
		return caller{}, gone(err)
	}
	if role = lesser(role, s.roleNow(session, &user)); role == "" {
		return caller{}, loginEnded()
	}
	return caller{
		User: user.Name, UserID: user.ID, Role: role, Via: via, Session: session.ID, ExpiresAt: session.ExpiresAt,
	}, nil
}

// roleNow is what a session is good for at this moment; none where it is over.
func (s *Server) roleNow(session *accounts.Session, user *accounts.User) accounts.Role {
	if user.Disabled || ended(session.ExpiresAt, s.now()) {
		return ""
	}
	return lesser(session.Role, user.Role)
}

func ended(expires, now time.Time) bool { return !expires.IsZero() && !now.Before(expires) }

// lesser gives the role that may do less, and none where one of them is none.
func lesser(a, b accounts.Role) accounts.Role {
	switch {
	case a.Covers(b):
		return b
	case b.Covers(a):
		return a
	}
	return ""
}

// gone is a login that ended, where the store does not know it any more. A store
// that cannot be asked is no reason to say so.
func gone(err error) error {
	if errors.Is(err, accounts.ErrNotFound) {
		return loginEnded()
	}
	return err
}

func noLogin() *failure {
	return unauthorized("no login in the request", `log in: llmgw login; programs send "Authorization: Bearer lgw_pat_…"`)
}

func loginEnded() *failure {
	return unauthorized("this login is not valid, or it has ended", "log in again: llmgw login")
}

func isKey() *failure {
	return unauthorized("this is a key of the proxy; the admin API wants a login or a personal access token", "log in: llmgw login")
}

// unauthorized is RFC 6750, section 3.
func unauthorized(detail, hint string) *failure {
	f := fail(http.StatusUnauthorized, api.CodeDenied, detail, hint)
	f.header = http.Header{"Www-Authenticate": {`Bearer realm="llmgw"`}}
	return f
}
