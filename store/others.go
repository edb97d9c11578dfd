package store

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"
)

// recalled is how many of the latest changes a node reads when it starts, so that
// what others have put on the shelf since then is of use to it.
const recalled = 2000

// others is what a node has for working with others: the bus and the shelf, where
// there are any, and what it has heard. It works until the last change has been
// told, which is after everything else has ended.
type others struct {
	ear   *ear   // nil: no bus
	crier *crier // nil: no bus
	wares *wares // nil: no shelf

	begun   time.Time
	hoped   atomic.Int64 // up to where hints say that the log goes; 0: nowhere
	glanced atomic.Int64 // when a hint that told nothing new last rang, since begun

	ended   chan struct{}
	working sync.WaitGroup
}

// join begins to work with others, at the head that Open found.
func (s *Store) join(ctx context.Context, from *start) error {
	s.begun, s.ended = time.Now(), make(chan struct{})
	s.glanced.Store(-int64(glanceEvery))
	if from.at.Lineage != "" { // what there is to stand in is known
		s.keys.dropped.trust(from.at)
	}
	if bus := s.options.Bus; bus != nil {
		s.ear = &ear{bus: bus, moved: make(chan struct{}, 1)}
		s.crier = &crier{bus: bus, key: s.options.Secret, queue: make(chan Hint, announcements)}
		s.working.Go(func() { s.crier.run(s.ended) })
	}
	if s.options.Shelf == nil {
		return nil
	}
	if from.away == nil {
		if err := s.recall(ctx, from.at); err != nil {
			return err
		}
	}
	s.wares = &wares{
		ledge: newLedge(s.options.Shelf), key: s.options.Secret, version: s.options.Version,
		lineage: func() string { lineage, _ := s.keys.dropped.stands(); return lineage },
	}
	s.keys.shelf = s.wares
	working, stop := context.WithCancel(context.Background())
	s.working.Go(func() { s.wares.run(working) })
	s.working.Go(func() { <-s.ended; stop() })
	return nil
}

// leave ends what join began.
func (o *others) leave() {
	close(o.ended)
	o.working.Wait()
}

// recall reads the latest changes up to a head. Where they do not lead there, the
// node begins at the head: whether the log is whole is not asked here.
func (s *Store) recall(ctx context.Context, at Head) error {
	var entries []entry
	err := s.read(ctx, "reading the latest changes", func(ctx context.Context, on session) (err error) {
		entries, err = readEntries(ctx, on, max(0, at.Seq-recalled))
		return err
	})
	if err != nil {
		return err
	}
	for len(entries) > 0 && entries[len(entries)-1].Seq > at.Seq { // made since
		entries = entries[:len(entries)-1]
	}
	if len(entries) < 2 {
		return nil
	}
	first, rest := &entries[0], entries[1:]
	from := Head{Lineage: at.Lineage, Seq: first.Seq, Revision: first.Revision, Hash: first.Hash}
	if continues(from, at, rest) != "" {
		return nil
	}
	named := make(map[string]int64)
	for i := range rest {
		var subjects []string
		if err := json.Unmarshal([]byte(rest[i].Subjects), &subjects); err != nil {
			return nil //nolint:nilerr // it could name anything, so nothing before the head is trusted
		}
		for _, subject := range subjects {
			named[subject] = rest[i].Seq
		}
	}
	s.keys.dropped.trust(from)
	s.keys.invalidate(named, at, rest)
	return nil
}
