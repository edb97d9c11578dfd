package rules

import (
	"cmp"
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"slices"

	"github.com/llmgw/llmgw/accounts"
)

// Compile makes a Set of a configuration, all of it or nothing: the Set is nil
// exactly when there is an error among the problems. Warnings come with the Set.
func Compile(c Config) (*Set, Problems) {
	var problems Problems
	check := checker{problems: &problems, upstreams: map[string]bool{}, reach: c.Reach}
	for i := range c.Upstreams {
		check.upstreams[c.Upstreams[i].Name] = true
	}
	check.files(c.Files)
	problems = append(problems, checkUpstreams(c.Upstreams)...)
	problems = append(problems, checkBindings(&c)...)
	if len(problems) > 0 {
		problems.Sort()
		return nil, problems
	}
	set := newSet(c)
	problems = warn(set, true)
	problems.Sort()
	return set, problems
}

// checkUpstreams refuses what rules cannot send to. Who stores upstreams has
// checked them; this is against a store that somebody else wrote to.
func checkUpstreams(upstreams []accounts.Upstream) Problems {
	var problems Problems
	seen := map[string]bool{}
	for i := range upstreams {
		u := &upstreams[i]
		for _, err := range u.Validate() {
			problems = append(problems, Problem{Message: fmt.Sprintf("upstream %q: %v", u.Name, err)})
		}
		if ForbiddenURL(u.URL) {
			problems = append(problems, Problem{Message: fmt.Sprintf("upstream %q: url: is a link-local or cloud-metadata address", u.Name)})
		}
		if seen[u.Name] {
			problems = append(problems, Problem{Message: fmt.Sprintf("there are two upstreams %q", u.Name)})
		}
		seen[u.Name] = true
	}
	return problems
}

// newSet compiles a configuration without errors. Upstreams that it names and
// that are not there are left out: that is how Check looks at rules.
func newSet(c Config) *Set {
	s := &Set{revision: c.Revision, byName: make(map[string]int, len(c.Upstreams))}
	bases := make([]*url.URL, len(c.Upstreams))
	for i := range c.Upstreams {
		u := c.Upstreams[i]
		s.upstreams = append(s.upstreams, &u)
		s.byName[u.Name] = i
		bases[i] = mustParse(u.URL)
	}
	for _, f := range inOrder(c.Files) {
		for i := range f.Rules {
			r := f.Rules[i]
			s.listed = append(s.listed, Listed{Set: f.Set, Order: f.Order, Position: len(s.listed) + 1, Rule: &r})
			if r.Disabled {
				continue
			}
			compiled := compile(&r)
			compiled.Set, compiled.Position, compiled.Index = f.Set, len(s.listed), len(s.rules)
			s.destinations(compiled, bases)
			s.rules = append(s.rules, compiled)
		}
	}
	s.bindings = s.newBindings(c.Bindings, bases)
	s.index, s.continuing = newIndex(s.rules, false), newIndex(s.rules, true)
	return s
}

// inOrder sorts sets as they are tried: by order, then by name.
func inOrder(files []File) []File {
	sorted := slices.Clone(files)
	slices.SortStableFunc(sorted, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Set, b.Set))
	})
	return sorted
}

func compile(r *Rule) *Compiled {
	return &Compiled{
		Name:            r.Name,
		Continue:        r.Continue,
		Respond:         r.Action.Respond,
		Headers:         compileEdits(&r.Action.Headers),
		ResponseHeaders: compileEdits(&r.Action.ResponseHeaders),
		rule:            r,
		match:           newMatcher(&r.Match),
		path:            newPathEdit(r.Action.Path),
		model:           newModel(r.Action.Model),
		affinity:        newAffinity(r.Action.Affinity),
		retry:           r.Action.Retry.orDefaults(),
		finish:          r.Action.OnClientGone == clientFinish,
		logsBody:        r.Action.BodyLog,
	}
}

// destinations fills in the candidates of a rule: its upstreams as they are
// written, or its target, and then what it falls back on.
func (s *Set) destinations(r *Compiled, bases []*url.URL) {
	a := &r.rule.Action
	occurrences := map[string]int{}
	add := func(e *Entry, fallback bool) {
		at, ok := s.byName[e.Name]
		if !ok {
			return
		}
		r.candidates = append(r.candidates, &Candidate{
			Upstream: s.upstreams[at], Index: at, Base: bases[at], Weight: max(1, e.Weight), Fallback: fallback,
			seed: newSeed(e.Name, occurrences[e.Name]), model: newModel(cmp.Or(e.Model, a.Model)), path: newPathEdit(e.Path), timeouts: e.Timeouts,
		})
		occurrences[e.Name]++
	}
	if a.Upstream != "" {
		add(&Entry{Name: a.Upstream}, false)
	}
	for i := range a.Upstreams {
		add(&a.Upstreams[i], false)
	}
	if a.Target != "" {
		r.candidates = append(r.candidates, &Candidate{Index: -1, Base: mustParse(a.Target), Weight: 1, model: newModel(a.Model)})
	}
	r.peers = len(r.candidates)
	for i := range a.Fallback {
		add(&a.Fallback[i], true)
	}
}

// newModel makes ready what a model is rewritten to, nil where it is left.
func newModel(written string) *template {
	if written == "" {
		return nil
	}
	t := mustTemplate(written, false)
	return &t
}

// mustParse parses what was checked before.
func mustParse(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic("rules: an unchecked URL reached compile")
	}
	return u
}

// compileEdits brings edits into the order in which they are applied.
func compileEdits(e *HeaderEdits) []HeaderEdit {
	var edits []HeaderEdit
	for _, name := range e.Remove {
		edits = append(edits, HeaderEdit{Op: RemoveHeader, Name: textproto.CanonicalMIMEHeaderKey(name)})
	}
	put := func(op EditOp, values map[string]string) {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			edits = append(edits, HeaderEdit{Op: op, Name: textproto.CanonicalMIMEHeaderKey(name), Value: values[name], value: mustTemplate(values[name], false)})
		}
	}
	put(SetHeader, e.Set)
	put(AddHeader, e.Add)
	return edits
}
