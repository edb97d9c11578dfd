package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// The bounds of a refresh. An access token is refreshed a little before it ends,
// so that it does not on its way.
const (
	refreshBefore = 20 * time.Second
	refreshLimit  = 10 * time.Second
)

// access is in whose name calls to a remote gateway are made: with the token
// that was given, or the login of a context.
type access struct {
	token  accounts.Secret // a personal access token; zero: the login counts
	source string          // where the token came from
	keep   keep
	place  place
	plain  func() *api.Client // makes a client that calls in nobody's name
	now    func() time.Time
}

// tokenOf reads the personal access token of LLMGW_TOKEN or LLMGW_TOKEN_FILE.
// There is no flag for it on purpose.
func tokenOf(s *settings) (token accounts.Secret, source string, err error) {
	const inVariable, inFile = "LLMGW_TOKEN", "LLMGW_TOKEN_FILE"
	text, path := s.text("token"), s.text("token-file")
	switch {
	case text != "" && path != "":
		return accounts.Secret{}, "", invalid("%s and %s are both set, give one of them", inVariable, inFile)
	case text != "":
		return accounts.NewSecret(strings.TrimSpace(text)), inVariable, nil
	case path == "":
		return accounts.Secret{}, "", nil
	}
	read, err := readRegular(expandHome(path), longestSecret)
	if err != nil {
		return accounts.Secret{}, "", invalid("reading the token of %s: %s", inFile, reason(err))
	}
	token = accounts.NewSecret(strings.TrimSpace(string(read)))
	if token.IsZero() {
		return token, "", invalid("the file of %s is empty", inFile)
	}
	return token, inFile, nil
}

// bearer is api.Options.Bearer.
func (a *access) bearer(ctx context.Context) (accounts.Secret, error) {
	if !a.token.IsZero() {
		return a.token, nil
	}
	l, err := a.keep.login(a.place.Name, a.place.Server)
	if err != nil || l.Access == "" {
		return accounts.Secret{}, err
	}
	token := accounts.NewSecret(l.Access)
	if a.now().Before(l.ExpiresAt.Add(-refreshBefore)) {
		return token, nil
	}
	return a.renew(ctx, token)
}

// renew is api.Options.Renew. Refresh tokens are good for one use, and one that
// is sent twice ends the login: of several processes one refreshes, and the
// others find what it was given.
func (a *access) renew(ctx context.Context, refused accounts.Secret) (next accounts.Secret, err error) {
	if !a.token.IsZero() {
		return accounts.Secret{}, nil
	}
	err = a.keep.changeLogins(ctx, func(all logins) error {
		l := all[a.place.Name]
		switch {
		case l.Server != a.place.Server || l.Refresh == "":
			return nil
		case l.Access != refused.Reveal():
			next = accounts.NewSecret(l.Access)
			return nil
		}
		renewed, err := a.refresh(ctx, l)
		all[a.place.Name] = renewed
		next = accounts.NewSecret(renewed.Access)
		return err
	})
	return next, err
}

// refresh gives what becomes of a login. Whoever gives up waiting does not keep
// the answer from being stored: the old refresh token is used up by then.
func (a *access) refresh(ctx context.Context, l login) (login, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshLimit)
	defer cancel()
	client := a.plain()
	defer client.Close()
	tokens, err := client.Refresh(ctx, l.Refresh)
	var refusal *api.Error
	switch {
	case err == nil:
		return loginOf(l.Server, tokens), nil
	case errors.As(err, &refusal) && refusal.Code == api.CodeDenied:
		return l.over(a.now()), nil
	}
	return l, err
}

// explain says whose login is missing or over, where err is of that kind.
func (a *access) explain(err error) error {
	var refusal *api.Error
	if !errors.As(err, &refusal) || refusal.Code != api.CodeDenied || refusal.Status != 401 {
		return err
	}
	return &failure{exit: exitDenied, code: api.CodeDenied, message: a.missing(), cause: err}
}

func (a *access) missing() string {
	again := "Run: llmgw login"
	if a.place.Name != "" {
		again += " --context " + a.place.Name
	} else {
		again += " " + a.place.Server
	}
	if !a.token.IsZero() {
		return fmt.Sprintf("the token of %s is not valid at %s, or it has ended", a.source, a.place.Server)
	}
	l, err := a.keep.login(a.place.Name, a.place.Server)
	switch {
	case err != nil || l.Server == "":
		return fmt.Sprintf("you are not logged in to %s. %s", a.place.Server, again)
	case l.EndedAt.IsZero() || a.now().Sub(l.EndedAt) < time.Second:
		return fmt.Sprintf("your login to %s has ended. %s", a.place.Server, again)
	}
	return fmt.Sprintf("your login to %s ended %s ago. %s", a.place.Server, age(a.now().Sub(l.EndedAt)), again)
}
