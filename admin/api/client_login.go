package api

import (
	"context"
	"net/http"
	"net/url"
)

// Login gives the tokens of a new login; CodeDenied where the password is wrong,
// or the link over.
func (c *Client) Login(ctx context.Context, login Login) (Tokens, error) {
	return call[Tokens](ctx, c, http.MethodPost, "/login", login)
}

// Refresh gives the next tokens of a login. The refresh token is used up by it:
// one that is sent twice ends the login.
func (c *Client) Refresh(ctx context.Context, refresh string) (Tokens, error) {
	return call[Tokens](ctx, c, http.MethodPost, "/refresh", Refresh{Refresh: refresh})
}

// Logout ends the login of a refresh token, at once and on every node.
func (c *Client) Logout(ctx context.Context, refresh string) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, "/logout", Refresh{Refresh: refresh})
	return err
}

// Me tells who makes the call.
func (c *Client) Me(ctx context.Context) (Me, error) {
	return call[Me](ctx, c, http.MethodGet, "/me", nil)
}

// SetPassword gives a user a password, or takes it away.
func (c *Client) SetPassword(ctx context.Context, user string, password SetPassword) error {
	_, err := call[struct{}](ctx, c, http.MethodPut, "/users/"+segment(user)+"/password", password)
	return err
}

// AdminLink makes a link with which a user sets a password. Only the socket
// takes it.
func (c *Client) AdminLink(ctx context.Context, link NewAdminLink) (AdminLink, error) {
	return call[AdminLink](ctx, c, http.MethodPost, "/admin-link", link)
}

// Tokens lists personal access tokens: the caller's own, or, for admins, those
// of a user.
func (c *Client) Tokens(ctx context.Context, user string) ([]Token, error) {
	return c.sessions(ctx, user, false)
}

// Logins lists personal access tokens and logins; an empty name among them is
// that of a login.
func (c *Client) Logins(ctx context.Context, user string) ([]Token, error) {
	return c.sessions(ctx, user, true)
}

func (c *Client) sessions(ctx context.Context, user string, logins bool) ([]Token, error) {
	query := url.Values{}
	if user != "" {
		query.Set("user", user)
	}
	if logins {
		query.Set("logins", "true")
	}
	path := "/tokens"
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	list, err := call[List[Token]](ctx, c, http.MethodGet, path, nil)
	return list.Items, err
}

// CreateToken makes a personal access token of the caller's own. The answer is
// the only place where it is seen.
func (c *Client) CreateToken(ctx context.Context, token NewToken) (CreatedToken, error) {
	return call[CreatedToken](ctx, c, http.MethodPost, "/tokens", token)
}

// DeleteToken ends a personal access token, by its ID or the name of one of the
// caller's own, or a login, by its ID.
func (c *Client) DeleteToken(ctx context.Context, idOrName string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, "/tokens/"+segment(idOrName), nil)
	return err
}
