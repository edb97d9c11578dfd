package mock

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// talkLive answers over a WebSocket, in the events of OpenAI's Realtime API: text
// only, one response at a time, and no voice. To mock-echo it is no conversation:
// every message comes back as it was sent.
func (e *exchange) talkLive([]byte) *refusal {
	if refused := e.take(e.r.URL.Query().Get("model")); refused != nil {
		return refused
	}
	if !strings.EqualFold(e.r.Header.Get("Upgrade"), "websocket") {
		return refuse(http.StatusBadRequest, "The Realtime API is asked over a WebSocket.")
	}
	conn, err := websocket.Accept(e.w, e.r, &websocket.AcceptOptions{
		Subprotocols:       []string{"realtime"},
		InsecureSkipVerify: true, // of the page that a browser shows: the mock has no secrets
	})
	if err != nil {
		return nil // Accept has answered what it did not like
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(maxBody)
	s := &session{exchange: e, conn: conn, prompt: prompt{model: e.model}}
	if e.trait.says == echoes {
		err = s.echo()
	} else {
		err = s.run()
	}
	if status := websocket.CloseStatus(err); status != websocket.StatusNormalClosure && status != websocket.StatusGoingAway {
		e.gone()
	}
	return nil
}

// session is a conversation over a WebSocket.
type session struct {
	*exchange
	conn   *websocket.Conn
	prompt prompt
	events int // sent
	spoken int // responses
}

// echo sends every message back as it came.
func (s *session) echo() error {
	for {
		kind, message, err := s.read()
		if err != nil {
			return err
		}
		if err := s.write(kind, message); err != nil {
			return err
		}
	}
}

// run takes the client's events until there are no more.
func (s *session) run() error {
	if err := s.tell("session.created", map[string]any{"session": s.about()}); err != nil {
		return err
	}
	for {
		_, message, err := s.read()
		if err != nil {
			return err
		}
		var event liveEvent
		if problem := json.Unmarshal(message, &event); problem != nil {
			err = s.object("The event is not valid JSON.")
		} else {
			err = s.hear(&event)
		}
		if err != nil {
			return err
		}
	}
}

// liveEvent is as much of a client's event as the mock reads
// (https://platform.openai.com/docs/api-reference/realtime-client-events).
type liveEvent struct {
	Type string `json:"type"`
	Item struct {
		Type    string  `json:"type"`
		Role    string  `json:"role"`
		Content content `json:"content"`
	} `json:"item"`
}

// hear answers one event.
func (s *session) hear(event *liveEvent) error {
	switch event.Type {
	case "session.update":
		return s.tell("session.updated", map[string]any{"session": s.about()})
	case "conversation.item.create":
		s.prompt.hear(event.Item.Role, event.Item.Content)
		item := liveItem{s.id("item_"), "realtime.item", "message", "completed", event.Item.Role, []any{}}
		if err := s.tell("conversation.item.added", map[string]any{"item": item}); err != nil {
			return err
		}
		return s.tell("conversation.item.done", map[string]any{"item": item})
	case "response.create":
		return s.respond()
	}
	return s.object(fmt.Sprintf("Invalid value: %q. The mock takes session.update, conversation.item.create and response.create.", brief(event.Type, 60)))
}

type liveItem struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Type    string `json:"type"`
	Status  string `json:"status"`
	Role    string `json:"role"`
	Content []any  `json:"content"`
}

type livePart struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type liveResponse struct {
	ID               string     `json:"id"`
	Object           string     `json:"object"`
	Status           string     `json:"status"`
	OutputModalities []string   `json:"output_modalities"`
	Output           []any      `json:"output"`
	Usage            *liveUsage `json:"usage"`
}

type liveUsage struct {
	TotalTokens       int        `json:"total_tokens"`
	InputTokens       int        `json:"input_tokens"`
	OutputTokens      int        `json:"output_tokens"`
	InputTokenDetails liveInput  `json:"input_token_details"`
	OutputDetails     liveOutput `json:"output_token_details"`
}

type liveInput struct {
	CachedTokens int `json:"cached_tokens"`
	TextTokens   int `json:"text_tokens"`
	AudioTokens  int `json:"audio_tokens"`
}

type liveOutput struct {
	TextTokens  int `json:"text_tokens"`
	AudioTokens int `json:"audio_tokens"`
}

// respond answers what was said so far, at the pace of the options.
func (s *session) respond() error {
	s.spoken++
	s.start = time.Now()
	a := compose(&s.prompt, s.trait.says, "OpenAI Realtime", s.Tokens)
	r := liveResponse{ID: s.id("resp_"), Object: "realtime.response", Status: "in_progress", OutputModalities: []string{"text"}, Output: []any{}}
	item := liveItem{s.id("item_"), "realtime.item", "message", "in_progress", "assistant", []any{}}
	where := map[string]any{"response_id": r.ID, "item_id": item.ID, "output_index": 0, "content_index": 0}
	and := func(name string, value any) map[string]any {
		fields := map[string]any{name: value}
		for k, v := range where {
			fields[k] = v
		}
		return fields
	}
	part, whole := livePart{"text", ""}, livePart{"text", a.text}
	opening := []step{
		{"response.created", map[string]any{"response": r}},
		{"response.output_item.added", map[string]any{"response_id": r.ID, "output_index": 0, "item": item}},
		{"response.content_part.added", and("part", part)},
	}
	if err := s.tellAll(opening); err != nil {
		return err
	}
	for i, text := range a.tokens {
		if !s.wait(i) {
			return context.Canceled
		}
		if err := s.tell("response.output_text.delta", and("delta", text)); err != nil {
			return err
		}
	}
	item.Status, item.Content = "completed", []any{whole}
	r.Status, r.Output = "completed", []any{item}
	r.Usage = &liveUsage{a.input + a.output(), a.input, a.output(), liveInput{TextTokens: a.input}, liveOutput{TextTokens: a.output()}}
	return s.tellAll([]step{
		{"response.output_text.done", and("text", a.text)},
		{"response.content_part.done", and("part", whole)},
		{"response.output_item.done", map[string]any{"response_id": r.ID, "output_index": 0, "item": item}},
		{"response.done", map[string]any{"response": r}},
	})
}

// step is one event of several.
type step struct {
	name   string
	fields map[string]any
}

func (s *session) tellAll(steps []step) error {
	for _, step := range steps {
		if err := s.tell(step.name, step.fields); err != nil {
			return err
		}
	}
	return nil
}

// object tells of an event that cannot be taken; the session goes on.
func (s *session) object(message string) error {
	return s.tell("error", map[string]any{"error": map[string]any{
		"type": "invalid_request_error", "code": "invalid_event", "message": message, "param": nil, "event_id": nil,
	}})
}

func (s *session) about() map[string]any {
	return map[string]any{"id": makeID("sess_", s.number), "object": "realtime.session", "type": "realtime",
		"model": s.model, "output_modalities": []string{"text"}}
}

func (s *session) id(prefix string) string {
	return fmt.Sprintf("%s_%d_%d", makeID(prefix, s.number), s.spoken, s.prompt.messages)
}

// tell sends one event.
func (s *session) tell(name string, fields map[string]any) error {
	s.events++
	fields["type"], fields["event_id"] = name, fmt.Sprintf("%s_%d", makeID("event_", s.number), s.events)
	return s.write(websocket.MessageText, encode(fields))
}

// read waits for a message, as long as an answer may be silent.
func (s *session) read() (websocket.MessageType, []byte, error) {
	ctx, cancel := context.WithTimeout(s.r.Context(), stallTime)
	defer cancel()
	return s.conn.Read(ctx)
}

func (s *session) write(kind websocket.MessageType, message []byte) error {
	ctx, cancel := context.WithTimeout(s.r.Context(), writeTime)
	defer cancel()
	return s.conn.Write(ctx, kind, message)
}
