package proxy

import (
	"context"
	"fmt"
	"sync"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/rules"
)

// reloads is what lives on from one snapshot to the next.
type reloads struct {
	mu         sync.Mutex
	transports map[string]*transport
	used       map[string]bool // transports that the snapshot in the making needs
	traffic    map[string]*traffic
	lists      map[string]*modelList
	nextLists  map[string]*modelList // of the snapshot in the making
	health     map[string]*credentialHealth
	nextHealth map[string]*credentialHealth // of the snapshot in the making
	unkept     bool                         // rules ask for a body log that is not kept
}

// Reload makes a configuration the one in force: compile, read the credentials,
// swap one pointer. Where it fails, the last good one stays. Exchanges under
// way go on with what they began with.
func (p *Proxy) Reload(ctx context.Context, c rules.Config) error {
	set, problems := rules.Compile(c)
	if set == nil {
		return fmt.Errorf("compiling revision %d: %w", c.Revision, problems)
	}
	p.reloads.mu.Lock()
	defer p.reloads.mu.Unlock()
	p.reloads.used, p.reloads.nextLists = map[string]bool{}, map[string]*modelList{}
	p.reloads.nextHealth = map[string]*credentialHealth{}
	s := p.snapshotOf(ctx, set)
	p.snapshot.Store(s)
	p.reloads.retire()
	p.reloads.lists, p.reloads.health = p.reloads.nextLists, p.reloads.nextHealth
	p.metrics.upstreams(s)
	p.warnOfBodies(set)
	return nil
}

// transportFor gives the transport of an upstream: the one it had, where
// nothing changed that the connections depend on. The caller holds mu.
func (r *reloads) transportFor(p *Proxy, u *accounts.Upstream) *transport {
	key := transportKey(u)
	r.used[key] = true
	if t := r.transports[key]; t != nil {
		return t
	}
	if r.transports == nil {
		r.transports = map[string]*transport{}
	}
	t := newTransport(u, p.dial)
	r.transports[key] = t
	return t
}

// trafficFor gives an upstream's counters. The caller holds mu.
func (r *reloads) trafficFor(id string) *traffic {
	if r.traffic == nil {
		r.traffic = map[string]*traffic{}
	}
	if r.traffic[id] == nil {
		r.traffic[id] = &traffic{}
	}
	return r.traffic[id]
}

// retire lets go of the transports that nobody names any more. Exchanges that
// still use one end undisturbed; only idle connections are closed.
func (r *reloads) retire() {
	for key, t := range r.transports {
		if !r.used[key] {
			delete(r.transports, key)
			t.closeIdle()
		}
	}
}

func (p *Proxy) closeTransports() {
	p.reloads.mu.Lock()
	defer p.reloads.mu.Unlock()
	for _, t := range p.reloads.transports {
		t.closeIdle()
	}
}
