package api

import (
	"context"
	"net/http"
)

// Apply makes upstreams, users, keys, rules and bindings what files say, all of
// it or nothing. CodeWouldDelete where something would be lost that the request
// does not give up; CodeConflict where it was made against another state.
func (c *Client) Apply(ctx context.Context, request ApplyObjects) (ObjectPlan, error) {
	return call[ObjectPlan](ctx, c, http.MethodPost, "/apply/all", request)
}

// Diff tells what Apply would do. Whoever may see everything may ask.
func (c *Client) Diff(ctx context.Context, request DiffObjects) (ObjectPlan, error) {
	return call[ObjectPlan](ctx, c, http.MethodPost, "/diff", request)
}

// Export gives everything that Apply reads.
func (c *Client) Export(ctx context.Context) (ExportedObjects, error) {
	return call[ExportedObjects](ctx, c, http.MethodGet, "/export/all", nil)
}
