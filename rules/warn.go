package rules

import (
	"fmt"
	"slices"

	"github.com/llmgw/llmgw/accounts"
)

// maxComparisons bounds the pairs of rules that are compared in the search for
// rules that can never match. Ten thousand rules that differ only in what the
// index does not see would be fifty million pairs.
const maxComparisons = 500_000

// warn looks for rules that can be used and are probably not what was meant.
// Upstreams are looked at only where they are known.
func warn(s *Set, upstreamsKnown bool) Problems {
	w := warner{set: s}
	for _, r := range s.rules {
		w.rule = r
		w.neverMatches()
		w.withoutEffect()
		if a := &r.rule.Action; a.Model != "" && len(r.rule.Match.Model) == 0 && a.Respond == nil {
			w.say("action.model", "name the models it is for: match.model", "rule %q rewrites a model that it may be unable to see; requests that show none are refused", r.Name)
		}
		if upstreamsKnown {
			w.upstream()
		}
	}
	if w.comparisons >= maxComparisons {
		w.problems = append(w.problems, Problem{
			Message: fmt.Sprintf("the rules are too many and too much alike: not all were searched for those that can never match (%d pairs were)", maxComparisons),
			Warning: true,
		})
	}
	return w.problems
}

type warner struct {
	set         *Set
	rule        *Compiled
	problems    Problems
	comparisons int
}

func (w *warner) say(field, hint, message string, args ...any) {
	p := Problem{Field: field, Message: fmt.Sprintf(message, args...), Hint: hint, Warning: true}
	w.problems = append(w.problems, w.rule.rule.problem(w.rule.Set, p, field != "name"))
}

// neverMatches looks for the first earlier rule that takes all that this one
// would. Several rules that only do so together are not found.
func (w *warner) neverMatches() {
	match := &w.rule.rule.Match
	if takesNothing(match) {
		w.say("name", "", "rule %q can never match: its exclusions take every model it names", w.rule.Name)
		return
	}
	path, model := commonBeginnings(match)
	first := w.rule.Index
	w.set.index.along(path, model, len(match.Model) > 0, func(list []int) {
		for _, i := range list {
			if i >= first || w.comparisons >= maxComparisons {
				return
			}
			w.comparisons++
			if covers(&w.set.rules[i].rule.Match, match) {
				first = i
			}
		}
	})
	if first == w.rule.Index {
		return
	}
	earlier := w.set.rules[first]
	w.say("name", "", "rule %q can never match: %q (position %d) takes every request it would", w.rule.Name, earlier.Name, earlier.Position)
}

// commonBeginnings gives the literal beginnings of one of a match's paths and
// of one of its models: who takes all takes these.
func commonBeginnings(m *Match) (path, model string) {
	path = pathKeys(m)[0].text
	if names := modelKeys(m); len(names) > 0 {
		model = names[0].text
	}
	return path, model
}

// withoutEffect looks for actions that say nothing, or nothing that counts.
func (w *warner) withoutEffect() {
	a := &w.rule.rule.Action
	if a.Respond != nil {
		for _, idle := range []struct {
			field string
			set   bool
		}{{"path", a.Path != nil}, {"model", a.Model != ""}, {"headers", !a.Headers.empty()}} {
			if idle.set {
				w.say("action."+idle.field, "", "action.%s of rule %q is without effect: the rule answers by itself", idle.field, w.rule.Name)
			}
		}
		return
	}
	if w.rule.candidate == nil && a.Upstream == "" && a.Path == nil && a.Model == "" && a.Headers.empty() && a.ResponseHeaders.empty() {
		w.say("action", "name an upstream, a target or what to respond", "rule %q is without effect: its action is empty", w.rule.Name)
	}
	if models := w.rule.rule.Match.Model; len(models) == 1 && models[0] == a.Model {
		w.say("action.model", "leave it out", "action.model of rule %q is without effect: it is the model that the rule matches", w.rule.Name)
	}
}

func (e *HeaderEdits) empty() bool { return len(e.Set)+len(e.Add)+len(e.Remove) == 0 }

// upstream looks for destinations that want a credential and have none.
func (w *warner) upstream() {
	c := w.rule.candidate
	if c == nil || c.Upstream == nil {
		return
	}
	u := c.Upstream
	needsNone := u.Auth == accounts.AuthNone || u.Auth == "" && u.Provider == accounts.ProviderGeneric
	usable := slices.ContainsFunc(u.Credentials, func(c accounts.Credential) bool { return c.Enabled })
	if !needsNone && !usable {
		w.say("action.upstream", "", "rule %q sends to upstream %q, which has no credential", w.rule.Name, u.Name)
	}
}
