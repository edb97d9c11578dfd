package store

import (
	"strings"
	"sync"
)

// dropped remembers which subjects were invalidated, and at which number. It
// is bounded: of what it had to forget it keeps the highest number, and takes
// everything that was read before that for overtaken.
type dropped struct {
	mu    sync.RWMutex
	limit int
	at    map[string]int64 // subject → its latest invalidation
	floor int64            // what was read before this may have been overtaken
	keys  int64            // the latest invalidation of any key
	era   int64            // a reading that began in an earlier one is not to be believed
}

// clear begins a new era: the log is another one.
func (d *dropped) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at, d.floor, d.keys = make(map[string]int64), 0, 0
	d.era++
}

// renew begins a new era of the same log.
func (d *dropped) renew() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.era++
}

// now is the era in which a reading begins.
func (d *dropped) now() int64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.era
}

// add notes invalidations and says whether any was of a key.
func (d *dropped) add(subjects map[string]int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	ofKeys := false
	for subject, seq := range subjects {
		if !isKey(subject) {
			continue
		}
		ofKeys = true
		if len(d.at) >= d.limit {
			d.floor = max(d.floor, d.keys)
			clear(d.at)
		}
		d.at[subject] = max(d.at[subject], seq)
		d.keys = max(d.keys, seq)
	}
	return ofKeys
}

// overtakes says whether a finding, read in an era, is older than an
// invalidation of what it depends on. That there is no such key depends on
// every key: any that changed may have it now.
func (d *dropped) overtakes(f finding, era int64) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	switch {
	case era != d.era || f.seq < d.floor:
		return true
	case f.who == nil:
		return f.seq < d.keys
	}
	return f.seq < d.at[subjectOf(f.who)]
}

// isKey says whether a subject is a key.
func isKey(subject string) bool { return strings.HasPrefix(subject, "key:") }
