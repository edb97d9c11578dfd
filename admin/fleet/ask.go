package fleet

import (
	"context"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// Bounds of a question.
const (
	answersWithin = 500 * time.Millisecond // from its beginning to the last answer
	mostAsked     = 4                      // at once
	answerQueue   = 256
)

// asking is what is asked of others, and by them.
type asking struct {
	slots     chan struct{} // one for each question of this node
	questions chan asked    // of others
}

func newAsking() asking {
	return asking{slots: make(chan struct{}, mostAsked), questions: make(chan asked, questionQueue)}
}

// Streams gives what is in flight on the other nodes, at most so many of each, the
// oldest of it, in any order; and of which nodes nothing is known.
func (f *Fleet) Streams(ctx context.Context, limit int) ([]api.Flight, *api.Partial) {
	answers, p := f.ask(ctx, questionOf{Limit: limit}, func(*answer) bool { return false })
	var flights []api.Flight
	for i := range answers {
		name := f.label(answers[i].From)
		for _, x := range answers[i].Flights {
			x.Node = name
			flights = append(flights, x)
		}
	}
	return flights, p
}

// CutElsewhere ends an exchange on the node that has it, and gives it as it was,
// which says where that is. Where there is none, the nodes that are named may have
// it; without one, nobody has.
func (f *Fleet) CutElsewhere(ctx context.Context, requestID string, by Actor) (*api.Flight, *api.Partial) {
	answers, p := f.ask(ctx, questionOf{Cut: requestID, By: by}, func(a *answer) bool { return a.Cut != nil })
	for i := range answers {
		if cut := answers[i].Cut; cut != nil {
			cut.Node = f.label(answers[i].From)
			return cut, nil
		}
	}
	return nil, p
}

// ask asks all nodes, and waits until all have answered, one answer is enough, or
// the time is over.
func (f *Fleet) ask(ctx context.Context, q questionOf, enough func(*answer) bool) ([]answer, *api.Partial) {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	wanted, ok := f.others(ctx)
	c := f.circle.Load()
	switch {
	case ok && len(wanted) == 0:
		return nil, nil
	case f.options.Bus == nil:
		return nil, f.unheard(wanted, ok, noBus)
	case c == nil:
		return nil, f.unheard(wanted, ok, busAway)
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default:
		return nil, f.unheard(wanted, ok, busy)
	}
	q.ID = newName()
	s := &survey{fleet: f, circle: c, question: q, wanted: wanted, all: ok}
	problem := s.run(ctx, enough)
	return s.answers, s.unheard(problem)
}

func (f *Fleet) unheard(silent []other, known bool, problem string) *api.Partial {
	if !known {
		return &api.Partial{Nodes: []string{}, Problem: noMembers}
	}
	return partialOf(silent, problem)
}

// survey is one question, and the answers so far.
type survey struct {
	fleet    *Fleet
	circle   *circle
	question questionOf
	wanted   []other
	all      bool // there are no others than those wanted
	answers  []answer
}

// run says why answers may be missing.
func (s *survey) run(ctx context.Context, enough func(*answer) bool) (problem string) {
	f, channel := s.fleet, s.circle.answers(s.question.ID)
	listening, end := context.WithCancel(ctx)
	heard, began, ended := make(chan answer, answerQueue), make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		_ = f.options.Bus.Listen(listening, channel, func(sealed []byte) { s.hear(channel, sealed, began, heard) }) // then nobody answers
	}()
	defer func() { end(); <-ended }()

	select {
	case <-began:
	case <-ended:
		return busAway
	case <-ctx.Done():
		return busAway
	}
	if err := f.publish(ctx, s.circle, s.circle.calls(), &call{From: f.self(), Question: &s.question}); err != nil {
		return busAway
	}
	for !s.complete() {
		select {
		case a := <-heard:
			if s.take(&a) && enough(&a) {
				return ""
			}
		case <-ended:
			return busAway
		case <-ctx.Done():
			return noAnswer
		}
	}
	return noAnswer
}

func (s *survey) hear(channel string, sealed []byte, began chan<- struct{}, heard chan<- answer) {
	if sealed == nil {
		select {
		case began <- struct{}{}:
		default:
		}
		return
	}
	f := s.fleet
	var a answer
	if err := s.circle.open(channel, sealed, &a); err != nil {
		f.count.bad.Add(1)
		return
	}
	select {
	case heard <- a:
		f.count.received.Add(1)
	default:
		f.count.refused.Add(1)
	}
}

// take keeps the first answer of each node.
func (s *survey) take(a *answer) bool {
	if s.has(a.From.ID) {
		s.fleet.count.bad.Add(1)
		return false
	}
	s.answers = append(s.answers, *a)
	return true
}

func (s *survey) has(id string) bool {
	for i := range s.answers {
		if s.answers[i].From.ID == id {
			return true
		}
	}
	return false
}

// complete says whether all have answered. Where it is not known who there is, the
// time decides.
func (s *survey) complete() bool { return s.all && len(s.silent()) == 0 }

func (s *survey) silent() (silent []other) {
	for _, o := range s.wanted {
		if !s.has(o.id) {
			silent = append(silent, o)
		}
	}
	return silent
}

func (s *survey) unheard(problem string) *api.Partial {
	return s.fleet.unheard(s.silent(), s.all, problem)
}
