package main

import (
	"bufio"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestARateIsKeptHoweverLongEachTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		began := make([]time.Duration, 50)
		atRate(t.Context(), 100, 500*time.Millisecond, func(n int, due time.Time) {
			began[n] = time.Since(begun)
			if late := time.Since(due); late != 0 {
				t.Errorf("%d is %s late", n, late)
			}
			<-time.After(time.Second)
		})
		if took := time.Since(begun); took != 1490*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		if !slices.IsSorted(began) || began[49] != 490*time.Millisecond {
			t.Errorf("begun at %v", began)
		}
	})
}

func TestWhatWaitsForAPlaceIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var latest atomic.Int64
		atRate(t.Context(), 2*openAtOnce, time.Second, func(_ int, due time.Time) {
			<-time.After(time.Second)
			latest.Store(max(latest.Load(), int64(time.Since(due))))
		})
		if got := time.Duration(latest.Load()); got < 1400*time.Millisecond {
			t.Errorf("the latest took %s from when it was due", got)
		}
	})
}

func TestALaneTellsStatusesAndTakesTheLongestIdle(t *testing.T) {
	var n atomic.Int64
	addr := upstreamOf(t, func(conn net.Conn, r *bufio.Reader, a asked) bool {
		_, _ = r.Discard(a.length)
		text := wholeReply()
		switch n.Add(1) {
		case 3:
			text = []byte("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
		case 4:
			return false
		}
		_, err := conn.Write(text)
		return err == nil
	})
	l := &lane{addr: addr}
	defer l.close()
	request, want := chatRequest(addr, "sk-test", false), chatReply()
	for i, c := range []struct {
		verdict
		status int
		denied bool
		idle   int
	}{{whole, 200, false, 1}, {whole, 200, false, 1}, {failed, 401, true, 0}, {failed, 0, false, 0}, {whole, 200, false, 1}} {
		a := l.ask(t.Context(), request, want)
		if a.verdict != c.verdict || a.status != c.status || a.denied() != c.denied || len(l.idle) != c.idle {
			t.Errorf("answer %d: %+v, %d idle", i, a, len(l.idle))
		}
	}
	one, other := newWire(nil), newWire(nil)
	l.close()
	l.give(one)
	l.give(other)
	if w, err := l.take(t.Context()); w != one || err != nil {
		t.Errorf("took another connection than the one that was idle for the longest, %v", err)
	}
	l.idle = nil
	if a := (&lane{addr: "127.0.0.1:1"}).ask(t.Context(), request, want); a.verdict != failed || a.err == nil || a.status != 0 {
		t.Errorf("nobody there: %+v", a)
	}
}
