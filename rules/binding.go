package rules

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"

	"github.com/llmgw/llmgw/accounts"
)

// MaxBindings bounds the bindings of one key, one user or one tag's value: all
// of a caller's are looked at for every request that the rules leave to them.
const MaxBindings = 64

// bindings are those of a configuration, by whose they are.
type bindings struct {
	byKey  map[string][]*bound
	byUser map[string][]*bound
	byTag  map[boundTag][]*bound

	names []bool // which of the set's upstreams one of them names
	pins  bool   // one of them names a credential
}

type boundTag struct{ name, value string }

// bound is a binding made ready. What it names is first choice for one caller
// and a fallback for another, who has a binding that goes before.
type bound struct {
	binding *accounts.Binding
	level   int // 0 for a key's, 1 for a user's, 2 for a tag's
	place   int // among all, by their IDs
	models  globs
	chosen  Candidate
	spare   Candidate // the same as a fallback
}

// takes asks the binding's models.
func (b *bound) takes(q *Request) bool {
	return len(b.binding.Models) == 0 || q.HasModel && b.models.takes(q.Model)
}

// newBindings makes bindings ready. Those whose upstream is not there are left
// out, as newSet does with what rules name.
func (s *Set) newBindings(written []accounts.Binding, bases []*url.URL) bindings {
	all := bindings{
		byKey: map[string][]*bound{}, byUser: map[string][]*bound{}, byTag: map[boundTag][]*bound{},
		names: make([]bool, len(s.upstreams)),
	}
	byID := make(map[string]int, len(s.upstreams))
	for i, u := range s.upstreams {
		byID[u.ID] = i
	}
	sorted := slices.Clone(written)
	slices.SortFunc(sorted, func(a, b accounts.Binding) int { return cmp.Compare(a.ID, b.ID) })
	for i := range sorted {
		b := &sorted[i]
		at, ok := byID[b.UpstreamID]
		if !ok {
			continue
		}
		made := &bound{binding: b, place: i, models: newGlobs(b.Models)}
		made.chosen = Candidate{
			Upstream: s.upstreams[at], Index: at, Base: bases[at], Weight: max(1, b.Weight),
			Credential: b.CredentialID, Binding: b, seed: all.seed(b, s.upstreams[at].Name),
		}
		made.spare = made.chosen
		made.spare.Fallback = true
		all.pins = all.pins || b.CredentialID != ""
		all.file(made)
		all.names[at] = true
	}
	return all
}

// seed stands for what a binding names, so that a binding made anew keeps its
// callers. Several that name the same are told apart.
func (a *bindings) seed(b *accounts.Binding, upstream string) uint64 {
	occurrence := 0
	for _, other := range a.of(b) {
		if other.binding.UpstreamID == b.UpstreamID && other.binding.CredentialID == b.CredentialID {
			occurrence++
		}
	}
	return newSeed(upstream+"\x00"+b.CredentialID+"\x00"+b.Tag+"\x00"+b.TagValue, occurrence)
}

// of lists the bindings of the same key, user or tag.
func (a *bindings) of(b *accounts.Binding) []*bound {
	switch {
	case b.KeyID != "":
		return a.byKey[b.KeyID]
	case b.UserID != "":
		return a.byUser[b.UserID]
	}
	return a.byTag[boundTag{b.Tag, b.TagValue}]
}

func (a *bindings) file(made *bound) {
	switch b := made.binding; {
	case b.KeyID != "":
		a.byKey[b.KeyID] = append(a.byKey[b.KeyID], made)
	case b.UserID != "":
		made.level = 1
		a.byUser[b.UserID] = append(a.byUser[b.UserID], made)
	default:
		made.level = 2
		of := boundTag{b.Tag, b.TagValue}
		a.byTag[of] = append(a.byTag[of], made)
	}
}

// each goes through the bindings of a caller that take its request.
func (a *bindings) each(q *Request, visit func(*bound)) {
	some := func(list []*bound) {
		for _, b := range list {
			if b.takes(q) {
				visit(b)
			}
		}
	}
	some(a.byKey[q.KeyID])
	some(a.byUser[q.UserID])
	if len(a.byTag) == 0 {
		return
	}
	for name, value := range q.Tags {
		some(a.byTag[boundTag{name, value}])
	}
	for name, value := range q.UserTags {
		if _, own := q.Tags[name]; !own {
			some(a.byTag[boundTag{name, value}])
		}
	}
}

// checkBindings refuses bindings that name nobody, or what is not there.
func checkBindings(c *Config) Problems {
	var problems Problems
	upstreams := make(map[string]*accounts.Upstream, len(c.Upstreams))
	for i := range c.Upstreams {
		upstreams[c.Upstreams[i].ID] = &c.Upstreams[i]
	}
	callers := map[string]int{}
	for i := range c.Bindings {
		b := &c.Bindings[i]
		if err := checkBinding(b, upstreams[b.UpstreamID]); err != nil {
			problems = append(problems, Problem{Message: fmt.Sprintf("binding %s: %v", b.ID, err)})
		}
		caller := b.KeyID + "\x00" + b.UserID + "\x00" + b.Tag + "\x00" + b.TagValue
		if callers[caller]++; callers[caller] == MaxBindings+1 {
			problems = append(problems, Problem{Message: fmt.Sprintf("binding %s: there are more than %d of the same key, user or tag", b.ID, MaxBindings)})
		}
	}
	return problems
}

func checkBinding(b *accounts.Binding, to *accounts.Upstream) error {
	given := 0
	for _, of := range []string{b.KeyID, b.UserID, b.Tag} {
		if of != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return fmt.Errorf("wants one of key, user and tag, and has %d", given)
	case b.Weight < 0 || b.Weight > maxWeight:
		return fmt.Errorf("weight must be a whole number from 1 to %d, found %d", maxWeight, b.Weight)
	case to == nil:
		return fmt.Errorf("there is no upstream %s", b.UpstreamID)
	case b.CredentialID != "" && !slices.ContainsFunc(to.Credentials, func(c accounts.Credential) bool { return c.ID == b.CredentialID }):
		return fmt.Errorf("upstream %q has no credential %s", to.Name, b.CredentialID)
	}
	if err := CheckModels(b.Models); err != nil {
		return fmt.Errorf("models: %w", err)
	}
	return nil
}
