package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// registerLogins registers how people and programs come in.
func (s *Server) registerLogins(r routes) {
	post(r, anybody, "/login", "Log in", s.login)
	post(r, anybody, "/refresh", "Refresh a login", s.refresh)
	post(r, anybody, "/logout", "Log out", s.logout)
	post(r, socket, "/admin-link", "Make an admin link", s.makeLink)
	get(r, member, "/me", "Show who makes the call", s.showMe)
	put(r, member, "/users/{name}/password", "Set the password of a user", s.setPassword)

	get(r, member, "/tokens", "List personal access tokens", s.listTokens)
	create(r, member, "/tokens", "Create a personal access token", s.createToken)
	remove(r, member, "/tokens/{name}", "Delete a personal access token, or end a login", s.deleteToken)
}

func (s *Server) showMe(ctx context.Context, _ *nothing) (api.Me, error) {
	c := callerOf(ctx)
	return api.Me{User: c.User, Role: string(c.Role), Via: c.Via, ExpiresAt: moment(c.ExpiresAt)}, nil
}

// login takes a password, or the secret of an admin link and the password to be.
func (s *Server) login(ctx context.Context, in *body[api.Login]) (api.Tokens, error) {
	if in.Body.Link != "" {
		return s.loginByLink(ctx, &in.Body)
	}
	if in.Body.New != "" {
		return api.Tokens{}, wrongField("new_password", "goes with link only")
	}
	user, err := s.checkLogin(ctx, in.Body.User, in.Body.Password)
	if err != nil {
		return api.Tokens{}, err
	}
	s.log.Info().Str("user", user.Name).Str("from", callerOf(ctx).From).Msg("logged in")
	return s.begin(ctx, &user)
}

// checkLogin gives the user of a name and a password. Whoever has no such user,
// no password, a wrong one, or is disabled is told the same, after the same
// time.
func (s *Server) checkLogin(ctx context.Context, name, password string) (accounts.User, error) {
	if !accounts.ValidName(name) {
		name = "" // may be anything, and is counted as one name
	}
	from, refused := s.attemptFrom(ctx)
	if refused != nil {
		return accounts.User{}, refused
	}
	on, refused := s.attemptOn(ctx, name)
	if refused != nil {
		from.dropped()
		return accounts.User{}, refused
	}
	user, right, err := s.compare(ctx, name, password)
	switch {
	case err != nil:
		from.dropped()
		on.dropped()
		return accounts.User{}, err
	case !right:
		from.failed()
		on.failed()
		s.logins.WithLabelValues(loginRefused).Inc()
		s.log.Warn().Str("user", user.Name).Str("from", callerOf(ctx).From).Msg("login refused")
		return accounts.User{}, wrongPassword()
	}
	// What the peer got wrong before stays: a user of one's own must be no way
	// to go on guessing at others.
	from.dropped()
	on.cleared()
	s.targets.knows(name, callerOf(ctx).Peer)
	s.logins.WithLabelValues(loginDone).Inc()
	return user, nil
}

// compare looks a user up and compares the password, which takes its time
// whether there is such a user or not. Of several who log in at once one hashes
// an outdated password anew, and the others look again.
func (s *Server) compare(ctx context.Context, name, password string) (user accounts.User, right bool, err error) {
	for range 2 {
		user, right, err = s.compareOnce(ctx, name, password)
		if !errors.Is(err, accounts.ErrChanged) {
			break
		}
	}
	return user, right, err
}

func (s *Server) compareOnce(ctx context.Context, name, password string) (accounts.User, bool, error) {
	var user accounts.User
	err := accounts.ErrNotFound
	if name != "" {
		user, err = s.accounts.User(ctx, name)
	}
	if err != nil && !errors.Is(err, accounts.ErrNotFound) {
		return user, false, err
	}
	right, outdated, err := s.passwords.matches(ctx, user.Password, password)
	if err != nil {
		return user, false, s.hashingFailed(err)
	}
	if !right || !mayLogIn(&user) {
		return user, false, nil
	}
	if outdated {
		user, err = s.hashAnew(ctx, user, password)
	}
	return user, true, err
}

// hashAnew stores the password of a user at the cost of today.
func (s *Server) hashAnew(ctx context.Context, user accounts.User, password string) (accounts.User, error) {
	meta := by(ctx, "user.password")
	meta.Actor, meta.Why = user.Name, "hashed anew, at the cost of this version"
	hashed, err := s.hash(ctx, password)
	if err != nil {
		return user, err
	}
	return s.storePassword(ctx, meta, user.ID, hashed, unchanged(&user))
}

// hashingFailed tells a crowd from what is wrong.
func (s *Server) hashingFailed(err error) error {
	if errors.Is(err, errBusy) {
		s.logins.WithLabelValues(loginBusy).Inc()
		return busy()
	}
	return err
}

// attemptFrom begins an attempt of the caller's address.
func (s *Server) attemptFrom(ctx context.Context) (*attempt, *failure) {
	wait, a := s.peers.begin(callerOf(ctx).Peer)
	return a, s.throttled(ctx, wait)
}

// attemptOn begins an attempt on a user's password.
func (s *Server) attemptOn(ctx context.Context, name string) (*attempt, *failure) {
	wait, a := s.targets.beginAt(name, callerOf(ctx).Peer)
	return a, s.throttled(ctx, wait)
}

// throttled refuses an attempt that has to wait; nil where it need not.
func (s *Server) throttled(ctx context.Context, wait time.Duration) *failure {
	if wait == 0 {
		return nil
	}
	s.logins.WithLabelValues(loginThrottled).Inc()
	s.log.Warn().Str("from", callerOf(ctx).From).Dur("wait_ms", wait).Msg("login refused: too many wrong ones before")
	return tooMany(wait)
}

func wrongPassword() *failure {
	return unauthorized("user or password is wrong", "an admin can set a password: llmgw users password NAME")
}

func tooMany(wait time.Duration) *failure {
	return after(wait, fail(http.StatusTooManyRequests, api.CodeDenied, "too many wrong passwords", "wait "+inSeconds(wait)+" before the next one"))
}
