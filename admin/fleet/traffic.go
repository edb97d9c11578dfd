package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/window"
)

// Of the names that a node tells: several times as many as are asked for, since
// the first of all nodes need not be the first of each.
const (
	namesTold  = 4
	leastNames = 100
)

// Traffic gives what the other nodes know of a window, one part for each, and of
// which nodes nothing is known. Those who ask the same within a second share an
// answer, which nobody may change: any number of consoles cost what one does.
func (f *Fleet) Traffic(ctx context.Context, q window.Query) ([]window.Part, *api.Partial) {
	t, first := f.sharing.join(q, time.Now())
	if first {
		t.parts, t.missing = f.askTraffic(context.WithoutCancel(ctx), q) // others wait for it, too
		close(t.answered)
	}
	select {
	case <-t.answered:
		return t.parts, t.missing
	case <-ctx.Done():
		return nil, &api.Partial{Nodes: []string{}, Problem: noAnswer}
	}
}

// sharedFor is how long an answer serves others who ask the same.
const sharedFor = time.Second

// sharing is the questions about traffic of the last second.
type sharing struct {
	mu    sync.Mutex
	asked map[string]*sharedTraffic
}

// sharedTraffic is one of them. Its answer is there once answered is closed.
type sharedTraffic struct {
	at       time.Time
	answered chan struct{}
	parts    []window.Part
	missing  *api.Partial
}

// join gives the question, and says whether it has yet to be asked.
func (s *sharing) join(q window.Query, now time.Time) (t *sharedTraffic, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.asked, func(_ string, t *sharedTraffic) bool { return now.Sub(t.at) >= sharedFor })
	name := fmt.Sprint(q)
	if t := s.asked[name]; t != nil {
		return t, false
	}
	if s.asked == nil {
		s.asked = map[string]*sharedTraffic{}
	}
	t = &sharedTraffic{at: now, answered: make(chan struct{})}
	s.asked[name] = t
	return t, true
}

func (f *Fleet) askTraffic(ctx context.Context, q window.Query) ([]window.Part, *api.Partial) {
	answers, p := f.ask(ctx, questionOf{Traffic: &q}, func(*answer) bool { return false })
	parts := make([]window.Part, 0, len(answers))
	for i := range answers {
		name := f.label(answers[i].From)
		part := answers[i].Traffic
		if part == nil {
			p = without(p, name)
			continue
		}
		for j := range part.Recent {
			part.Recent[j].Node = name
		}
		parts = append(parts, *part)
	}
	return slices.Clip(parts), p
}

// without adds a node that does not know the question.
func without(p *api.Partial, name string) *api.Partial {
	if p == nil {
		return &api.Partial{Nodes: []string{name}, Problem: tooOld}
	}
	return &api.Partial{Nodes: append(p.Nodes, name), Problem: p.Problem}
}

// ownTraffic is what this node answers.
func (f *Fleet) ownTraffic(q window.Query) *window.Part {
	if f.options.Traffic == nil {
		return nil
	}
	p := f.options.Traffic(q)
	p.Trim(min(max(namesTold*q.Names, leastNames), window.MostNames), answerBytes)
	return &p
}
