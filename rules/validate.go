package rules

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/llmgw/llmgw/accounts"
)

// Check looks for everything that is wrong with sets of rules and can be told
// without knowing the upstreams, which are taken to exist: errors first, and
// warnings where there is no error.
func Check(files []File) Problems {
	var problems Problems
	c := checker{problems: &problems}
	c.files(files)
	if len(problems) == 0 {
		set := newSet(Config{Files: files})
		problems = warn(set, false)
	}
	problems.Sort()
	return problems
}

// checker looks at rules one by one. What it needs to know of other rules it
// remembers.
type checker struct {
	problems  *Problems
	upstreams map[string]bool // nil: taken to exist
	reach     Reach
	set       string
	rule      *Rule
}

func (c *checker) files(files []File) {
	sets, rules := map[string]bool{}, map[string]string{}
	for i := range files {
		f := &files[i]
		c.set, c.rule = f.Set, &Rule{from: f.from}
		if !accounts.ValidName(f.Set) {
			c.refuse("set", "names match "+accounts.NamePattern, "%q is not a name", shorten(f.Set))
		}
		if sets[f.Set] {
			c.refuse("set", "one document is one set; write its rules into one", "set %q is given twice", f.Set)
		}
		sets[f.Set] = true
		for j := range f.Rules {
			c.oneRule(&f.Rules[j])
			name := f.Rules[j].Name
			if other, taken := rules[name]; taken && name != "" {
				c.refuse("name", "names are unique among all sets", "there is already a rule %q%s", name, elsewhere(other, f.Set))
			} else {
				rules[name] = f.Set
			}
		}
	}
}

func (c *checker) oneRule(r *Rule) {
	c.rule = r
	if !accounts.ValidName(r.Name) {
		c.refuse("name", "names match "+accounts.NamePattern, "%q is not a name", shorten(r.Name))
	}
	if hasControl(strings.ReplaceAll(r.Description, "\n", " ")) {
		c.refuse("description", "", "the text holds a control character")
	}
	c.match("match", &r.Match)
	c.action(&r.Action)
	if r.Continue {
		c.continues(&r.Action)
	}
}

func elsewhere(set, here string) string {
	if set == here {
		return ""
	}
	return fmt.Sprintf(" in set %q", set)
}

// refuse notes an error at a field's value.
func (c *checker) refuse(field, hint, message string, args ...any) {
	p := Problem{Field: field, Message: fmt.Sprintf(message, args...), Hint: hint}
	*c.problems = append(*c.problems, c.rule.problem(c.set, p, false))
}

// refuseKey notes an error at a field's name: the field should not be there.
func (c *checker) refuseKey(field, hint, message string, args ...any) {
	p := Problem{Field: field, Message: fmt.Sprintf(message, args...), Hint: hint}
	*c.problems = append(*c.problems, c.rule.problem(c.set, p, true))
}

func (c *checker) text(field string, t Text) {
	given := 0
	for _, set := range []bool{t.Equals != "", t.Prefix != "", t.Suffix != "", t.Contains != "", t.Regex != "", len(t.In) > 0, t.Exists != nil} {
		if set {
			given++
		}
	}
	if given > 1 {
		c.refuse(field, "give one; for several write one {regex: …}", "more than one operator")
	}
	if t.Regex != "" {
		c.regex(field+".regex", t.Regex)
	}
	for _, value := range append([]string{t.Equals, t.Prefix, t.Suffix, t.Contains}, t.In...) {
		if hasControl(value) {
			c.refuse(field, "", "the value holds a control character")
		}
	}
}

// regex refuses what RE2 does not take. The expression is not repeated: it may
// be about a header that holds a secret.
func (c *checker) regex(field, expression string) {
	_, err := regexp.Compile(expression)
	if err == nil {
		return
	}
	reason := "it is too large"
	if parse := (*syntax.Error)(nil); errors.As(err, &parse) {
		reason = parse.Code.String()
	}
	c.refuse(field, "the syntax is RE2's: https://github.com/google/re2/wiki/Syntax", "not a regular expression: %s", reason)
}

// hasControl says whether a value could break out of the line it is sent in.
func hasControl(value string) bool {
	return !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
