package admin

import (
	"context"
	"sync"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/fleet"
)

// openFleet prepares what other nodes show this one, and it them.
func (s *Server) openFleet(o fleet.Options) {
	o.Nodes, o.Flights, o.Cut, o.Traffic = s.store.Nodes, s.briefFlights, s.cutHere, s.lately.part
	o.Hear, o.Tell, o.Log = s.tail.hearOthers, s.tail.hearPartial, s.log
	s.fleet = fleet.New(o)
	s.tail.others = s.fleet.Watch
}

// Join works with the other nodes until ctx ends: this one is shown what passes
// there, and they are shown what passes here. Until then, what ends here is
// counted, too.
func (s *Server) Join(ctx context.Context) error {
	var counting sync.WaitGroup
	counting.Go(func() { s.lately.lookOn(ctx) })
	defer counting.Wait()
	return s.fleet.Run(ctx)
}

// briefFlights is what is in flight here, as other nodes see it.
func (s *Server) briefFlights() []api.Flight {
	flights := s.node.Flights()
	for i := range flights {
		flights[i] = *brief(flights[i])
	}
	return flights
}

// brief cuts short what callers chose.
func brief(f api.Flight) *api.Flight {
	f.Path, f.Model = ownText(f.Path), ownText(f.Model)
	return &f
}

// hearOthers tells listeners what passed on another node. It is not remembered.
func (t *tail) hearOthers(h fleet.Heard) {
	for _, l := range *t.listening.Load() {
		for i := range h.Started {
			l.hearStart(&h.Started[i])
		}
		for i := range h.Ended {
			l.hear(&past{Exchange: h.Ended[i]})
		}
		l.hearCounts(&h)
	}
}

// hearCounts counts what the other node did not send.
func (l *listener) hearCounts(h *fleet.Heard) {
	if l.wants.Started {
		l.filtered.Add(h.FilteredStarted)
	}
	if l.wants.Ended {
		l.filtered.Add(h.FilteredEnded)
	}
	if l.wants.Started || l.wants.Ended {
		l.dropped.Add(h.Dropped)
		l.total.Add(h.Dropped)
	}
}

func (t *tail) hearPartial(*api.Partial) {
	for _, l := range *t.listening.Load() {
		l.mayMiss()
	}
}

// mayMiss has whoever writes look at what is missing.
func (l *listener) mayMiss() {
	if !l.wants.Started && !l.wants.Ended {
		return
	}
	select {
	case l.partial <- struct{}{}:
	default: // it is about to
	}
}

// showPartial tells the reader what is missing, where that is another than it was
// last told.
func (s *Server) showPartial(out *eventWriter, l *listener) error {
	missing := s.fleet.Missing()
	if missing.Same(l.missing) {
		return nil
	}
	l.missing = missing
	if missing == nil {
		missing = &api.Partial{Nodes: []string{}}
	}
	if err := out.add("partial", "", missing); err != nil {
		return err
	}
	return out.flush()
}
