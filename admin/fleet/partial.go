package fleet

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// Why nothing is known of a node.
const (
	noBus     = "there is no bus: start every gateway with --bus"
	busAway   = "the bus is unreachable"
	noAnswer  = "no answer"
	busy      = "too many questions at once"
	noMembers = "the store cannot be asked which nodes there are"
	tooOld    = "it is of an older version"
)

// nodesWithin bounds how long the store is asked which nodes there are, before
// those that were there are taken for those that are.
const nodesWithin = 250 * time.Millisecond

// other is another node that lives, as far as the store knows.
type other struct{ id, label string }

// known is which nodes there were when the store last said.
type known struct {
	mu     sync.Mutex
	asked  bool // the store has answered once
	others []other
}

// others gives the other nodes that live; ok is false where the store has never
// said which there are.
func (f *Fleet) others(ctx context.Context) (all []other, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, nodesWithin)
	defer cancel()
	nodes, err := f.options.Nodes(ctx)
	k := &f.known
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		return k.others, k.asked
	}
	names := map[string]int{f.options.Name: 1}
	for i := range nodes {
		if !nodes[i].Self {
			names[nodes[i].Name]++
		}
	}
	for i := range nodes {
		n := &nodes[i]
		if n.Self || n.ID == f.options.Self || n.Silent() {
			continue
		}
		o := other{id: n.ID, label: n.Name}
		if names[n.Name] > 1 {
			o.label = labelOf(n.Name, n.ID)
		}
		all = append(all, o)
	}
	k.others, k.asked = all, true
	return all, true
}

// label is what people know a sender by: its name, and where others have the same,
// its ID as well.
func (f *Fleet) label(s sender) string {
	f.known.mu.Lock()
	defer f.known.mu.Unlock()
	for _, o := range f.known.others {
		if o.id == s.ID {
			return o.label
		}
	}
	if s.Name == f.options.Name {
		return labelOf(s.Name, s.ID)
	}
	return s.Name
}

func labelOf(name, id string) string { return name + " (" + id + ")" }

// allOthers is what is missing where nobody can be heard.
func (f *Fleet) allOthers(ctx context.Context, problem string) *api.Partial {
	all, ok := f.others(ctx)
	if !ok {
		return &api.Partial{Nodes: []string{}, Problem: noMembers}
	}
	return partialOf(all, problem)
}

// partialOf is nil for nobody.
func partialOf(silent []other, problem string) *api.Partial {
	if len(silent) == 0 {
		return nil
	}
	p := &api.Partial{Nodes: []string{}, Problem: problem}
	for _, o := range silent {
		p.Nodes = append(p.Nodes, o.label)
	}
	return p
}

// missing is what readers are not shown.
type missing struct{ now atomic.Pointer[api.Partial] }

// set says whether it is another than before.
func (m *missing) set(p *api.Partial) bool {
	return !m.now.Swap(p).Same(p)
}
