package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// notebook is a Watcher that keeps what it is told.
type notebook struct {
	mu      sync.Mutex
	started []Flight
	ended   []Exchange
}

func (n *notebook) Started(f Flight) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.started = append(n.started, f)
}

func (n *notebook) Ended(e Exchange) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = append(n.ended, e)
}

func (n *notebook) read() ([]Flight, []Exchange) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.started), slices.Clone(n.ended)
}

func dana(who *accounts.Identity) { who.UserID, who.UserName = "user_1", "dana" }

func TestAWatcherIsToldWhatTheAccessLineSays(t *testing.T) {
	up := newWireUpstream(t, func(c net.Conn, _ *sent) bool {
		say(c, answerText("application/json", `{"usage":{"prompt_tokens":3,"completion_tokens":4}}`))
		return true
	})
	g := newGateway(t, up.url, func(s *setup) { s.config.Files[0].Rules[0].Action.Model = "gpt-real" })
	g.key = g.keys.issue(t, "ci-bot", dana)
	var notes notebook
	stop := g.proxy.Watch(&notes)
	response, _, _ := g.do(g.post("/v1/chat/completions", `{"model":"gpt-x","stream":true}`))
	line := g.line(response)
	started, ended := notes.read()
	if len(started) != 1 {
		t.Fatalf("%d were told as begun", len(started))
	}
	f, e := started[0], ended[0]
	if f.RequestID != line["request_id"] || f.Method != "POST" || f.Path != "/v1/chat/completions" || f.Key != "ci-bot" || f.User != "dana" || f.UserID != "user_1" ||
		f.Rule != "everything" || f.Upstream != "up" || f.Model != "gpt-x" || f.UpstreamModel != "gpt-real" || !f.Stream || f.Status != 0 || f.Node != "test" || f.StartedAt.IsZero() {
		t.Errorf("begun: %+v", f)
	}
	for name, pair := range map[string][2]any{
		"request_id": {line["request_id"], e.RequestID}, "method": {line["method"], e.Method}, "path": {line["path"], e.Path},
		"status": {line["status"], float64(e.Status)}, "end_reason": {line["end_reason"], e.EndReason}, "error": {line["error"], e.Error},
		"key": {line["key"], e.Key}, "user": {line["user"], e.User}, "rule": {line["rule"], e.Rule}, "upstream": {line["upstream"], e.Upstream},
		"wire": {line["wire"], e.Wire}, "model": {line["model"], e.Model}, "upstream_model": {line["upstream_model"], e.UpstreamModel},
		"stream": {line["stream"], e.Stream}, "duration_ms": {line["duration_ms"], ms(e.Duration)}, "upstream_ms": {line["upstream_ms"], ms(e.UpstreamTook)},
		"overhead_us": {line["overhead_us"], float64(e.Overhead.Microseconds())}, "request_bytes": {line["request_bytes"], float64(e.RequestBytes)},
		"response_bytes": {line["response_bytes"], float64(e.ResponseBytes)}, "attempts": {line["attempts"], float64(e.Attempts)},
		"revision": {line["revision"], float64(e.Revision)}, "node": {line["node"], e.Node},
		"input_tokens": {line["input_tokens"], float64(e.Usage.InputTokens.N)}, "output_tokens": {line["output_tokens"], float64(e.Usage.OutputTokens.N)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: logged %v, told %v", name, pair[0], pair[1])
		}
	}
	stop()
	g.answered(g.post("/x", "{}"))
	if started, ended := notes.read(); len(started) != 1 || len(ended) != 1 {
		t.Errorf("told of %d and %d after it left", len(started), len(ended))
	}
}

// answered sends a request and waits for its access line.
func (g *gateway) answered(r *http.Request) {
	g.t.Helper()
	response, _, err := g.do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	g.line(response)
}

func TestEveryWatcherIsToldUntilItLeaves(t *testing.T) {
	g := newGateway(t, newWireUpstream(t, behave("ok")).url)
	var first, second notebook
	leaveFirst, leaveTwin, leaveSecond := g.proxy.Watch(&first), g.proxy.Watch(&first), g.proxy.Watch(&second)
	told := func(want ...int) {
		t.Helper()
		g.answered(g.post("/x", "{}"))
		_, a := first.read()
		_, b := second.read()
		if got := []int{len(a), len(b)}; !slices.Equal(got, want) {
			t.Errorf("told of %v, want %v", got, want)
		}
	}
	told(2, 1)
	leaveFirst()
	leaveFirst() // again: no other is meant
	told(3, 2)
	leaveTwin()
	told(3, 3)
	leaveSecond()
	told(3, 3)
	if g.proxy.watchers.all.Load() != nil {
		t.Error("a list of nobody is looked through")
	}
}

// Requests that are refused end, and were never sent; those that are sent again
// began once.
func TestWhatAWatcherIsNotTold(t *testing.T) {
	g := newFallbackGateway(t, on("503"), "503", "ok")
	var notes notebook
	defer g.proxy.Watch(&notes)()
	g.answered(g.post("/x", "{}"))
	key := g.key
	g.key = "sk-lgw-nobodys"
	g.answered(g.post("/x", "{}"))
	g.key = key
	started, ended := notes.read()
	if len(started) != 1 || ended[0].Attempts != 2 || ended[1].Status != 401 || ended[1].Key != "" || ended[1].EndReason != "rejected" {
		t.Errorf("begun %+v, ended %+v", started, ended)
	}
	for _, e := range ended {
		if strings.Contains(fmt.Sprintf("%+v", e), accounts.KeyPrefix) {
			t.Errorf("a key is told: %+v", e)
		}
	}
}

func TestFlightsTellHowFarAStreamHasCome(t *testing.T) {
	goOn := make(chan struct{})
	asked := make(chan struct{}, 1)
	up := newWireUpstream(t, func(c net.Conn, r *sent) bool {
		asked <- struct{}{}
		<-goOn
		return endless(c, r)
	})
	g := newGateway(t, up.url)
	g.key = g.keys.issue(t, "ci-bot", dana)
	c := g.dial()
	say(c, g.head(len(chatRequest)), chatRequest)
	waitFor(t, asked)
	if f := g.flight(); f.Status != 0 || f.SentBytes != 0 || f.FirstToken != 0 || !f.LastWrite.IsZero() || f.Upstream != "up" || f.User != "dana" {
		t.Errorf("before its answer: %+v", f)
	}
	close(goOn)
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, len(firstEvent))); err != nil {
		t.Fatal(err)
	}
	g.until("its first token is told", func() bool { return g.flight().FirstToken > 0 })
	if f := g.flight(); f.Status != 200 || f.SentBytes != int64(len(firstEvent)) || f.LastWrite.IsZero() || !f.Stream {
		t.Errorf("in the middle: %+v", f)
	}
	_ = c.Close()
	g.noneInFlight()
	if left := g.proxy.Flights(); len(left) != 0 {
		t.Errorf("afterwards: %+v", left)
	}
}

// flight gives the one that is under way.
func (g *gateway) flight() Flight {
	g.t.Helper()
	all := g.proxy.Flights()
	if len(all) != 1 {
		g.t.Fatalf("under way: %+v", all)
	}
	return all[0]
}

func TestFlightsAreOldestFirstAndHaveNoStrangers(t *testing.T) {
	g := newGateway(t, newWireUpstream(t, endless).url)
	h := client(t)
	var want []string
	for range 20 {
		want = append(want, g.startStream(h, "/v1/chat/completions").Header.Get("X-Llmgw-Request-Id"))
	}
	x := g.proxy.begin(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/x", http.NoBody))
	defer g.proxy.flights.remove(x)
	var got []string
	for _, f := range g.proxy.Flights() {
		got = append(got, f.RequestID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, id := range want {
		g.proxy.Cut(id)
	}
}

func TestAnOperatorCutsOneStream(t *testing.T) {
	g := newGateway(t, newWireUpstream(t, endless).url)
	h := client(t)
	response, other := g.startStream(h, "/v1/chat/completions"), g.startStream(h, "/v1/chat/completions")
	if g.proxy.Cut("req_nobody") {
		t.Error("what is not there was cut")
	}
	id := response.Header.Get("X-Llmgw-Request-Id")
	if !g.proxy.Cut(id) {
		t.Fatal("not found")
	}
	rest, err := io.ReadAll(response.Body)
	if !strings.HasPrefix(string(rest), `data: {"error":{"message":"an operator of the gateway cut this request; the stream was cut"`) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q %v", rest, err)
	}
	if line := g.line(response); line["end_reason"] != "revoked" {
		t.Errorf("log %v", line)
	}
	g.until("one is left", func() bool { return len(g.proxy.Flights()) == 1 })
	if g.proxy.Cut(id) {
		t.Error("cut twice")
	}
	_ = other.Body.Close()
}

func TestAnOperatorCutsWhatHasNoAnswerYet(t *testing.T) {
	asked := make(chan struct{}, 1)
	up := newWireUpstream(t, func(_ net.Conn, r *sent) bool { asked <- struct{}{}; <-r.gone; return false })
	g := newGateway(t, up.url)
	go func() {
		<-asked
		g.proxy.Cut(g.proxy.Flights()[0].RequestID)
	}()
	response, body, _ := g.do(g.post("/v1/chat/completions", chatRequest))
	if response.StatusCode != 400 || response.Header.Get("X-Llmgw-Error") != codeCut || response.Header.Get("X-Should-Retry") != "false" {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	g.line(response)
}

func TestAnOperatorCutsASession(t *testing.T) {
	g := newGateway(t, newSocketUpstream(t, holdOpen()).url, allowed)
	s := g.handshake(realtime, "")
	g.proxy.Cut(s.answered(t).Header.Get("X-Llmgw-Request-Id"))
	if rest, err := s.rest(); rest != farewell(1008, "an operator of the gateway ended this session") || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	g.ended(s, "revoked")
}

func TestTheLastUseOfEachKeyIsTold(t *testing.T) {
	g := newGateway(t, newWireUpstream(t, behave("ok")).url)
	first := g.keys.change(g.key, func(*accounts.Identity) {})
	firstKey := g.key
	began := time.Now()
	for range 3 * flightShards {
		g.statusOf(g.post("/x", "{}"))
	}
	g.key = g.keys.issue(t, "second", nil)
	second := g.keys.change(g.key, func(*accounts.Identity) {})
	between := time.Now()
	g.statusOf(g.post("/x", "{}"))
	g.key = g.keys.issue(t, "revoked", revokedNow)
	g.statusOf(g.post("/x", "{}"))
	used := g.proxy.UsedKeys()
	if len(used) != 2 || used[first].Before(began) || !used[first].Before(between) || used[second].Before(between) {
		t.Errorf("%v, want %s from %s and %s from %s", used, first, began, second, between)
	}
	if again := g.proxy.UsedKeys(); len(again) != 0 {
		t.Errorf("told twice: %v", again)
	}
	g.key = firstKey
	g.statusOf(g.post("/x", "{}"))
	if again := g.proxy.UsedKeys(); len(again) != 1 {
		t.Errorf("%v", again)
	}
}

// Everything that looks on, while thousands of exchanges come, are cut and end.
func TestLookingOnWhileExchangesComeAndGo(t *testing.T) {
	g := newGateway(t, newWireUpstream(t, endless).url)
	keys := make([]string, 8)
	ids := make([]string, len(keys))
	for i := range keys {
		keys[i] = g.keys.issue(t, fmt.Sprint("key-", i), dana)
		ids[i] = g.keys.change(keys[i], func(*accounts.Identity) {})
	}
	done := make(chan struct{})
	var lookers sync.WaitGroup
	lookers.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			var notes notebook
			stop := g.proxy.Watch(&notes)
			for i, f := range g.proxy.Flights() {
				if i%3 == 0 {
					g.proxy.Cut(f.RequestID)
				}
			}
			g.proxy.Ended(ids[n%len(ids):n%len(ids)+1], []string{"user_1"})
			g.proxy.UsedKeys()
			g.proxy.Credentials()
			stop()
		}
	})
	h := client(t)
	var clients sync.WaitGroup
	for n := range 16 {
		clients.Go(func() {
			for range 25 {
				r := g.post("/v1/chat/completions", chatRequest)
				r.Header.Set("Authorization", "Bearer "+keys[n%len(keys)])
				response, err := h.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.ReadAll(response.Body) // until it is cut
				_ = response.Body.Close()
			}
		})
	}
	clients.Wait()
	close(done)
	lookers.Wait()
	g.noneInFlight()
	g.oneLineEach(t)
}

// answering is a proxy whose one rule answers, for what an exchange costs
// without the network.
func answering(t testing.TB) (*gateway, *http.Request) {
	g := newGateway(t, "http://127.0.0.1:1", func(s *setup) {
		s.options.Log = s.options.Log.Level(-1).Output(io.Discard)
		s.config.Files[0].Rules[0].Action = rules.Action{Respond: &rules.Respond{Status: 200, Body: "ok"}}
	})
	r := httptest.NewRequest(http.MethodGet, "/x", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+g.key)
	return g, r
}

func TestNobodyWatchingCostsNothing(t *testing.T) {
	g, r := answering(t)
	x := g.proxy.begin(httptest.NewRecorder(), r)
	defer g.proxy.flights.remove(x)
	if f := x.authenticate(); f != nil {
		t.Fatal(f)
	}
	if n := testing.AllocsPerRun(100, func() { x.tellSent(); x.tellEnded() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// counting is the cheapest Watcher there can be.
type counting struct{ started, ended int }

func (c *counting) Started(Flight) { c.started++ }
func (c *counting) Ended(Exchange) { c.ended++ }

// BenchmarkWatched takes turns, some hundred exchanges each, with and without
// somebody who looks on, and tells what that costs: where a rule answers, and
// where an upstream does, which is in this process and counts in both.
func BenchmarkWatched(b *testing.B) {
	b.Run("answered here", func(b *testing.B) {
		g, r := answering(b)
		benchmarkWatched(b, g, func() { g.proxy.ServeHTTP(httptest.NewRecorder(), r) })
	})
	b.Run("sent on", func(b *testing.B) {
		g := newGateway(b, newWireUpstream(b, behave("ok")).url, func(s *setup) { s.options.Log = s.options.Log.Output(io.Discard) })
		h := client(b)
		benchmarkWatched(b, g, func() {
			response, err := h.Do(g.post("/v1/chat/completions", chatRequest))
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		})
	})
}

func benchmarkWatched(b *testing.B, g *gateway, exchange func()) {
	const turn = 300
	run := func() time.Duration {
		began := time.Now()
		for range turn {
			exchange()
		}
		return time.Since(began)
	}
	run()
	var without, with []time.Duration
	for b.Loop() {
		without = append(without, run())
		stop := g.proxy.Watch(&counting{})
		with = append(with, run())
		stop()
	}
	alone, _ := percentiles(without)
	watched, _ := percentiles(with)
	b.ReportMetric(float64(watched)/float64(alone), "watched/unwatched")
	b.ReportMetric(float64(alone.Nanoseconds())/turn, "ns/exchange")
	b.ReportMetric(float64((watched-alone).Nanoseconds())/turn, "ns/watched")
	b.ReportMetric(0, "ns/op")
}
