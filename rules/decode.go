package rules

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/llmgw/llmgw/accounts"
)

// version is the only version of the language so far.
const version = "1"

// Decode reads a rules file: one set in each YAML document. name is what the
// problems call the file.
//
// It checks all that can be told from the file alone and gives every problem at
// once, in the order of the text, none of them a warning. The files are to be
// used only where there is no problem; where there is one they hold what could
// be read.
func Decode(name string, source []byte) ([]File, Problems) {
	d := &decoder{file: name}
	documents := d.parse(source)
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	if len(documents) == 0 {
		d.refuse(mark{1, 1}, "", "the smallest rules file is: {version: 1, rules: []}", "the file is empty")
	}
	files := make([]File, len(documents))
	for i, document := range documents {
		files[i] = d.document(document)
	}
	d.check(func(c *checker) { c.files(files) })
	d.problems.Sort()
	return files, d.limited()
}

// parse gives the documents of a text, or a problem.
func (d *decoder) parse(source []byte) []*yaml.Node {
	if len(source) > maxSource {
		d.refuse(mark{1, 1}, "", fmt.Sprintf("split it: a file may hold several sets, and a gateway several files, each up to %d MiB", maxSource>>20), "the file is too large: %d bytes", len(source))
		return nil
	}
	documents, wrong := Documents(d.file, source)
	if wrong != nil {
		d.problems = append(d.problems, *wrong)
		return nil
	}
	return documents
}

// check adds what is wrong with the values that could be read. A value that
// could not is not found wrong a second time.
func (d *decoder) check(look func(*checker)) {
	var found Problems
	look(&checker{problems: &found})
	unread := d.problems
	for _, p := range found {
		if !slices.ContainsFunc(unread, func(u Problem) bool { return u.about(&p) }) {
			d.problems = append(d.problems, p)
		}
	}
}

// about says whether two problems are about one value or one that it holds.
func (p *Problem) about(other *Problem) bool {
	return p.Set == other.Set && p.Field != "" && (p.Field == other.Field || strings.HasPrefix(other.Field, p.Field+"."))
}

// decoder reads the documents of one file, collecting problems.
type decoder struct {
	file      string
	set, rule string  // where it is, for problems
	from      *origin // of what is being read
	problems  Problems
	values    int // read so far
	nots      int // around what is being read
}

// document reads one set.
func (d *decoder) document(n *yaml.Node) File {
	f := File{Set: DefaultSet, Order: DefaultOrder, from: d.origin("", n)}
	d.set, d.rule, d.from = DefaultSet, "", f.from
	var rules *yaml.Node
	elsewhere := false
	fields := d.setFields(&f, &rules)
	seen := d.fields("", n, fields, func(key *yaml.Node) {
		if !isObjects(key.Value) {
			d.unknown("", key, "field", "fields of a rules file are", fields)
			return
		}
		elsewhere = true
		d.refuse(at(key), key.Value, "apply files of every kind with: llmgw apply -f FILE", "%s are no rules", key.Value)
	})
	if seen == nil {
		return f
	}
	d.needsVersion(n, seen)
	switch {
	case rules != nil:
		d.rules(&f, rules)
	case !seen["rules"] && !elsewhere:
		d.refuse(at(n), "rules", "for a set without rules write rules: []", "rules is missing")
	}
	return f
}

// setFields are the fields of a set; what stands behind rules is left for when
// the name of the set is known.
func (d *decoder) setFields(f *File, rules **yaml.Node) []field {
	return []field{
		{"version", func(path string, n *yaml.Node) {
			if n = d.resolve(n); n.Kind != yaml.ScalarNode || n.Value != version || n.ShortTag() != "!!int" {
				d.refuse(at(n), path, "write version: 1", "unknown version of the rule language")
			}
		}},
		{"set", func(path string, n *yaml.Node) {
			if name, ok := d.name(path, n); ok {
				f.Set, d.set = name, name
			}
		}},
		{"order", func(path string, n *yaml.Node) { f.Order = d.number(path, n, 0, 1_000_000) }},
		{"rules", func(_ string, n *yaml.Node) { *rules = n }},
	}
}

func (d *decoder) needsVersion(n *yaml.Node, seen map[string]bool) {
	if !seen["version"] {
		d.refuse(at(n), "version", "write version: 1", "version is missing")
	}
}

func (d *decoder) rules(f *File, n *yaml.Node) {
	d.list("rules", n, true, func(path string, n *yaml.Node) {
		f.Rules = append(f.Rules, d.readRule(path, n))
	})
}

// readRule reads one rule. The paths of its fields are counted from the rule.
func (d *decoder) readRule(path string, n *yaml.Node) Rule {
	document := d.from
	r := Rule{from: d.origin(path, n)}
	d.from = r.from
	defer func() { d.from, d.rule = document, "" }()
	d.rule = nameOf(n)
	seen := d.object("", n, "field", "fields of a rule are",
		field{"name", func(path string, n *yaml.Node) { r.Name, _ = d.name(path, n) }},
		field{"description", func(path string, n *yaml.Node) { r.Description = d.text(path, n) }},
		field{"enabled", func(path string, n *yaml.Node) {
			enabled := d.boolean(path, n)
			r.Disabled = enabled != nil && !*enabled
		}},
		field{"continue", func(path string, n *yaml.Node) {
			goesOn := d.boolean(path, n)
			r.Continue = goesOn != nil && *goesOn
		}},
		field{"match", func(path string, n *yaml.Node) { r.Match = d.match(path, n) }},
		field{"action", func(path string, n *yaml.Node) { r.Action = d.action(path, n) }},
	)
	if seen != nil && !seen["name"] {
		d.refuse(at(n), "name", "names match "+accounts.NamePattern+" and are unique among all sets", "the rule has no name")
	}
	return r
}

// nameOf looks a rule's name up before the rule is read, so that every problem
// with it can name it, wherever its name stands.
func nameOf(n *yaml.Node) string {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "name" && accounts.ValidName(n.Content[i+1].Value) {
			return n.Content[i+1].Value
		}
	}
	return ""
}

func (d *decoder) origin(path string, n *yaml.Node) *origin {
	return &origin{file: d.file, path: path, start: at(n), keys: map[string]mark{}, at: map[string]mark{}}
}

// refuse notes an error. field is counted from what is being read.
func (d *decoder) refuse(where mark, field, hint, message string, args ...any) {
	d.suggest(where, field, hint, "", message, args...)
}

func (d *decoder) suggest(where mark, field, hint, suggestion, message string, args ...any) {
	if len(d.problems) > maxProblems || d.exhausted() {
		return
	}
	text := fmt.Sprintf(message, args...)
	if d.from != nil && d.from.path != "" {
		if isObjectPath(d.from.path) {
			text = namingField(field, text)
		}
		field = strings.TrimSuffix(d.from.path+"."+field, ".")
	}
	d.problems = append(d.problems, Problem{
		File: d.file, Line: where.line, Column: where.column, Set: d.set, Rule: d.rule, Field: field,
		Message: text, Hint: hint, Suggestion: suggestion,
	})
}

// limited gives the problems, not more of them than anybody reads.
func (d *decoder) limited() Problems {
	problems := d.problems
	if more := len(problems) - maxProblems + 1; more > 1 {
		next := problems[maxProblems-1]
		problems = append(problems[:maxProblems-1:maxProblems-1], Problem{
			File: next.File, Line: next.Line, Column: next.Column, Set: next.Set,
			Message: fmt.Sprintf("at least %d more problems from here on", more),
		})
	}
	if d.exhausted() {
		problems = append(problems, Problem{
			File: d.file, Line: 1, Column: 1,
			Message: fmt.Sprintf("the file holds more than %d values once its aliases are written out", maxValues),
		})
	}
	return problems
}

func at(n *yaml.Node) mark { return mark{n.Line, n.Column} }
