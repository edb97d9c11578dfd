package store

import (
	"strings"
	"time"
)

// LogBreak is a moment at which the store's log did not continue where this node
// stood.
type LogBreak struct {
	At  time.Time
	Why string
}

// alarmFor is how long a broken log is shown as this node's problem: somebody
// has to look what was lost, and nothing else would tell them the next morning.
const alarmFor = 24 * time.Hour

// broken notes that the log did not continue.
func (f *follower) broken(why string) {
	f.breaks.Add(1)
	f.broke.Store(&LogBreak{At: time.Now().UTC(), Why: why})
}

// alarm is the last break, for as long as it is shown; nil where there is none.
func (f *follower) alarm() *LogBreak {
	b := f.broke.Load()
	if b == nil || time.Since(b.At) > alarmFor {
		return nil
	}
	return b
}

// problem says why this node is degraded, for other nodes to read; empty where
// it is not.
func (f *follower) problem() string {
	f.mu.Lock()
	told := f.told
	f.mu.Unlock()
	switch b := f.alarm(); {
	case told != "" && f.away.Load():
		return "it cannot read the store's log" // what a driver says is for the node's own log
	case told != "":
		return clipped(told)
	case b != nil:
		return "the store's log did not continue at " + b.At.Format(time.RFC3339) + ": " + b.Why
	}
	return ""
}

// maxProblem bounds what is told of a problem, in bytes: a configuration can have
// as many mistakes as it has lines.
const maxProblem = 500

func clipped(text string) string {
	if len(text) > maxProblem {
		text = text[:maxProblem] + "…"
	}
	return strings.ToValidUTF8(text, "…") // the cut may have gone through a character
}

// Problem says why this node is degraded: a configuration that it could not take
// over, a store that it cannot read, for a day a log that did not continue, or a
// bus that it does not hear. Empty where it is not.
func (s *Store) Problem() string {
	if problem := s.reader.problem(); problem != "" {
		return problem
	}
	if connected, configured := s.BusConnected(); configured && !connected {
		return s.unheard()
	}
	return ""
}
