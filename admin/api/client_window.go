package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Window gives what ended within the last while, on all nodes.
func (c *Client) Window(ctx context.Context, q WindowQuery) (Window, error) {
	return call[Window](ctx, c, http.MethodGet, "/traffic?"+q.values().Encode(), nil)
}

func (q WindowQuery) values() url.Values {
	v := url.Values{}
	if q.Window > 0 {
		v.Set("window", q.Window.String())
	}
	if q.Points > 0 {
		v.Set("points", strconv.Itoa(q.Points))
	}
	if len(q.By) > 0 {
		v["by"] = q.By
	}
	if q.Names > 0 {
		v.Set("names", strconv.Itoa(q.Names))
	}
	return v
}

// Settings lists what the gateway that is asked was started with, secrets masked.
func (c *Client) Settings(ctx context.Context) ([]Setting, error) {
	list, err := call[List[Setting]](ctx, c, http.MethodGet, "/settings", nil)
	return list.Items, err
}
