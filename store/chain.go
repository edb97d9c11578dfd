package store

import "slices"

// Bounds of what is remembered of the log, for judging what others have read.
const (
	rememberMarks = 16_384 // changes; what is older is read again
	rememberHints = 4096   // subjects that hints named
)

// mark is the beginning of a hash of the log: at which moment of which history
// something was read.
type mark [16]byte

func markOf(hash []byte) (m mark) {
	copy(m[:], hash)
	return m
}

// chain is what this node has itself read of the log: every hash from one number
// on, without a gap. What another node has read is believed only where it was
// read at a moment that stands in the chain. So neither a store that was restored
// or lost changes, nor one that this node has not heard of yet, can bring back
// what was revoked.
//
// Hints are of changes ahead of the chain. What one of them named has changed, in
// a way that this node does not know yet.
type chain struct {
	lineage string
	first   int64  // the number that marks begin with
	marks   []mark // none: this node knows nothing of the log

	hinted map[string]int64 // keys that changes ahead of the chain have changed
	blind  int64            // up to which number anything may have changed
}

// reached is the number up to which the log is known; -1 where it is not.
func (c *chain) reached() int64 { return c.first + int64(len(c.marks)) - 1 }

// forget knows nothing of the log any more. Hints stay: they are of what comes.
func (c *chain) forget() { c.first, c.marks = 0, nil }

// trust begins at a head that was read a moment ago, while nothing was in memory.
func (c *chain) trust(h Head) {
	if c.lineage != h.Lineage {
		c.lineage, c.hinted, c.blind = h.Lineage, nil, 0
	}
	c.first, c.marks = h.Seq, append(c.marks[:0], markOf(h.Hash))
	c.covered()
}

// extend goes on to h by entries that lead there.
func (c *chain) extend(h Head, entries []entry) {
	if len(c.marks) == 0 {
		c.trust(h)
		return
	}
	for i := range entries {
		c.marks = append(c.marks, markOf(entries[i].Hash))
	}
	if extra := len(c.marks) - rememberMarks; extra > rememberMarks/2 {
		c.marks = slices.Clone(c.marks[extra:])
		c.first += int64(extra)
	}
	c.covered()
}

// covered forgets the hints that the log has reached: what they named, it named.
func (c *chain) covered() {
	at := c.reached()
	for subject, seq := range c.hinted {
		if seq <= at {
			delete(c.hinted, subject)
		}
	}
}

// hint notes what a change ahead of the chain has changed. fresh says whether
// that is more than was known.
//
// Where it does not say what, and where a user changed, it can be anything: keys
// may have become that user's without this node having heard of it.
func (c *chain) hint(h Hint) (ahead, fresh bool) {
	if h.Lineage != c.lineage || h.Seq <= c.reached() {
		return false, false
	}
	anything := len(h.Subjects) == 0
	for _, subject := range h.Subjects {
		switch {
		case isUser(subject):
			anything = true
		case !isKey(subject) || c.hinted[subject] >= h.Seq:
		case len(c.hinted) >= rememberHints:
			anything = true
		default:
			if c.hinted == nil {
				c.hinted = make(map[string]int64)
			}
			c.hinted[subject], fresh = h.Seq, true
		}
	}
	if anything && c.blind < h.Seq {
		c.blind, fresh = h.Seq, true
	}
	return true, fresh
}

// vouches says whether a finding of another node was read at a moment that this
// node knows, and depends on nothing that a hint has named since. What the log
// has named since then is the business of dropped.
func (c *chain) vouches(f *finding) bool {
	i := f.seq - c.first
	if i < 0 || i >= int64(len(c.marks)) || c.marks[i] != f.mark || c.blind > c.reached() {
		return false
	}
	for _, subject := range []string{subjectOf(f.who), ownerOf(f.who)} {
		if _, hinted := c.hinted[subject]; hinted {
			return false
		}
	}
	return true
}
