package proxy

import (
	"context"
	"sync/atomic"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// snapshot is everything that an exchange needs to know of the configuration,
// at one revision. It is immutable; an exchange holds the one it began with.
type snapshot struct {
	set       *rules.Set
	upstreams []*target // by Candidate.Index
	anonymous *target   // for rules that name a URL
	rules     []*ruleSeries
	unruled   *ruleSeries         // of requests that no rule took, and a binding did
	models    map[string]struct{} // names that may be a metric label: those that an operator wrote, whatever upstreams list
	lists     []*target           // the upstreams that are asked for their models
	offers    *offers
}

// target is an upstream as requests are sent to it: its credentials read, its
// transport kept over reloads.
type target struct {
	name     string
	upstream *accounts.Upstream // nil for a URL in a rule
	index    int
	problem  error // why there is no credential, where one is needed
	timeouts accounts.Timeouts
	carrier  *transport
	traffic  *traffic
	list     *modelList // of the models it says it has

	credentials []*credential // as the upstream lists them; none where it wants none
	usable      []*credential // of these
}

// traffic counts what came of the requests sent to an upstream since the
// process began. It outlives reloads.
type traffic struct {
	requests     atomic.Int64
	errors       atomic.Int64
	inputTokens  atomic.Int64
	outputTokens atomic.Int64
}

// ruleSeries are the metric handles of one rule, by Candidate.Index + 1; 0 is
// where a rule sends to no upstream of ours. Of 10,000 rules most send to one
// upstream, so the handles are looked up when they are first needed.
type ruleSeries struct {
	byUpstream []atomic.Pointer[series]
}

func newRuleSeries(upstreams int) *ruleSeries {
	return &ruleSeries{byUpstream: make([]atomic.Pointer[series], upstreams+1)}
}

func (r *ruleSeries) series(m *metrics, column int, rule, upstream string) *series {
	if s := r.byUpstream[column].Load(); s != nil {
		return s
	}
	s := m.newSeries(rule, upstream)
	if !r.byUpstream[column].CompareAndSwap(nil, s) {
		return r.byUpstream[column].Load()
	}
	return s
}

func (s *snapshot) target(c *rules.Candidate) *target {
	if c.Index < 0 {
		return s.anonymous
	}
	return s.upstreams[c.Index]
}

// problem says why a request cannot be sent to a candidate, for want of a
// credential.
func (s *snapshot) problem(q *rules.Request, d *rules.Decision, c *rules.Candidate) error {
	return s.target(c).problemFor(d.Credential(q, c))
}

// snapshotOf makes a snapshot of a compiled set. A credential that cannot be
// read is a problem of its upstream, not of the snapshot.
func (p *Proxy) snapshotOf(ctx context.Context, set *rules.Set) *snapshot {
	s := &snapshot{set: set, models: map[string]struct{}{}, offers: newOffers()}
	for i, u := range set.Upstreams() {
		t := p.targetOf(ctx, u)
		t.index = i
		s.upstreams = append(s.upstreams, t)
		for _, model := range u.Models {
			s.models[model] = struct{}{}
		}
	}
	for _, model := range set.ExactModels() {
		s.models[model] = struct{}{}
	}
	s.lists = s.listing()
	s.anonymous = &target{
		index:    -1,
		timeouts: p.options.Timeouts,
		carrier:  p.reloads.transportFor(p, &accounts.Upstream{}),
		traffic:  p.reloads.trafficFor(""),
	}
	s.unruled = newRuleSeries(len(s.upstreams))
	for range set.Rules() {
		s.rules = append(s.rules, newRuleSeries(len(s.upstreams)))
	}
	return s
}

func (p *Proxy) targetOf(ctx context.Context, u *accounts.Upstream) *target {
	t := &target{
		name:     u.Name,
		upstream: u,
		timeouts: u.Timeouts.Or(p.options.Timeouts),
		carrier:  p.reloads.transportFor(p, u),
		traffic:  p.reloads.trafficFor(u.ID),
		list:     p.reloads.listFor(u),
	}
	p.readCredentials(ctx, t)
	return t
}

// UpstreamState is an upstream as this node sees it.
type UpstreamState struct {
	Name     string
	Enabled  bool
	Draining bool
	Problem  error // why it cannot be used, where it needs a credential; nil otherwise
	Requests int64 // sent since the process began
	Errors   int64 // of these, answered with 5xx or not to the end
}

// Totals are what the node counted since it began.
type Totals struct {
	Requests     int64
	Errors       int64
	InputTokens  int64
	OutputTokens int64
	InFlight     int64
}

// Upstreams tells the state of every upstream, in the order of the set.
func (p *Proxy) Upstreams() []UpstreamState {
	s := p.snapshot.Load()
	if s == nil {
		return nil
	}
	states := make([]UpstreamState, 0, len(s.upstreams))
	for _, t := range s.upstreams {
		states = append(states, UpstreamState{
			Name: t.name, Enabled: t.upstream.Enabled, Draining: t.upstream.Draining, Problem: t.problem,
			Requests: t.traffic.requests.Load(), Errors: t.traffic.errors.Load(),
		})
	}
	return states
}

// Totals tells what was counted.
func (p *Proxy) Totals() Totals {
	t := &p.metrics.totals
	return Totals{
		Requests: t.requests.Load(), Errors: t.errors.Load(),
		InputTokens: t.inputTokens.Load(), OutputTokens: t.outputTokens.Load(),
		InFlight: p.flights.count.Load(),
	}
}
