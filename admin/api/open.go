package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// open sends a request whose answer is read while it comes; once more with a
// renewed token, where there is one for that which was refused.
func (c *Client) open(ctx context.Context, ask func(context.Context) (*http.Request, error)) (*http.Response, error) {
	token, refusal := c.token(ctx, c.bearer)
	if refusal != nil {
		return nil, refusal
	}
	response, err := c.openAs(ctx, token, ask)
	if err != nil || response.StatusCode != http.StatusUnauthorized || c.renew == nil || token.IsZero() {
		return response, err
	}
	next, refusal := c.token(ctx, func(ctx context.Context) (accounts.Secret, error) { return c.renew(ctx, token) })
	if refusal == nil && next.IsZero() {
		return response, nil
	}
	_ = response.Body.Close()
	if refusal != nil {
		return nil, refusal
	}
	return c.openAs(ctx, next, ask)
}

// openAs sends the request in the name of a token.
func (c *Client) openAs(ctx context.Context, token accounts.Secret, ask func(context.Context) (*http.Request, error)) (*http.Response, error) {
	request, err := ask(ctx)
	if err != nil {
		return nil, c.unusable(err)
	}
	if !token.IsZero() {
		request.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	begun := time.Now()
	response, err := c.http.Do(request)
	status := 0
	if err == nil {
		status = response.StatusCode
	}
	c.trace(request.Method, request.URL.RequestURI(), status, time.Since(begun))
	if err != nil {
		return nil, c.unreachable(causeOf(ctx, err))
	}
	return response, nil
}

// noStream reads an answer that is not what was asked for.
func (c *Client) noStream(response *http.Response) error {
	if response.StatusCode < 300 {
		return c.foreign(response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxEvent))
	if err != nil {
		return c.unreachable(err)
	}
	return c.refusal(response.StatusCode, text)
}
