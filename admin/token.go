package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// maxTokens is how many personal access tokens a user may have.
const maxTokens = 100

type tokenList struct {
	User   string `query:"user" doc:"Of this user; for admins. Default: the caller, on the socket everybody"`
	Logins bool   `query:"logins" doc:"List logins too"`
}

func (s *Server) listTokens(ctx context.Context, in *tokenList) (api.List[api.Token], error) {
	none := api.List[api.Token]{}
	userID, err := s.tokenOwner(ctx, in.User)
	if err != nil {
		return none, err
	}
	sessions, err := s.accounts.Sessions(ctx, userID)
	if err != nil {
		return none, err
	}
	users, err := s.usersByID(ctx)
	if err != nil {
		return none, err
	}
	slices.SortFunc(sessions, func(a, b accounts.Session) int {
		return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID)
	})
	list := api.List[api.Token]{Items: []api.Token{}}
	for i := range sessions {
		kind := kindOf(&sessions[i])
		owner, known := users[sessions[i].UserID]
		if kind == linkKind || kind == loginKind && !in.Logins || !known || ended(sessions[i].ExpiresAt, s.now()) {
			continue
		}
		list.Items = append(list.Items, viewToken(&sessions[i], &owner))
	}
	return list, nil
}

// tokenOwner says whose tokens are meant: "" for everybody's.
func (s *Server) tokenOwner(ctx context.Context, name string) (string, error) {
	c := callerOf(ctx)
	if name == "" || name == c.User && c.UserID != "" {
		return c.UserID, nil
	}
	if refused := admin.lets(c); refused != nil {
		return "", refused
	}
	user, err := s.accounts.User(ctx, name)
	return user.ID, found(err, "user", name)
}

func (s *Server) usersByID(ctx context.Context) (map[string]accounts.User, error) {
	users, err := s.store.Users(ctx)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]accounts.User, len(users))
	for i := range users {
		byID[users[i].ID] = users[i]
	}
	return byID, nil
}

func (s *Server) createToken(ctx context.Context, in *body[api.NewToken]) (api.CreatedToken, error) {
	c := callerOf(ctx)
	role := accounts.Role(in.Body.Role)
	if role == "" {
		role = c.Role
	}
	switch {
	case c.UserID == "":
		return api.CreatedToken{}, usage(http.StatusBadRequest, "a token belongs to a user, and this call is nobody's", "log in first: llmgw login")
	case c.Via == viaToken: // it could outlive itself
		return api.CreatedToken{}, denied("a personal access token makes no other", "log in: llmgw login")
	}
	if problems := s.checkNewToken(&in.Body, role); problems != nil {
		return api.CreatedToken{}, invalid(problems)
	}
	if err := mayGive(ctx, role); err != nil {
		return api.CreatedToken{}, err
	}
	secret, err := s.issuer().IssueToken()
	if err != nil {
		return api.CreatedToken{}, err
	}
	now := s.now()
	session := accounts.Session{
		ID: accounts.NewID("token", now), UserID: c.UserID, Name: in.Body.Name, Hash: accounts.HashKey(secret.Reveal()),
		Last4: secret.Last4(), Role: role, CreatedAt: now, From: c.From,
	}
	if in.Body.ExpiresAt != nil {
		session.ExpiresAt = in.Body.ExpiresAt.UTC().Truncate(time.Millisecond)
	}
	_, _, err = s.change(ctx, by(ctx, "token.create"), func(st State) error {
		if err := roomForToken(st, c.UserID, session.Name); err != nil {
			return err
		}
		return st.PutSession(session)
	})
	if err != nil {
		return api.CreatedToken{}, err
	}
	owner := accounts.User{ID: c.UserID, Name: c.User, Role: c.Role}
	return api.CreatedToken{Token: viewToken(&session, &owner), Secret: secret.Reveal()}, nil
}

func (s *Server) checkNewToken(in *api.NewToken, role accounts.Role) []api.Problem {
	var problems []api.Problem
	if !accounts.ValidName(in.Name) {
		problems = append(problems, badName("name"))
	}
	if !role.Valid() {
		problems = append(problems, api.Problem{Field: "role", Message: "is none of admin, operator, viewer, member"})
	}
	if in.ExpiresAt != nil && !in.ExpiresAt.After(s.now()) {
		problems = append(problems, api.Problem{Field: "expires_at", Message: "is in the past"})
	}
	return problems
}

func roomForToken(st State, userID, name string) error {
	sessions, err := st.Sessions(userID)
	if err != nil {
		return err
	}
	count := 0
	for i := range sessions {
		if kindOf(&sessions[i]) != tokenKind {
			continue
		}
		if sessions[i].Name == name {
			return fail(http.StatusConflict, api.CodeConflict, fmt.Sprintf("token %q already exists", name), "choose another name, or delete that one first")
		}
		count++
	}
	if count >= maxTokens {
		return fail(http.StatusConflict, api.CodeConflict, fmt.Sprintf("there are %d tokens already, and more are not kept", count), "delete what is not used any more")
	}
	return nil
}

// deleteToken ends a token or a login: by its ID, or by its name among the
// caller's own.
func (s *Server) deleteToken(ctx context.Context, in *named) error {
	_, _, err := s.change(ctx, by(ctx, "token.delete"), func(st State) error {
		session, err := tokenCalled(callerOf(ctx), st, in.Name)
		if err != nil {
			return err
		}
		return noToken(st.DeleteSession(session.ID))
	})
	return err
}

func tokenCalled(c caller, st State, name string) (accounts.Session, error) {
	if accounts.ValidName(name) && c.UserID != "" {
		sessions, err := st.Sessions(c.UserID)
		if err != nil {
			return accounts.Session{}, err
		}
		if i := slices.IndexFunc(sessions, func(t accounts.Session) bool { return t.Name == name }); i >= 0 {
			return sessions[i], nil
		}
	}
	session, err := st.Session(name)
	if err != nil {
		return session, noToken(err)
	}
	if !c.owns(session.UserID) && admin.lets(c) != nil {
		return session, noToken(accounts.ErrNotFound)
	}
	return session, nil
}

func noToken(err error) error {
	if errors.Is(err, accounts.ErrNotFound) {
		return fail(http.StatusNotFound, api.CodeNotFound, "no such token or login", "list them: llmgw token list")
	}
	return err
}

func viewToken(session *accounts.Session, owner *accounts.User) api.Token {
	return api.Token{
		ID: session.ID, Name: session.Name, User: owner.Name, Role: string(lesser(session.Role, owner.Role)), Last4: session.Last4,
		From: session.From, CreatedAt: session.CreatedAt, UsedAt: moment(session.UsedAt), ExpiresAt: moment(session.ExpiresAt),
	}
}
