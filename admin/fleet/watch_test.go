package fleet

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/admin/api"
)

func TestAReaderSeesWhatPassesOnAllOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 3)
		a, b, d := c.members[0], c.members[1], c.members[2]
		c.watches(a, Filter{Ended: true, Started: true, Model: []string{"claude-*"}})
		b.Started(&api.Flight{RequestID: "req_b", Model: "claude-5", Node: "x"})
		b.Ended(exchange("req_b", "claude-5"))
		b.Ended(exchange("req_other", "gpt-5"))
		d.Ended(exchange("req_c", "claude-5"))
		d.Started(&api.Flight{RequestID: "req_other", Model: "gpt-5"})
		a.Ended(exchange("req_a", "claude-5")) // of this node the reader hears elsewhere
		c.until("the counts", func() bool { h := a.knows(); return h.FilteredEnded == 1 && h.FilteredStarted == 1 })
		h := a.knows()
		var seen []string
		for _, x := range h.Ended {
			seen = append(seen, x.RequestID+" at "+x.Node)
		}
		slices.Sort(seen)
		if diff := cmp.Diff([]string{"req_b at b", "req_c at c"}, seen); diff != "" {
			t.Error(diff)
		}
		if len(h.Started) != 1 || h.Started[0].RequestID != "req_b" || h.Started[0].Node != "b" || h.Dropped != 0 {
			t.Errorf("heard was %+v", h)
		}
		if b := b.knows(); len(b.Ended)+len(b.Started) != 0 {
			t.Errorf("who does not look heard %+v", b)
		}
		if told := a.tellings(); len(told) != 0 {
			t.Errorf("something is missing: %+v", told[0])
		}
	})
}

func TestWithNobodyLookingNothingIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 2)
		for range 1000 {
			c.members[1].Ended(exchange("req", "m"))
		}
		synctest.Wait()
		time.Sleep(time.Hour) //nolint:forbidigo // the bubble's time
		for _, m := range c.members {
			if n := m.bus.published.Load(); n != 0 {
				t.Errorf("%s has published %d messages", m.options.Name, n)
			}
		}
	})
}

func TestALeaseEndsWithTheLastReader(t *testing.T) {
	for name, test := range map[string]struct {
		leave  func(*crew)
		within time.Duration
	}{
		"who leaves":      {func(c *crew) { c.members[0].Watch(nil) }, time.Second},
		"whose node ends": {func(c *crew) { c.members[0].end() }, time.Second},
		"whose node is cut off": {func(c *crew) {
			c.wire.meddle(loses)
			c.members[0].end()
		}, leaseFor + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := assemble(t, 2)
				b := c.members[1]
				c.watches(c.members[0], all())
				begun := time.Now()
				test.leave(c)
				c.until("nobody looks", func() bool { return !b.Watched() })
				if took := time.Since(begun); took > test.within {
					t.Errorf("it took %s", took)
				}
				synctest.Wait()
				before := b.bus.batches.Load()
				for range 100 {
					b.Ended(exchange("req", "m"))
				}
				time.Sleep(time.Minute) //nolint:forbidigo // the bubble's time
				if n := b.bus.batches.Load() - before; n != 0 {
					t.Errorf("after the reader has left, %d batches were published", n)
				}
			})
		})
	}
}

func TestALeaseIsGoneOnWithForAsLongAsSomebodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 2)
		a, b := c.members[0], c.members[1]
		c.watches(a, all())
		for i := range 100 {
			time.Sleep(3 * time.Second) //nolint:forbidigo // the bubble's time
			b.Ended(exchange(fmt.Sprint(i), "m"))
		}
		c.until("all of it", func() bool { return len(a.knows().Ended) == 100 })
		if n := b.bus.batches.Load(); n > 100+60+10 {
			t.Errorf("in 300 s, 100 exchanges took %d batches", n)
		}
	})
}

func TestAnotherReaderIsShownWhatTheFirstDidNotWant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 2)
		a, b := c.members[0], c.members[1]
		c.watches(a, Filter{Ended: true, Key: []string{"nobody"}})
		a.Watch([]Filter{{Ended: true, Key: []string{"nobody"}}, {Ended: true, Model: []string{"gpt-*"}}})
		synctest.Wait()
		b.Ended(exchange("req", "gpt-5"))
		c.until("it", func() bool { return len(a.knows().Ended) == 1 })
	})
}

func TestAFloodIsBoundedAndEveryoneIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 2)
		a, b := c.members[0], c.members[1]
		c.watches(a, all())
		const flood = 20_000
		for i := range flood {
			b.Ended(exchange("req", "m"))
			if i%100 == 99 {
				time.Sleep(10 * time.Millisecond) //nolint:forbidigo // the bubble's time: 10,000 a second
			}
		}
		c.until("an account of all", func() bool { h := a.knows(); return int64(len(h.Ended))+h.Dropped == flood })
		if n := len(a.knows().Ended); n < forwardMost || n > 4*forwardMost {
			t.Errorf("%d were forwarded in two seconds", n)
		}
	})
}

func TestAQueueThatIsFullIsCountedAndHoldsNobody(t *testing.T) {
	c := assemble(t, 0)
	f := New(Options{Bus: &plug{wire: c.wire}, Self: "node_1"})
	f.leased.Store(true) // and nobody takes anything out
	for range eventQueue + 500 {
		f.Ended(exchange("req", "m"))
	}
	if n := f.overflow.Load(); n != 500 {
		t.Errorf("%d found no room, want 500", n)
	}
	l := &lease{}
	if n := l.counts(f).Dropped; n != 500 {
		t.Errorf("a reader is told of %d", n)
	}
}

// TestWhateverTheBusDoesTheCountsAreRight has batches lost, doubled and put off.
func TestWhateverTheBusDoesTheCountsAreRight(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		fates := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 30).Draw(r, "fates")
		sizes := rapid.SliceOfN(rapid.IntRange(0, 40), 1, 30).Draw(r, "sizes")
		c := newTestCircle(t)
		a := &member{}
		a.Fleet = New(Options{Self: "node_0", Name: "a", Hear: a.hear})
		s := &session{fleet: a.Fleet, circle: c, id: "w", sources: map[string]*source{}}
		b := New(Options{Self: "node_1", Name: "b"})
		w := &forwarder{fleet: b}
		at := time.Now()
		w.take(leaseCall{circle: c, wanted: watchCall{ID: "w", Filters: []Filter{{Ended: true, Model: []string{"m"}}}}}, at)
		var late [][]byte
		deliver := func(p parcel, fate int) {
			sealed, err := c.seal(p.channel, &p.batch)
			if err != nil {
				t.Fatal(err)
			}
			switch fate {
			case 0: // lost
			case 1:
				late = append(late, sealed)
			case 2:
				s.hear(sealed, nil)
				s.hear(sealed, nil)
			default:
				s.hear(sealed, nil)
				for _, l := range late {
					s.hear(l, nil)
				}
				late = nil
			}
		}
		total, filtered := 0, 0
		for i, n := range sizes {
			for k := range n {
				if k%3 == 2 {
					w.offer(passed{ended: exchange("r", "other")}, at)
					filtered++
				} else {
					w.offer(passed{ended: exchange("r", "m")}, at)
					total++
				}
			}
			at = at.Add(100 * time.Millisecond)
			w.flushDue(at)
			for len(b.batches) > 0 {
				deliver(<-b.batches, fates[i%len(fates)])
			}
		}
		w.flush(w.leases[0], at)
		deliver(<-b.batches, 3)
		h := a.knows()
		if len(h.Ended)+int(h.Dropped) != total || int(h.FilteredEnded) != filtered {
			r.Fatalf("of %d there were %d shown and %d dropped; of %d, %d were filtered", total, len(h.Ended), h.Dropped, filtered, h.FilteredEnded)
		}
	})
}

func newTestCircle(t testing.TB) *circle {
	t.Helper()
	c, err := newCircle(bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatIsNobodysOfTheInstallationIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 2)
		a, b := c.members[0], c.members[1]
		var channels []string
		var messages [][]byte
		c.wire.meddle(func(channel string, message []byte, send func([]byte)) {
			c.mu.Lock()
			channels, messages = append(channels, channel), append(messages, bytes.Clone(message))
			c.mu.Unlock()
			send(message)
		})
		c.watches(a, all())
		b.Ended(exchange("req_secret", "claude-secret"))
		c.until("it", func() bool { return len(a.knows().Ended) == 1 })
		a.Watch(nil)
		c.until("nobody looks", func() bool { return !b.Watched() })
		c.mu.Lock()
		defer c.mu.Unlock()
		for i, m := range messages {
			if bytes.Contains(m, []byte("secret")) || bytes.Contains(m, []byte("node_")) || strings.Contains(channels[i], "node_") {
				t.Errorf("the bus can read %q on %s", m, channels[i])
			}
		}
		circle := a.circle.Load()
		other, err := newCircle(bytes.Repeat([]byte{8}, 32))
		if err != nil {
			t.Fatal(err)
		}
		forged, err := other.seal(circle.calls(), &call{From: sender{ID: "node_9"}, Watch: &watchCall{ID: "x", Filters: []Filter{all()}}})
		if err != nil {
			t.Fatal(err)
		}
		for name, m := range map[string][]byte{"a call of strangers": forged, "noise": []byte("noise"), "nothing": {}, "too much": make([]byte, longestMessage+1)} {
			before := b.count.bad.Load()
			b.hearCall(circle, m)
			if b.Watched() || b.count.bad.Load() != before+1 {
				t.Errorf("%s was taken", name)
			}
		}
		// What was sealed for one channel is nothing on another.
		for i, m := range messages {
			if channels[i] != circle.calls() {
				b.hearCall(circle, m)
			}
		}
		if synctest.Wait(); b.Watched() {
			t.Error("a batch was taken for a call")
		}
	})
}

func TestWhenTheBusGoesAwayReadersAreToldOnceAndAgainWhenItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 3)
		a := c.members[0]
		c.watches(a, all())
		c.wire.Cut()
		c.until("it is told", func() bool { return len(a.tellings()) == 1 })
		if diff := cmp.Diff(&api.Partial{Nodes: []string{"b", "c"}, Problem: busAway}, a.tellings()[0]); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's time
		if n := len(a.tellings()); n != 1 {
			t.Errorf("it was told %d times", n)
		}
		c.wire.Mend()
		c.until("all is well", func() bool { told := a.tellings(); return told[len(told)-1] == nil })
		c.members[1].Ended(exchange("req", "m"))
		c.until("what passes", func() bool { return len(a.knows().Ended) == 1 })
		if a.Missing() != nil {
			t.Errorf("missing is %+v", a.Missing())
		}
	})
}

func TestANodeThatDoesNotAnswerIsNamedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 3)
		a := c.members[0]
		c.members[2].end() // and the store does not know yet
		a.Watch([]Filter{all()})
		c.until("it is told", func() bool { return len(a.tellings()) == 1 })
		if diff := cmp.Diff(&api.Partial{Nodes: []string{"c"}, Problem: noAnswer}, a.tellings()[0]); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's time
		c.mu.Lock()
		c.nodes = c.nodes[:2]
		c.mu.Unlock()
		c.until("it is gone", func() bool { return a.Missing() == nil })
		if n := len(a.tellings()); n != 2 {
			t.Errorf("it was told %d times", n)
		}
	})
}

func TestWithoutABusReadersAreToldWhoIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 2)
		a := c.members[0]
		a.end()
		told := make(chan *api.Partial, 8)
		o := a.options
		o.Bus, o.Tell = nil, func(p *api.Partial) { told <- p }
		alone := New(o)
		ctx, done := t.Context(), make(chan struct{})
		go func() { defer close(done); _ = alone.Run(ctx) }()
		alone.Watch([]Filter{all()})
		if diff := cmp.Diff(&api.Partial{Nodes: []string{"b"}, Problem: noBus}, <-told); diff != "" {
			t.Error(diff)
		}
		if _, p := alone.Streams(ctx, 10); p == nil || p.Problem != noBus {
			t.Errorf("streams are missing: %+v", p)
		}
		c.mu.Lock()
		c.nodes = c.nodes[:1] // this one is alone
		c.mu.Unlock()
		if p := <-told; p != nil {
			t.Errorf("alone, there is missing %+v", p)
		}
		if _, p := alone.Streams(ctx, 10); p != nil {
			t.Errorf("alone, streams are missing: %+v", p)
		}
		c.t = nil
		t.Cleanup(func() { <-done })
	})
}

func TestNodesOfOneNameAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 1)
		b := c.add("a")
		a := c.members[0]
		c.watches(a, all())
		b.Ended(exchange("req", "m"))
		c.until("it", func() bool { return len(a.knows().Ended) == 1 })
		if node := a.knows().Ended[0].Node; node != "a (node_1)" {
			t.Errorf("it passed at %q", node)
		}
	})
}

func TestWithAnotherSecretNodesFindEachOtherAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := assemble(t, 2)
		a, b := c.members[0], c.members[1]
		c.watches(a, all())
		before := a.circle.Load()
		c.mu.Lock()
		c.secret = bytes.Repeat([]byte{3}, 32)
		c.mu.Unlock()
		a.Renew()
		b.Renew()
		c.until("another circle", func() bool { return a.circle.Load() != before && b.circle.Load() != before })
		n := 0
		c.until("what passes", func() bool { b.Ended(exchange("req", "m")); n++; return len(a.knows().Ended) > 0 })
	})
}

func TestTooManyFiltersAreOneThatTakesAll(t *testing.T) {
	many := make([]Filter, mostFilters+1)
	for i := range many {
		many[i] = Filter{Ended: true, Model: []string{fmt.Sprint(i)}}
	}
	long := Filter{Started: true, Key: []string{strings.Repeat("x", mostFilter)}}
	for name, test := range map[string]struct{ given, want []Filter }{
		"none":                     {nil, nil},
		"one that wants nothing":   {[]Filter{{}}, nil},
		"one":                      {many[:1], many[:1]},
		"as many as are sent":      {many[:mostFilters], many[:mostFilters]},
		"one more":                 {many, []Filter{{Ended: true}}},
		"one that is long":         {[]Filter{long}, []Filter{{Started: true}}},
		"a long one, and a short":  {[]Filter{long, many[0]}, []Filter{{Started: true, Ended: true}}},
		"one that wants both only": {[]Filter{{}, {Started: true, Ended: true}}, []Filter{{Started: true, Ended: true}}},
	} {
		if diff := cmp.Diff(test.want, together(test.given)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestThereAreOnlySoManyLeases(t *testing.T) {
	f, c := New(Options{}), newTestCircle(t)
	w := &forwarder{fleet: f}
	for i := range 2 * mostLeases {
		w.take(leaseCall{circle: c, wanted: watchCall{ID: fmt.Sprint(i), Filters: []Filter{all()}}}, time.Now())
	}
	if len(w.leases) != mostLeases || f.count.refused.Load() < mostLeases {
		t.Errorf("%d leases, %d refused", len(w.leases), f.count.refused.Load())
	}
}

// FuzzBatch has a node of the installation, of whatever version, say anything.
func FuzzBatch(f *testing.F) {
	f.Add([]byte(`{"from":{"id":"node_1","name":"b"},"lease":1,"number":1,"before":0,"dropped":3,"ended":[{"request_id":"r"}]}`))
	f.Add([]byte(`{"lease":-1,"number":9223372036854775807,"before":-9223372036854775808,"started":[null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := newTestCircle(t)
		s := &session{fleet: New(Options{Hear: func(h Heard) {
			if h.Dropped < 0 || h.FilteredEnded < 0 || h.FilteredStarted < 0 {
				t.Errorf("heard %+v", h)
			}
		}}), circle: c, id: "w", sources: map[string]*source{}}
		for range 2 {
			sealed, err := c.key.Seal(c.watch("w"), text)
			if err != nil {
				t.Fatal(err)
			}
			s.hear(sealed, nil)
			s.hear(text, nil)
			s.fleet.hearCall(c, sealed)
		}
	})
}

// BenchmarkEnded is what an exchange pays.
func BenchmarkEnded(b *testing.B) {
	for name, leased := range map[string]bool{"nobody looks": false, "somebody looks": true} {
		b.Run(name, func(b *testing.B) {
			f, x := New(Options{}), exchange("req", "m")
			f.leased.Store(leased)
			if leased {
				done := make(chan struct{})
				defer close(done)
				go func() {
					for {
						select {
						case <-f.queue:
						case <-done:
							return
						}
					}
				}()
			}
			b.ReportAllocs()
			for b.Loop() {
				f.Ended(x)
			}
		})
	}
}
