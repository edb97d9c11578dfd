package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// maxEmail is the length of the longest address that mail can be sent to (RFC
// 5321, section 4.5.3.1.3, less the brackets).
const maxEmail = 254

type userList struct {
	Name   string `query:"name" maxLength:"256" doc:"Of these names: a pattern, * is any run of characters"`
	Role   string `query:"role" enum:"admin,operator,viewer,member" doc:"With this role"`
	State  string `query:"state" enum:"enabled,disabled" doc:"In this state"`
	Tag    string `query:"tag" maxLength:"512" doc:"With this tag: NAME=VALUE, or NAME for any value"`
	Limit  int    `query:"limit" minimum:"0" maximum:"1000" doc:"How many at most; 0: 100"`
	Cursor string `query:"cursor" maxLength:"512" doc:"Next of the page before"`
}

func (s *Server) listUsers(ctx context.Context, in *userList) (api.List[api.User], error) {
	users, err := s.store.Users(ctx)
	if err != nil {
		return api.List[api.User]{}, err
	}
	keys, err := s.store.Keys(ctx)
	if err != nil {
		return api.List[api.User]{}, err
	}
	var wanted []accounts.User
	for i := range users {
		if u := &users[i]; takesName(in.Name, u.Name) && (in.Role == "" || in.Role == string(u.Role)) &&
			(in.State == "" || (in.State == "disabled") == u.Disabled) && takesTag(in.Tag, u.Tags) {
			wanted = append(wanted, *u)
		}
	}
	owned := keysByOwner(keys)
	return pageOf(page{in.Limit, in.Cursor}, wanted,
		func(u *accounts.User) string { return u.Name }, func(u *accounts.User) api.User { return viewUser(u, owned[u.ID]) })
}

func (s *Server) showUser(ctx context.Context, in *named) (api.User, error) {
	user, err := s.store.User(ctx, in.Name)
	if err != nil {
		return api.User{}, found(err, "user", in.Name)
	}
	keys, err := s.store.Keys(ctx)
	if err != nil {
		return api.User{}, err
	}
	return viewUser(&user, keysByOwner(keys)[user.ID]), nil
}

func (s *Server) createUser(ctx context.Context, in *body[api.NewUser]) (api.User, error) {
	user, problems := s.newUser(&in.Body)
	if in.Body.Password != "" {
		problems = append(problems, checkPassword("password", in.Body.Password)...)
	}
	if len(problems) > 0 {
		return api.User{}, invalid(problems)
	}
	if err := mayGive(ctx, user.Role); err != nil {
		return api.User{}, err
	}
	var err error
	if user.Password, err = s.hash(ctx, in.Body.Password); err != nil {
		return api.User{}, err
	}
	var view api.User
	_, _, err = s.change(ctx, by(ctx, "user.create"), func(st State) error {
		if err := userNameFree(st, user.Name); err != nil {
			return err
		}
		view, err = putUser(st, &user)
		return err
	})
	return view, err
}

// newUser makes a user of what was asked for, without a password.
func (s *Server) newUser(in *api.NewUser) (accounts.User, []api.Problem) {
	user := accounts.User{
		ID: accounts.NewID("user", s.now()), Name: in.Name, Email: in.Email, Role: accounts.Role(in.Role),
		Tags: in.Tags, CreatedAt: s.now(),
	}
	if user.Role == "" {
		user.Role = accounts.RoleMember
	}
	return user, checkUser(&user)
}

func checkUser(u *accounts.User) []api.Problem {
	var problems []api.Problem
	problems = append(problems, checkUserName("name", u.Name)...)
	if len(u.Email) > maxEmail || strings.ContainsFunc(u.Email, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) ||
		u.Email != "" && !strings.Contains(u.Email, "@") {
		problems = append(problems, api.Problem{Field: "email", Message: "is not an address such as dana@example.com"})
	}
	if !u.Role.Valid() {
		problems = append(problems, api.Problem{Field: "role", Message: "is none of admin, operator, viewer, member"})
	}
	return append(problems, checkTags(u.Tags)...)
}

func userNameFree(st State, name string) error {
	switch _, err := st.User(name); {
	case err == nil:
		return nameTaken("user", name)
	case !errors.Is(err, accounts.ErrNotFound):
		return err
	}
	return nil
}

func (s *Server) editUser(ctx context.Context, in *changedBody[api.EditUser]) (api.User, error) {
	var view api.User
	kind := editKind("user", in.Body.Enabled, in.Body == api.EditUser{Enabled: in.Body.Enabled})
	_, _, err := s.change(ctx, by(ctx, kind), func(st State) error {
		before, err := userToChange(ctx, st, in.Name, in.IfMatch)
		if err != nil {
			return err
		}
		user := edited(before, &in.Body)
		if problems := checkUser(&user); len(problems) > 0 {
			return invalid(problems)
		}
		if err := mayGive(ctx, user.Role); err != nil {
			return err
		}
		if user.Name != before.Name {
			if err := userNameFree(st, user.Name); err != nil {
				return err
			}
		}
		if view, err = putUser(st, &user); err != nil {
			return err
		}
		return keepsAdmin(ctx, st, &before)
	})
	return view, err
}

// userToChange finds a user whose role the caller's covers, as the caller has
// read it.
func userToChange(ctx context.Context, st State, name, ifMatch string) (accounts.User, error) {
	user, err := st.User(name)
	if err != nil {
		return user, found(err, "user", name)
	}
	if err := mayGive(ctx, user.Role); err != nil {
		return user, err
	}
	return user, matches(ifMatch, user.Seq, "user", user.Name)
}

func edited(user accounts.User, in *api.EditUser) accounts.User {
	if in.Name != nil {
		user.Name = *in.Name
	}
	if in.Email != nil {
		user.Email = *in.Email
	}
	if in.Role != nil {
		user.Role = accounts.Role(*in.Role)
	}
	if in.Tags != nil {
		user.Tags = *in.Tags
	}
	if in.Enabled != nil {
		user.Disabled = !*in.Enabled
	}
	return user
}

// deleteUser removes a user with their bindings and logins.
func (s *Server) deleteUser(ctx context.Context, in *changed) error {
	_, _, err := s.change(ctx, by(ctx, "user.delete"), func(st State) error {
		user, err := userToChange(ctx, st, in.Name, in.IfMatch)
		if err != nil {
			return err
		}
		err = st.DeleteUser(user.ID)
		if errors.Is(err, accounts.ErrInUse) {
			return fail(http.StatusConflict, api.CodeInUse, err.Error(),
				fmt.Sprintf("revoke them or give them to somebody else first: llmgw keys list --user %s", user.Name))
		}
		if err != nil {
			return err
		}
		return keepsAdmin(ctx, st, &user)
	})
	return err
}

// putUser stores a user and shows them as they are then.
func putUser(st State, user *accounts.User) (api.User, error) {
	if err := st.PutUser(*user); err != nil {
		return api.User{}, err
	}
	stored, err := st.User(user.ID)
	if err != nil {
		return api.User{}, err
	}
	keys, err := st.Keys()
	if err != nil {
		return api.User{}, err
	}
	return viewUser(&stored, keysByOwner(keys)[stored.ID]), nil
}

// keysByOwner counts the keys of each user that are not revoked.
func keysByOwner(keys []accounts.Key) map[string]int {
	owned := map[string]int{}
	for i := range keys {
		if keys[i].UserID != "" && keys[i].RevokedAt.IsZero() {
			owned[keys[i].UserID]++
		}
	}
	return owned
}

func viewUser(u *accounts.User, keys int) api.User {
	return api.User{
		ID: u.ID, Name: u.Name, Email: u.Email, Role: string(u.Role), Tags: u.Tags, Enabled: !u.Disabled,
		HasPassword: !u.Password.IsZero(), Keys: keys, CreatedAt: u.CreatedAt, LastLoginAt: moment(u.LastLogin), ETag: etag(u.Seq),
	}
}
