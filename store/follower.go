package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// follower is where a node stands in the log.
type follower struct {
	turn chan struct{} // held by the one Advance that runs
	at   Head          // read up to here; belongs to who has the turn

	failures atomic.Int64             // configurations that could not be taken over
	away     atomic.Bool              // the last look did not reach the database
	good     atomic.Pointer[instant]  // start of the last good look; read by every request
	breaks   atomic.Int64             // logs that did not continue
	broke    atomic.Pointer[LogBreak] // the last of them
	lost     atomic.Pointer[loss]     // nil while the database answers

	mu        sync.Mutex
	apply     func(context.Context, rules.Config) error
	listeners []func(accounts.Change)
	owed      int64 // counts what calls for a load, whatever the revision
	settled   int64 // the owed up to which that was done
	applied   position
	part      Head          // of the log, that applied is of; the zero value before the first load
	keeps     bool          // config is wanted, for copies
	config    *rules.Config // in force; nil where nobody took one
	told      string        // the failure that was logged last
}

// tell tells every listener of every change.
func (f *follower) tell(changes []accounts.Change) {
	f.mu.Lock()
	listeners := f.listeners
	f.mu.Unlock()
	for i := range changes {
		for _, hear := range listeners {
			hear(changes[i])
		}
	}
}

// position is what is in force.
type position struct{ seq, revision int64 }

// begin stands at the head that Open found. The configuration has yet to be
// loaded.
func (f *follower) begin(at Head) {
	f.turn = make(chan struct{}, 1)
	f.at, f.owed = at, 1
	start := now()
	f.good.Store(&start)
}

// wants gives who takes a configuration over, and what is owed him, to be
// handed to paid.
func (f *follower) wants() (apply func(context.Context, rules.Config) error, debt int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.apply, f.owed
}

// calls says whether a head calls for loading the configuration.
func (f *follower) calls(h Head) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.owed > f.settled || h.Revision != f.applied.revision
}

func (f *follower) owe() (debt int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.owed++
	return f.owed
}

func (f *follower) paid(debt int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settled = debt
}

func (f *follower) inForce() position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.applied
}

// stands is inForce, with the log that the numbers are of.
func (f *follower) stands() Head {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.part
}

// done notes what is in force, and the configuration where that is another one.
func (f *follower) done(h Head, c *rules.Config) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied, f.part = position{seq: h.Seq, revision: h.Revision}, h
	if c != nil && f.keeps && f.apply != nil {
		f.config = c
	}
}

func (f *follower) age(at instant) time.Duration { return at.since(*f.good.Load()) }

// configuration is what is in force; nil where nothing is.
func (f *follower) configuration() (*rules.Config, Head) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.config, f.part
}

// loss is a database that does not answer.
type loss struct {
	since time.Time
	why   string // in a few words
}

// lose notes that the database does not answer.
func (f *follower) lose(err error) {
	l := &loss{since: time.Now(), why: "no answer"}
	if before := f.lost.Load(); before != nil {
		l.since = before.since
	}
	var away *UnreachableError
	if errors.As(err, &away) {
		l.why = away.Reason
	} else if reason := unreachable(err); reason != "" {
		l.why = reason
	}
	f.lost.Store(l)
}

// note keeps the books of a look that began at start, and logs a failure once.
func (f *follower) note(log zerolog.Logger, start instant, err error) {
	if f.away.Store(!reachable(err)); reachable(err) {
		f.lost.Store(nil)
	} else {
		f.lose(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.good.Store(&start)
		if f.told != "" {
			log.Info().Msg("in step with the store again")
			f.told = ""
		}
		return
	}
	if f.told != err.Error() {
		f.told = err.Error()
		log.Error().Err(err).Int64("revision", f.applied.revision).
			Msg("cannot follow the store; what was in force stays in force")
	}
}

// instant is a moment on two clocks: a machine that was suspended stops the
// monotonic one, and somebody may set the other.
type instant struct {
	monotonic time.Time
	wall      time.Time
}

func now() instant { return instantOf(time.Now()) }

func instantOf(t time.Time) instant { return instant{monotonic: t, wall: t.Round(0)} }

// since is the larger of the two differences.
func (i instant) since(earlier instant) time.Duration {
	return max(i.monotonic.Sub(earlier.monotonic), i.wall.Sub(earlier.wall))
}

// atLeast is the smaller of the two differences, and never less than nothing:
// what certainly has passed.
func (i instant) atLeast(earlier instant) time.Duration {
	return max(0, min(i.monotonic.Sub(earlier.monotonic), i.wall.Sub(earlier.wall)))
}
