package rules

import "strings"

// glob is a pattern in which * is any run of bytes.
type glob struct {
	whole string   // where there is no *
	parts []string // what stands before, between and after the *s; nil where there is none
}

func newGlob(pattern string) glob {
	if !strings.Contains(pattern, "*") {
		return glob{whole: pattern}
	}
	return glob{parts: strings.Split(pattern, "*")}
}

// takes asks for the first part at the beginning, the last one at the end, and
// the others in their order between: the leftmost place of each is as good as
// any, so nothing is tried twice.
func (g *glob) takes(text string) bool {
	if g.parts == nil {
		return text == g.whole
	}
	last := len(g.parts) - 1
	if len(text) < len(g.parts[0])+len(g.parts[last]) ||
		!strings.HasPrefix(text, g.parts[0]) || !strings.HasSuffix(text, g.parts[last]) {
		return false
	}
	text = text[len(g.parts[0]) : len(text)-len(g.parts[last])]
	for _, part := range g.parts[1:last] {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}

// globTakes is glob.takes for a pattern that nobody made ready: one that came
// with the caller.
func globTakes(pattern, text string) bool {
	part, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	if !strings.HasPrefix(text, part) {
		return false
	}
	text = text[len(part):]
	for {
		if part, rest, star = strings.Cut(rest, "*"); !star {
			return strings.HasSuffix(text, part)
		}
		_, behind, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = behind
	}
}

// Glob says whether a pattern takes a text, as the patterns of rules do but for
// those of paths: * is any run of bytes, and upper case is not lower case.
func Glob(pattern, text string) bool { return globTakes(pattern, text) }

// literal is what a pattern begins with, and whether that is all of it.
func literal(pattern string) (prefix string, whole bool) {
	before, _, star := strings.Cut(pattern, "*")
	return before, !star
}

// pathGlob is a path pattern: each segment is a glob of its own.
type pathGlob struct {
	whole    string // where there is no *
	segments []glob
	rest     bool // ended in /**
}

func newPathGlob(pattern string) pathGlob {
	if !strings.Contains(pattern, "*") {
		return pathGlob{whole: pattern}
	}
	pattern, rest := strings.CutSuffix(pattern, "/**")
	g := pathGlob{rest: rest}
	if pattern == "" {
		return g
	}
	for segment := range strings.SplitSeq(pattern[1:], "/") {
		g.segments = append(g.segments, newGlob(segment))
	}
	return g
}

func (g *pathGlob) takes(path string) bool {
	if g.whole != "" {
		return path == g.whole
	}
	for i := range g.segments {
		if path == "" || path[0] != '/' {
			return false
		}
		segment := path[1:]
		if end := strings.IndexByte(segment, '/'); end >= 0 {
			segment = segment[:end]
		}
		if !g.segments[i].takes(segment) {
			return false
		}
		path = path[1+len(segment):]
	}
	return path == "" || g.rest && path[0] == '/'
}

// pathLiteral is what every path that a pattern takes begins with, and whether
// that is all of it.
func pathLiteral(pattern string) (prefix string, whole bool) {
	if before, rest := strings.CutSuffix(pattern, "/**"); rest {
		prefix, _ = literal(before)
		return prefix, false
	}
	return literal(pattern)
}

// pathGlobProblem says what is wrong with a path pattern.
func pathGlobProblem(pattern string) (problem, hint string) {
	if !strings.HasPrefix(pattern, "/") {
		return "a path pattern begins with a slash", ""
	}
	if problem := globProblem(pattern); problem != "" {
		return problem, "for more write path: {regex: '…'}"
	}
	if i := strings.Index(pattern, "**"); i >= 0 && (i != len(pattern)-2 || pattern[i-1] != '/') {
		return "** stands for the rest of a path and must be its last segment", "within a segment write *"
	}
	// The rest is checked with an example of what a star stands for.
	plain := strings.ReplaceAll(pattern, "*", "x")
	canonical, err := CanonicalPath(plain)
	if err != nil {
		return "no path looks like this pattern: " + err.Error(), ""
	}
	if canonical != plain {
		return "paths are matched in their canonical spelling, and this is another", "decode the percent-escapes of letters, digits, -, ., _ and ~, and write the others in upper case"
	}
	return "", ""
}

// modelGlobProblem says what is wrong with a model pattern.
func modelGlobProblem(pattern string) string {
	name := strings.TrimPrefix(pattern, "!")
	if name == "" {
		return "the pattern is empty"
	}
	return globProblem(name)
}

func globProblem(pattern string) string {
	if hasControl(pattern) {
		return "the pattern holds a control character"
	}
	if i := strings.IndexAny(pattern, `?[]{}\`); i >= 0 {
		return "in a pattern only * is special, and this one holds " + pattern[i:i+1]
	}
	return ""
}

// globs is a list of patterns, made ready; those that begin with ! exclude.
type globs struct {
	take   []glob // empty: all
	except []glob
}

func newGlobs(patterns []string) globs {
	var g globs
	for _, pattern := range patterns {
		if name, excluded := strings.CutPrefix(pattern, "!"); excluded {
			g.except = append(g.except, newGlob(name))
		} else {
			g.take = append(g.take, newGlob(pattern))
		}
	}
	return g
}

func (g *globs) takes(text string) bool {
	if len(g.take) > 0 && !anyTakes(g.take, text) {
		return false
	}
	return !anyTakes(g.except, text)
}

func anyTakes(globs []glob, text string) bool {
	for i := range globs {
		if globs[i].takes(text) {
			return true
		}
	}
	return false
}

// callerGlobProblem says what is wrong with a pattern for names of keys or
// users, or for the value of a tag.
func callerGlobProblem(pattern, field string) (problem, hint string) {
	if strings.HasPrefix(pattern, "!") {
		return "! excludes models only", "write not: {" + field + ": …}"
	}
	return globProblem(pattern), ""
}
