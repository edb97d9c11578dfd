package proxy

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// sketched is what gaps are to say, from a plain list of writes.
func sketched(writes []time.Duration) gaps {
	g := gaps{writes: int64(len(writes))}
	for i, at := range writes[1:] {
		gap := at - writes[i]
		if gap > g.longest {
			g.longest, g.longestAt = gap, at
		}
		for gap >= time.Millisecond && at-writes[0] >= gapSteps*g.step() {
			g.doubled++
		}
	}
	for i := range g.steps {
		from := writes[0] + time.Duration(i)*g.step()
		for j, at := range writes[1:] {
			if at >= from && at < from+g.step() {
				g.steps[i] = max(g.steps[i], int32((at-writes[j])/time.Millisecond))
			}
		}
	}
	return g
}

func TestASketchOfGapsSaysWhatTheListOfThemDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gap := rapid.OneOf(
			rapid.Int64Range(0, int64(3*time.Millisecond)),
			rapid.Int64Range(0, int64(200*time.Millisecond)),
			rapid.Int64Range(0, int64(time.Minute)),
			rapid.Int64Range(0, int64(time.Hour)),
			rapid.Map(rapid.Int64Range(0, 256), func(n int64) int64 { return n * int64(16*time.Millisecond) }), // the edges of steps
		)
		var writes []time.Duration
		at := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "first"))
		var g gaps
		for _, next := range append([]int64{0}, rapid.SliceOfN(gap, 0, 300).Draw(t, "gaps")...) {
			at += time.Duration(next)
			writes = append(writes, at)
			g.wrote(at)
		}
		want := sketched(writes)
		want.first, want.last = writes[0], at
		if g != want {
			t.Fatalf("of writes at %v\n%+v, want\n%+v", writes, g, want)
		}
	})
}

func TestASketchOfGaps(t *testing.T) {
	const ms = time.Millisecond
	of := func(steps ...int32) (all [gapSteps]int32) { copy(all[:], steps); return all }
	for name, c := range map[string]struct {
		writes      []time.Duration
		longest, at time.Duration
		step        time.Duration
		steps       [gapSteps]int32
	}{
		"of nothing":                    {nil, 0, 0, 16 * ms, of()},
		"of one write":                  {[]time.Duration{time.Second}, 0, 0, 16 * ms, of()},
		"of a burst":                    {[]time.Duration{ms, ms, ms + 300*time.Microsecond}, 300 * time.Microsecond, ms + 300*time.Microsecond, 16 * ms, of()},
		"of two equally long ones":      {[]time.Duration{0, 20 * ms, 40 * ms}, 20 * ms, 20 * ms, 16 * ms, of(0, 20, 20)},
		"of one that ends at a step":    {[]time.Duration{ms, 17 * ms}, 16 * ms, 17 * ms, 16 * ms, of(0, 16)},
		"at the end of the last step":   {[]time.Duration{0, 512*ms - 1}, 512*ms - 1, 512*ms - 1, 16 * ms, func() [gapSteps]int32 { a := of(); a[31] = 511; return a }()},
		"right after the last step":     {[]time.Duration{0, 20 * ms, 40 * ms, 512 * ms}, 472 * ms, 512 * ms, 32 * ms, func() [gapSteps]int32 { a := of(20, 20); a[16] = 472; return a }()},
		"of an hour":                    {[]time.Duration{0, 5 * ms, time.Hour}, time.Hour - 5*ms, time.Hour, 16 * ms << 13, func() [gapSteps]int32 { a := of(5); a[27] = 3_599_995; return a }()},
		"of longer than can be written": {[]time.Duration{0, 30 * 24 * time.Hour}, 30 * 24 * time.Hour, 30 * 24 * time.Hour, 16 * ms << 23, func() [gapSteps]int32 { a := of(); a[19] = 1<<31 - 1; return a }()},
	} {
		t.Run(name, func(t *testing.T) {
			var g gaps
			for _, at := range c.writes {
				g.wrote(at)
			}
			if g.writes != int64(len(c.writes)) || g.longest != c.longest || g.longestAt != c.at || g.step() != c.step || g.steps != c.steps {
				t.Errorf("%+v in steps of %v", g, g.step())
			}
		})
	}
}

// pausing is an upstream that says three events, and rests before each but the
// first.
func pausing(pause time.Duration) func(net.Conn, *sent) bool {
	return func(c net.Conn, r *sent) bool {
		say(c, streamHead, chunk(firstEvent))
		for range 2 {
			select {
			case <-time.After(pause):
			case <-r.gone:
				return false
			}
			say(c, chunk(firstEvent))
		}
		say(c, chunk("data: [DONE]\n\n"), chunk(""))
		return true
	}
}

func TestAWatcherIsToldWhenWhatOfAnExchangeWas(t *testing.T) {
	const pause = 30 * time.Millisecond
	g := newGateway(t, newWireUpstream(t, pausing(pause)).url)
	var notes notebook
	defer g.proxy.Watch(&notes)()
	g.answered(g.post("/v1/chat/completions", chatRequest))
	g.answered(g.post("/v1/chat/completions", chatRequest))
	_, ended := notes.read()
	for i, e := range ended {
		w := e.Timing
		if !slices.IsSorted([]time.Duration{1, w.Body, w.Dispatched, w.Header, w.FirstByte, w.GapAt, e.Duration}) {
			t.Errorf("not one after the other: %+v of %v", w, e.Duration)
		}
		if fresh := w.Connect > 0; fresh != (i == 0) {
			t.Errorf("exchange %d: a connection took %v", i, w.Connect)
		}
		if w.Writes < 3 || w.Writes > 5 || w.Gap < pause {
			t.Errorf("%d writes, the longest gap %v, steps of %v", w.Writes, w.Gap, w.GapStep)
		}
		if most := slices.Max(w.Gaps[:]); most != int32(w.Gap.Milliseconds()) || w.Gaps[(w.GapAt-w.FirstByte)/w.GapStep] != most {
			t.Errorf("the sketch of %v at %v, the first byte at %v: %v", w.Gap, w.GapAt, w.FirstByte, w.Gaps)
		}
	}
}

func TestWhatWasNeverSentHasNoTiming(t *testing.T) {
	g := newGateway(t, newWireUpstream(t, behave("ok")).url)
	var notes notebook
	defer g.proxy.Watch(&notes)()
	g.key = "sk-lgw-nobodys"
	g.answered(g.post("/x", "{}"))
	if _, ended := notes.read(); ended[0].Timing != (Timing{}) {
		t.Errorf("%+v", ended[0].Timing)
	}
}

// The pauses of a conversation are no gaps.
func TestOfAWebSocketOnlyTheWritesAreCounted(t *testing.T) {
	g := newGateway(t, newSocketUpstream(t, echoBytes).url, allowed)
	var notes notebook
	defer g.proxy.Watch(&notes)()
	s := g.handshake(realtime, "")
	s.answered(t)
	for range 3 {
		text := frame(0x81, "hello")
		say(s, text)
		s.expect(t, text)
	}
	g.ended(s, "client_gone")
	_, ended := notes.read()
	if w := ended[0].Timing; w.Writes < 3 || w.Dispatched == 0 || w.Header < w.Dispatched || w.FirstByte != 0 || w.Gap != 0 || w.Gaps != [gapSteps]int32{} {
		t.Errorf("%+v", w)
	}
}

// The head of an answer that a fallback made up for is none of the exchange's.
func TestTimingIsOfTheLastAttempt(t *testing.T) {
	g := newFallbackGateway(t, on("503"), "503", "resets")
	var notes notebook
	defer g.proxy.Watch(&notes)()
	g.answered(g.post("/x", "{}"))
	_, ended := notes.read()
	if w := ended[0].Timing; ended[0].Attempts < 2 || w.Dispatched == 0 || w.Header != 0 || w.FirstByte != 0 || w.Writes != 0 {
		t.Errorf("%d attempts, %+v", ended[0].Attempts, w)
	}
}

func TestAChunkIsNotedWithoutAnAllocation(t *testing.T) {
	var r record
	began, at := time.Now(), time.Duration(0)
	if n := testing.AllocsPerRun(10_000, func() {
		at += 7 * time.Millisecond
		r.passed(100, at, began.Add(at))
	}); n != 0 || r.gaps.doubled == 0 {
		t.Errorf("%v allocations, steps of %v", n, r.gaps.step())
	}
}

// BenchmarkPassed is what noting a chunk costs: of a burst, and of a stream.
func BenchmarkPassed(b *testing.B) {
	for name, gap := range map[string]time.Duration{"burst": 50 * time.Microsecond, "stream": 20 * time.Millisecond} {
		b.Run(name, func(b *testing.B) {
			var r record
			began, at := time.Now(), time.Duration(0)
			b.ReportAllocs()
			for b.Loop() {
				at += gap
				r.passed(100, at, began)
			}
		})
	}
}

// BenchmarkStreamed is a stream of a hundred events through a gateway, the
// upstream and the caller of which are in this process and count, too.
func BenchmarkStreamed(b *testing.B) {
	up := newWireUpstream(b, func(c net.Conn, _ *sent) bool {
		say(c, streamHead)
		for range 100 {
			say(c, chunk(firstEvent))
		}
		say(c, chunk("data: [DONE]\n\n"), chunk(""))
		return true
	})
	g := newGateway(b, up.url, func(s *setup) { s.options.Log = s.options.Log.Output(io.Discard) })
	defer g.proxy.Watch(&counting{})()
	h := client(b)
	b.ReportAllocs()
	for b.Loop() {
		response, err := h.Do(g.post("/v1/chat/completions", chatRequest))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
}
