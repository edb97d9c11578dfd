package admin

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Wrong passwords cost time: the first few nothing, for people who mistype, then
// each twice as long as the one before; a peer that attacks waits longer than a
// user who is attacked. Where a user has logged in before, what goes wrong is
// counted apart: those who guess from everywhere keep nobody out from there.
const (
	freeFailures  = 5
	firstWait     = time.Second
	longestOfUser = time.Minute
	longestOfPeer = 15 * time.Minute
	strikesKept   = 30 * time.Minute // after the last of them
	maxStruck     = 4096             // peers, and as many users
)

// throttle makes those wait who fail again and again. What it remembers is
// bounded: of more than it can hold it forgets who has been quiet for longest.
type throttle struct {
	longest time.Duration
	now     func() time.Time

	mu     sync.Mutex
	byName map[string]*list.Element
	recent *list.List // of *strikes, the latest first
}

// strikes are the failures of one peer, or of one user's password.
type strikes struct {
	name   string
	failed int
	flying int // attempts whose end is not known yet
	until  time.Time
	last   time.Time
}

func newThrottle(longest time.Duration, now func() time.Time) *throttle {
	return &throttle{longest: longest, now: now, byName: map[string]*list.Element{}, recent: list.New()}
}

// begin asks for an attempt. It gives how long to wait before asking again, and
// nil, or what must be told how the attempt ended.
func (t *throttle) begin(name string) (time.Duration, *attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	s := t.of(name, now)
	if wait := s.until.Sub(now); wait > 0 {
		return wait, nil
	}
	// Guesses that are sent all at once must not get round the waiting.
	if s.flying > 0 && s.failed+s.flying >= freeFailures {
		return firstWait, nil
	}
	s.flying++
	return 0, &attempt{throttle: t, strikes: s}
}

// knows notes that a name was got right at a place.
func (t *throttle) knows(name, place string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of(at(name, place), t.now())
}

// beginAt is begin for a name at a place, which counts for itself where the name
// was got right there, as far as that is remembered.
func (t *throttle) beginAt(name, place string) (time.Duration, *attempt) {
	t.mu.Lock()
	_, known := t.byName[at(name, place)]
	t.mu.Unlock()
	if known {
		name = at(name, place)
	}
	return t.begin(name)
}

// at names a place of a name; neither has a space.
func at(name, place string) string { return name + " " + place }

// of finds the strikes of a name, or begins some.
func (t *throttle) of(name string, now time.Time) *strikes {
	if e, ok := t.byName[name]; ok {
		t.recent.MoveToFront(e)
		s := e.Value.(*strikes)
		if now.Sub(s.last) > strikesKept {
			s.failed = 0
		}
		s.last = now
		return s
	}
	if t.recent.Len() >= maxStruck {
		oldest := t.recent.Back()
		delete(t.byName, oldest.Value.(*strikes).name)
		t.recent.Remove(oldest)
	}
	s := &strikes{name: name, last: now}
	t.byName[name] = t.recent.PushFront(s)
	return s
}

// attempt is one attempt under way. It ends once, in one of three ways.
type attempt struct {
	throttle *throttle
	strikes  *strikes
}

// failed counts, and sets how long the next has to wait.
func (a *attempt) failed() {
	a.end(func(s *strikes) {
		s.failed++
		if over := s.failed - freeFailures; over >= 0 {
			wait := a.throttle.longest
			if over < 30 { // beyond that a shift would leave a Duration
				wait = min(firstWait<<over, wait)
			}
			s.until = a.throttle.now().Add(wait)
		}
	})
}

// cleared forgets what failed before.
func (a *attempt) cleared() { a.end(func(s *strikes) { s.failed = 0 }) }

// dropped leaves everything as it was before the attempt.
func (a *attempt) dropped() { a.end(func(*strikes) {}) }

func (a *attempt) end(f func(*strikes)) {
	a.throttle.mu.Lock()
	defer a.throttle.mu.Unlock()
	a.strikes.flying--
	f(a.strikes)
}

// peerName is what failures of an address are counted under: whoever has an
// IPv6 address has the /64 that it is in (RFC 6177).
func peerName(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.Unmap().String()
}
