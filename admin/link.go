package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// An admin link is how the first password comes into being, and the way back in
// for whoever forgot theirs. Its secret can be read out over a telephone: three
// groups of four characters, 71 random bits, for one use.
const (
	linkLife    = 30 * time.Minute
	linkPath    = "/setup#" // behind the # stands what no server is sent
	defaultUser = "admin"

	linkDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	linkForm   = "xxxx-xxxx-xxxx"
)

// makeLink makes a link for a user, who comes into being where there is none of
// that name. A link that the user has already ends.
func (s *Server) makeLink(ctx context.Context, in *body[api.NewAdminLink]) (api.AdminLink, error) {
	name := in.Body.User
	if name == "" {
		name = defaultUser
	}
	if problems := checkUserName("user", name); problems != nil {
		return api.AdminLink{}, invalid(problems)
	}
	base := s.status(ctx).Admin
	if base == "" {
		return api.AdminLink{}, fail(http.StatusConflict, api.CodeConflict, "the admin listener does not answer yet", "try again in a moment")
	}
	user, err := s.linkUser(ctx, name)
	if err != nil {
		return api.AdminLink{}, err
	}
	secret, err := newLinkSecret()
	if err != nil {
		return api.AdminLink{}, err
	}
	now := s.now()
	session := accounts.Session{
		ID: accounts.NewID("link", now), UserID: user.ID, Name: linkName, Hash: linkHash(secret), Role: user.Role,
		CreatedAt: now, ExpiresAt: now.Add(linkLife), From: callerOf(ctx).From,
	}
	_, _, err = s.change(ctx, by(ctx, "admin.link"), func(st State) error {
		if err := endLinks(st, user.ID); err != nil {
			return err
		}
		return st.PutSession(session)
	})
	if err != nil {
		return api.AdminLink{}, err
	}
	return api.AdminLink{URL: base + linkPath + secret, User: user.Name, ExpiresAt: session.ExpiresAt}, nil
}

// linkUser finds the user of a link, or makes an admin.
func (s *Server) linkUser(ctx context.Context, name string) (accounts.User, error) {
	user, err := s.accounts.User(ctx, name)
	if errors.Is(err, accounts.ErrNotFound) {
		user = accounts.User{ID: accounts.NewID("user", s.now()), Name: name, Role: accounts.RoleAdmin, CreatedAt: s.now()}
		_, _, err = s.change(ctx, by(ctx, "user.create"), func(st State) error {
			return st.PutUser(user)
		})
	}
	if err == nil && user.Disabled {
		return user, fail(http.StatusConflict, api.CodeConflict, fmt.Sprintf("user %q is disabled", user.Name), "llmgw users enable "+user.Name)
	}
	return user, err
}

func endLinks(st State, userID string) error {
	sessions, err := st.Sessions(userID)
	if err != nil {
		return err
	}
	for i := range sessions {
		if kindOf(&sessions[i]) != linkKind {
			continue
		}
		if err := st.DeleteSession(sessions[i].ID); err != nil {
			return err
		}
	}
	return nil
}

// loginByLink sets the password of the link's user and logs in.
func (s *Server) loginByLink(ctx context.Context, in *api.Login) (api.Tokens, error) {
	if problems := checkPassword("new_password", in.New); problems != nil {
		return api.Tokens{}, invalid(problems) // the link is good for another try
	}
	from, refused := s.attemptFrom(ctx)
	if refused != nil {
		return api.Tokens{}, refused
	}
	session, err := s.openLink(ctx, in.Link)
	if err != nil {
		if errors.Is(err, accounts.ErrNotFound) {
			from.failed()
			s.logins.WithLabelValues(loginRefused).Inc()
			s.log.Warn().Str("from", callerOf(ctx).From).Msg("admin link refused")
			return api.Tokens{}, linkOver()
		}
		from.dropped()
		return api.Tokens{}, err
	}
	from.dropped()
	return s.useLink(ctx, &session, in.New)
}

// openLink finds the link of a secret; ErrNotFound where it is over.
func (s *Server) openLink(ctx context.Context, secret string) (accounts.Session, error) {
	if !isLinkSecret(secret) {
		return accounts.Session{}, accounts.ErrNotFound
	}
	session, err := s.accounts.SessionByHash(ctx, linkHash(secret))
	if err == nil && (kindOf(&session) != linkKind || ended(session.ExpiresAt, s.now())) {
		err = accounts.ErrNotFound
	}
	return session, err
}

// useLink uses a link up, sets the password and logs in. Of several who use it at
// once one gets through: a session can be deleted only once. The password is
// hashed before that, since there may be no room for it.
func (s *Server) useLink(ctx context.Context, session *accounts.Session, password string) (api.Tokens, error) {
	hashed, err := s.hash(ctx, password)
	if err != nil {
		return api.Tokens{}, err
	}
	err = s.accounts.DeleteSession(ctx, session.ID)
	if errors.Is(err, accounts.ErrNotFound) {
		return api.Tokens{}, linkOver()
	}
	if err != nil {
		return api.Tokens{}, err
	}
	user, err := s.accounts.User(ctx, session.UserID)
	if err != nil {
		return api.Tokens{}, gone(err)
	}
	meta := by(ctx, "user.password")
	meta.Actor, meta.Why = user.Name, "by admin link"
	user, err = s.storePassword(ctx, meta, user.ID, hashed, func(now *accounts.User) error {
		if now.Disabled {
			return linkOver()
		}
		return nil
	})
	if err != nil {
		return api.Tokens{}, err
	}
	s.log.Info().Str("user", user.Name).Str("from", callerOf(ctx).From).Msg("password set by admin link")
	return s.begin(ctx, &user)
}

func linkOver() *failure {
	return unauthorized("this link is not valid, was used, or is over", "make another on the gateway's machine: llmgw admin link")
}

func newLinkSecret() (string, error) {
	text := []byte(linkForm)
	for i := range text {
		for text[i] == 'x' {
			var random [1]byte
			if _, err := rand.Read(random[:]); err != nil {
				return "", fmt.Errorf("reading random bytes: %w", err)
			}
			// What is beyond the largest multiple would make some digits likelier.
			if n := int(random[0]); n < 256-256%len(linkDigits) {
				text[i] = linkDigits[n%len(linkDigits)]
				break
			}
		}
	}
	return string(text), nil
}

func isLinkSecret(text string) bool {
	if len(text) != len(linkForm) {
		return false
	}
	for i := range len(linkForm) {
		c := text[i]
		alphanumeric := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if alphanumeric != (linkForm[i] == 'x') || !alphanumeric && c != '-' {
			return false
		}
	}
	return true
}

// linkHash is no hash of any other secret: none begins so.
func linkHash(secret string) accounts.KeyHash { return accounts.HashKey("lgw_link_" + secret) }
