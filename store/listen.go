package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// A bus that went away is tried again with longer and longer waits.
const (
	firstListen   = 50 * time.Millisecond
	longestListen = 5 * time.Second
	listenedWell  = 10 * time.Second // after which the waits begin anew
)

// ear is how this node hears of changes by the bus.
type ear struct {
	bus       Bus
	connected atomic.Bool
	moved     chan struct{} // one place: the lineage is another one
	told      string        // the failure that was logged last; of the goroutine that listens
}

// attend listens to the bus, if there is one, until the function that it gives
// is called.
func (s *Store) attend(ctx context.Context) (end func()) {
	if s.ear == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var listening sync.WaitGroup
	listening.Go(func() { s.hearBus(ctx) })
	return func() { cancel(); listening.Wait() }
}

func (s *Store) hearBus(ctx context.Context) {
	again := backoff{first: firstListen, most: longestListen}
	for ctx.Err() == nil {
		begun := time.Now()
		err := s.hearBusOnce(ctx)
		s.ear.connected.Store(false)
		if err == nil || ctx.Err() != nil { // the lineage moved, or this is the end
			continue
		}
		s.ear.lost(s.log, err, s.unheard())
		if time.Since(begun) >= listenedWell {
			again.anew()
		}
		again.pause(ctx)
	}
}

// hearBusOnce listens to the bell of the lineage that this node stands in, until
// that moves (nil), the bus fails, or ctx ends.
func (s *Store) hearBusOnce(ctx context.Context) error {
	lineage, _ := s.keys.dropped.stands()
	session, end := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-s.ear.moved:
			end()
		case <-session.Done():
		}
	})
	err := s.ear.bus.Listen(session, bellOf(lineage), func(sealed []byte) { s.heard(lineage, sealed) })
	moved := session.Err() != nil
	end()
	watch.Wait()
	if moved {
		err = nil // it was ended from here
	}
	return err
}

// heard takes what came over the bus. What does not open may have been sealed
// with a key that this node is yet to get, so it is worth a glance.
func (s *Store) heard(lineage string, sealed []byte) {
	if sealed == nil {
		s.ear.found(s.log)
		s.hear(Hint{})
		return
	}
	h, err := openHint(s.options.Secret, lineage, sealed)
	if err != nil {
		s.crier.count.bad.Add(1)
		s.glance()
		return
	}
	s.crier.count.received.Add(1)
	s.hear(h)
}

// lost says once what became of the bus.
func (e *ear) lost(log zerolog.Logger, err error, means string) {
	err = steady(err)
	if e.told == err.Error() {
		return
	}
	e.told = err.Error()
	log.Error().Err(err).Msg(means)
}

// unheard says what it means that this node does not hear the bus.
func (s *Store) unheard() string {
	by := fmt.Sprintf("the %g s poll", s.options.PollEvery.Seconds())
	if s.far != nil {
		by = "NOTIFY or " + by
	}
	return "bus unreachable; changes reach this node by " + by + " until it is back"
}

func (e *ear) found(log zerolog.Logger) {
	e.connected.Store(true)
	if e.told != "" {
		log.Info().Msg("bus reachable again")
		e.told = ""
	}
}

// relisten listens anew where the lineage is another one.
func (s *Store) relisten() {
	if s.ear == nil {
		return
	}
	select {
	case s.ear.moved <- struct{}{}:
	default: // it is about to
	}
}

// startOver drops everything from memory, and begins at a head of a log that
// does not continue the one that this node knew.
func (s *Store) startOver(at Head) {
	before, _ := s.keys.dropped.stands()
	s.keys.reset()
	s.keys.dropped.trust(at)
	if before != at.Lineage {
		s.relisten()
	}
}

// BusConnected says whether this node hears the bus; configured is false where
// there is none.
func (s *Store) BusConnected() (connected, configured bool) {
	return s.ear != nil && s.ear.connected.Load(), s.ear != nil
}
