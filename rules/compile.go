package rules

import (
	"cmp"
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"

	"github.com/llmgw/llmgw/accounts"
)

// Compile makes a Set of a configuration, all of it or nothing: the Set is nil
// exactly when there is an error among the problems. Warnings come with the Set.
func Compile(c Config) (*Set, Problems) {
	var problems Problems
	check := checker{problems: &problems, upstreams: map[string]bool{}}
	for i := range c.Upstreams {
		check.upstreams[c.Upstreams[i].Name] = true
	}
	check.files(c.Files)
	problems = append(problems, checkUpstreams(c.Upstreams)...)
	if len(problems) > 0 {
		problems.sort()
		return nil, problems
	}
	set := newSet(c)
	problems = warn(set, true)
	problems.sort()
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
			if at, ok := s.byName[r.Action.Upstream]; ok {
				compiled.candidate = &Candidate{Upstream: s.upstreams[at], Index: at, Base: bases[at], Model: r.Action.Model}
			}
			s.rules = append(s.rules, compiled)
		}
	}
	s.index = newIndex(s.rules)
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
	compiled := &Compiled{
		Name:            r.Name,
		Respond:         r.Action.Respond,
		Headers:         compileEdits(&r.Action.Headers),
		ResponseHeaders: compileEdits(&r.Action.ResponseHeaders),
		rule:            r,
		match:           newMatcher(&r.Match),
	}
	if r.Action.Target != "" {
		compiled.candidate = &Candidate{Index: -1, Base: mustParse(r.Action.Target), Model: r.Action.Model}
	}
	if r.Action.Path != nil {
		compiled.path = newPathEdit(r.Action.Path)
	}
	return compiled
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
			edits = append(edits, HeaderEdit{Op: op, Name: textproto.CanonicalMIMEHeaderKey(name), Value: values[name]})
		}
	}
	put(SetHeader, e.Set)
	put(AddHeader, e.Add)
	return edits
}

// pathEdit is a PathEdit made ready.
type pathEdit struct {
	PathEdit
	regex *regexp.Regexp // of Replace
}

func newPathEdit(e *PathEdit) *pathEdit {
	compiled := &pathEdit{PathEdit: *e}
	if e.Replace != nil {
		compiled.regex = regexp.MustCompile(e.Replace.Regex)
	}
	return compiled
}
