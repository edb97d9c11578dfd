package admin_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/fleet"
	"github.com/llmgw/llmgw/admin/window"
	"github.com/llmgw/llmgw/store/storetest/inprocess"
)

// neighbour is another node on the bus of a gateway.
type neighbour struct {
	*fleet.Fleet
	mu      sync.Mutex
	flights []api.Flight
	cutBy   []fleet.Actor
	end     func()
}

// withNeighbour starts a gateway anew, beside another node named b1.
func (g *gateway) withNeighbour(t *testing.T) *neighbour {
	t.Helper()
	return g.withNeighbourWho(t, nil)
}

// withNeighbourWho is withNeighbour, and the other node tells what ended there.
func (g *gateway) withNeighbourWho(t *testing.T, tells func(window.Query) window.Part) *neighbour {
	t.Helper()
	bus := inprocess.New()
	secret := func(context.Context) ([]byte, error) { return bytes.Repeat([]byte{5}, 32), nil }
	g.store.others = []accounts.Node{{ID: "node_b", Name: "b1"}}
	g.fleet = fleet.Options{Bus: bus, Secret: secret, Self: "node_a", Name: "a1"}
	g.restart(t, nil)
	run(t, g.server.Join)
	b := &neighbour{}
	b.Fleet = fleet.New(fleet.Options{
		Bus: bus, Secret: secret, Self: "node_b", Name: "b1", Log: zerolog.Nop(),
		Nodes:   func(context.Context) ([]accounts.Node, error) { return nil, nil },
		Flights: func() []api.Flight { b.mu.Lock(); defer b.mu.Unlock(); return slices.Clone(b.flights) },
		Cut:     b.cut, Hear: func(fleet.Heard) {}, Tell: func(*api.Partial) {}, Traffic: tells,
	})
	b.end = run(t, b.Run)
	until(t, "they hear each other", func() bool {
		all, err := g.Streams(t.Context())
		return err == nil && all.Partial == nil
	})
	return b
}

// run runs something until the test ends, or the function that it gives is called.
func run(t *testing.T, what func(context.Context) error) (end func()) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- what(ctx) }()
	end = sync.OnceFunc(func() {
		if stop(); <-done != nil {
			t.Error("it ended with an error")
		}
	})
	t.Cleanup(end)
	return end
}

func until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(waitBound); !reached(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (n *neighbour) cut(id string, by fleet.Actor) *api.Flight {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := slices.IndexFunc(n.flights, func(f api.Flight) bool { return f.RequestID == id })
	if at < 0 {
		return nil
	}
	gone := n.flights[at]
	n.flights, n.cutBy = slices.Delete(n.flights, at, at+1), append(n.cutBy, by)
	return &gone
}

func TestWhatPassesOnAnotherNodeIsToldAndCounted(t *testing.T) {
	g := open(t)
	b := g.withNeighbour(t)
	f := g.follow(t, api.EventQuery{Kinds: []string{"exchange", "started"}, Model: []string{"claude-*"}})
	until(t, "the other node knows", b.Watched)
	b.Started(&api.Flight{RequestID: "req_b", Model: "claude-5"})
	b.Ended(&api.Exchange{RequestID: "req_b", Model: "claude-5"})
	b.Ended(&api.Exchange{RequestID: "req_other", Model: "gpt-5"})
	start, end := f.next(), f.next()
	if start.Started == nil || start.Started.RequestID != "req_b" || start.Started.Node != "b1" {
		t.Errorf("the start is %+v", start)
	}
	// Where to go on says what is remembered, which is of this node only.
	if end.Exchange == nil || end.Exchange.RequestID != "req_b" || end.Exchange.Node != "b1" || end.ID != "" {
		t.Errorf("the end is %+v", end)
	}
	g.end("req_a", func(x *api.Exchange) { x.Model = "claude-5" })
	if own := f.until("req_a"); !slices.Equal(own, []string{"req_a"}) {
		t.Errorf("then came %q", own)
	}
	f.tally(func(n api.Tally) bool { return n == api.Tally{Shown: 3, Filtered: 1} })
	for range 1000 {
		b.Ended(&api.Exchange{RequestID: "req_flood", Model: "claude-5"})
	}
	f.tally(func(n api.Tally) bool { return n.Shown+n.Dropped == 1003 && n.Dropped > 0 && n.Filtered == 1 })
	f.leave()
	until(t, "nobody looks", func() bool { return !b.Watched() })
}

func TestWhoOnlyFollowsChangesHasNobodyPublish(t *testing.T) {
	g := open(t)
	b := g.withNeighbour(t)
	f := g.follow(t, api.EventQuery{Kinds: []string{"change"}})
	other := g.follow(t, api.EventQuery{Kinds: []string{"exchange"}})
	until(t, "the other node knows", b.Watched)
	other.leave()
	until(t, "nobody looks", func() bool { return !b.Watched() })
	b.end()
	g.server.Changed(accounts.Change{Seq: 42})
	if e := f.next(); e.Change == nil {
		t.Errorf("told was %+v", e)
	}
}

func TestAReaderIsToldOnceWhoseExchangesAreMissing(t *testing.T) {
	g := open(t)
	g.withNeighbour(t).end()
	want := &api.Partial{Nodes: []string{"b1"}, Problem: "no answer"}
	f := g.follow(t, api.EventQuery{})
	if e := f.next(); !cmp.Equal(e.Partial, want) {
		t.Fatalf("told was %+v", e)
	}
	late := g.follow(t, api.EventQuery{}) // it was known before
	if e := late.next(); !cmp.Equal(e.Partial, want) {
		t.Errorf("a reader that comes later is told %+v", e)
	}
	g.end("req_a")
	if e := f.next(); e.Exchange == nil {
		t.Errorf("then came %+v", e)
	}
}

func TestAStreamOfAnotherNodeIsListedAndCut(t *testing.T) {
	g := open(t)
	b := g.withNeighbour(t)
	b.flights = []api.Flight{{RequestID: "req_b", StartedAt: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}}
	g.node.fly("req_a", time.Second)
	all, err := g.Streams(t.Context())
	must(t, err)
	if diff := cmp.Diff([]string{"req_b", "req_a"}, ids(all.Items)); diff != "" || all.Items[0].Node != "b1" {
		t.Errorf("in flight are %+v", all)
	}
	cut, err := g.CutStream(t.Context(), "req_b")
	must(t, err)
	if cut.RequestID != "req_b" || cut.Node != "b1" || !slices.Equal(b.cutBy, []fleet.Actor{{Name: "local", From: "socket"}}) {
		t.Errorf("cut was %+v, by %+v", cut, b.cutBy)
	}
	_, err = g.CutStream(t.Context(), "req_b")
	refusedWith(t, err, api.CodeNotFound, 404)
	b.end()
	_, err = g.CutStream(t.Context(), "req_canary")
	refusal := refusedWith(t, err, api.CodeUnavailable, 503)
	if !strings.Contains(refusal.Detail, "it may be on b1: no answer") || strings.Contains(refusal.Detail, "canary") {
		t.Errorf("refused with %s", refusal.Detail)
	}
	all, err = g.Streams(t.Context())
	must(t, err)
	if diff := cmp.Diff(&api.Partial{Nodes: []string{"b1"}, Problem: "no answer"}, all.Partial); diff != "" {
		t.Error(diff)
	}
	if _, err := g.CutStream(t.Context(), "req_a"); err != nil {
		t.Errorf("what is here is cut without the others: %v", err)
	}
}
