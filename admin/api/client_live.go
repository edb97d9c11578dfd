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

	"github.com/llmgw/llmgw/accounts"
)

// The bounds of a stream of events.
const (
	maxEvent    = 1 << 20          // bytes of one line
	eventsQuiet = 45 * time.Second // three signs of life are missing: the gateway is gone
)

// Streams lists what is in flight on the gateway's node: the oldest 1,000.
func (c *Client) Streams(ctx context.Context) ([]Flight, error) {
	list, err := call[List[Flight]](ctx, c, http.MethodGet, "/streams?limit=1000", nil)
	return list.Items, err
}

// CutStream ends an exchange that is in flight, and gives it as it was;
// CodeNotFound where it is not there, or no more.
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
	response, err := c.openEvents(ctx, q)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		return c.noEvents(response)
	}
	return c.readEvents(ctx, response.Body, func() { silence.Reset(eventsQuiet) }, f)
}

// openEvents asks for the stream; once more with a renewed token, where there is
// one for that which was refused.
func (c *Client) openEvents(ctx context.Context, q EventQuery) (*http.Response, error) {
	token, refusal := c.token(ctx, c.bearer)
	if refusal != nil {
		return nil, refusal
	}
	response, err := c.askEvents(ctx, token, q)
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
	return c.askEvents(ctx, next, q)
}

// askEvents asks for the stream in the name of a token.
func (c *Client) askEvents(ctx context.Context, token accounts.Secret, q EventQuery) (*http.Response, error) {
	request, err := c.request(ctx, http.MethodGet, "/events?"+q.values().Encode(), nil)
	if err != nil {
		return nil, c.unusable(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	if q.After != "" {
		request.Header.Set("Last-Event-ID", q.After)
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
	c.trace(http.MethodGet, request.URL.RequestURI(), status, time.Since(begun))
	if err != nil {
		return nil, c.unreachable(causeOf(ctx, err))
	}
	return response, nil
}

// noEvents reads an answer that is no stream of events.
func (c *Client) noEvents(response *http.Response) error {
	if response.StatusCode < 300 {
		return c.foreign(response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxEvent))
	if err != nil {
		return c.unreachable(err)
	}
	return c.refusal(response.StatusCode, text)
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
