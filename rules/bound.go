package rules

import (
	"cmp"
	"slices"

	"github.com/llmgw/llmgw/accounts"
)

// ranked is a binding and where it stands among those of one caller: a key's
// before its user's before a tag's, then by order, then by lot.
type ranked struct {
	bound *bound
	score float64 // see Candidate.score
}

func (a *ranked) compare(b *ranked) int {
	if a.sameOrder(b) {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.bound.place, b.bound.place))
	}
	return cmp.Or(cmp.Compare(a.bound.level, b.bound.level), cmp.Compare(a.bound.binding.Order, b.bound.binding.Order))
}

// sameOrder says whether two bindings are peers, among which weights choose.
func (a *ranked) sameOrder(b *ranked) bool {
	return a.bound.level == b.bound.level && a.bound.binding.Order == b.bound.binding.Order
}

// rankBindings puts the bindings of a caller that take its request into order.
func (s *Set) rankBindings(q *Request, by affinity, into []ranked) []ranked {
	caller := by.of(q)
	s.bindings.each(q, func(b *bound) {
		into = append(into, ranked{b, b.chosen.score(caller)})
	})
	slices.SortFunc(into, func(a, b ranked) int { return a.compare(&b) })
	return into
}

// bind fills in the candidates that the caller's bindings name where the rules
// leave the destination open: open where there is no such binding.
func (d *Decision) bind(q *Request, open Outcome) Outcome {
	d.ranked = d.set.rankBindings(q, d.affinity(), d.ranked)
	if len(d.ranked) == 0 {
		return open
	}
	if doublesVersion(q.Path) && (d.Rule == nil || d.Rule.path == nil) {
		return WrongBaseURL
	}
	first := slices.IndexFunc(d.ranked, func(r ranked) bool { return r.bound.chosen.usable(q) })
	if first < 0 {
		return d.unboundable(q)
	}
	for i := first; i < len(d.ranked); i++ {
		if r := &d.ranked[i]; r.bound.chosen.usable(q) {
			d.add(r, r.sameOrder(&d.ranked[first]))
		}
	}
	d.Candidates, d.Bound = d.chosen, d.chosen[0].Binding
	if !q.HasModel && d.Rule != nil && d.Rule.model != nil {
		d.Candidates = d.Candidates[:1]
		return ModelUnreadable
	}
	return Forward
}

// add appends what a binding names. A fallback on what stands there already
// would be no other attempt.
func (d *Decision) add(r *ranked, peer bool) {
	c := &r.bound.chosen
	if peer {
		d.chosen = append(d.chosen, c)
		return
	}
	for _, before := range d.chosen {
		if before.Index == c.Index && before.Credential == c.Credential {
			return
		}
	}
	d.chosen = append(d.chosen, &r.bound.spare)
}

// unboundable is unusable for what bindings name.
func (d *Decision) unboundable(q *Request) Outcome {
	for i := range d.ranked {
		d.chosen = append(d.chosen, &d.ranked[i].bound.chosen)
	}
	outcome := d.unusable(q, d.chosen)
	d.Bound = d.Candidates[0].Binding
	return outcome
}

// affinity is what keeps the caller on its upstream: the rule's, or the key.
func (d *Decision) affinity() affinity {
	if d.Rule == nil {
		return affinity{}
	}
	return d.Rule.affinity
}

// Credential gives the ID of the credential with which requests of this caller
// go to c, "" where any of the upstream's may be used. It is the one that the
// binding behind c names or, where a rule named the upstream, the caller's first
// binding to it. q is the Request that was decided upon.
func (d *Decision) Credential(q *Request, c *Candidate) string {
	switch {
	case c == nil || c.Upstream == nil || d.set == nil:
		return ""
	case c.Binding != nil:
		return c.Credential
	case !d.set.bindings.pins:
		return ""
	}
	by := d.affinity()
	caller := by.of(q)
	var best ranked
	d.set.bindings.each(q, func(b *bound) {
		if b.chosen.Index != c.Index {
			return
		}
		if r := (ranked{b, b.chosen.score(caller)}); best.bound == nil || r.compare(&best) < 0 {
			best = r
		}
	})
	if best.bound == nil {
		return ""
	}
	return best.bound.chosen.Credential
}

// BindingsOf lists the bindings of a caller that take its request, in the order
// in which they are tried.
func (s *Set) BindingsOf(q *Request) []*accounts.Binding {
	order := s.rankBindings(q, affinity{}, nil)
	found := make([]*accounts.Binding, len(order))
	for i := range order {
		found[i] = order[i].bound.binding
	}
	return found
}
