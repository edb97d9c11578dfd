package api

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Keys lists the keys, but for the one-use keys of ChatKey.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	return all[Key](ctx, c, "/keys", nil)
}

// AllKeys lists the keys, one-use keys too.
func (c *Client) AllKeys(ctx context.Context) ([]Key, error) {
	return all[Key](ctx, c, "/keys", url.Values{"one_use": {"true"}})
}

// Key gives one key.
func (c *Client) Key(ctx context.Context, name string) (Key, error) {
	return call[Key](ctx, c, http.MethodGet, "/keys/"+segment(name), nil)
}

// CreateKey makes a key. The answer is the only place where its secret is seen.
func (c *Client) CreateKey(ctx context.Context, key NewKey) (CreatedKey, error) {
	return call[CreatedKey](ctx, c, http.MethodPost, "/keys", key)
}

// ChatKey makes a key for one use right away: it expires by itself after ten
// minutes, is hidden from Keys, and the next ChatKey uses its place again.
func (c *Client) ChatKey(ctx context.Context) (CreatedKey, error) {
	return call[CreatedKey](ctx, c, http.MethodPost, "/chat-keys", nil)
}

// EditKey changes what is given of a key.
func (c *Client) EditKey(ctx context.Context, name string, edit EditKey) (Key, error) {
	return call[Key](ctx, c, http.MethodPatch, "/keys/"+segment(name), edit)
}

// RotateKey gives a key a new secret, and its old one a grace. The answer is the
// only place where the new one is seen.
func (c *Client) RotateKey(ctx context.Context, name string, how RotateKey) (CreatedKey, error) {
	return call[CreatedKey](ctx, c, http.MethodPost, "/keys/"+segment(name)+"/rotate", how)
}

// RevokeKey ends a key for good. Revoking one twice changes nothing, but that
// streams which were left to end can be cut after all.
func (c *Client) RevokeKey(ctx context.Context, name string, how RevokeKey) (Key, error) {
	return call[Key](ctx, c, http.MethodPost, "/keys/"+segment(name)+"/revoke", how)
}

// DeleteKey removes a key and its bindings.
func (c *Client) DeleteKey(ctx context.Context, name string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, "/keys/"+segment(name), nil)
	return err
}

// AddSecret gives a key one more secret, which ends by itself. CodeConflict
// where the key is not in force.
func (c *Client) AddSecret(ctx context.Context, key string, secret NewSecret) (AddedSecret, error) {
	return call[AddedSecret](ctx, c, http.MethodPost, "/keys/"+segment(key)+"/secrets", secret)
}

// SetSecretEnd moves the end of a secret of AddSecret; CodeNotFound where the key
// has it no longer.
func (c *Client) SetSecretEnd(ctx context.Context, key, id string, end time.Time) (Key, error) {
	return call[Key](ctx, c, http.MethodPut, "/keys/"+segment(key)+"/secrets/"+segment(id), SecretEnd{ExpiresAt: end})
}
