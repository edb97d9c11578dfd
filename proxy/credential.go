package proxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// How long a credential is spared after its provider has refused it. It is used
// all the same where there is no better one.
const (
	refusedCooldown = 30 * time.Second // after a 401, and a 429 that does not say how long
	longestCooldown = 60 * time.Second // whatever a Retry-After says
)

var errDisabledCredential = errors.New("it is disabled")

// credential is one of an upstream's credentials as requests go out with it.
type credential struct {
	id, name string
	secret   accounts.Secret
	weight   int // at least 1
	enabled  bool
	problem  error             // why it cannot be used; nil where it can
	health   *credentialHealth // nil where it cannot be read
}

// credentialHealth is what providers said of one secret. It outlives reloads,
// but not the secret: what takes its place begins anew.
type credentialHealth struct {
	secret   accounts.Secret
	requests atomic.Int64
	last     atomic.Pointer[CredentialError]
}

// CredentialError is a provider's refusal of a credential.
type CredentialError struct {
	Status int // 401, or 429
	At     time.Time
	Until  time.Time // the end of the cool-down that it began
}

// Error implements error.
func (e *CredentialError) Error() string {
	if e.Status == http.StatusTooManyRequests {
		return "the provider wants fewer requests with it (429)"
	}
	return fmt.Sprintf("the provider refused it (%d)", e.Status)
}

// reveal gives the secret, the zero Secret where requests go out without one.
func (c *credential) reveal() accounts.Secret {
	if c == nil {
		return accounts.Secret{}
	}
	return c.secret
}

// heed takes note of what an upstream answered to the credential. A 401 may be
// for something else that the caller sent, such as the name of an organization:
// what one who is bound to the credential is answered keeps nobody else from it,
// and an answer that is well shows that the provider knows it.
func (c *credential) heed(status int, h http.Header, bound bool) {
	if c == nil {
		return
	}
	now, pause := time.Now(), refusedCooldown
	switch {
	case status < 300:
		c.health.known(now)
		return
	case status == http.StatusTooManyRequests:
		pause = pauseAsked(h, now)
	case status != http.StatusUnauthorized:
		return
	case bound:
		pause = 0
	}
	c.health.last.Store(&CredentialError{Status: status, At: now, Until: now.Add(pause)})
}

// known ends the cool-down after a 401.
func (h *credentialHealth) known(now time.Time) {
	last := h.last.Load()
	if last == nil || last.Status != http.StatusUnauthorized || !now.Before(last.Until) {
		return
	}
	h.last.CompareAndSwap(last, &CredentialError{Status: last.Status, At: last.At, Until: now})
}

// pauseAsked reads a Retry-After (RFC 9110, section 10.2.3).
func pauseAsked(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, longestCooldown)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(0, at.Sub(now)), longestCooldown)
	}
	return refusedCooldown
}

// The ranks of credentials, the best first.
const (
	restedCredential  = iota
	limitedCredential // its provider wants fewer requests: it may answer all the same
	refusedCredential // its provider did not know it
	noCredentialAtAll
)

// rank says how good a choice the credential is at a moment.
func (c *credential) rank(now time.Time) int {
	switch last := c.health.last.Load(); {
	case last == nil || !now.Before(last.Until):
		return restedCredential
	case last.Status == http.StatusTooManyRequests:
		return limitedCredential
	}
	return refusedCredential
}

// credentialFor gives the credential to send with: the pinned one, by its ID, or
// one of the best by weight, but none that was tried. It is nil where there is
// none, or the upstream wants none.
func (t *target) credentialFor(pinned string, tried []*credentialHealth) *credential {
	if len(t.usable) == 1 && pinned == "" && len(tried) == 0 {
		return t.usable[0]
	}
	var chosen *credential
	now, best, total := time.Now(), noCredentialAtAll, 0
	for _, c := range t.usable {
		if pinned != "" && c.id != pinned || slices.Contains(tried, c.health) {
			continue
		}
		rank := c.rank(now)
		if rank < best {
			best, total = rank, 0
		}
		if rank > best {
			continue
		}
		if total += c.weight; rand.IntN(total) < c.weight { // so that each is left with its share
			chosen = c
		}
	}
	return chosen
}

// problemFor says why requests of a caller, who may be bound to one credential,
// cannot be sent to the upstream.
func (t *target) problemFor(pinned string) error {
	if pinned == "" || t.problem != nil || !t.upstream.NeedsCredential() {
		return t.problem
	}
	at := slices.IndexFunc(t.credentials, func(c *credential) bool { return c.id == pinned })
	if at < 0 {
		return accounts.ErrNoCredential
	}
	if c := t.credentials[at]; c.problem != nil {
		return fmt.Errorf("credential %q: %w", c.name, c.problem)
	}
	return nil
}

// signs says whether requests to the upstream are signed with the credential.
func (t *target) signs() bool {
	return t.upstream != nil && t.upstream.Placement(accounts.Secret{}).Signed
}

// readCredentials reads what requests to t go out with. Where none can be used,
// and one is needed, that is the problem of t.
func (p *Proxy) readCredentials(ctx context.Context, t *target) {
	if !t.upstream.NeedsCredential() {
		return
	}
	var problems []error
	for i := range t.upstream.Credentials {
		c := p.readCredential(ctx, t.upstream, &t.upstream.Credentials[i])
		t.credentials = append(t.credentials, c)
		switch {
		case c.problem == nil:
			t.usable = append(t.usable, c)
		case c.enabled:
			problems = append(problems, c.problem)
		}
	}
	if len(t.usable) == 0 {
		t.problem = errors.Join(problems...)
		if t.problem == nil {
			t.problem = accounts.ErrNoCredential
		}
	}
}

func (p *Proxy) readCredential(ctx context.Context, u *accounts.Upstream, from *accounts.Credential) *credential {
	c := &credential{id: from.ID, name: from.Name, weight: max(1, from.Weight), enabled: from.Enabled}
	if !c.enabled {
		c.problem = errDisabledCredential
		return c
	}
	if c.secret, c.problem = p.options.Vault.Read(ctx, u, from); c.problem == nil {
		c.health = p.reloads.healthFor(u.ID+" "+c.id, c.secret)
	}
	return c
}

// healthFor gives what is known of a credential: of the same secret in the same
// place, or nothing yet. The caller holds mu.
func (r *reloads) healthFor(key string, secret accounts.Secret) *credentialHealth {
	h := r.health[key]
	if h == nil || !h.secret.Equal(secret) {
		h = &credentialHealth{secret: secret}
	}
	r.nextHealth[key] = h
	return h
}

// CredentialState is a credential as this node sees it.
type CredentialState struct {
	UpstreamID string
	Upstream   string // its name
	ID         string
	Name       string
	Enabled    bool
	Problem    error            // why it cannot be used; nil where it can
	Requests   int64            // sent with it since the process began, or since it was given this secret
	LastError  *CredentialError // of these; nil: there was none
}

// Cooling says whether the credential is being spared at now.
func (s *CredentialState) Cooling(now time.Time) bool {
	return s.LastError != nil && now.Before(s.LastError.Until)
}

// Credentials tells the state of every credential of every upstream that wants
// one, in the order of the set and of its upstreams.
func (p *Proxy) Credentials() []CredentialState {
	s := p.snapshot.Load()
	if s == nil {
		return nil
	}
	var states []CredentialState
	for _, t := range s.upstreams {
		for _, c := range t.credentials {
			state := CredentialState{
				UpstreamID: t.upstream.ID, Upstream: t.name, ID: c.id, Name: c.name, Enabled: c.enabled, Problem: c.problem,
			}
			if c.health != nil {
				state.Requests, state.LastError = c.health.requests.Load(), c.health.last.Load()
			}
			states = append(states, state)
		}
	}
	return states
}
