package fleet

import (
	"context"

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
// which nodes nothing is known.
func (f *Fleet) Traffic(ctx context.Context, q window.Query) ([]window.Part, *api.Partial) {
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
	return parts, p
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
