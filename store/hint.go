package store

// Hint says that something may have changed elsewhere. It only wakes a node up:
// one that is lost, comes twice, or comes before its change can be read does no
// harm, and one that somebody forged can do no more than make a node look.
type Hint struct {
	Lineage  string
	Seq      int64    // of the change; 0: all that is known is that hints may have been missed
	Subjects []string // what it changed; used only to drop things from memory
}

// hear takes a hint from whoever brings it, and never blocks.
func (s *Store) hear(h Hint) {
	s.keys.drop(h.Subjects)
	s.ring()
}
