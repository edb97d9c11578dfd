package rules

import (
	"net/url"
	"slices"

	"github.com/llmgw/llmgw/accounts"
)

// Candidate is one destination of a rule (an entry of its upstreams or of its
// fallback, or its target) or of a binding.
type Candidate struct {
	Upstream *accounts.Upstream // nil for a target URL: no credential is put in
	Index    int                // of Upstream in the set, -1 for a target URL
	Base     *url.URL
	Weight   int // at least 1; of no meaning for a fallback
	Fallback bool

	Binding    *accounts.Binding // that names it; nil where a rule does
	Credential string            // ID of the one that Binding names; "" for any. See Decision.Credential

	seed     uint64
	model    *template // what the model is rewritten to; nil leaves it
	path     *pathEdit // the entry's own, behind the rule's; nil leaves the path
	timeouts accounts.Timeouts
}

// Name is what ${upstream.name} stands for: the upstream's name, or a target's
// host.
func (c *Candidate) Name() string {
	switch {
	case c == nil:
		return ""
	case c.Upstream != nil:
		return c.Upstream.Name
	}
	return c.Base.Host
}

// usable says whether a request can be sent there.
func (c *Candidate) usable(q *Request) bool {
	return c.speaks(q) && (!q.Websocket || c.takesWebsocket())
}

// speaks says whether a request could be sent there but for its asking for a
// WebSocket.
func (c *Candidate) speaks(q *Request) bool {
	return c.Upstream == nil || c.Upstream.TakesRequests() && c.Upstream.Speaks(q.Wire)
}

// takesWebsocket is what an operator says of an upstream. Of a target URL nobody
// says it.
func (c *Candidate) takesWebsocket() bool { return c.Upstream != nil && c.Upstream.Websocket }

// choose fills in the candidates of the deciding rule.
func (d *Decision) choose(q *Request) Outcome {
	r := d.Rule
	if doublesVersion(q.Path) && !r.mendsPath() {
		return WrongBaseURL
	}
	if !q.HasModel {
		for i, c := range r.candidates {
			if c.model != nil && c.usable(q) {
				d.Candidates = r.candidates[i : i+1]
				return ModelUnreadable
			}
		}
	}
	if len(r.candidates) == 1 && r.candidates[0].usable(q) {
		d.Candidates = r.candidates
		return Forward
	}
	peers := 0
	for i, c := range r.candidates {
		if c.usable(q) {
			d.chosen = append(d.chosen, c)
		}
		if i < r.peers {
			peers = len(d.chosen)
		}
	}
	if len(d.chosen) == 0 {
		return d.unusable(q, r.candidates)
	}
	if peers > 1 {
		rank(d.chosen[:peers], r.affinity.of(q))
	}
	d.Candidates = d.chosen
	return Forward
}

// mendsPath says whether the rule, or an entry of it, sends another path than
// came.
func (r *Compiled) mendsPath() bool {
	return r.path != nil || slices.ContainsFunc(r.candidates, func(c *Candidate) bool { return c.path != nil })
}

// unusable names the candidate that the operator should look at: the first one
// that lacks least.
func (d *Decision) unusable(q *Request, candidates []*Candidate) Outcome {
	for i, c := range candidates {
		if q.Websocket && c.speaks(q) {
			d.Candidates = candidates[i : i+1]
			return NoWebsocket
		}
	}
	for i, c := range candidates {
		if c.Upstream.TakesRequests() {
			d.Candidates = candidates[i : i+1]
			return WrongWire
		}
	}
	for i, c := range candidates {
		if c.Upstream.Enabled { // so it is being drained
			d.Candidates = candidates[i : i+1]
			return UpstreamOff
		}
	}
	d.Candidates = candidates[:1]
	return UpstreamOff
}

// Share is the part of the requests, from 0 to 1, for which c is chosen among
// the candidates of d. A fallback has none.
func (d *Decision) Share(c *Candidate) float64 {
	total, own := 0, 0
	for _, candidate := range d.Candidates {
		if candidate.Fallback {
			continue
		}
		total += candidate.Weight
		if candidate == c {
			own = candidate.Weight
		}
	}
	if own == 0 {
		return d.shareOfFirst(c)
	}
	return float64(own) / float64(total)
}

// shareOfFirst is that of a fallback which stands first because nothing before
// it can be used.
func (d *Decision) shareOfFirst(c *Candidate) float64 {
	if len(d.Candidates) > 0 && d.Candidates[0] == c && c.Fallback {
		return 1
	}
	return 0
}

// Timeouts gives those of an attempt with c: its entry's own, then the rule's,
// then those of the rules that said continue, the last one first. Zero is left
// to the upstream and the gateway; accounts.NoTimeout is none.
func (d *Decision) Timeouts(c *Candidate) accounts.Timeouts {
	var t accounts.Timeouts
	if c != nil {
		t = c.timeouts
	}
	if d.Rule != nil {
		t = t.Or(d.Rule.rule.Action.Timeouts)
	}
	for i := len(d.Passed) - 1; i >= 0; i-- {
		t = t.Or(d.Passed[i].rule.Action.Timeouts)
	}
	return t
}
