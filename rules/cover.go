package rules

import (
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
)

// takesNothing says what keeps a match from taking any request, "" where it may
// take some.
func takesNothing(m *Match) string {
	takes, except := splitModels(m.Model)
	excluded := len(except) > 0
	for _, glob := range takes {
		excluded = excluded && coveredByAny(except, glob)
	}
	if excluded {
		return "its exclusions take every model it names"
	}
	for _, single := range m.Not.singles() {
		if covers(&single, m) {
			return "its not takes every request it would"
		}
	}
	return ""
}

// covers says whether every request that inner takes is one that outer takes.
// A true answer is certain; a false one may mean that it could not be told.
func covers(outer, inner *Match) bool {
	return coversList(outer.Method, inner.Method, equalText) &&
		(outer.Stream == nil || inner.Stream != nil && *outer.Stream == *inner.Stream) &&
		coversModels(outer.Model, inner.Model) &&
		coversPaths(&outer.Path, &inner.Path) &&
		coversList(outer.Host, inner.Host, coversHost) &&
		coversTests(outer.Header, inner.Header, textproto.CanonicalMIMEHeaderKey) &&
		coversTests(outer.Query, inner.Query, func(name string) string { return name }) &&
		coversCaller(outer, inner)
}

// coversCaller is covers for the matchers about the caller, and for not.
func coversCaller(outer, inner *Match) bool {
	return coversList(outer.Key, inner.Key, coversGlob) &&
		coversList(outer.User, inner.User, coversGlob) &&
		coversTags(outer.Tag, inner.Tag) &&
		coversList(outer.Source, inner.Source, coversNetwork) &&
		coversBounds(outer.BodyBytes, inner.BodyBytes) &&
		coversNot(outer.Not, inner.Not)
}

func coversTags(outer, inner map[string]string) bool {
	for name, want := range outer {
		if glob, ok := inner[name]; !ok || !coversGlob(want, glob) {
			return false
		}
	}
	return true
}

func coversNetwork(outer, inner string) bool {
	o, i := netip.MustParsePrefix(outer), netip.MustParsePrefix(inner)
	return o.Bits() <= i.Bits() && o.Contains(i.Addr())
}

func coversBounds(outer, inner *Bounds) bool {
	if outer == nil {
		return true
	}
	if inner == nil {
		return false // a size that nobody knows
	}
	o, i := newBounds(outer), newBounds(inner)
	return o.above <= i.above && o.below >= i.below
}

// coversNot says whether inner lets nothing hold that outer forbids: whatever
// outer forbids is part of something that inner forbids too.
func coversNot(outer, inner *Match) bool {
	if outer == nil {
		return true
	}
	ours := inner.singles()
	for _, forbidden := range outer.singles() {
		if !slices.ContainsFunc(ours, func(single Match) bool { return covers(&single, &forbidden) }) {
			return false
		}
	}
	return true
}

// singles takes a block apart into blocks of one matcher each, in which every
// header, parameter and tag is one.
func (m *Match) singles() []Match {
	if m == nil {
		return nil
	}
	var singles []Match
	for name, text := range m.Header {
		singles = append(singles, Match{Header: map[string]Text{name: text}})
	}
	for name, text := range m.Query {
		singles = append(singles, Match{Query: map[string]Text{name: text}})
	}
	for name, glob := range m.Tag {
		singles = append(singles, Match{Tag: map[string]string{name: glob}})
	}
	for _, one := range []struct {
		given  bool
		single Match
	}{
		{len(m.Path.Globs) > 0 || m.Path.Regex != "", Match{Path: m.Path}}, {len(m.Method) > 0, Match{Method: m.Method}},
		{len(m.Host) > 0, Match{Host: m.Host}}, {len(m.Model) > 0, Match{Model: m.Model}}, {m.Stream != nil, Match{Stream: m.Stream}},
		{len(m.Key) > 0, Match{Key: m.Key}}, {len(m.User) > 0, Match{User: m.User}}, {len(m.Source) > 0, Match{Source: m.Source}},
		{m.BodyBytes != nil, Match{BodyBytes: m.BodyBytes}}, {m.Not != nil, Match{Not: m.Not}},
	} {
		if one.given {
			singles = append(singles, one.single)
		}
	}
	return singles
}

// coversList says whether each alternative of inner is covered by one of outer.
// A list that is not given takes everything.
func coversList(outer, inner []string, covers func(outer, inner string) bool) bool {
	if len(outer) == 0 {
		return true
	}
	if len(inner) == 0 {
		return false
	}
	for _, i := range inner {
		if !slices.ContainsFunc(outer, func(o string) bool { return covers(o, i) }) {
			return false
		}
	}
	return true
}

func equalText(a, b string) bool { return a == b }

func coversHost(outer, inner string) bool {
	o := newHost(outer)
	return outer == inner || inner[0] != '*' && o.takes(inner)
}

func coversPaths(outer, inner *Paths) bool {
	if outer.Regex != "" {
		return outer.Regex == inner.Regex
	}
	if inner.Regex != "" {
		return len(outer.Globs) == 0 || slices.Contains(outer.Globs, "/**")
	}
	if len(inner.Globs) == 0 {
		return len(outer.Globs) == 0 || slices.Contains(outer.Globs, "/**")
	}
	return coversList(outer.Globs, inner.Globs, coversPathGlob)
}

func coversModels(outer, inner []string) bool {
	if len(outer) == 0 {
		return true
	}
	if len(inner) == 0 {
		return false // requests without a model
	}
	takes, except := splitModels(outer)
	innerTakes, innerExcept := splitModels(inner)
	for _, glob := range innerTakes {
		if !coveredByAny(takes, glob) {
			return false
		}
		for _, exception := range except {
			if overlap(glob, exception) && !coveredByAny(innerExcept, exception) && !coveredByAny(innerExcept, glob) {
				return false
			}
		}
	}
	return true
}

// splitModels gives the patterns that a list takes, * where it only excludes,
// and those that it excludes.
func splitModels(patterns []string) (takes, except []string) {
	for _, pattern := range patterns {
		if pattern[0] == '!' {
			except = append(except, pattern[1:])
		} else {
			takes = append(takes, pattern)
		}
	}
	if len(takes) == 0 {
		takes = []string{"*"}
	}
	return takes, except
}

// coversTests says whether what inner asks of headers or parameters grants what
// outer asks.
func coversTests(outer, inner map[string]Text, spelling func(string) string) bool {
	if len(outer) == 0 {
		return true
	}
	given := make(map[string]Text, len(inner))
	for name, text := range inner {
		given[spelling(name)] = text
	}
	for name, want := range outer {
		text, ok := given[spelling(name)]
		if !ok || !coversText(want, text) {
			return false
		}
	}
	return true
}

// values lists the values that a text takes, nil where they cannot be listed.
func (t Text) values() []string {
	if len(t.In) > 0 {
		return t.In
	}
	if t.Prefix+t.Suffix+t.Contains+t.Regex != "" || t.Exists != nil {
		return nil
	}
	return []string{t.Equals}
}

func coversText(outer, inner Text) bool {
	if isMissing(outer) || isMissing(inner) {
		return isMissing(outer) && isMissing(inner)
	}
	if outer.Exists != nil {
		return true
	}
	if listed := inner.values(); listed != nil {
		test := newTest(outer)
		return !slices.ContainsFunc(listed, func(value string) bool { return !test.takes(value) })
	}
	switch test := newTest(outer); {
	case outer.Regex != "":
		return outer.Regex == inner.Regex
	case inner.Regex != "" || inner.Exists != nil:
		return false
	case outer.Prefix != "":
		return inner.Prefix != "" && test.takes(inner.Prefix)
	case outer.Suffix != "":
		return inner.Suffix != "" && test.takes(inner.Suffix)
	case outer.Contains != "":
		return test.takes(inner.Prefix + inner.Suffix + inner.Contains) // one of them is given
	}
	return false
}

func isMissing(t Text) bool { return t.Exists != nil && !*t.Exists }

// coversGlob says whether outer takes all that inner does. A * of inner can
// only be taken by a * of outer, so inner is matched as if it were a text.
func coversGlob(outer, inner string) bool {
	g := newGlob(outer)
	if g.parts == nil {
		return outer == inner
	}
	return g.takes(inner)
}

func coveredByAny(globs []string, inner string) bool {
	return slices.ContainsFunc(globs, func(outer string) bool { return coversGlob(outer, inner) })
}

// coversPathGlob is coversGlob for paths, segment by segment.
func coversPathGlob(outer, inner string) bool {
	outer, outerRest := strings.CutSuffix(outer, "/**")
	inner, innerRest := strings.CutSuffix(inner, "/**")
	outerSegments, innerSegments := strings.Split(outer, "/"), strings.Split(inner, "/")
	switch {
	case innerRest && !outerRest, len(innerSegments) < len(outerSegments):
		return false
	case !outerRest && len(innerSegments) > len(outerSegments):
		return false
	}
	for i, segment := range outerSegments {
		if !coversGlob(segment, innerSegments[i]) {
			return false
		}
	}
	return true
}

// overlap says whether two globs take some text in common.
func overlap(a, b string) bool {
	// next[j] says whether a[i:] and b[j:] take a text in common, and met the
	// same for a[i+1:].
	met := make([]bool, len(b)+1)
	next := make([]bool, len(b)+1)
	for i := len(a); i >= 0; i-- {
		for j := len(b); j >= 0; j-- {
			switch {
			case i < len(a) && a[i] == '*':
				next[j] = met[j] || j < len(b) && next[j+1]
			case j < len(b) && b[j] == '*':
				next[j] = next[j+1] || i < len(a) && met[j]
			case i == len(a) || j == len(b):
				next[j] = i == len(a) && j == len(b)
			default:
				next[j] = a[i] == b[j] && met[j+1]
			}
		}
		met, next = next, met
	}
	return met[0]
}
