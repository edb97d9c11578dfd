package admin

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWaitsDoubleUpToTheLongest(t *testing.T) {
	now := time.Unix(1e9, 0)
	throttle := newThrottle(time.Minute, func() time.Time { return now })
	var waits []time.Duration
	for range 50 {
		wait, a := throttle.begin("dana")
		if a == nil {
			waits = append(waits, wait)
			now = now.Add(wait)
			continue
		}
		a.failed()
	}
	if got := fmt.Sprint(waits[:8]); got != "[1s 2s 4s 8s 16s 32s 1m0s 1m0s]" {
		t.Errorf("waits are %s", got)
	}
	if last := waits[len(waits)-1]; last != time.Minute {
		t.Errorf("the last wait is %s", last)
	}
	now = now.Add(strikesKept + time.Second)
	for i := range freeFailures {
		if _, a := throttle.begin("dana"); a == nil {
			t.Fatalf("much later attempt %d is refused", i)
		} else {
			a.failed()
		}
	}
}

func TestAnAttemptThatIsDroppedCountsForNothing(t *testing.T) {
	now := time.Unix(1e9, 0)
	throttle := newThrottle(time.Minute, func() time.Time { return now })
	for range 100 {
		_, a := throttle.begin("dana")
		if a == nil {
			t.Fatal("refused")
		}
		a.dropped()
	}
}

func TestWhatAThrottleRemembersIsBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	throttle := newThrottle(time.Minute, func() time.Time { return now })
	_, open := throttle.begin("first")
	for i := range 3 * maxStruck {
		_, a := throttle.begin(fmt.Sprint(i))
		a.failed()
		if _, a := throttle.begin("busy"); a != nil { // is asked for all the time, so is not the oldest
			a.failed()
		}
	}
	if n := len(throttle.byName); n != maxStruck || throttle.recent.Len() != maxStruck {
		t.Errorf("%d names, %d in order", n, throttle.recent.Len())
	}
	if wait, _ := throttle.begin("busy"); wait == 0 {
		t.Error("it forgot who never stopped")
	}
	open.failed() // was forgotten while it was under way
}

// TestThrottleAgainstAModel holds it against one that keeps everything: at no
// moment do more than freeFailures fail without a wait.
func TestThrottleAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1e9, 0)
		throttle := newThrottle(time.Minute, func() time.Time { return now })
		var flying []*attempt
		failed, until := 0, now
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(t *rapid.T) {
				wait, a := throttle.begin("dana")
				if (a == nil) == (wait == 0) {
					t.Fatalf("wait %s and attempt %v", wait, a)
				}
				if a == nil {
					return
				}
				if now.Before(until) {
					t.Fatalf("an attempt %s before its time", until.Sub(now))
				}
				flying = append(flying, a)
				if len(flying)+failed > freeFailures && len(flying) > 1 {
					t.Fatalf("%d attempts at once after %d failures", len(flying), failed)
				}
			},
			"fail": func(t *rapid.T) {
				if len(flying) == 0 {
					t.Skip()
				}
				flying[0].failed()
				flying = flying[1:]
				if failed++; failed >= freeFailures {
					until = now.Add(min(firstWait<<(failed-freeFailures), time.Minute))
				}
			},
			"succeed": func(t *rapid.T) {
				if len(flying) == 0 {
					t.Skip()
				}
				flying[0].cleared()
				flying, failed = flying[1:], 0
			},
			"drop": func(t *rapid.T) {
				if len(flying) == 0 {
					t.Skip()
				}
				flying[0].dropped()
				flying = flying[1:]
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(90*time.Second)).Draw(t, "time")))
			},
		})
	})
}

func TestPeersAreNetworks(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "::1": "::/64",
	} {
		if got := peerName(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is %s, want %s", address, got, want)
		}
	}
}
