package tui

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// filter is what was written behind /: words that must all hold. A word alone is
// looked for everywhere; field:text looks at one field, where text may have *;
// field>=5, and < > <= = !=, compare numbers and times (2s, 300ms); a - before it
// turns it round; of words with or between them one is enough.
type filter struct {
	text  string
	terms []term
}

// term is one word of a filter.
type term struct {
	field string // empty: any
	op    string // "", ":", "=", "!=", "<", "<=", ">", ">="
	raw   string // as it was written
	want  string // the same in lower case
	not   bool
	or    []term // one of which is enough, too
}

var termForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_-]*)(:|>=|<=|!=|=|>|<)(.*)$`)

// parseFilter reads a filter; the error says which word is wrong.
func parseFilter(text string) (filter, error) {
	f := filter{text: strings.TrimSpace(text)}
	or := false
	for word := range strings.FieldsSeq(text) {
		if word == "or" && len(f.terms) > 0 {
			or = true // behind the last word it is one that is not written yet
			continue
		}
		var t term
		if rest, found := strings.CutPrefix(word, "-"); found && rest != "" {
			t.not, word = true, rest
		}
		t.raw = word
		if parts := termForm.FindStringSubmatch(word); parts != nil {
			t.field, t.op, t.raw = strings.ToLower(parts[1]), parts[2], parts[3]
			if t.raw == "" {
				return f, fmt.Errorf("%s: what for?", word)
			}
		}
		t.want = strings.ToLower(t.raw)
		if strings.ContainsAny(t.op, "<>") {
			if _, ok := number(t.want); !ok {
				return f, fmt.Errorf("%s: %q is no number and no time", word, t.want)
			}
		}
		if _, err := path.Match(t.want, ""); err != nil {
			return f, fmt.Errorf("%s: missing ]", word)
		}
		if or {
			last := &f.terms[len(f.terms)-1]
			last.or, or = append(last.or, t), false
			continue
		}
		f.terms = append(f.terms, t)
	}
	return f, nil
}

// on says whether anything is filtered.
func (f *filter) on() bool { return len(f.terms) > 0 }

// takes says whether all words hold. field gives the value of one by its name,
// texts is everything that is shown.
func (f *filter) takes(field func(string) (string, bool), texts func() []string) bool {
	for i := range f.terms {
		if !f.terms[i].takes(field, texts) {
			return false
		}
	}
	return true
}

func (t *term) takes(field func(string) (string, bool), texts func() []string) bool {
	if t.holds(field, texts) != t.not {
		return true
	}
	return slices.ContainsFunc(t.or, func(other term) bool { return other.takes(field, texts) })
}

func (t *term) holds(field func(string) (string, bool), texts func() []string) bool {
	if t.op == "" {
		for _, text := range texts() {
			if strings.Contains(strings.ToLower(text), t.want) {
				return true
			}
		}
		return false
	}
	value, known := field(t.field)
	if !known {
		return false
	}
	value = strings.ToLower(value)
	a, isNumber := number(value)
	b, wantsNumber := number(t.want)
	if isNumber && wantsNumber {
		return compares(t.op, a, b)
	}
	equal, err := path.Match(t.want, value)
	equal = equal && err == nil || strings.Contains(t.want, "*") && globs(t.want, value)
	switch t.op {
	case ":", "=":
		return equal
	case "!=":
		return !equal
	}
	return false // a comparison with what is no number
}

func compares(op string, a, b float64) bool {
	switch op {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	case ">=":
		return a >= b
	case "!=":
		return a != b
	}
	return a == b
}

// globs is a match in which * stands for anything, a slash too.
func globs(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for i, part := range parts[1:] {
		if i == len(parts)-2 {
			return strings.HasSuffix(text, part)
		}
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return text == ""
}

// number reads a number, or a time as milliseconds.
func number(text string) (float64, bool) {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n, true
	}
	if d, err := time.ParseDuration(text); err == nil {
		return float64(d) / float64(time.Millisecond), true
	}
	return 0, false
}
