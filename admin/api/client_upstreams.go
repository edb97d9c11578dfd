package api

import (
	"context"
	"net/http"
	"time"
)

// Upstreams lists the upstreams.
func (c *Client) Upstreams(ctx context.Context) ([]Upstream, error) {
	return all[Upstream](ctx, c, "/upstreams", nil)
}

// Upstream gives one upstream.
func (c *Client) Upstream(ctx context.Context, name string) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodGet, "/upstreams/"+segment(name), nil)
}

// CreateUpstream makes an upstream, with its credential where one is given.
func (c *Client) CreateUpstream(ctx context.Context, upstream NewUpstream) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPost, "/upstreams", upstream)
}

// TestUpstream asks the upstream for its models, from the gateway. A test that
// fails is no error of the call: see UpstreamTest.OK.
func (c *Client) TestUpstream(ctx context.Context, name string) (UpstreamTest, error) {
	return call[UpstreamTest](ctx, c, http.MethodPost, "/upstreams/"+segment(name)+"/test", nil)
}

// chatTestWithin is how long a chat test may take, the gateway's own bound and the
// way there included.
const chatTestWithin = 30 * time.Second

// TestChat asks a model of an upstream for a word, as a stream. It costs tokens.
func (c *Client) TestChat(ctx context.Context, name, model string) (UpstreamTest, error) {
	patient := *c
	patient.timeout = max(c.timeout, chatTestWithin)
	return call[UpstreamTest](ctx, &patient, http.MethodPost, "/upstreams/"+segment(name)+"/test", TestUpstream{Chat: model})
}

// DrainUpstream keeps new requests from an upstream and leaves those that it has;
// its InFlight says how many those are. A disabled one stays disabled.
func (c *Client) DrainUpstream(ctx context.Context, name string) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPost, "/upstreams/"+segment(name)+"/drain", nil)
}

// UndrainUpstream lets an upstream that is drained take requests again.
func (c *Client) UndrainUpstream(ctx context.Context, name string) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPost, "/upstreams/"+segment(name)+"/undrain", nil)
}

// EnableUpstream puts an upstream to use again.
func (c *Client) EnableUpstream(ctx context.Context, name string) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPost, "/upstreams/"+segment(name)+"/enable", nil)
}

// DisableUpstream keeps requests from an upstream.
func (c *Client) DisableUpstream(ctx context.Context, name string) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPost, "/upstreams/"+segment(name)+"/disable", nil)
}

// DeleteUpstream removes an upstream and its credentials; CodeInUse where a
// rule names it.
func (c *Client) DeleteUpstream(ctx context.Context, name string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, "/upstreams/"+segment(name), nil)
	return err
}

// SetCredential gives an upstream a credential, in place of the one of that
// name.
func (c *Client) SetCredential(ctx context.Context, upstream string, credential NewCredential) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPut, "/upstreams/"+segment(upstream)+"/credential", credential)
}

// EditUpstream changes what is given of an upstream; CodeInUse where its sealed
// credentials cannot go along to another address and bindings name one.
func (c *Client) EditUpstream(ctx context.Context, name string, edit EditUpstream) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPatch, "/upstreams/"+segment(name), edit)
}

// RotateCredential puts a credential in the place of one that is there, without
// a request that fails in between; CodeNotFound where there is none of its name.
func (c *Client) RotateCredential(ctx context.Context, upstream string, credential NewCredential) (Upstream, error) {
	return call[Upstream](ctx, c, http.MethodPost, "/upstreams/"+segment(upstream)+"/credential/rotate", credential)
}

// ClearCredential takes a credential away from an upstream; CodeInUse where a
// binding names it.
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
