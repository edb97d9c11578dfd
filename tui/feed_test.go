package tui

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

func TestAFeedDropsTheOldestAndCountsIt(t *testing.T) {
	f := &feed{ready: make(chan struct{}, 1)}
	for i := range queuedEvents + 1 {
		if err := f.put(api.Event{ID: strconv.Itoa(i), Exchange: &api.Exchange{}}); err != nil {
			t.Fatal(err)
		}
	}
	m, ok := f.take(t.Context())().(fed)
	if !ok || m.dropped != queuedEvents/4 || len(m.events) != queuedEvents*3/4+1 || m.events[0].ID != strconv.Itoa(queuedEvents/4) {
		t.Fatalf("dropped %d, kept %d", m.dropped, len(m.events))
	}
	if m.unsure {
		t.Error("only exchanges were dropped: what is loaded is as good as before")
	}
}

func TestAFeedThatDroppedAChangeIsUnsure(t *testing.T) {
	f := &feed{ready: make(chan struct{}, 1)}
	_ = f.put(api.Event{Change: &api.Changed{}})
	for range queuedEvents {
		_ = f.put(api.Event{Exchange: &api.Exchange{}})
	}
	if m, _ := f.take(t.Context())().(fed); !m.unsure {
		t.Error("a change was dropped, and nobody is told")
	}
	_ = f.put(api.Event{Exchange: &api.Exchange{}})
	if m, _ := f.take(t.Context())().(fed); m.unsure || m.dropped != 0 {
		t.Errorf("what was told is told again: %+v", m)
	}
}

func TestAFeedKeepsWhatIsNotToldAgain(t *testing.T) {
	f := &feed{ready: make(chan struct{}, 1)}
	_ = f.put(api.Event{Hello: &api.Hello{Node: "a1"}})
	_ = f.put(api.Event{Partial: &api.Partial{Problem: "before"}})
	_ = f.put(api.Event{Partial: &api.Partial{Problem: "after"}})
	for range 10 * queuedEvents {
		_ = f.put(api.Event{Exchange: &api.Exchange{}})
	}
	m, ok := f.take(t.Context())().(fed)
	if !ok || len(m.events) > queuedEvents || m.events[0].Hello == nil || m.events[1].Partial == nil || m.events[1].Partial.Problem != "after" {
		t.Fatalf("%d events are kept, and first %+v, %+v", len(m.events), m.events[0], m.events[1])
	}
	if lost := 10*queuedEvents + 3 - len(m.events); m.dropped != int64(lost) {
		t.Errorf("%d are counted as dropped, of %d", m.dropped, lost)
	}
}

// TestTheConsoleIsLiveWhereMuchCameBeforeItIsShown begins under a load.
func TestTheConsoleIsLiveWhereMuchCameBeforeItIsShown(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.on("GET /events", func(*http.Request, []byte) (int, any) {
			return http.StatusOK, nil
		})
	}, func(s *stage) {
		s.console.feed.cancel()
		f := &feed{ready: make(chan struct{}, 1), cancel: func() {}}
		s.console.feed = f
		_ = f.put(api.Event{Hello: &api.Hello{Node: "a1", Seq: 41, Revision: 41}})
		for i := range 3 * queuedEvents {
			_ = f.put(api.Event{Exchange: &api.Exchange{RequestID: strconv.Itoa(i), Status: 200, EndReason: "complete"}})
		}
		s.run(f.take(s.t.Context()))
		s.wait(time.Second)
		s.sees("● live")
	})
}

func TestAfterDroppedChangesEverythingIsLoadedAgain(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5")
		s.fake.read()
		s.send(fed{from: s.console.feed, unsure: true, dropped: 512})
		s.wait(time.Second)
		if _, of := s.fake.read(); of["/keys"] != 1 || of["/me"] != 1 {
			t.Errorf("read again: %v", of)
		}
		if s.console.desk.link.missed != 512 {
			t.Errorf("%d were missed", s.console.desk.link.missed)
		}
	})
}

func TestEventsThatComeTogetherAreDrawnTogether(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		drawn := s.draws
		for i := range 300 {
			s.fake.send(api.Event{Tally: &api.Tally{Shown: int64(i)}})
			s.wait(10 * time.Millisecond)
		}
		if n := s.draws - drawn; n > 36 {
			t.Errorf("%d frames in 3 seconds", n)
		}
		if s.console.desk.link.tally.Shown != 299 {
			t.Errorf("the last was not heard: %+v", s.console.desk.link.tally)
		}
	})
}

func TestTheStreamIsTriedAgainLaterAndLaterAndGoesOnWhereItWas(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.fake.send(api.Event{ID: "a1-77", Tally: &api.Tally{}})
		s.wait(time.Second)
		began := time.Now()
		s.fake.goAway()
		var at []time.Duration
		for n := len(s.fake.streams()); time.Since(began) < 50*time.Second; {
			if now := len(s.fake.streams()); now > n {
				at, n = append(at, time.Since(began).Round(time.Second)), now
			}
			s.wait(100 * time.Millisecond)
		}
		want := []time.Duration{1 * time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second, 47 * time.Second}
		if len(at) < 6 {
			t.Fatalf("tried at %v", at)
		}
		for i, w := range want {
			if i < 5 && (at[i]-w).Abs() > time.Second {
				t.Errorf("try %d after %v, and not %v", i+1, at[i], w)
			}
		}
		for _, after := range s.fake.streams()[1:] {
			if after != "a1-77" {
				t.Errorf("a stream began after %q", after)
			}
		}
		s.fake.comeBack()
		s.wait(16 * time.Second)
		s.sees("● live")
	})
}

func TestWaitsGrowToFifteenSeconds(t *testing.T) {
	for n, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 2, 3: 4, 4: 8, 5: 15, 6: 15, 1000: 15} {
		if got := retryAfter(n); got != time.Duration(want)*time.Second {
			t.Errorf("try %d after %v", n, got)
		}
	}
}

func TestAStreamThatIsRefusedForNoLoginIsNotTriedAgain(t *testing.T) {
	play(t, 100, 30, func(_ *Options, f *fake) {
		f.refuse("GET /events", api.Error{Status: http.StatusUnauthorized, Code: api.CodeDenied, Detail: "the login has ended"})
	}, func(s *stage) {
		s.sees("logged out", "not allowed here (the login has ended)")
		n := len(s.fake.streams())
		s.wait(time.Minute)
		if now := len(s.fake.streams()); now != n {
			t.Errorf("asked %d times more", now-n)
		}
		s.fake.forget("GET /events")
		s.press("r")
		s.wait(time.Second)
		s.sees("● live", "dana (admin)")
	})
}

func TestWhatAnEarlierStreamSaysIsNotHeard(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.send(fed{from: &feed{}, ended: true, err: errors.New("of the one before")})
		s.sees("● live")
	})
}
