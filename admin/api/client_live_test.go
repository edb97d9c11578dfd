package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// saying answers every request with a stream of events as it stands.
func saying(t testing.TB, text string) *api.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	c := api.NewClient(api.Options{BaseURL: server.URL})
	t.Cleanup(c.Close)
	return c
}

func TestEventsAreReadAsTheyAreWritten(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []api.Event
		code string
	}{
		"one of each kind": {
			"event: hello\nid: r-1\ndata: {\"node\":\"a1\",\"seq\":4}\n\n: still here\n\nevent: tally\ndata: {\"dropped\":3}\n\n" +
				"event: started\ndata: {\"request_id\":\"req_1\"}\n\nevent: exchange\nid: r-2\ndata: {\"request_id\":\"req_1\",\"status\":200}\n\n" +
				"event: change\ndata: {\"seq\":5}\n\n",
			[]api.Event{
				{ID: "r-1", Hello: &api.Hello{Node: "a1", Seq: 4}}, {Tally: &api.Tally{Dropped: 3}}, {Started: &api.Flight{RequestID: "req_1"}},
				{ID: "r-2", Exchange: &api.Exchange{RequestID: "req_1", Status: 200}}, {Change: &api.Changed{Seq: 5}},
			}, api.CodeUnreachable,
		},
		"lines that end as those of Windows": {
			"event: tally\r\ndata: {\"dropped\":3}\r\n\r\n", []api.Event{{Tally: &api.Tally{Dropped: 3}}}, api.CodeUnreachable,
		},
		"a kind that nobody knows": {
			"event: weather\ndata: rain\n\nevent: tally\ndata: {}\n\n", []api.Event{{Tally: &api.Tally{}}}, api.CodeUnreachable,
		},
		"an event that is cut short is none": {
			"event: tally\ndata: {}\n\nevent: tally\ndata: {}\n", []api.Event{{Tally: &api.Tally{}}}, api.CodeUnreachable,
		},
		"what is not JSON": {"event: tally\ndata: rain\n\n", nil, api.CodeInternal},
		"a line that is too long": {
			"event: tally\ndata: \"" + strings.Repeat("x", 2<<20) + "\"\n\n", nil, api.CodeInternal,
		},
		"nothing": {"", nil, api.CodeUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			var got []api.Event
			err := saying(t, test.text).Events(t.Context(), api.EventQuery{}, func(e api.Event) error { got = append(got, e); return nil })
			var refusal *api.Error
			if !errors.As(err, &refusal) || refusal.Code != test.code {
				t.Errorf("ended with %v, want %s", err, test.code)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheErrorOfWhoReadsEventsIsThatOfEvents(t *testing.T) {
	stop := errors.New("enough")
	n := 0
	err := saying(t, strings.Repeat("event: tally\ndata: {}\n\n", 3)).Events(t.Context(), api.EventQuery{}, func(api.Event) error {
		if n++; n == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 2 {
		t.Errorf("after %d events: %v", n, err)
	}
}

func TestAnAnswerThatIsNoStreamOfEvents(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "event: tally\ndata: {}\n\n")
	}))
	t.Cleanup(server.Close)
	err := api.NewClient(api.Options{BaseURL: server.URL}).Events(t.Context(), api.EventQuery{}, func(e api.Event) error {
		t.Errorf("told is %+v", e)
		return nil
	})
	var refusal *api.Error
	if !errors.As(err, &refusal) || refusal.Code != api.CodeInternal {
		t.Errorf("ended with %v", err)
	}
}

func TestEventsAreAskedForOnceMoreWithARenewedToken(t *testing.T) {
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Header.Get("Authorization"))
		if len(sent) == 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "event: hello\ndata: {}\n\n")
	}))
	t.Cleanup(server.Close)
	c := api.NewClient(api.Options{
		BaseURL: server.URL,
		Bearer:  func(context.Context) (accounts.Secret, error) { return accounts.NewSecret("old"), nil },
		Renew: func(_ context.Context, refused accounts.Secret) (accounts.Secret, error) {
			return accounts.NewSecret(refused.Reveal() + "-renewed"), nil
		},
	})
	t.Cleanup(c.Close)
	n := 0
	err := c.Events(t.Context(), api.EventQuery{}, func(api.Event) error { n++; return nil })
	if diff := cmp.Diff([]string{"Bearer old", "Bearer old-renewed"}, sent); diff != "" || n != 1 {
		t.Errorf("%d events, %v:\n%s", n, err, diff)
	}
}

// quiet is a gateway whose stream says hello and then nothing: no sign of life
// either, as one that was unplugged.
type quiet struct{}

func (q quiet) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Request: r,
		Body: &silentBody{text: strings.NewReader("event: hello\ndata: {}\n\n"), done: r.Context().Done(), err: r.Context().Err},
	}, nil
}

type silentBody struct {
	text *strings.Reader
	done <-chan struct{}
	err  func() error
}

func (b *silentBody) Close() error { return nil }

func (b *silentBody) Read(p []byte) (int, error) {
	if b.text.Len() > 0 {
		return b.text.Read(p)
	}
	<-b.done
	return 0, b.err()
}

func TestAGatewayThatGivesNoSignOfLifeIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := api.NewClient(api.Options{BaseURL: "http://gateway.invalid"})
		c.SetTransport(quiet{})
		begun := time.Now()
		err := c.Events(t.Context(), api.EventQuery{}, func(api.Event) error { return nil })
		var refusal *api.Error
		if !errors.As(err, &refusal) || refusal.Code != api.CodeUnreachable || refusal.Detail != "nothing from http://gateway.invalid for 45s" {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(begun); took != 45*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// FuzzEvents reads any bytes as a stream of events: it ends, and with an error
// of ours.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		"", "\n\n\n", "event: hello\nid: r-1\ndata: {}\n\n", "data\n\n", ":\n", "event: tally\ndata: {\"shown\":\"x\"}\n\n",
		"event:exchange\ndata:{\"input_tokens\":null,\"time\":\"x\"}\n\n", "event: change\r\ndata: null\r\n\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := api.NewClient(api.Options{BaseURL: "http://gateway.invalid"})
		c.SetTransport(answering(text))
		err := c.Events(t.Context(), api.EventQuery{}, func(e api.Event) error {
			if e == (api.Event{ID: e.ID}) {
				t.Errorf("an event of nothing from %q", text)
			}
			return nil
		})
		var refusal *api.Error
		if !errors.As(err, &refusal) || refusal.Detail == "" {
			t.Errorf("%q ended with %v", text, err)
		}
	})
}

type answering string

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = w.WriteString(string(a))
	response := w.Result()
	response.Request = r
	return response, nil
}
