package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Audit lists what changes did to objects, the newest first. Next of the answer
// is the Cursor of what is older. A change is never cut in two, so there may be
// more entries than the query's Limit.
func (c *Client) Audit(ctx context.Context, query AuditQuery) (List[AuditEntry], error) {
	path := "/audit"
	if v := query.values(); len(v) > 0 {
		path += "?" + v.Encode()
	}
	return call[List[AuditEntry]](ctx, c, http.MethodGet, path, nil)
}

func (q *AuditQuery) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{
		"actor": q.Actor, "action": q.Action, "subject": q.Subject, "name": q.Name, "cursor": q.Cursor,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !at.IsZero() {
			v.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}
