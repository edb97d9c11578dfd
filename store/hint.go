package store

import "time"

// Hint says that something may have changed elsewhere. It only wakes a node up:
// one that is lost, comes twice, or comes before its change can be read does no
// harm, and one that somebody forged can do no more than make a node look.
type Hint struct {
	Lineage  string
	Seq      int64    // of the change; 0: all that is known is that hints may have been missed
	ID       string   // of the change; empty where it is not known
	Subjects []string // what it changed; used only to drop things from memory. None: it does not say
}

// glanceEvery bounds how often hints that tell nothing new make a node look.
const glanceEvery = time.Second

// hear takes a hint from whoever brings it, and never blocks. What it names is
// dropped at once, and Follow goes on looking until the log has it. A hint of
// what the log has already, and one that came before, are worth a glance now and
// then: the log may not be the one that it was.
func (s *Store) hear(h Hint) {
	switch {
	case h.Seq == 0:
		s.ring()
	case s.keys.hint(h) && s.hope(h.Seq):
		s.ring()
	default:
		s.glance()
	}
}

// hope notes up to where a hint says that the log goes, and says whether that is
// further than was known.
func (s *Store) hope(seq int64) bool {
	for {
		known := s.hoped.Load()
		if seq <= known {
			return false
		}
		if s.hoped.CompareAndSwap(known, seq) {
			return true
		}
	}
}

// glance rings unless it did so a moment ago.
func (s *Store) glance() {
	at, last := int64(time.Since(s.begun)), s.glanced.Load()
	if at-last >= int64(glanceEvery) && s.glanced.CompareAndSwap(last, at) {
		s.ring()
	}
}
