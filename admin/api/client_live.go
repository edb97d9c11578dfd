package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// The bounds of a stream of events.
const (
	maxEvent    = 1 << 20          // bytes of one line
	eventsQuiet = 45 * time.Second // three signs of life are missing: the gateway is gone
)

// Streams lists what is in flight on all nodes: the oldest 1,000.
func (c *Client) Streams(ctx context.Context) (Streams, error) {
	return call[Streams](ctx, c, http.MethodGet, "/streams?limit=1000", nil)
}

// CutStream ends an exchange that is in flight, and gives it as it was, with the
// node that had it; CodeNotFound where no node has it, or has it no more, and
// CodeUnavailable where one of those that did not answer may have it.
func (c *Client) CutStream(ctx context.Context, requestID string) (Flight, error) {
	return call[Flight](ctx, c, http.MethodPost, "/streams/"+segment(requestID)+"/cut", nil)
}

// Events calls f for every event that the query wants, one after another, until
// f gives an error, which is then the error of Events, or the stream ends. It
// always ends with an error: CodeUnreachable where the gateway ended the stream or
// went away, and then Event.ID of the last exchange says where to go on. Client's
// timeout bounds the time until the stream begins.
func (c *Client) Events(ctx context.Context, q EventQuery, f func(Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(c.timeout, func() { cancel(context.DeadlineExceeded) })
	defer silence.Stop()
	response, err := c.open(ctx, func(ctx context.Context) (*http.Request, error) { return c.askEvents(ctx, q) })
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		return c.noStream(response)
	}
	return c.readEvents(ctx, response.Body, func() { silence.Reset(eventsQuiet) }, f)
}

// askEvents makes the request for the stream.
func (c *Client) askEvents(ctx context.Context, q EventQuery) (*http.Request, error) {
	request, err := c.request(ctx, http.MethodGet, "/events?"+q.values().Encode(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/event-stream")
	if q.After != "" {
		request.Header.Set("Last-Event-ID", q.After)
	}
	return request, nil
}

// causeOf is the deadline that has passed, in place of the error that came of it.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return err
}

func (q EventQuery) values() url.Values {
	v := url.Values{}
	for name, texts := range map[string][]string{
		"kind": q.Kinds, "model": q.Model, "key": q.Key, "user": q.User, "rule": q.Rule, "upstream": q.Upstream, "status": q.Status,
	} {
		if len(texts) > 0 {
			v[name] = texts
		}
	}
	if q.Slower > 0 {
		v.Set("slower", q.Slower.String())
	}
	if q.Since > 0 {
		v.Set("since", q.Since.String())
	}
	return v
}

// readEvents reads server-sent events (HTML, section 9.2) as this API writes
// them. alive is called for every line.
func (c *Client) readEvents(ctx context.Context, r io.Reader, alive func(), f func(Event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxEvent)
	var name, id string
	var data []byte
	for lines.Scan() {
		alive()
		line := lines.Bytes()
		if len(line) == 0 {
			if err := c.deliver(name, id, data, f); err != nil {
				return err
			}
			name, id, data = "", "", nil
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name = string(value)
		case "id":
			id = string(value)
		case "data":
			data = bytes.Clone(value)
		}
	}
	return c.eventsEnded(ctx, lines.Err())
}

// deliver gives an event to f. One of a kind that is not known is of a newer
// gateway, and nobody here asked for it.
func (c *Client) deliver(name, id string, data []byte, f func(Event) error) error {
	e := Event{ID: id}
	var into any
	switch name {
	case "hello":
		e.Hello = new(Hello)
		into = e.Hello
	case "change":
		e.Change = new(Changed)
		into = e.Change
	case "exchange":
		e.Exchange = new(Exchange)
		into = e.Exchange
	case "started":
		e.Started = new(Flight)
		into = e.Started
	case "partial":
		e.Partial = new(Partial)
		into = e.Partial
	case "tally":
		e.Tally = new(Tally)
		into = e.Tally
	default:
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return c.foreign(http.StatusOK)
	}
	return f(e)
}

// eventsEnded says why there are no more events.
func (c *Client) eventsEnded(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return c.foreign(http.StatusOK)
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return &Error{
			Title: "Unreachable", Code: CodeUnreachable, Cause: err,
			Detail: fmt.Sprintf("nothing from %s for %s", c.where, eventsQuiet),
		}
	case err != nil:
		return c.unreachable(err)
	}
	return &Error{Title: "Unreachable", Code: CodeUnreachable, Detail: "the gateway ended the events", Cause: io.EOF}
}
