package store

import "slices"

// Bounds of what is remembered of the log, for judging what others have read.
const (
	rememberMarks = 16_384 // changes; what is older is read again
	rememberHints = 4096   // subjects that hints named
	rememberAhead = 1024   // moments, ahead of the log, at which keys were read
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
	head    Head   // up to where it is known; the zero value: not at all
	first   int64  // the number that marks begin with
	marks   []mark // none: this node knows nothing of the log

	hinted map[string]named // keys and users that changes ahead of the chain have changed
	blind  int64            // up to which number anything may have changed
	doubt  bool             // this node has changed something, and could not read the log since

	ahead map[int64]sighting // when keys in memory were read that the log has yet to reach
}

// named is up to where hints have named something, and the change of the last of
// them. After the database lost changes, others can have the same or lower numbers.
type named struct {
	seq int64
	id  string
}

// sighting is a moment of the log at which something was read from the database,
// and how many looks at the log had begun by then.
type sighting struct {
	mark  mark
	looks int64
}

// reached is the number up to which the log is known; -1 where it is not.
func (c *chain) reached() int64 { return c.first + int64(len(c.marks)) - 1 }

// forget knows nothing of the log any more. Hints stay: they are of what comes.
func (c *chain) forget() { c.head, c.first, c.marks, c.ahead = Head{}, 0, nil, nil }

// trust begins at a head that was read a moment ago, while nothing was in memory.
func (c *chain) trust(h Head) {
	if c.lineage != h.Lineage {
		c.lineage, c.hinted, c.blind = h.Lineage, nil, 0
	}
	c.head, c.first, c.marks = h, h.Seq, append(c.marks[:0], markOf(h.Hash))
	c.covered()
}

// extend goes on to h by entries that lead there.
func (c *chain) extend(h Head, entries []entry) {
	if len(c.marks) == 0 {
		c.trust(h)
		return
	}
	c.head = h
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
// So it does with sightings: contradicts was asked about them.
func (c *chain) covered() {
	c.doubt = false
	at := c.reached()
	for seq := range c.ahead {
		if seq <= at {
			delete(c.ahead, seq)
		}
	}
	for subject, in := range c.hinted {
		if in.seq <= at {
			delete(c.hinted, subject)
		}
	}
}

// saw notes when something was read that is now in memory. It is false where there
// is no room, or where two readings of one number are of two histories.
func (c *chain) saw(f *finding, looks int64) bool {
	if f.seq <= c.reached() {
		return true
	}
	if other, seen := c.ahead[f.seq]; seen {
		return other.mark == f.mark
	}
	if len(c.ahead) >= rememberAhead {
		return false
	}
	if c.ahead == nil {
		c.ahead = make(map[int64]sighting)
	}
	c.ahead[f.seq] = sighting{f.mark, looks}
	return true
}

// contradicts says whether the log up to h, found by a look, is not the one of
// which something in memory was read: the database lost changes since then.
func (c *chain) contradicts(h Head, entries []entry, look int64) bool {
	for seq, seen := range c.ahead {
		if seq > h.Seq {
			if seen.looks < look { // it was read before the look began
				return true
			}
			continue
		}
		if i := seq - (h.Seq - int64(len(entries)) + 1); i >= 0 && markOf(entries[i].Hash) != seen.mark {
			return true
		}
	}
	return false
}

// hint notes what a change ahead of the chain has changed. fresh says whether it
// names a key or user of which that was not known.
//
// Where it does not say what, and where a user changed, it can be anything: keys
// may have become that user's without this node having heard of it.
func (c *chain) hint(h Hint) (ahead, fresh bool) {
	if h.Lineage != c.lineage || h.Seq <= c.reached() {
		return false, false
	}
	anything := len(h.Subjects) == 0
	for _, subject := range h.Subjects {
		in := c.hinted[subject]
		if !identifies(subject) || in.id == h.ID && in.seq >= h.Seq {
			continue
		}
		fresh = true
		in = named{seq: max(in.seq, h.Seq), id: h.ID}
		anything = anything || isUser(subject) || !c.remember(subject, in)
	}
	if anything {
		c.blind = max(c.blind, h.Seq)
	}
	return true, fresh
}

// remember is false where there is no room.
func (c *chain) remember(subject string, in named) bool {
	if len(c.hinted) >= rememberHints {
		return false
	}
	if c.hinted == nil {
		c.hinted = make(map[string]named)
	}
	c.hinted[subject] = in
	return true
}

// vouches says whether a finding of another node was read at a moment that this
// node knows, and depends on nothing that a hint has named since. What the log
// has named since then is the business of dropped.
func (c *chain) vouches(f *finding) bool {
	i := f.seq - c.first
	if i < 0 || i >= int64(len(c.marks)) || c.marks[i] != f.mark || c.blind > c.reached() || c.doubt {
		return false
	}
	for _, subject := range []string{subjectOf(f.who), ownerOf(f.who)} {
		if _, hinted := c.hinted[subject]; hinted {
			return false
		}
	}
	return true
}
