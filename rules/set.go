package rules

import (
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// Set is a configuration made ready to decide, at one revision. It never
// changes, and everything it gives out is read only.
type Set struct {
	revision  int64
	rules     []*Compiled
	listed    []Listed
	upstreams []*accounts.Upstream
	byName    map[string]int
	bindings  bindings
	index     *index
	// continuing holds the rules that say continue, which index does not; nil
	// where there is none.
	continuing *index
}

// Listed is a rule, enabled or not, and its place among all.
type Listed struct {
	Set      string
	Order    int // of the set
	Position int // in the total order, from 1
	Rule     *Rule
}

// Revision is the revision of the configuration.
func (s *Set) Revision() int64 { return s.revision }

// Rules gives the enabled rules in the order in which they are tried.
func (s *Set) Rules() []*Compiled { return s.rules }

// All gives every rule, disabled ones too, in the total order.
func (s *Set) All() []Listed { return s.listed }

// Upstreams gives the upstreams, as Candidate.Index counts them.
func (s *Set) Upstreams() []*accounts.Upstream { return s.upstreams }

// Upstream finds an upstream and its place among Upstreams.
func (s *Set) Upstream(name string) (u *accounts.Upstream, index int, ok bool) {
	index, ok = s.byName[name]
	if !ok {
		return nil, -1, false
	}
	return s.upstreams[index], index, true
}

// maxNearest bounds the patterns that Nearest looks at: callers make it work by
// naming models that no rule takes.
const maxNearest = 500

// Nearest gives the model pattern that comes nearest to the model of a request
// that no rule takes, and its rule. Patterns of rules that take the request's
// path go before others. ok is false where nothing is near.
func (s *Set) Nearest(q *Request) (pattern, rule string, ok bool) {
	if !q.HasModel || q.Model == "" || len(q.Model) > maxCompared {
		return "", "", false
	}
	const elsewhere = maxCompared // more than any distance
	best, looked := 2*elsewhere, 0
	for _, r := range s.rules {
		if r.Continue {
			continue
		}
		away := 0
		if !r.match.takesPath(q.Path) {
			away = elsewhere
		}
		for _, candidate := range r.rule.Match.Model {
			if strings.HasPrefix(candidate, "!") {
				continue
			}
			if looked++; looked > maxNearest {
				return pattern, rule, pattern != ""
			}
			// Half of what the pattern spells out must be there.
			spelt := len(candidate) - strings.Count(candidate, "*")
			if d := distance(candidate, q.Model); 2*d <= spelt && d+away < best {
				best, pattern, rule = d+away, candidate, r.Name
			}
		}
	}
	return pattern, rule, pattern != ""
}
