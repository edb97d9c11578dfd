package rules

import (
	"maps"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
)

// matcher is a Match made ready. The cheap questions are asked first.
type matcher struct {
	methods   []string
	stream    *bool
	models    *models // nil: any request, with a model or without
	paths     []pathGlob
	pathRegex *regexp.Regexp
	hosts     []host
	headers   []namedTest // names are canonical
	query     []namedTest
}

type namedTest struct {
	name string
	test test
}

func newMatcher(m *Match) matcher {
	compiled := matcher{methods: m.Method, stream: m.Stream, models: newModels(m.Model), query: newTests(m.Query)}
	for _, pattern := range m.Path.Globs {
		compiled.paths = append(compiled.paths, newPathGlob(pattern))
	}
	if m.Path.Regex != "" {
		compiled.pathRegex = regexp.MustCompile(m.Path.Regex)
	}
	for _, pattern := range m.Host {
		compiled.hosts = append(compiled.hosts, newHost(pattern))
	}
	compiled.headers = newTests(m.Header)
	for i := range compiled.headers {
		compiled.headers[i].name = textproto.CanonicalMIMEHeaderKey(compiled.headers[i].name)
	}
	return compiled
}

func newTests(texts map[string]Text) []namedTest {
	var tests []namedTest
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		tests = append(tests, namedTest{name, newTest(texts[name])})
	}
	return tests
}

// takes says whether everything that is asked for holds. It allocates nothing
// but what a regular expression or a percent-escaped query needs.
func (m *matcher) takes(q *Request) bool {
	if len(m.methods) > 0 && !slices.Contains(m.methods, q.Method) {
		return false
	}
	if m.stream != nil && *m.stream != q.Stream {
		return false
	}
	if m.models != nil && !(q.HasModel && m.models.takes(q.Model)) {
		return false
	}
	return m.takesPath(q.Path) && m.takesHost(q.Host) && m.takesHeaders(q.Header) && m.takesQuery(q.RawQuery)
}

func (m *matcher) takesPath(path string) bool {
	if m.pathRegex != nil {
		return m.pathRegex.MatchString(path)
	}
	for i := range m.paths {
		if m.paths[i].takes(path) {
			return true
		}
	}
	return len(m.paths) == 0
}

func (m *matcher) takesHost(text string) bool {
	if len(m.hosts) == 0 {
		return true
	}
	name := hostOnly(text)
	for i := range m.hosts {
		if m.hosts[i].takes(name) {
			return true
		}
	}
	return false
}

func (m *matcher) takesHeaders(header map[string][]string) bool {
	for i := range m.headers {
		if !m.headers[i].test.takesAny(header[m.headers[i].name]) {
			return false
		}
	}
	return true
}

func (m *matcher) takesQuery(rawQuery string) bool {
	for i := range m.query {
		if !m.query[i].test.takesParameter(rawQuery, m.query[i].name) {
			return false
		}
	}
	return true
}

// test is a Text made ready: one operator and what it compares with.
type test struct {
	op    operator
	want  string
	in    []string
	regex *regexp.Regexp
}

type operator uint8

const (
	opEquals operator = iota
	opPrefix
	opSuffix
	opContains
	opRegex
	opIn
	opExists
	opMissing
)

func newTest(t Text) test {
	switch {
	case t.Prefix != "":
		return test{op: opPrefix, want: t.Prefix}
	case t.Suffix != "":
		return test{op: opSuffix, want: t.Suffix}
	case t.Contains != "":
		return test{op: opContains, want: t.Contains}
	case t.Regex != "":
		return test{op: opRegex, regex: regexp.MustCompile(t.Regex)}
	case len(t.In) > 0:
		return test{op: opIn, in: t.In}
	case t.Exists != nil && *t.Exists:
		return test{op: opExists}
	case t.Exists != nil:
		return test{op: opMissing}
	}
	return test{op: opEquals, want: t.Equals}
}

// takesAny asks the values that a request has under one name: any may hold.
func (t *test) takesAny(values []string) bool {
	if t.op == opMissing {
		return len(values) == 0
	}
	for _, value := range values {
		if t.takes(value) {
			return true
		}
	}
	return false
}

func (t *test) takes(value string) bool {
	switch t.op {
	case opEquals:
		return value == t.want
	case opPrefix:
		return strings.HasPrefix(value, t.want)
	case opSuffix:
		return strings.HasSuffix(value, t.want)
	case opContains:
		return strings.Contains(value, t.want)
	case opRegex:
		return t.regex.MatchString(value)
	case opIn:
		return slices.Contains(t.in, value)
	case opExists:
		return true
	}
	return false
}
