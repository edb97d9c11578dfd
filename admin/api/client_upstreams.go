package api

import (
	"context"
	"net/http"
)

// EditUpstream changes what is given of an upstream.
func (c *Client) EditUpstream(ctx context.Context, name string, edit EditUpstream) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPatch, "/upstreams/"+segment(name), edit)
}

// RotateCredential puts a credential in the place of one that is there, without
// a request that fails in between; CodeNotFound where there is none of its name.
func (c *Client) RotateCredential(ctx context.Context, upstream string, credential NewCredential) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPost, "/upstreams/"+segment(upstream)+"/credential/rotate", credential)
}

// ClearCredential takes a credential away from an upstream.
func (c *Client) ClearCredential(ctx context.Context, upstream, credential string) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPost, credentialPath(upstream, credential)+"/clear", nil)
}

// EnableCredential puts a credential to use again.
func (c *Client) EnableCredential(ctx context.Context, upstream, credential string) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPost, credentialPath(upstream, credential)+"/enable", nil)
}

// DisableCredential keeps a credential and sends no request with it.
func (c *Client) DisableCredential(ctx context.Context, upstream, credential string) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPost, credentialPath(upstream, credential)+"/disable", nil)
}

func credentialPath(upstream, credential string) string {
	return "/upstreams/" + segment(upstream) + "/credentials/" + segment(credential)
}
