package api

import (
	"context"
	"net/http"
)

// Users lists the users.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	return all[User](ctx, c, "/users", nil)
}

// User gives one user.
func (c *Client) User(ctx context.Context, name string) (User, error) {
	return call[User](ctx, c, http.MethodGet, "/users/"+segment(name), nil)
}

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, user NewUser) (User, error) {
	return call[User](ctx, c, http.MethodPost, "/users", user)
}

// EditUser changes what is given of a user.
func (c *Client) EditUser(ctx context.Context, name string, edit EditUser) (User, error) {
	return call[User](ctx, c, http.MethodPatch, "/users/"+segment(name), edit)
}

// DeleteUser removes a user with the user's bindings and logins; CodeInUse where
// the user owns keys that are not revoked.
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, "/users/"+segment(name), nil)
	return err
}
