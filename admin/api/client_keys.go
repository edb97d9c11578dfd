package api

import (
	"context"
	"net/http"
)

// EditKey changes what is given of a key.
func (c *Client) EditKey(ctx context.Context, name string, edit EditKey) (Key, error) {
	return call[Key](ctx, c, http.MethodPatch, "/keys/"+segment(name), edit)
}

// RotateKey gives a key a new secret, and its old one a grace. The answer is the
// only place where the new one is seen.
func (c *Client) RotateKey(ctx context.Context, name string, how RotateKey) (CreatedKey, error) {
	return call[CreatedKey](ctx, c, http.MethodPost, "/keys/"+segment(name)+"/rotate", how)
}

// DeleteKey removes a key and its bindings.
func (c *Client) DeleteKey(ctx context.Context, name string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, "/keys/"+segment(name), nil)
	return err
}
