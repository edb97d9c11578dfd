package api

import (
	"context"
	"net/http"
)

// Bindings lists the bindings, by their order.
func (c *Client) Bindings(ctx context.Context) ([]Binding, error) {
	return all[Binding](ctx, c, "/bindings", nil)
}

// Binding gives one binding.
func (c *Client) Binding(ctx context.Context, id string) (Binding, error) {
	return call[Binding](ctx, c, http.MethodGet, "/bindings/"+segment(id), nil)
}

// CreateBinding binds a caller to an upstream.
func (c *Client) CreateBinding(ctx context.Context, binding NewBinding) (Binding, error) {
	return call[Binding](ctx, c, http.MethodPost, "/bindings", binding)
}

// MoveBinding gives a binding another place among those of its caller.
func (c *Client) MoveBinding(ctx context.Context, id string, place MoveBinding) (Binding, error) {
	return call[Binding](ctx, c, http.MethodPost, "/bindings/"+segment(id)+"/move", place)
}

// DeleteBinding removes a binding.
func (c *Client) DeleteBinding(ctx context.Context, id string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, "/bindings/"+segment(id), nil)
	return err
}
