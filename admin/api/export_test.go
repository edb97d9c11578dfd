package api

import "net/http"

// SetTransport has the client's requests answered by another.
func (c *Client) SetTransport(t http.RoundTripper) { c.http.Transport = t }
