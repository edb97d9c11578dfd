package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

const (
	eventsPath  = "/events"
	eventsType  = "text/event-stream"
	tallyEvery  = time.Second
	quietEvery  = 15 * time.Second      // a comment tells that the stream lives
	writeEvery  = 50 * time.Millisecond // what comes meanwhile goes out together
	writeLimit  = 10 * time.Second      // a reader that takes nothing for so long is cut
	loginLimit  = 15 * time.Minute      // as long as an access token; then whoever reads shows again that they may
	doubtEvery  = 5 * time.Second       // whether a reader's login goes on is asked; at once after a change of the user
	replayChunk = 256                   // remembered exchanges in one write
)

// registerEvents adds the one operation that has no end of its own.
func (s *Server) registerEvents(r routes) {
	op := r.operation(http.MethodGet, http.StatusOK, viewer, eventsPath, "Follow exchanges and changes")
	op.Responses["200"] = &huma.Response{
		Description: "Server-sent events: the event's name is the field of Event that its data is the value of. Lasts 15 minutes at most, but on the admin socket; Last-Event-ID goes on where it ended.",
		Content: map[string]*huma.MediaType{eventsType: {
			Schema: r.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Event](), true, "Event"),
		}},
	}
	huma.Register(r.api, op, func(ctx context.Context, in *eventQuery) (*huma.StreamResponse, error) {
		wants, err := in.filter()
		if err != nil {
			return nil, s.refuse(err)
		}
		return &huma.StreamResponse{Body: func(asked huma.Context) {
			_, w := humago.Unwrap(asked)
			s.stream(ctx, w, wants, in.After)
		}}, nil
	})
}

// callContext bounds a call, but for the one that is bounded by itself.
func callContext(r *http.Request) (context.Context, context.CancelFunc) {
	switch r.Method + " " + r.URL.Path {
	case http.MethodGet + " /api/v1" + eventsPath:
		return context.WithCancel(r.Context())
	case http.MethodPost + " /api/v1" + backupPath:
		return context.WithTimeout(r.Context(), backupLimit)
	}
	return context.WithTimeout(r.Context(), callLimit)
}

// stream shows a listener what it wants, until it leaves, or may listen no
// longer, or the server ends.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, wants *filter, after string) {
	newest := s.tail.last.Load() // those after it are in the listener's queue
	l, full := s.tail.join(callerOf(ctx), wants)
	if full != nil {
		full.write(w)
		return
	}
	defer s.tail.leave(l)
	l.mayMiss()
	ctx, cancel := context.WithTimeout(ctx, longestStream(callerOf(ctx), time.Now()))
	defer cancel()
	out := newEventWriter(w)
	if err := s.introduce(ctx, out, l, after, newest); err != nil {
		return // the reader is gone
	}
	s.follow(ctx, out, l)
}

// longestStream is how long a stream may last, whatever the store says meanwhile.
func longestStream(c caller, now time.Time) time.Duration {
	switch {
	case c.Via == viaSocket || c.Via == viaOpen:
		return 1 << 62
	case c.ExpiresAt.IsZero():
		return loginLimit
	}
	return min(loginLimit, c.ExpiresAt.Sub(now))
}

// mayListen says why a caller who listens may not any more: the login has ended,
// or the role has changed. A store that cannot be asked ends nothing.
func (s *Server) mayListen(ctx context.Context, c caller) error {
	if c.Session == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeLook)
	defer cancel()
	session, err := s.accounts.Session(ctx, c.Session)
	var user accounts.User
	if err == nil {
		user, err = s.accounts.User(ctx, session.UserID)
	}
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return loginEnded()
	case err == nil && !s.roleNow(&session, &user).Covers(accounts.RoleViewer):
		return loginEnded()
	}
	return nil
}

// introduce sends the hello and what is remembered. What ends meanwhile is in the
// listener's queue, and may be among what is remembered, too.
func (s *Server) introduce(ctx context.Context, out *eventWriter, l *listener, after string, newest int64) error {
	place, resumed := s.tail.placeOf(after)
	if !l.wants.Ended || !resumed && l.wants.since == 0 {
		return errors.Join(s.sayHello(ctx, out, s.tail.id(newest)), out.flush())
	}
	if err := s.sayHello(ctx, out, ""); err != nil { // it has missed what follows until that is there
		return err
	}
	from := s.now().Add(-l.wants.since)
	l.replayed = map[int64]struct{}{}
	before := s.tail.since(func(e *past) bool {
		return resumed && e.place > place || !resumed && !e.Time.Before(from)
	})
	for i, e := range before {
		l.replayed[e.place] = struct{}{}
		if !l.wants.Takes(&e.Exchange) {
			l.filtered.Add(1)
			continue
		}
		if err := s.show(out, l, told{ended: e}); err != nil {
			return err
		}
		if i%replayChunk == replayChunk-1 {
			if err := out.flush(); err != nil {
				return err
			}
		}
	}
	return out.flush()
}

func (s *Server) sayHello(ctx context.Context, out *eventWriter, id string) error {
	seq, revision := s.node.Applied()
	return out.add("hello", id, api.Hello{Node: s.status(ctx).Node, Seq: seq, Revision: revision})
}

// follow shows what comes. Events that come close together go out in one write:
// a busy gateway has other things to do.
func (s *Server) follow(ctx context.Context, out *eventWriter, l *listener) {
	tick, pause, doubt := time.NewTicker(tallyEvery), time.NewTimer(0), time.NewTicker(doubtEvery)
	defer tick.Stop()
	defer doubt.Stop()
	defer pause.Stop()
	queue := l.queue
	var err error
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case <-s.tail.closed:
			return
		case <-l.doubted:
			err = s.mayListen(ctx, l.of)
		case <-doubt.C:
			err = s.mayListen(ctx, l.of)
		case <-l.partial:
			err = s.showPartial(out, l)
		case c := <-l.changes:
			err = s.showChange(ctx, out, l, c)
		case m := <-queue:
			err = s.showAll(out, l, m)
			queue = nil
			pause.Reset(writeEvery)
		case <-pause.C:
			queue = l.queue
		case now := <-tick.C:
			err = out.keepUp(l, now)
		}
	}
}

// showAll shows an event and those that wait behind it.
func (s *Server) showAll(out *eventWriter, l *listener, m told) error {
	for range queuedEvents {
		if !l.hasShown(m) {
			if err := s.show(out, l, m); err != nil {
				return err
			}
		}
		if len(l.queue) == 0 {
			break
		}
		m = <-l.queue
	}
	return out.flush()
}

func (s *Server) show(out *eventWriter, l *listener, m told) error {
	l.shown++
	if m.started != nil {
		return out.add("started", "", m.started)
	}
	id := ""
	if m.ended.place > 0 { // else it has none among what is remembered here
		id = s.tail.id(m.ended.place)
	}
	return out.add("exchange", id, &m.ended.Exchange)
}

// showChange shows a change, or begins anew where changes are missing.
func (s *Server) showChange(ctx context.Context, out *eventWriter, l *listener, c accounts.Change) error {
	var err error
	if l.hasMissed() {
		err = s.sayHello(ctx, out, "")
	} else {
		err = out.add("change", "", api.Changed{Seq: c.Seq, Revision: c.Revision, Action: c.Kind, Subjects: c.Subjects, Actor: c.Actor, Time: c.At})
	}
	if err != nil {
		return err
	}
	return out.flush()
}

// eventWriter writes server-sent events.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	text    bytes.Buffer
	wroteAt time.Time
	tally   api.Tally // as it was last told
}

func newEventWriter(w http.ResponseWriter) *eventWriter {
	h := w.Header()
	h.Set("Content-Type", eventsType)
	h.Set("X-Accel-Buffering", "no") // nginx in front would hold the events back
	return &eventWriter{w: w, control: http.NewResponseController(w)}
}

// add writes an event to what goes out next. JSON has no line breaks of its own.
func (o *eventWriter) add(name, id string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing event %s: %w", name, err)
	}
	o.text.WriteString("event: " + name + "\n")
	if id != "" {
		o.text.WriteString("id: " + id + "\n")
	}
	o.text.WriteString("data: ")
	o.text.Write(data)
	o.text.WriteString("\n\n")
	return nil
}

// flush sends what was added. The reader has writeLimit to take it.
func (o *eventWriter) flush() error {
	if o.text.Len() == 0 {
		return nil
	}
	o.wroteAt = time.Now()
	if err := o.control.SetWriteDeadline(o.wroteAt.Add(writeLimit)); err != nil {
		return fmt.Errorf("bounding a write: %w", err)
	}
	if _, err := o.w.Write(o.text.Bytes()); err != nil {
		return fmt.Errorf("writing events: %w", err)
	}
	o.text.Reset()
	return o.control.Flush()
}

// keepUp tells the tally where it has changed, and a sign of life where nothing
// else was told for a while. It also lets go of what was replayed: whoever told
// of an exchange while it was has done so by now.
func (o *eventWriter) keepUp(l *listener, now time.Time) error {
	l.replayed = nil
	if tally := l.tally(); tally != o.tally {
		o.tally = tally
		if err := o.add("tally", "", tally); err != nil {
			return err
		}
	} else if now.Sub(o.wroteAt) >= quietEvery {
		o.text.WriteString(": still here\n\n")
	}
	return o.flush()
}
