package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a rule, or looks wrong.
type Problem struct {
	File         string // as Decode was told; empty for rules that came from no file
	Line, Column int    // from 1; 0 where the rule came from no file
	Set, Rule    string // as far as they could be read
	Field        string // "rules[2].match.header.x-tier"; without "rules[2]." where the rule came from no file
	Message      string // one fact, without the value where that could be a secret
	Hint         string // what to do about it; may be empty
	Suggestion   string // the known word nearest to the one that is not known; may be empty
	Warning      bool   // the rules can be used as they are
}

// String gives the problem in one line: where, what.
func (p *Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteString(" ")
	} else if p.Field != "" {
		if p.Rule != "" {
			fmt.Fprintf(&b, "rule %q: ", p.Rule)
		}
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems are all that was found at once.
type Problems []Problem

// Error gives one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Errors gives the problems for which the rules are refused.
func (p Problems) Errors() Problems { return p.kind(false) }

// Warnings gives the problems that do not keep the rules from being used.
func (p Problems) Warnings() Problems { return p.kind(true) }

func (p Problems) kind(warning bool) Problems {
	var found Problems
	for _, problem := range p {
		if problem.Warning == warning {
			found = append(found, problem)
		}
	}
	return found
}

// Sort brings problems into the order of the text they are about. What has no
// position keeps the order in which it was found.
func (p Problems) Sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
