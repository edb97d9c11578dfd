package admin

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/window"
)

func lookingAt(t *tail) *lately {
	return newLately(t, func() int64 { return 3 }, nil)
}

func (l *lately) total() (requests, unseen int64) {
	p := l.part(window.Query{Window: time.Hour, Points: 1, Names: 1})
	return p.Total.Requests, p.Unseen
}

func TestWhatWasOvertakenIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := newTail()
		l := lookingAt(told)
		for range 3 * remembered {
			told.remember(api.Exchange{Status: 200})
		}
		if n, unseen := l.total(); n != remembered || unseen != 2*remembered {
			t.Errorf("%d are counted, and %d were not seen", n, unseen)
		}
		told.remember(api.Exchange{Status: 200})
		if n, unseen := l.total(); n != remembered+1 || unseen != 2*remembered {
			t.Errorf("after one more %d are counted, and %d were not seen", n, unseen)
		}
		if cap(l.ended) > 2*remembered || len(l.ended) != 0 {
			t.Errorf("a look keeps room for %d", cap(l.ended))
		}
	})
}

func TestAPlaceThatIsNotFilledYetIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := newTail()
		l := lookingAt(told)
		told.remember(api.Exchange{Status: 200})
		place := told.last.Add(1) // whoever has it has not come to store it
		told.remember(api.Exchange{Status: 200})
		if n, unseen := l.total(); n != 1 || unseen != 0 {
			t.Errorf("at first %d are counted, and %d were not seen", n, unseen)
		}
		told.ring[place%remembered].Store(&past{place: place})
		if n, unseen := l.total(); n != 3 || unseen != 0 {
			t.Errorf("then %d are counted, and %d were not seen", n, unseen)
		}
		told.last.Add(1) // and one who never comes
		told.remember(api.Exchange{Status: 200})
		l.total()
		time.Sleep(longestGap) //nolint:forbidigo // the bubble's time
		if n, unseen := l.total(); n != 4 || unseen != 1 {
			t.Errorf("in the end %d are counted, and %d were not seen", n, unseen)
		}
	})
}

func TestASlotThatAnOlderOneTookIsNotCountedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := newTail()
		l := lookingAt(told)
		for range remembered {
			told.remember(api.Exchange{Status: 200})
		}
		l.total()
		late := told.ring[5].Load()
		for range 10 {
			told.remember(api.Exchange{Status: 200})
		}
		told.ring[5].Store(late) // who was stored late has overwritten a newer one
		l.total()
		time.Sleep(longestGap) //nolint:forbidigo // the bubble's time
		if n, unseen := l.total(); n != remembered+9 || unseen != 1 {
			t.Errorf("%d are counted, and %d were not seen", n, unseen)
		}
	})
}

// TestAllThatEndsAtOnceIsCounted has many end while somebody looks and others ask:
// what is not counted is at least not lost.
func TestAllThatEndsAtOnceIsCounted(t *testing.T) {
	told := newTail()
	l := lookingAt(told)
	const enders, each = 8, 5000
	var ending, asking sync.WaitGroup
	done := make(chan struct{})
	for i := range enders {
		ending.Go(func() {
			for range each {
				told.remember(api.Exchange{Status: 200, Key: fmt.Sprint("key-", i)})
			}
		})
	}
	for range 2 {
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					l.total()
				}
			}
		})
	}
	ending.Wait()
	close(done)
	asking.Wait()
	if n, unseen := l.total(); n+unseen != enders*each || n == 0 {
		t.Errorf("%d are counted, and %d were not seen, of %d", n, unseen, enders*each)
	}
}

// TestItIsLookedAtWithoutAnybodyAsking fills the ring several times over, and
// asks at the end only.
func TestItIsLookedAtWithoutAnybodyAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := newTail()
		l := lookingAt(told)
		ended := make(chan struct{})
		go func() { defer close(ended); l.lookOn(t.Context()) }()
		for range 5 {
			for range remembered {
				told.remember(api.Exchange{Status: 200})
			}
			time.Sleep(lookEvery + time.Millisecond) //nolint:forbidigo // the bubble's time
		}
		if n, unseen := l.total(); n != 5*remembered || unseen != 0 {
			t.Errorf("%d are counted, and %d were not seen", n, unseen)
		}
		p := l.part(window.Query{Window: time.Minute, Points: 1})
		if p.Flights != 3 || p.Series[0].InFlight != 3 {
			t.Errorf("in flight are %+v", p)
		}
	})
}

func BenchmarkRemembered(b *testing.B) {
	told := newTail()
	l := lookingAt(told)
	b.ReportAllocs()
	for b.Loop() { // a look at what a busy gateway ends in a quarter of a second
		b.StopTimer()
		for i := range 1000 {
			told.remember(api.Exchange{Status: 200, Key: fmt.Sprint("key-", i), Upstream: "u", Rule: "r", Model: "m"})
		}
		b.StartTimer()
		l.mu.Lock()
		l.look()
		l.mu.Unlock()
	}
}
