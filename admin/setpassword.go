package admin

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// setPassword gives a user a password, or takes it away; the user's logins and
// tokens end. Those who change their own prove that they know it: a login left
// open must not be enough to take a user over.
func (s *Server) setPassword(ctx context.Context, in *namedBody[api.SetPassword]) (nothing, error) {
	who := callerOf(ctx)
	if in.Name != who.User || who.UserID == "" {
		if refused := operator.lets(who); refused != nil {
			return nothing{}, refused
		}
	}
	if in.Body.Password != "" {
		if problems := checkPassword("password", in.Body.Password); problems != nil {
			return nothing{}, invalid(problems)
		}
	}
	user, err := s.accounts.User(ctx, in.Name)
	if err != nil {
		return nothing{}, found(err, "user", in.Name)
	}
	check := func(now *accounts.User) error { return mayGive(ctx, now.Role) }
	if who.owns(user.ID) {
		if err := s.checkCurrent(ctx, &user, in.Body.Current); err != nil {
			return nothing{}, err
		}
		check = unchanged(&user)
	} else if refused := operator.lets(who); refused != nil { // the name is another's by now
		return nothing{}, refused
	} else if err := check(&user); err != nil {
		return nothing{}, err
	}
	hashed, err := s.hash(ctx, in.Body.Password)
	if err != nil {
		return nothing{}, err
	}
	_, err = s.storePassword(ctx, by(ctx, "user.password"), user.ID, hashed, check)
	return nothing{}, found(err, "user", in.Name)
}

// checkCurrent wants the password that a user has. Whoever has none has only a
// token, which is no way to a login.
func (s *Server) checkCurrent(ctx context.Context, user *accounts.User, current string) error {
	if user.Password.IsZero() {
		return denied(fmt.Sprintf("user %q has no password that could be changed", user.Name), "an admin sets the first: llmgw users password "+user.Name)
	}
	on, refused := s.attemptOn(ctx, user.Name)
	if refused != nil {
		return refused
	}
	right, _, err := s.passwords.matches(ctx, user.Password, current)
	switch {
	case err != nil:
		on.dropped()
		return s.hashingFailed(err)
	case !right:
		on.failed()
		return wrongField("current", "is not the password in force")
	}
	on.cleared()
	return nil
}

// hash gives the hash of a password, and none of the empty one.
func (s *Server) hash(ctx context.Context, password string) (accounts.Secret, error) {
	if password == "" {
		return accounts.Secret{}, nil
	}
	hashed, err := s.passwords.hash(ctx, password)
	if err != nil {
		return accounts.Secret{}, s.hashingFailed(err)
	}
	return hashed, nil
}

// storePassword gives a user a password, where check agrees to the user as it is
// then.
func (s *Server) storePassword(ctx context.Context, meta accounts.Meta, userID string, hashed accounts.Secret, check func(*accounts.User) error) (accounts.User, error) {
	var user accounts.User
	_, _, err := s.change(ctx, meta, func(st State) error {
		var err error
		if user, err = st.User(userID); err != nil {
			return err
		}
		if err := check(&user); err != nil {
			return err
		}
		before := user
		user.Password = hashed
		if err := st.PutUser(user); err != nil {
			return err
		}
		return keepsAdmin(ctx, st, &before)
	})
	return user, err
}

// unchanged wants a user to have the password that was looked at.
func unchanged(looked *accounts.User) func(*accounts.User) error {
	return func(now *accounts.User) error {
		if !now.Password.Equal(looked.Password) {
			return accounts.ErrChanged
		}
		return nil
	}
}

func inSeconds(d time.Duration) string {
	n := max(int64((d+time.Second-1)/time.Second), 1)
	return fmt.Sprintf("%s s", strconv.FormatInt(n, 10))
}
