package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// change changes a key as a change in the store would, and tells nobody.
func (k *keyring) change(key string, how func(*accounts.Identity)) (keyID string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	who := *k.known[accounts.HashKey(key)]
	how(&who)
	k.known[accounts.HashKey(key)] = &who
	return who.KeyID
}

func (k *keyring) forget(key string) (keyID string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	keyID = k.known[accounts.HashKey(key)].KeyID
	delete(k.known, accounts.HashKey(key))
	return keyID
}

func (k *keyring) timesAsked() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked
}

func revokedNow(who *accounts.Identity) { who.RevokedAt = time.Now() }

// endless is an upstream that answers with one event and goes on for ever.
func endless(c net.Conn, r *sent) bool {
	say(c, streamHead, chunk(firstEvent))
	<-r.gone
	return false
}

// startStream starts a stream and waits for its first event.
func (g *gateway) startStream(h *http.Client, path string) *http.Response {
	g.t.Helper()
	response, err := h.Do(g.post(path, chatRequest))
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = response.Body.Close() })
	if _, err := io.ReadFull(response.Body, make([]byte, len(firstEvent))); err != nil {
		g.t.Fatal(err)
	}
	return response
}

func TestARevokedKeyEndsAllItsStreamsAtOnce(t *testing.T) {
	const streams, bound = 200, 100 * time.Millisecond
	g := newGateway(t, newWireUpstream(t, endless).url)
	h := client(t)
	other := g.keys.issue(t, "other", nil)
	revoked := g.key
	all := make([]*http.Response, streams)
	for i := range all {
		all[i] = g.startStream(h, "/v1/chat/completions")
	}
	g.key = other
	spared := g.startStream(h, "/v1/chat/completions")

	var wg sync.WaitGroup
	var mu sync.Mutex
	var waits []time.Duration
	id := g.keys.change(revoked, revokedNow)
	began := time.Now()
	g.proxy.Ended([]string{id}, nil)
	for _, response := range all {
		wg.Go(func() {
			rest, err := io.ReadAll(response.Body)
			took := time.Since(began)
			want := `data: {"error":{"message":"API key \"ci-bot\" was revoked; the stream was cut","type":"server_error","param":null,"code":"upstream_stream_cut"}}` + "\n\n"
			if string(rest) != want || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q %v", rest, err)
			}
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, took)
		})
	}
	wg.Wait()
	p50, p99 := percentiles(waits)
	t.Logf("%d streams were cut after %v (p50), %v (p99)", streams, p50, p99)
	if p99 > bound && !raced {
		t.Errorf("cut after %v (p50), %v (p99)", p50, p99)
	}
	if line := g.line(all[0]); line["end_reason"] != "revoked" || line["status"] != 200.0 {
		t.Errorf("log %v", line)
	}
	if g.proxy.Totals().Errors != 0 || g.proxy.Upstreams()[0].Errors != 0 {
		t.Error("what an operator wanted is counted as an error")
	}

	g.key = revoked
	response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest))
	if response.StatusCode != 401 || response.Header.Get("X-Llmgw-Error") != rules.CodeRevokedKey || response.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	if flights := g.proxy.Flights(); len(flights) != 1 || flights[0].Key != "other" {
		t.Errorf("under way: %+v", flights)
	}
	_ = spared.Body.Close()
}

func TestWhatEndsTheStreamsOfAKey(t *testing.T) {
	disabledUser := func(who *accounts.Identity) { who.UserDisabled = true }
	for name, c := range map[string]struct {
		change func(*accounts.Identity) // nil: the key is deleted
		byUser bool
		said   string // "": it goes on
	}{
		"it is revoked":                {revokedNow, false, `API key \"ci-bot\" was revoked`},
		"it is revoked, streams kept":  {func(who *accounts.Identity) { who.RevokedAt, who.KeepStreams = time.Now(), true }, false, ""},
		"it has expired":               {func(who *accounts.Identity) { who.ExpiresAt = time.Now().Add(-time.Hour) }, false, ""},
		"it is disabled":               {func(who *accounts.Identity) { who.Disabled = true }, false, `API key \"ci-bot\" is disabled`},
		"it is deleted":                {nil, false, "API key is not valid"},
		"its user is disabled":         {disabledUser, true, `API key \"ci-bot\" belongs to a user who is disabled`},
		"its user has another tag now": {func(who *accounts.Identity) { who.UserTags = map[string]string{"a": "b"} }, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, newWireUpstream(t, endless).url)
			g.key = g.keys.issue(t, "ci-bot", func(who *accounts.Identity) { who.UserID, who.UserName = "user_1", "dana" })
			response := g.startStream(client(t), "/v1/chat/completions")
			var id string
			if c.change == nil {
				id = g.keys.forget(g.key)
			} else {
				id = g.keys.change(g.key, c.change)
			}
			subject := "key:" + id
			if c.byUser {
				subject = "user:user_1"
			}
			g.proxy.Changed(accounts.Change{Subjects: []string{"upstream:up_1", subject}})
			if c.said == "" {
				g.lookedAgain()
				if left := len(g.proxy.Flights()); left != 1 {
					t.Errorf("%d under way", left)
				}
				_ = response.Body.Close()
				g.noneInFlight()
				return
			}
			rest, err := io.ReadAll(response.Body)
			if !strings.Contains(string(rest), c.said+"; the stream was cut") || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q %v", rest, err)
			}
			if line := g.line(response); line["end_reason"] != "revoked" {
				t.Errorf("log %v", line)
			}
		})
	}
}

// lookedAgain waits until changes that were told have been looked into: another
// key, deleted after them, has lost its stream.
func (g *gateway) lookedAgain() {
	g.t.Helper()
	for range 2 { // one look may have been under way when the first was told
		key := g.key
		g.key = g.keys.issue(g.t, "marker", nil)
		response := g.startStream(client(g.t), "/v1/chat/completions")
		g.proxy.Ended([]string{g.keys.forget(g.key)}, nil)
		_, _ = io.ReadAll(response.Body)
		g.line(response)
		g.key = key
	}
}

func TestAKeyThatNobodyCanTellAboutIsLookedAtAgain(t *testing.T) {
	g := newGateway(t, newWireUpstream(t, endless).url)
	response := g.startStream(client(t), "/v1/chat/completions")
	before := g.keys.timesAsked()
	g.keys.fail(accounts.ErrUnavailable)
	id := g.keys.change(g.key, revokedNow)
	g.proxy.Ended([]string{id}, nil)
	g.until("it was asked about", func() bool { return g.keys.timesAsked() > before })
	if left := len(g.proxy.Flights()); left != 1 {
		t.Fatalf("%d under way while nobody can tell", left)
	}
	g.keys.fail(nil)
	if rest, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q %v", rest, err)
	}
	g.line(response)
}

func TestALogThatDoesNotContinueHasEveryKeyLookedAt(t *testing.T) {
	g := newGateway(t, newWireUpstream(t, endless).url)
	h := client(t)
	kept := g.startStream(h, "/v1/chat/completions")
	g.key = g.keys.issue(t, "gone", nil)
	lost := g.startStream(h, "/v1/chat/completions")
	g.keys.forget(g.key)
	g.proxy.Changed(accounts.Change{Subjects: []string{"*"}})
	if _, err := io.ReadAll(lost.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if flights := g.proxy.Flights(); len(flights) != 1 || flights[0].Key != "ci-bot" {
		t.Errorf("%+v", flights)
	}
	_ = kept.Body.Close()
}

func TestMoreChangesThanAreKeptHaveEveryKeyLookedAt(t *testing.T) {
	var s suspects
	s.add([]string{"key_1"}, []string{"user_1"})
	for _, c := range []struct {
		who  accounts.Identity
		want bool
	}{
		{accounts.Identity{KeyID: "key_1"}, true},
		{accounts.Identity{KeyID: "key_2", UserID: "user_1"}, true},
		{accounts.Identity{KeyID: "key_2", UserID: "user_2"}, false},
	} {
		if s.has(&c.who) != c.want {
			t.Errorf("%+v", c)
		}
	}
	many := make([]string, maxLostKeys)
	for i := range many {
		many[i] = fmt.Sprint("key_", i)
	}
	s.add(many, nil)
	if !s.has(&accounts.Identity{KeyID: "another"}) || len(s.keys) != 0 {
		t.Errorf("%d are kept", len(s.keys))
	}
	s.add([]string{"key_1"}, nil)
	if !s.all {
		t.Error("forgotten")
	}
}

// The end of each protocol's stream is its own.
func TestARevokedStreamEndsInItsOwnProtocol(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/messages":  "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"API key \\\"ci-bot\\\" was revoked; the stream was cut\"}}\n\n",
		"/v1/responses": `"error":{"code":"upstream_stream_cut","message":"API key \"ci-bot\" was revoked; the stream was cut"}`,
	} {
		t.Run(path, func(t *testing.T) {
			g := newGateway(t, newWireUpstream(t, endless).url)
			response := g.startStream(client(t), path)
			g.proxy.Ended([]string{g.keys.change(g.key, revokedNow)}, nil)
			if rest, err := io.ReadAll(response.Body); !strings.Contains(string(rest), want) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q %v", rest, err)
			}
			g.line(response)
		})
	}
}

func TestARequestWhoseKeyIsRevokedBeforeItsAnswer(t *testing.T) {
	asked := make(chan struct{}, 9)
	up := newWireUpstream(t, func(_ net.Conn, r *sent) bool { asked <- struct{}{}; <-r.gone; return false })
	for name, change := range map[string]func(*setup){
		"while it is waited for":        func(*setup) {},
		"where usage is wanted exactly": func(s *setup) { s.config.Files[0].Rules[0].Action.OnClientGone = "finish" },
		"where it might be sent again": func(s *setup) {
			s.config.Files[0].Rules[0].Action.Retry = &rules.Retry{On: rules.RetryWhen(rules.OnReset | rules.OnTimeout), Attempts: 3}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, up.url, change)
			go func() {
				<-asked
				g.proxy.Ended([]string{g.keys.change(g.key, revokedNow)}, nil)
			}()
			response, body, err := g.do(g.post("/v1/chat/completions", chatRequest))
			if err != nil || response.StatusCode != 401 || response.Header.Get("X-Llmgw-Error") != rules.CodeRevokedKey {
				t.Fatalf("%d %s %v", response.StatusCode, body, err)
			}
			if line := g.line(response); line["end_reason"] != "revoked" || line["error"] != rules.CodeRevokedKey || line["attempts"] != 1.0 {
				t.Errorf("log %v", line)
			}
			if g.proxy.Upstreams()[0].Errors != 0 {
				t.Error("it is counted against the upstream")
			}
		})
	}
}

// A body that comes slowly is never sent on with a key that was revoked
// meanwhile.
func TestABodyThatComesAfterItsKeyWasRevokedIsNotSent(t *testing.T) {
	g := newGateway(t, newWireUpstream(t, func(net.Conn, *sent) bool { t.Error("it was sent"); return false }).url)
	c := g.dial()
	say(c, g.head(len(chatRequest)), chatRequest[:10])
	g.until("the caller is known", func() bool { return len(g.proxy.Flights()) == 1 })
	g.proxy.Ended([]string{g.keys.change(g.key, revokedNow)}, nil)
	g.until("it was cut", func() (cut bool) {
		g.proxy.flights.each(func(x *exchange) { cut = cut || endedBy(x.ctx) == endRevoked })
		return cut
	})
	say(c, chatRequest[10:])
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || response.StatusCode != 401 {
		t.Fatalf("%v %v", response, err)
	}
	g.line(response)
}

// slowSource lets a test do something while a key is being looked up.
type slowSource struct {
	Source
	once   sync.Once
	during func()
}

func (s *slowSource) Identify(ctx context.Context, hash accounts.KeyHash) (*accounts.Identity, error) {
	who, err := s.Source.Identify(ctx, hash)
	s.once.Do(s.during)
	return who, err
}

// A request that found its key in force, while whoever cuts the key's exchanges
// had not yet seen the request, must not slip through between the two.
func TestAKeyThatIsRevokedWhileItIsLookedUp(t *testing.T) {
	var g *gateway
	slow := &slowSource{during: func() {
		g.keys.change(g.key, revokedNow)
		g.proxy.lost.told.Add(1) // what Ended does, and all of it before this goes on
		g.proxy.cutThoseOf(&suspects{all: true})
	}}
	g = newGateway(t, newWireUpstream(t, func(net.Conn, *sent) bool { t.Error("it was sent"); return false }).url,
		func(s *setup) { slow.Source, s.options.Source = s.options.Source, slow })
	response, body, err := g.do(g.post("/v1/chat/completions", chatRequest))
	if err != nil || response.StatusCode != 401 || response.Header.Get("X-Llmgw-Error") != rules.CodeRevokedKey {
		t.Errorf("%d %s %v", response.StatusCode, body, err)
	}
	g.line(response)
}

// A client that takes nothing holds nothing up, however long it might stall.
func TestARevokedKeyEndsTheStreamOfAClientThatTakesNothing(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		say(c, streamHead)
		for event := chunk("data: " + strings.Repeat("x", 32<<10) + "\n\n"); ; {
			if _, err := io.WriteString(c, event); err != nil {
				return false
			}
		}
	})
	for _, p := range everyProtocol() {
		t.Run(p.name, func(t *testing.T) {
			c := p.caller(t, up.url, func(s *setup) { s.options.WriteStall = time.Hour })
			g := c.g
			response := c.send(c.post("/v1/chat/completions", chatRequest))
			g.until("it is stuck", func() bool {
				all := g.proxy.Flights()
				return len(all) == 1 && !all[0].LastWrite.IsZero() && time.Since(all[0].LastWrite) > 100*time.Millisecond
			})
			g.proxy.Ended([]string{g.keys.change(g.key, revokedNow)}, nil)
			g.noneInFlight()
			if line := g.line(response); line["end_reason"] != "revoked" {
				t.Errorf("log %v", line)
			}
		})
	}
}

// What ends one caller's stream on a connection leaves the others be, over every
// protocol.
func TestARevokedKeyEndsItsOwnStreamsOnly(t *testing.T) {
	up := newWireUpstream(t, endless)
	for _, p := range everyProtocol() {
		t.Run(p.name, func(t *testing.T) {
			c := p.caller(t, up.url)
			g := c.g
			lost, kept := g.key, g.keys.issue(t, "kept", nil)
			begin := func(key string) *http.Response {
				g.key = key
				response := c.send(c.post("/v1/chat/completions", chatRequest))
				if _, err := io.ReadFull(response.Body, make([]byte, len(firstEvent))); err != nil {
					t.Fatal(err)
				}
				return response
			}
			other, response := begin(kept), begin(lost)
			g.proxy.Ended([]string{g.keys.change(lost, revokedNow)}, nil)
			rest, err := io.ReadAll(response.Body)
			if !strings.HasPrefix(string(rest), `data: {"error":{"message":"API key \"ci-bot\" was revoked`) || err == nil {
				t.Errorf("%q %v", rest, err)
			}
			if line := g.line(response); line["end_reason"] != "revoked" {
				t.Errorf("log %v", line)
			}
			_ = begin(kept).Body.Close()
			if flights := g.proxy.Flights(); len(flights) == 0 || flights[0].RequestID != other.Header.Get("X-Llmgw-Request-Id") {
				t.Errorf("under way: %+v", flights)
			}
		})
	}
}

func TestARevokedKeyEndsItsSessionAtOnce(t *testing.T) {
	g := newGateway(t, newSocketUpstream(t, holdOpen()).url, allowed, func(s *setup) { s.options.Recheck = time.Hour })
	s := g.handshake(realtime, "")
	s.answered(t)
	g.proxy.Ended([]string{g.keys.change(g.key, revokedNow)}, nil)
	if rest, err := s.rest(); rest != farewell(1008, "the API key is not valid any more") || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	g.ended(s, "revoked")
}

// Of a key whose streams are kept, a session ends when what is being answered
// has been: what comes after is a new request.
func TestASessionOfAKeyWhoseStreamsAreKeptEndsAtRest(t *testing.T) {
	begun, finished := realtimeEvent(responseCreated), responseDoneEvent(1, 1, 0)
	goOn := make(chan struct{})
	up := newSocketUpstream(t, func(c net.Conn, in *bufio.Reader, _ *http.Request) {
		say(c, switched+begun)
		<-goOn
		say(c, finished+frame(0x81, "this comes too late"))
		_, _ = io.Copy(io.Discard, in)
	})
	g := newGateway(t, up.url, allowed, func(s *setup) { s.options.Recheck = time.Millisecond })
	s := g.handshake(realtime, "")
	s.answered(t)
	s.expect(t, begun)
	before := g.keys.timesAsked()
	g.proxy.Ended([]string{g.keys.change(g.key, func(who *accounts.Identity) { who.RevokedAt, who.KeepStreams = time.Now(), true })}, nil)
	g.until("its key was looked at again", func() bool { return g.keys.timesAsked() > before+1 })
	close(goOn)
	if rest, err := s.rest(); rest != finished+farewell(1008, "the API key is not valid any more") || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	g.ended(s, "revoked")
}
