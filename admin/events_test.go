package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// waitBound is how long a test waits for something that comes at once.
const waitBound = 20 * time.Second

// follower reads a stream of events while a test goes on.
type follower struct {
	t      testing.TB
	events chan api.Event
	ended  chan error
	leave  context.CancelFunc
}

// follow opens a stream and waits for its hello.
func (g *gateway) follow(t testing.TB, q api.EventQuery) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{t: t, events: make(chan api.Event, 100_000), ended: make(chan error, 1), leave: cancel}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.ended <- g.Events(ctx, q, func(e api.Event) error { f.events <- e; return nil })
	}()
	t.Cleanup(func() { cancel(); <-done })
	if e := f.next(); e.Hello == nil {
		t.Fatalf("a stream begins with %+v", e)
	}
	return f
}

// next gives the next event.
func (f *follower) next() api.Event {
	f.t.Helper()
	select {
	case e := <-f.events:
		return e
	case err := <-f.ended:
		f.t.Fatalf("the stream ended: %v", err)
	case <-time.After(waitBound):
		f.t.Fatal("no event came")
	}
	return api.Event{}
}

// until gives the ids of exchanges up to the one named, and the tally then.
func (f *follower) until(id string) []string {
	f.t.Helper()
	var all []string
	for {
		if e := f.next(); e.Exchange != nil {
			all = append(all, e.Exchange.RequestID)
			if e.Exchange.RequestID == id {
				return all
			}
		}
	}
}

// tally waits for a tally that is as wanted.
func (f *follower) tally(want func(api.Tally) bool) api.Tally {
	f.t.Helper()
	for {
		if e := f.next(); e.Tally != nil && want(*e.Tally) {
			return *e.Tally
		}
	}
}

func (g *gateway) end(id string, change ...func(*api.Exchange)) {
	x := api.Exchange{
		RequestID: id, Time: g.clock.Now(), Method: "POST", Path: "/v1/messages", Status: 200, EndReason: "complete",
		Key: "ci-bot", User: "dana", Rule: "anthropic", Upstream: "anthropic", Model: "claude-sonnet-5", DurationMS: 900, Node: "a1",
	}
	for _, f := range change {
		f(&x)
	}
	g.server.Ended(x)
}

func TestEventsBeginWithAHelloAndTellOfExchangesAndChanges(t *testing.T) {
	g := open(t)
	f := g.follow(t, api.EventQuery{})
	g.end("req_1")
	told := f.next()
	want := api.Exchange{
		RequestID: "req_1", Time: g.clock.Now(), Method: "POST", Path: "/v1/messages", Status: 200, EndReason: "complete",
		Key: "ci-bot", User: "dana", Rule: "anthropic", Upstream: "anthropic", Model: "claude-sonnet-5", DurationMS: 900, Node: "a1",
	}
	if diff := cmp.Diff(&want, told.Exchange); diff != "" || told.ID == "" {
		t.Errorf("id %q, and:\n%s", told.ID, diff)
	}
	g.server.Changed(accounts.Change{Seq: 42, Revision: 8, Kind: "key.revoke", Subjects: []string{"key:key_1"}, Actor: "dana", From: "10.0.0.1", Why: "leaked", At: g.clock.Now()})
	changed := api.Changed{Seq: 42, Revision: 8, Action: "key.revoke", Subjects: []string{"key:key_1"}, Actor: "dana", Time: g.clock.Now()}
	for {
		if e := f.next(); e.Change != nil {
			if diff := cmp.Diff(&changed, e.Change); diff != "" {
				t.Error(diff)
			}
			return
		}
	}
}

func TestTheHelloSaysWhatIsInForce(t *testing.T) {
	g := open(t)
	stop := errors.New("enough")
	err := g.Events(t.Context(), api.EventQuery{}, func(e api.Event) error {
		if diff := cmp.Diff(&api.Hello{Node: "a1", Seq: 41, Revision: 7}, e.Hello); diff != "" {
			t.Error(diff)
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("the stream ended with %v", err)
	}
}

func TestOnlyTheKindsThatAreAskedForAreTold(t *testing.T) {
	for name, kinds := range map[string][]string{
		"change": {"change"}, "exchange": {"exchange"}, "started": {"started"}, "all": {"started", "exchange", "change"}, "": {"exchange", "change"},
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t)
			q := api.EventQuery{Kinds: kinds}
			if name == "" {
				q.Kinds = nil
			}
			f := g.follow(t, q)
			want, told := map[string]int{}, map[string]int{}
			for _, kind := range kinds {
				want[kind] = 2
			}
			for range 2 { // what nobody asked for comes before the second of what somebody did
				g.server.Started(api.Flight{RequestID: "req_1"})
				g.end("req_1")
				g.server.Changed(accounts.Change{Seq: 42})
			}
			for told["started"]+told["exchange"]+told["change"] < 2*len(kinds) {
				told[kindOf(f.next())]++
			}
			delete(told, "tally")
			if diff := cmp.Diff(want, told); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func kindOf(e api.Event) string {
	switch {
	case e.Started != nil:
		return "started"
	case e.Exchange != nil:
		return "exchange"
	case e.Change != nil:
		return "change"
	case e.Tally != nil:
		return "tally"
	}
	return "hello"
}

func TestExchangesAreFilteredAtTheGateway(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		query  api.EventQuery
		wanted func(*api.Exchange)
		other  func(*api.Exchange)
	}{
		"by a pattern of the model": {
			api.EventQuery{Model: []string{"claude-*"}}, func(*api.Exchange) {}, func(x *api.Exchange) { x.Model = "gpt-5" },
		},
		"by one of two patterns": {
			api.EventQuery{Model: []string{"gpt-*", "*-sonnet-*"}}, func(*api.Exchange) {}, func(x *api.Exchange) { x.Model = "claude-opus-5" },
		},
		"by the key": {
			api.EventQuery{Key: []string{"run@*"}}, func(x *api.Exchange) { x.Key = "run@laptop" }, func(*api.Exchange) {},
		},
		"by the user": {
			api.EventQuery{User: []string{"dana"}}, func(*api.Exchange) {}, func(x *api.Exchange) { x.User = "danae" },
		},
		"by the rule": {
			api.EventQuery{Rule: []string{"anthropic"}}, func(*api.Exchange) {}, func(x *api.Exchange) { x.Rule = "" },
		},
		"by the upstream": {
			api.EventQuery{Upstream: []string{"openai-*"}}, func(x *api.Exchange) { x.Upstream = "openai-eu" }, func(x *api.Exchange) { x.Upstream = "openai" },
		},
		"by a status": {
			api.EventQuery{Status: []string{"429"}}, func(x *api.Exchange) { x.Status = 429 }, func(x *api.Exchange) { x.Status = 400 },
		},
		"by a class of statuses": {
			api.EventQuery{Status: []string{"4xx", "5xx"}}, func(x *api.Exchange) { x.Status = 599 }, func(*api.Exchange) {},
		},
		"by there being no status": {
			api.EventQuery{Status: []string{"000"}}, func(x *api.Exchange) { x.Status = 0 }, func(*api.Exchange) {},
		},
		"by how long it took": {
			api.EventQuery{Slower: 2 * time.Second}, func(x *api.Exchange) { x.DurationMS = 2000 }, func(x *api.Exchange) { x.DurationMS = 1999.9 },
		},
		"by all of it together": {
			api.EventQuery{Model: []string{"gpt-5"}, Status: []string{"2xx"}}, func(x *api.Exchange) { x.Model = "gpt-5" }, func(x *api.Exchange) { x.Model, x.Status = "gpt-5", 500 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits a second for its tally
			g := open(t)
			f := g.follow(t, test.query)
			g.end("req_other", test.other)
			g.end("req_wanted", test.wanted)
			if diff := cmp.Diff([]string{"req_wanted"}, f.until("req_wanted")); diff != "" {
				t.Error(diff)
			}
			got := f.tally(func(t api.Tally) bool { return t.Shown == 1 })
			if diff := cmp.Diff(api.Tally{Shown: 1, Filtered: 1}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStartsAreFilteredByWhatIsKnownThen(t *testing.T) {
	g := open(t)
	f := g.follow(t, api.EventQuery{Kinds: []string{"started"}, Model: []string{"gpt-*"}, Slower: time.Hour, Status: []string{"5xx"}})
	g.server.Started(api.Flight{RequestID: "req_1", Model: "claude-sonnet-5"})
	g.server.Started(api.Flight{RequestID: "req_2", Model: "gpt-5"})
	if e := f.next(); e.Started == nil || e.Started.RequestID != "req_2" {
		t.Errorf("told is %+v", e)
	}
}

func TestWhatWasBeforeIsShownFirst(t *testing.T) {
	g := open(t)
	g.end("req_old")
	g.clock.Pass(10 * time.Minute)
	g.end("req_1")
	g.clock.Pass(time.Minute)
	g.end("req_gpt", func(x *api.Exchange) { x.Model = "gpt-5" })
	g.end("req_2")
	f := g.follow(t, api.EventQuery{Since: 5 * time.Minute, Model: []string{"claude-*"}})
	g.end("req_3")
	if diff := cmp.Diff([]string{"req_1", "req_2", "req_3"}, f.until("req_3")); diff != "" {
		t.Error(diff)
	}
	if got := f.tally(func(t api.Tally) bool { return t.Shown == 3 }); got.Filtered != 1 {
		t.Errorf("tally is %+v", got)
	}
}

func TestAStreamGoesOnWhereTheLastOneEnded(t *testing.T) {
	g := open(t)
	first := g.follow(t, api.EventQuery{})
	g.end("req_1")
	last := first.next().ID
	first.leave()
	g.end("req_2")
	g.clock.Pass(24 * time.Hour)

	f := g.follow(t, api.EventQuery{After: last})
	g.end("req_3")
	if diff := cmp.Diff([]string{"req_2", "req_3"}, f.until("req_3")); diff != "" {
		t.Error(diff)
	}
	restarted := g.follow(t, api.EventQuery{After: "another-7"})
	if diff := cmp.Diff([]string{"req_1", "req_2", "req_3"}, restarted.until("req_3")); diff != "" {
		t.Errorf("after a restart:\n%s", diff)
	}
	nonsense := g.follow(t, api.EventQuery{After: "nonsense"})
	g.end("req_4")
	if diff := cmp.Diff([]string{"req_4"}, nonsense.until("req_4")); diff != "" {
		t.Errorf("after what is no id:\n%s", diff)
	}
}

func TestAStreamThatSawNothingGoesOnWhereItBegan(t *testing.T) {
	g := open(t)
	g.end("req_1")
	var hello string
	stop := errors.New("enough")
	if err := g.Events(t.Context(), api.EventQuery{}, func(e api.Event) error { hello = e.ID; return stop }); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	g.end("req_2")
	f := g.follow(t, api.EventQuery{After: hello})
	if diff := cmp.Diff([]string{"req_2"}, f.until("req_2")); hello == "" || diff != "" {
		t.Errorf("after %q:\n%s", hello, diff)
	}
}

func TestTheLastTenThousandExchangesAreRemembered(t *testing.T) {
	g := open(t)
	for i := range 10_007 {
		g.end("req_" + strconv.Itoa(i))
	}
	f := g.follow(t, api.EventQuery{Since: time.Hour})
	all := f.until("req_10006")
	if len(all) != 10_000 || all[0] != "req_7" {
		t.Errorf("%d are remembered, the first is %s", len(all), all[0])
	}
}

// TestNothingIsLostOrToldTwiceWhereThePastMeetsThePresent opens streams while
// exchanges end: each sees every exchange once.
func TestNothingIsLostOrToldTwiceWhereThePastMeetsThePresent(t *testing.T) {
	for range 20 {
		g := open(t)
		const feeders, each = 4, 40 // fewer together than are shown in a second
		var feeding sync.WaitGroup
		for n := range feeders {
			feeding.Go(func() {
				for i := range each {
					g.end(fmt.Sprintf("req_%d_%d", n, i))
				}
			})
		}
		f := g.follow(t, api.EventQuery{Since: time.Hour})
		feeding.Wait()
		seen := map[string]int{}
		for len(seen) < feeders*each {
			if e := f.next(); e.Exchange != nil {
				seen[e.Exchange.RequestID]++
			}
		}
		g.end("req_last")
		for _, id := range f.until("req_last") {
			seen[id]++
		}
		for id, times := range seen {
			if times != 1 {
				t.Fatalf("%s was told %d times", id, times)
			}
		}
	}
}

func TestMoreThanAStreamShowsIsCounted(t *testing.T) {
	g := open(t)
	f := g.follow(t, api.EventQuery{})
	const many = 5000
	for i := range many {
		g.end("req_" + strconv.Itoa(i))
	}
	got := f.tally(func(t api.Tally) bool { return t.Shown+t.Dropped == many })
	if got.Shown < 200 || got.Shown > 1000 || got.Filtered != 0 {
		t.Errorf("tally is %+v", got)
	}
	if metrics := g.metrics(t); !strings.Contains(metrics, "llmgw_events_dropped_total "+strconv.FormatInt(got.Dropped, 10)) {
		t.Errorf("%d were dropped, and the metrics are\n%s", got.Dropped, metrics)
	}
}

func (g *gateway) metrics(t testing.TB) string {
	t.Helper()
	families, err := g.registry.Gather()
	must(t, err)
	var b strings.Builder
	for _, family := range families {
		for _, m := range family.GetMetric() {
			fmt.Fprintf(&b, "%s %v\n", family.GetName(), m.GetGauge().GetValue()+m.GetCounter().GetValue())
		}
	}
	return b.String()
}

// TestAReaderThatTakesNothingHoldsNobody opens a stream and never reads.
func TestAReaderThatTakesNothingHoldsNobody(t *testing.T) {
	g := open(t)
	conn, err := new(net.Dialer).DialContext(t.Context(), "unix", g.socket)
	must(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /api/v1/events HTTP/1.1\r\nHost: llmgw\r\n\r\n")
	must(t, err)
	g.await(t, "llmgw_event_streams 1")
	begun := time.Now()
	long := strings.Repeat("m", 250)
	for range 200_000 {
		g.end("req_1", func(x *api.Exchange) { x.Model, x.Path = long, long })
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("200,000 exchanges took %s", took)
	}
	if metrics := g.metrics(t); strings.Contains(metrics, "llmgw_events_dropped_total 0\n") {
		t.Errorf("nothing was dropped:\n%s", metrics)
	}
}

// await waits for a line of the metrics.
func (g *gateway) await(t testing.TB, line string) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(waitBound); !strings.Contains(g.metrics(t), line+"\n"); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in\n%s", line, g.metrics(t))
		}
	}
}

func TestThereAreOnlySoManyStreams(t *testing.T) {
	g := open(t)
	all := make([]*follower, 64)
	for i := range all {
		all[i] = g.follow(t, api.EventQuery{})
	}
	g.await(t, "llmgw_event_streams 64")
	err := g.Events(t.Context(), api.EventQuery{}, func(api.Event) error { return nil })
	refusedWith(t, err, api.CodeUnavailable, 503, "64 streams of events are open already")

	all[0].leave()
	g.await(t, "llmgw_event_streams 63")
	g.follow(t, api.EventQuery{})
}

func TestStreamsEndWithTheServer(t *testing.T) {
	g := open(t)
	followers := []*follower{g.follow(t, api.EventQuery{}), g.follow(t, api.EventQuery{})}
	begun := time.Now()
	g.server.Close()
	if took := time.Since(begun); took > 900*time.Millisecond {
		t.Errorf("they were waited for %s", took)
	}
	for _, f := range followers {
		select {
		case err := <-f.ended:
			refusedWith(t, err, api.CodeUnreachable, 0, "the gateway ended the events")
		case <-time.After(waitBound):
			t.Fatal("a stream goes on")
		}
	}
	err := g.Events(t.Context(), api.EventQuery{}, func(api.Event) error { return nil })
	refusedWith(t, err, api.CodeUnavailable, 503, "the gateway is stopping")
	g.server.Close() // for the second time
	g.end("req_1")
	if _, err := g.Streams(t.Context()); err != nil {
		t.Errorf("other calls: %v", err)
	}
}

func TestAChangeOfEverythingBeginsAnew(t *testing.T) {
	g := open(t)
	f := g.follow(t, api.EventQuery{Kinds: []string{"change"}})
	g.server.Changed(accounts.Change{Seq: 42, Subjects: []string{"*"}})
	if e := f.next(); e.Hello == nil {
		t.Errorf("told is %+v", e)
	}
	g.server.Changed(accounts.Change{Seq: 43, Subjects: []string{"key:key_1"}})
	if e := f.next(); e.Change == nil || e.Change.Seq != 43 {
		t.Errorf("then %+v", e)
	}
}

func TestLongTextsOfCallersAreCut(t *testing.T) {
	g := open(t)
	f := g.follow(t, api.EventQuery{})
	long := strings.Repeat("ä", 1<<20)
	g.end("req_1", func(x *api.Exchange) { x.Path, x.Model, x.UpstreamModel = long, "a"+long, "short" })
	got := f.next().Exchange
	if want := strings.Repeat("ä", 128) + "…"; got.Path != want {
		t.Errorf("path is %q", got.Path)
	}
	if want := "a" + strings.Repeat("ä", 127) + "…"; got.Model != want || got.UpstreamModel != "short" {
		t.Errorf("models are %q and %q", got.Model, got.UpstreamModel)
	}
}

func TestEventsNeedALoginAtTheListener(t *testing.T) {
	g := open(t)
	base := g.listen(t)
	tokens := g.everybody(t, base)
	enough := errors.New("enough")
	follow := func(token string) error {
		return as(t, base, token).Events(t.Context(), api.EventQuery{}, func(api.Event) error { return enough })
	}
	if err := follow(tokens[accounts.RoleViewer]); !errors.Is(err, enough) {
		t.Errorf("a viewer: %v", err)
	}
	refusedWith(t, follow(tokens[accounts.RoleMember]), api.CodeDenied, 403, "this needs the role viewer")
	refusedWith(t, follow(""), api.CodeDenied, 401, "no login in the request")
}

func TestQueriesOfEventsThatAreRefused(t *testing.T) {
	g := open(t)
	for query, field := range map[string]string{
		"kind=everything":                      "",
		"status=4x":                            "status",
		"status=abc":                           "status",
		"status=9xx":                           "status",
		"slower=fast":                          "slower",
		"slower=-1s":                           "slower",
		"since=yesterday":                      "since",
		"model=" + strings.Repeat("*", 257):    "",
		strings.Repeat("model=a&", 17):         "",
		"nonsense=sk-lgw-canary":               "",
		"slower=sk-lgw-canary&since=canary-ab": "slower",
	} {
		response, text := g.raw(t, "GET", "/api/v1/events?"+query, "", "")
		if response.StatusCode != 422 || strings.Contains(text, "canary") {
			t.Errorf("%.40s: %d %s", query, response.StatusCode, text)
		}
		if field != "" && !strings.Contains(text, `"field":"`+field+`"`) {
			t.Errorf("%.40s: no word of the field in %s", query, text)
		}
	}
	g.await(t, "llmgw_event_streams 0")
}
