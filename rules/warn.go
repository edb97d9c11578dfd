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
		w.unseenModels()
		if upstreamsKnown {
			w.upstreams()
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
	if why := takesNothing(match); why != "" {
		w.say("name", "", "rule %q can never match: %s", w.rule.Name, why)
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
	earlier, hint := w.set.rules[first], ""
	if earlier.Set == w.rule.Set { // a move works within a set
		hint = fmt.Sprintf("move it up: llmgw rules move %s --before %s", w.rule.Name, earlier.Name)
	}
	w.say("name", hint, "rule %q can never match: %q (position %d) takes every request it would", w.rule.Name, earlier.Name, earlier.Position)
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

// unseenModels looks for models that are rewritten where requests may show none.
func (w *warner) unseenModels() {
	a := &w.rule.rule.Action
	if len(w.rule.rule.Match.Model) > 0 || a.Respond != nil {
		return
	}
	fields := []string{}
	if a.Model != "" {
		fields = append(fields, "action.model")
	}
	eachEntry(a, func(field string, e *Entry) {
		if e.Model != "" {
			fields = append(fields, field+".model")
		}
	})
	for _, field := range fields {
		w.say(field, "name the models it is for: match.model", "rule %q rewrites a model that it may be unable to see; requests that show none are refused", w.rule.Name)
	}
}

// eachEntry goes through the entries of an action, with the field of each.
func eachEntry(a *Action, each func(field string, e *Entry)) {
	for i := range a.Upstreams {
		each(fmt.Sprintf("action.upstreams[%d]", i), &a.Upstreams[i])
	}
	for i := range a.Fallback {
		each(fmt.Sprintf("action.fallback[%d]", i), &a.Fallback[i])
	}
}

// withoutEffect looks for actions that say nothing, or nothing that counts.
func (w *warner) withoutEffect() {
	a := &w.rule.rule.Action
	if a.Respond != nil {
		w.idleBesideAnswer(a)
		return
	}
	if !slices.ContainsFunc(a.parts(), func(p actionPart) bool { return p.given }) {
		hint := "name an upstream, a target or what to respond"
		if w.rule.Continue {
			hint = "give it headers, response_headers, timeouts, limits or body_log"
		}
		w.say("action", hint, "rule %q is without effect: its action is empty", w.rule.Name)
	}
	open := a.Upstream == "" && a.Target == "" && len(a.Upstreams) == 0 // for bindings, of which there may be several
	if a.Affinity != "" && len(a.Upstreams) < 2 && !open {
		w.say("action.affinity", "it chooses among several upstreams", "action.affinity of rule %q is without effect: there is nothing to choose", w.rule.Name)
	}
	for i := range a.Fallback {
		if a.Fallback[i].Weight != 0 {
			w.say(fmt.Sprintf("action.fallback[%d].weight", i), "leave it out", "a weight in the fallback of rule %q is without effect: it is tried in the order in which it is written", w.rule.Name)
		}
	}
	if models := w.rule.rule.Match.Model; len(models) == 1 && models[0] == a.Model {
		w.say("action.model", "leave it out", "action.model of rule %q is without effect: it is the model that the rule matches", w.rule.Name)
	}
}

// idleBesideAnswer looks for what only a request that is sent on could have.
func (w *warner) idleBesideAnswer(a *Action) {
	for _, part := range a.parts() {
		switch part.name {
		case "affinity", "path", "model", "headers", "timeouts", "retry", "on_client_gone":
			if part.given {
				w.say("action."+part.name, "", "action.%s of rule %q is without effect: the rule answers by itself", part.name, w.rule.Name)
			}
		}
	}
}

func (e *HeaderEdits) empty() bool { return len(e.Set)+len(e.Add)+len(e.Remove) == 0 }

// upstreams looks for destinations that want a credential and have none.
func (w *warner) upstreams() {
	a := &w.rule.rule.Action
	if a.Upstream != "" {
		w.credential("action.upstream", a.Upstream)
	}
	eachEntry(a, func(field string, e *Entry) { w.credential(field+".name", e.Name) })
}

func (w *warner) credential(field, name string) {
	u, _, ok := w.set.Upstream(name)
	if !ok {
		return
	}
	needsNone := u.Auth == accounts.AuthNone || u.Auth == "" && u.Provider == accounts.ProviderGeneric
	usable := slices.ContainsFunc(u.Credentials, func(c accounts.Credential) bool { return c.Enabled })
	if !needsNone && !usable {
		w.say(field, "", "rule %q sends to upstream %q, which has no credential", w.rule.Name, u.Name)
	}
}
