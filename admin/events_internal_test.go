package admin

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/fleet"
)

// TestPace lets what comes through for ten seconds.
func TestPace(t *testing.T) {
	for name, test := range map[string]struct {
		every time.Duration
		quiet time.Duration // before it begins
		least int
		most  int
	}{
		"a flood":                      {100 * time.Microsecond, 0, 10 * shownASecond, 11 * shownASecond},
		"a flood after a quiet hour":   {100 * time.Microsecond, time.Hour, 10 * shownASecond, 11 * shownASecond},
		"a little less than is shown":  {time.Second/shownASecond + time.Microsecond, 0, 1999, 2000},
		"once in a while all is shown": {time.Second, 0, 10, 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := pace{begun: time.Now()}
				time.Sleep(test.quiet) //nolint:forbidigo // the bubble's time
				n := 0
				for range 10 * time.Second / test.every {
					if p.lets(1) {
						n++
					}
					time.Sleep(test.every) //nolint:forbidigo // the bubble's time
				}
				if n < test.least || n > test.most {
					t.Errorf("%d were let through, want %d to %d", n, test.least, test.most)
				}
			})
		})
	}
}

// TestAStartIsShownOnlyWithItsEnd has more exchanges pass than are shown.
func TestAStartIsShownOnlyWithItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newListener(caller{}, &filter{Filter: fleet.Filter{Started: true, Ended: true}}, new(atomic.Int64))
		started, ended, other := map[string]bool{}, 0, 0
		take := func() {
			for len(l.queue) > 0 {
				switch m := <-l.queue; {
				case m.started != nil:
					started[m.started.RequestID] = true
				case started[m.ended.RequestID]:
					delete(started, m.ended.RequestID)
					ended++
				default:
					other++
				}
			}
		}
		const underWay, all = 50, 5000 // 500 a second, for 10 seconds
		for i := range all + underWay {
			if i < all {
				l.hearStart(&api.Flight{RequestID: fmt.Sprint("req_", i)})
			}
			if i >= underWay {
				l.hear(&past{Exchange: api.Exchange{RequestID: fmt.Sprint("req_", i-underWay)}})
			}
			take()
			time.Sleep(2 * time.Millisecond) //nolint:forbidigo // the bubble's time
		}
		if len(started) > 0 || ended == 0 {
			t.Errorf("of %d that were shown the end was not, of %d it was", len(started), ended)
		}
		if shown := 2*ended + other; shown < 10*shownASecond || shown > 11*shownASecond+2*underWay {
			t.Errorf("%d events were shown in 10 seconds", shown)
		}
	})
}

func TestChangesThatFindNoRoomAreMissedOnceAndAllTogether(t *testing.T) {
	l := newListener(caller{}, &filter{changes: true}, new(atomic.Int64))
	for range queuedChange {
		l.hearChange(accounts.Change{Seq: 1})
	}
	if l.hasMissed() {
		t.Fatal("a change is missing where all found room")
	}
	l.hearChange(accounts.Change{Seq: 2})
	if !l.hasMissed() || len(l.changes) != 0 {
		t.Errorf("nothing is missing, or %d changes still wait", len(l.changes))
	}
	l.hearChange(accounts.Change{Seq: 3})
	if l.hasMissed() || len(l.changes) != 1 {
		t.Errorf("it did not go on after that: %d wait", len(l.changes))
	}
}

// reader takes what a stream writes.
type reader struct {
	bytes.Buffer
	header    http.Header
	deadlines []time.Time
	flushed   int
	broken    error
}

func (r *reader) Header() http.Header { return r.header }
func (r *reader) WriteHeader(int)     {}
func (r *reader) Flush()              { r.flushed++ }

func (r *reader) SetWriteDeadline(at time.Time) error {
	r.deadlines = append(r.deadlines, at)
	return nil
}

func (r *reader) Write(b []byte) (int, error) {
	if r.broken != nil {
		return 0, r.broken
	}
	return r.Buffer.Write(b)
}

func TestWhereNothingHappensASignOfLifeIsWritten(t *testing.T) {
	to := &reader{header: http.Header{}}
	out, l := newEventWriter(to), newListener(caller{}, &filter{}, new(atomic.Int64))
	now := time.Now()
	out.wroteAt = now
	for i := range 60 {
		now = now.Add(time.Second)
		before := to.Len()
		if err := out.keepUp(l, now); err != nil {
			t.Fatal(err)
		}
		if to.Len() > before {
			out.wroteAt = now
		}
		if want := (i + 1) / 15; strings.Count(to.String(), ": still here\n\n") != want || to.flushed != want {
			t.Fatalf("after %d s there were %d flushes of %q", i+1, to.flushed, to.String())
		}
	}
}

func TestATallyIsToldWhereItHasChanged(t *testing.T) {
	to := &reader{header: http.Header{}}
	out, l := newEventWriter(to), newListener(caller{}, &filter{}, new(atomic.Int64))
	l.filtered.Store(418)
	for range 3 {
		if err := out.keepUp(l, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if want := "event: tally\ndata: {\"shown\":0,\"filtered\":418,\"dropped\":0}\n\n"; to.String() != want {
		t.Errorf("written is %q", to.String())
	}
}

func TestEveryWriteOfEventsIsBounded(t *testing.T) {
	to := &reader{header: http.Header{}}
	out := newEventWriter(to)
	for range 3 {
		if err := out.add("tally", "", api.Tally{}); err != nil {
			t.Fatal(err)
		}
		if err := out.flush(); err != nil {
			t.Fatal(err)
		}
	}
	if len(to.deadlines) != 3 || !slices.IsSortedFunc(to.deadlines, time.Time.Compare) || time.Until(to.deadlines[2]) > writeLimit {
		t.Errorf("deadlines are %v", to.deadlines)
	}
	to.broken = errors.New("gone")
	if err := out.add("tally", "", api.Tally{}); err != nil {
		t.Fatal(err)
	}
	if err := out.flush(); !errors.Is(err, to.broken) {
		t.Errorf("a reader that is gone gives %v", err)
	}
}

func TestHowLongAStreamMayLast(t *testing.T) {
	now := time.Now()
	for name, test := range map[string]struct {
		c    caller
		most time.Duration
	}{
		"whoever is at the socket":           {caller{Via: viaSocket}, 1 << 62},
		"anybody where nobody is asked":      {caller{Via: viaOpen}, 1 << 62},
		"a login":                            {caller{Via: viaLogin, ExpiresAt: now.Add(24 * time.Hour)}, loginLimit},
		"a token that ends soon":             {caller{Via: viaToken, ExpiresAt: now.Add(time.Minute)}, time.Minute},
		"a token without an end":             {caller{Via: viaToken}, loginLimit},
		"a caller of whom nothing is known":  {caller{}, loginLimit},
		"a token that has ended as it began": {caller{Via: viaToken, ExpiresAt: now.Add(-time.Second)}, -time.Second},
	} {
		if got := longestStream(test.c, now); got != test.most {
			t.Errorf("%s: %s, want %s", name, got, test.most)
		}
	}
}

func TestOnlyEventsAreNotBoundedAsACall(t *testing.T) {
	for target, bounded := range map[string]bool{
		"GET /api/v1/events": false, "POST /api/v1/events": true, "GET /api/v1/events/x": true, "GET /api/v1/streams": true,
	} {
		method, path, _ := strings.Cut(target, " ")
		ctx, cancel := callContext(httptest.NewRequestWithContext(t.Context(), method, path, nil))
		if _, has := ctx.Deadline(); has != bounded {
			t.Errorf("%s: bounded is %v", target, has)
		}
		cancel()
	}
}

// BenchmarkEnded is what the ring costs an exchange, and what listeners do that
// show nothing of it, or as much as they may.
func BenchmarkEnded(b *testing.B) {
	for name, test := range map[string]struct {
		listeners int
		model     []string
	}{"nobody": {0, nil}, "8 that filter": {8, []string{"gpt-*"}}, "8 that want all": {8, nil}} {
		b.Run(name, func(b *testing.B) {
			s := &Server{tail: newTail(), fleet: fleet.New(fleet.Options{})}
			for range test.listeners {
				if _, full := s.tail.join(caller{}, &filter{Filter: fleet.Filter{Ended: true, Model: test.model}}); full != nil {
					b.Fatal(full)
				}
			}
			x := api.Exchange{RequestID: "req_01", Path: "/v1/messages", Model: "claude-sonnet-5", UpstreamModel: "claude-sonnet-5"}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					s.Ended(x)
				}
			})
		})
	}
}

func TestAnExchangeThatNobodyFollowsCostsNoMoreThanItsPlaceAmongThePast(t *testing.T) {
	s := &Server{tail: newTail(), fleet: fleet.New(fleet.Options{})}
	f, x := api.Flight{RequestID: "req_01", Model: "m"}, api.Exchange{RequestID: "req_01"}
	if n := testing.AllocsPerRun(100, func() { s.Started(f) }); n != 0 {
		t.Errorf("a start costs %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { s.Ended(x) }); n != 1 {
		t.Errorf("an end costs %v allocations", n)
	}
}
