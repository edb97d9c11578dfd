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
	last  int64            // the latest invalidation of anything
	keys  int64            // the latest invalidation of any key
	era   int64            // a reading that began in an earlier one is not to be believed
	chain chain            // for what others have read
	looks int64            // at the log, that have begun
	ended int64            // at the log, that have told something
}

// beginning is when a reading began.
type beginning struct{ era, ended int64 }

// clear begins a new era: the log is another one.
func (d *dropped) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at, d.floor, d.last, d.keys = make(map[string]int64), 0, 0, 0
	d.era++
	d.chain.forget()
}

// trust begins at a head, after clear.
func (d *dropped) trust(h Head) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.chain.trust(h)
	d.ended++
}

// hint notes a hint. ahead says whether its change has yet to be read in the log,
// fresh whether it told anything new.
func (d *dropped) hint(h Hint) (ahead, fresh bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.chain.hint(h)
}

// doubt believes nothing of what others have read until the log can be read: what
// has changed is known, and where the log stands now is not.
func (d *dropped) doubt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.chain.doubt = true
}

// stands is where this node stands in which log.
func (d *dropped) stands() (lineage string, seq int64) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.chain.lineage, d.chain.reached()
}

// head is stands, whole; the zero value where the log is not known.
func (d *dropped) head() Head {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.chain.head
}

// renew begins a new era of the same log.
func (d *dropped) renew() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.era++
}

// now is when a reading begins.
func (d *dropped) now() beginning {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return beginning{d.era, d.ended}
}

// look begins a look at the log, and gives its number.
func (d *dropped) look() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looks++
	return d.looks
}

// contradicted says whether something that was read from the database is not of
// the log that a look has found.
func (d *dropped) contradicted(h Head, entries []entry, look int64) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.chain.contradicts(h, entries, look)
}

// admit notes a finding that goes into memory, unless it is overtaken.
func (d *dropped) admit(f *finding, began beginning) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.overtakes(f, began) && d.chain.saw(f, d.looks)
}

// add notes invalidations, which entries of the log that lead to h have named,
// and says whether any was of what an identity depends on, and whether any of a
// key.
func (d *dropped) add(subjects map[string]int64, h Head, entries []entry) (matters, ofKeys bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.chain.extend(h, entries)
	d.ended++
	for subject, seq := range subjects {
		if !identifies(subject) {
			continue
		}
		matters = true
		if len(d.at) >= d.limit {
			d.floor = max(d.floor, d.last)
			clear(d.at)
		}
		d.at[subject] = max(d.at[subject], seq)
		d.last = max(d.last, seq)
		if isKey(subject) {
			ofKeys = true
			d.keys = max(d.keys, seq)
		}
	}
	return matters, ofKeys
}

// overtakes says whether a finding is older than an invalidation of what it
// depends on. That there is no such key depends on every key: any that changed may
// have it now. What is ahead of the log that was read meanwhile is read again: it
// may be of changes that the database has lost since.
func (d *dropped) overtakes(f *finding, began beginning) bool {
	switch {
	case began.era != d.era || f.seq < d.floor || f.shelved && !d.chain.vouches(f):
		return true
	case began.ended != d.ended && f.seq > d.chain.reached():
		return true
	case f.who == nil:
		return f.seq < d.keys
	}
	return f.seq < max(d.at[subjectOf(f.who)], d.at[ownerOf(f.who)])
}

// identifies says whether an identity can depend on a subject: a key, or the
// user who owns it.
func identifies(subject string) bool { return isKey(subject) || isUser(subject) }

func isKey(subject string) bool { return strings.HasPrefix(subject, "key:") }

func isUser(subject string) bool { return strings.HasPrefix(subject, "user:") }
