package mock_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/llmgw/llmgw/proxy/mock"
)

// live opens a Realtime session.
func (s stand) live(model string) *websocket.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	c, response, err := websocket.Dial(ctx, strings.Replace(s.url, "http", "ws", 1)+"/v1/realtime?model="+model, &websocket.DialOptions{
		HTTPClient: s.client, Subprotocols: []string{"realtime"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols || c.Subprotocol() != "realtime" {
		s.t.Fatalf("%s, subprotocol %q", response.Status, c.Subprotocol())
	}
	s.t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

type serverEvent struct {
	Type     string
	EventID  string `json:"event_id"`
	Delta    string
	Text     string
	Session  struct{ Model string }
	Error    struct{ Message string }
	Response struct {
		Status string
		Output []struct{ Content []struct{ Text string } }
		Usage  struct {
			Total  int `json:"total_tokens"`
			Input  int `json:"input_tokens"`
			Output int `json:"output_tokens"`
		}
	}
}

// hear reads events up to one of a type.
func hear(t *testing.T, c *websocket.Conn, last string) (events []serverEvent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		_, message, err := c.Read(ctx)
		if err != nil {
			t.Fatalf("waiting for %s: %v", last, err)
		}
		var event serverEvent
		if err := json.Unmarshal(message, &event); err != nil {
			t.Fatalf("%s: %v", message, err)
		}
		if events = append(events, event); event.Type == last {
			return events
		}
	}
}

func tell(t *testing.T, c *websocket.Conn, event string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(event)); err != nil {
		t.Fatal(err)
	}
}

func TestALiveSessionAnswersWhatWasSaid(t *testing.T) {
	s := start(t, quick())
	c := s.live("gpt-realtime")
	if created := hear(t, c, "session.created"); created[0].Session.Model != "gpt-realtime" {
		t.Errorf("session %+v", created[0])
	}
	tell(t, c, `{"type":"session.update","session":{"instructions":"be brief"}}`)
	hear(t, c, "session.updated")
	seen := map[string]bool{}
	for range 2 {
		tell(t, c, `{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"hello there"}]}}`)
		hear(t, c, "conversation.item.done")
		tell(t, c, `{"type":"response.create"}`)
		events := hear(t, c, "response.done")
		var names []string
		said, pieces := "", 0
		for _, event := range events {
			if seen[event.EventID] || event.EventID == "" {
				t.Errorf("event id %q is not new", event.EventID)
			}
			seen[event.EventID] = true
			if event.Type == "response.output_text.delta" {
				said, pieces = said+event.Delta, pieces+1
				continue
			}
			names = append(names, event.Type)
		}
		const want = "response.created response.output_item.added response.content_part.added " +
			"response.output_text.done response.content_part.done response.output_item.done response.done"
		if got := strings.Join(names, " "); got != want {
			t.Errorf("events %s", got)
		}
		r := events[len(events)-1].Response
		if r.Status != "completed" || r.Output[0].Content[0].Text != said || !strings.Contains(said, `I heard "hello there"`) {
			t.Errorf("said %q in pieces, and %+v", said, r)
		}
		if r.Usage.Output != pieces || r.Usage.Input == 0 || r.Usage.Total != r.Usage.Input+r.Usage.Output {
			t.Errorf("%d pieces, usage %+v", pieces, r.Usage)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

func TestAnEventThatCannotBeTakenEndsNoSession(t *testing.T) {
	c := start(t, quick()).live("mock")
	for _, event := range []string{"no json", `{"type":"input_audio_buffer.append"}`, `[]`} {
		tell(t, c, event)
		if events := hear(t, c, "error"); events[len(events)-1].Error.Message == "" {
			t.Errorf("%s: %+v", event, events)
		}
	}
	tell(t, c, `{"type":"response.create"}`)
	hear(t, c, "response.done")
}

func TestTheEchoOfALiveSessionIsWhatCame(t *testing.T) {
	c := start(t, quick()).live("mock-echo")
	for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
		for _, message := range []string{"", "x", strings.Repeat("long ", 5000)} {
			if err := c.Write(t.Context(), kind, []byte(message)); err != nil {
				t.Fatal(err)
			}
			if got, back, err := c.Read(t.Context()); err != nil || got != kind || string(back) != message {
				t.Errorf("%v %d bytes, %v", got, len(back), err)
			}
		}
	}
}

func TestALiveSessionIsRefusedInTheUsualShape(t *testing.T) {
	s := start(t, quick())
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	for name, c := range map[string]struct {
		path    string
		headers []string
		status  int
	}{
		"without a model":                     {"/v1/realtime", upgrade, 400},
		"for a model that refuses":            {"/v1/realtime?model=mock-429", upgrade, 429},
		"without a handshake":                 {"/v1/realtime?model=mock", nil, 400},
		"where the wire format is not spoken": {"/v1/realtime?model=mock", upgrade, 404},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			if c.status == 404 {
				o := quick()
				o.Wires = []string{"anthropic"}
				s = start(t, o)
			}
			answer := s.ask("GET", c.path, "", c.headers...)
			var body struct{ Error struct{ Message string } }
			if err := json.NewDecoder(answer.Body).Decode(&body); err != nil || answer.StatusCode != c.status || body.Error.Message == "" {
				t.Errorf("%d %+v %v", answer.StatusCode, body, err)
			}
		})
	}
}

func TestAClientThatLeavesALiveSessionIsNoticed(t *testing.T) {
	gone := make(chan struct{}, 1)
	c := start(t, mock.Options{TTFT: -1, TokensPerSecond: -1, OnGone: func(*http.Request) { gone <- struct{}{} }}).live("mock")
	hear(t, c, "session.created")
	_ = c.CloseNow()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("nobody noticed")
	}
}
