package rules

import (
	"maps"
	"net/netip"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
)

// matcher is a Match made ready: conditions that must all hold, in the order in
// which they are asked and explained.
type matcher []condition

// condition is one thing that is asked of a request. Every header, parameter
// and tag is one of its own.
type condition struct {
	on      subject
	name    string // of the header (canonical), the parameter or the tag
	paths   []pathGlob
	regex   *regexp.Regexp // of the path
	methods []string
	hosts   []host
	test    test
	globs   globs // of models, keys, users, or a tag
	stream  bool
	sources []netip.Prefix
	size    bounds
	not     matcher // none of it may hold
}

// subject is what a condition asks about.
type subject uint8

const (
	onPath subject = iota
	onMethod
	onHost
	onHeader
	onQuery
	onModel
	onStream
	onKey
	onUser
	onTag
	onSource
	onBodyBytes
	onNot
)

var subjectNames = [...]string{"path", "method", "host", "header", "query", "model", "stream", "key", "user", "tag", "source", "body_bytes", "not"}

func (s subject) String() string { return subjectNames[s] }

// newMatcher makes a Match ready that was checked.
func newMatcher(m *Match) matcher {
	var c matcher
	if m.Path.Regex != "" {
		c = append(c, condition{on: onPath, regex: regexp.MustCompile(m.Path.Regex)})
	} else if len(m.Path.Globs) > 0 {
		c = append(c, condition{on: onPath, paths: compileAll(m.Path.Globs, newPathGlob)})
	}
	if len(m.Method) > 0 {
		c = append(c, condition{on: onMethod, methods: m.Method})
	}
	if len(m.Host) > 0 {
		c = append(c, condition{on: onHost, hosts: compileAll(m.Host, newHost)})
	}
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		c = append(c, condition{on: onHeader, name: textproto.CanonicalMIMEHeaderKey(name), test: newTest(m.Header[name])})
	}
	for _, name := range slices.Sorted(maps.Keys(m.Query)) {
		c = append(c, condition{on: onQuery, name: name, test: newTest(m.Query[name])})
	}
	if len(m.Model) > 0 {
		c = append(c, condition{on: onModel, globs: newGlobs(m.Model)})
	}
	if m.Stream != nil {
		c = append(c, condition{on: onStream, stream: *m.Stream})
	}
	return m.callerConditions(c)
}

// callerConditions are those about who is calling, and not.
func (m *Match) callerConditions(c matcher) matcher {
	if len(m.Key) > 0 {
		c = append(c, condition{on: onKey, globs: newGlobs(m.Key)})
	}
	if len(m.User) > 0 {
		c = append(c, condition{on: onUser, globs: newGlobs(m.User)})
	}
	for _, name := range slices.Sorted(maps.Keys(m.Tag)) {
		c = append(c, condition{on: onTag, name: name, globs: newGlobs([]string{m.Tag[name]})})
	}
	if len(m.Source) > 0 {
		c = append(c, condition{on: onSource, sources: compileAll(m.Source, netip.MustParsePrefix)})
	}
	if m.BodyBytes != nil {
		c = append(c, condition{on: onBodyBytes, size: newBounds(m.BodyBytes)})
	}
	if m.Not != nil {
		c = append(c, condition{on: onNot, not: newMatcher(m.Not)})
	}
	return c
}

// takesPath says whether a path could be taken.
func (m matcher) takesPath(path string) bool {
	return len(m) == 0 || m[0].on != onPath || m[0].takesPath(path)
}

func compileAll[T any](patterns []string, compile func(string) T) []T {
	compiled := make([]T, len(patterns))
	for i, pattern := range patterns {
		compiled[i] = compile(pattern)
	}
	return compiled
}

// takes says whether everything that is asked for holds.
func (m matcher) takes(q *Request) bool { return m.failing(q) == nil }

// failing gives the first condition that does not hold, nil where all do. It
// allocates nothing but what a regular expression or a percent-escaped query
// needs. What decides is also what explains.
func (m matcher) failing(q *Request) *condition {
	for i := range m {
		if !m[i].holds(q) {
			return &m[i]
		}
	}
	return nil
}

// holding gives the first condition that holds, nil where none does.
func (m matcher) holding(q *Request) *condition {
	for i := range m {
		if m[i].holds(q) {
			return &m[i]
		}
	}
	return nil
}

// holds asks one condition. What a request does not have (a model, a key, a
// user, a tag, an address, a size) holds nothing.
func (c *condition) holds(q *Request) bool {
	switch c.on {
	case onPath:
		return c.takesPath(q.Path)
	case onMethod:
		return slices.Contains(c.methods, q.Method)
	case onHost:
		return c.takesHost(q.Host)
	case onHeader:
		return c.test.takesAny(q.Header[c.name])
	case onQuery:
		return c.test.takesParameter(q.RawQuery, c.name)
	case onModel:
		return q.HasModel && c.globs.takes(q.Model)
	case onStream:
		return c.stream == q.Stream
	case onNot:
		return c.not.holding(q) == nil
	}
	return c.holdsOfCaller(q)
}

func (c *condition) holdsOfCaller(q *Request) bool {
	switch c.on {
	case onKey:
		return q.Key != "" && c.globs.takes(q.Key)
	case onUser:
		return q.User != "" && c.globs.takes(q.User)
	case onTag:
		value, ok := q.tag(c.name)
		return ok && c.globs.takes(value)
	case onSource:
		return c.takesSource(q.Source)
	case onBodyBytes:
		return c.size.take(q.BodyBytes)
	}
	return false
}

func (c *condition) takesPath(path string) bool {
	if c.regex != nil {
		return c.regex.MatchString(path)
	}
	for i := range c.paths {
		if c.paths[i].takes(path) {
			return true
		}
	}
	return false
}

func (c *condition) takesHost(text string) bool {
	name := hostOnly(text)
	for i := range c.hosts {
		if c.hosts[i].takes(name) {
			return true
		}
	}
	return false
}

// takesSource asks an address. One of IPv4 is the same however it is written.
func (c *condition) takesSource(source netip.Addr) bool {
	source = source.Unmap().WithZone("")
	for _, network := range c.sources {
		if network.Contains(source) {
			return true
		}
	}
	return false
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
