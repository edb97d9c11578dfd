package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/proxy"
)

// TestTheWholeWayOfAnExchangeIsTold follows a gateway while a key is made and a
// stream begins, stands still and is cut.
func TestTheWholeWayOfAnExchangeIsTold(t *testing.T) {
	data := shortDir(t)
	serveAt(t, data)
	client := api.NewClient(api.Options{Socket: filepath.Join(data, socketName)})
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	events := make(chan api.Event, 1000)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = client.Events(ctx, api.EventQuery{Kinds: []string{"change", "started", "exchange"}}, func(e api.Event) error { events <- e; return nil })
	}()
	defer func() { cancel(); <-ended }()
	next := func(what string, is func(api.Event) bool) api.Event {
		t.Helper()
		for {
			select {
			case e := <-events:
				if is(e) {
					return e
				}
			case <-ctx.Done():
				t.Fatalf("waited in vain for %s", what)
			}
		}
	}
	next("hello", func(e api.Event) bool { return e.Hello != nil && e.Hello.Node == nodeName() })

	if _, err := client.CreateKey(ctx, api.NewKey{Name: "ci-bot"}); err != nil {
		t.Fatal(err)
	}
	change := next("the change", func(e api.Event) bool { return e.Change != nil && e.Change.Action == "key.create" }).Change
	if len(change.Subjects) != 1 || change.Actor != "local" || change.Seq == 0 || change.Time.IsZero() {
		t.Errorf("the change is %+v", change)
	}

	stalled := make(chan int, 1)
	go func() {
		code, _ := types(t, "", "chat", "--data", data, "--model", "mock-stall", "hello")
		stalled <- code
	}()
	started := next("the start", func(e api.Event) bool { return e.Started != nil }).Started
	if started.Model != "mock-stall" || started.Upstream != "mock" || started.RequestID == "" {
		t.Errorf("the start is %+v", started)
	}
	until(t, "the first token", func() bool {
		flights, err := client.Streams(ctx)
		return err == nil && len(flights.Items) == 1 && flights.Items[0].RequestID == started.RequestID && flights.Items[0].FirstToken > 0 && flights.Items[0].SentBytes > 0
	})
	if _, err := client.CutStream(ctx, started.RequestID); err != nil {
		t.Fatal(err)
	}
	x := next("the end", func(e api.Event) bool { return e.Exchange != nil }).Exchange
	if x.RequestID != started.RequestID || x.EndReason != "revoked" || x.Status != 200 || x.DurationMS <= 0 || x.Revision == 0 {
		t.Errorf("the exchange is %+v", x)
	}
	if w := x.Timing; w == nil || w.Dispatched <= 0 || w.Header < w.Dispatched || w.FirstByte < w.Header || w.FirstByte > x.FirstTokenMS || w.Chunks < 1 {
		t.Errorf("its timing is %+v, the first token was at %v", w, x.FirstTokenMS)
	}
	if code := <-stalled; code != exitFailed {
		t.Errorf("chat ended with %d", code)
	}
}

func TestTimingIsToldWithoutTheStepsAfterTheLastGap(t *testing.T) {
	x := proxy.Exchange{RequestID: "req_1"}
	if view := viewExchange(&x); view.Timing != nil {
		t.Errorf("of what was never sent: %+v", view.Timing)
	}
	const ms = time.Millisecond
	x.Timing = proxy.Timing{
		Body: ms, Dispatched: 2 * ms, Connect: 1500 * time.Microsecond, Header: 3 * ms, FirstByte: 4 * ms, Writes: 2, Gap: 20 * ms, GapAt: 24 * ms, GapStep: 16 * ms,
	}
	view := viewExchange(&x).Timing
	want := &api.Timing{Body: 1, Dispatched: 2, Connect: 1.5, Header: 3, FirstByte: 4, Chunks: 2, Gap: 20, GapAt: 24}
	if diff := cmp.Diff(want, view); diff != "" {
		t.Error(diff)
	}
	x.Timing.Gaps[1] = 20
	want.GapStep, want.Gaps = 16, []int32{0, 20}
	view = viewExchange(&x).Timing
	x.Timing.Gaps[1] = 21 // what was told is its own
	if diff := cmp.Diff(want, view); diff != "" {
		t.Error(diff)
	}
}
