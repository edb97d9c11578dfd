package rules

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// operators are those of a header's or query parameter's value, in the order in
// which messages name them.
var operators = [...]string{"equals", "prefix", "suffix", "contains", "regex", "in", "exists"}

// operatorList begins the hint that names them.
const operatorList = "operators are"

func (d *decoder) match(path string, n *yaml.Node) (m Match) {
	d.object(path, n, "matcher", "matchers are",
		field{"path", func(path string, n *yaml.Node) { m.Path = d.paths(path, n) }},
		field{"method", func(path string, n *yaml.Node) { m.Method = d.texts(path, n) }},
		field{"host", func(path string, n *yaml.Node) { m.Host = d.texts(path, n) }},
		field{"header", func(path string, n *yaml.Node) { m.Header = d.tests(path, n) }},
		field{"query", func(path string, n *yaml.Node) { m.Query = d.tests(path, n) }},
		field{"model", func(path string, n *yaml.Node) { m.Model = d.texts(path, n) }},
		field{"stream", func(path string, n *yaml.Node) { m.Stream = d.boolean(path, n) }},
		field{"key", func(path string, n *yaml.Node) { m.Key = d.texts(path, n) }},
		field{"user", func(path string, n *yaml.Node) { m.User = d.texts(path, n) }},
		field{"tag", func(path string, n *yaml.Node) { m.Tag = d.textMap(path, n) }},
		field{"source", func(path string, n *yaml.Node) { m.Source = d.texts(path, n) }},
		field{"body_bytes", func(path string, n *yaml.Node) { m.BodyBytes = d.bounds(path, n) }},
		field{"not", func(path string, n *yaml.Node) { m.Not = d.not(path, n) }},
	)
	return m
}

// paths reads one pattern, a list of them, or {regex: …}.
func (d *decoder) paths(path string, n *yaml.Node) (p Paths) {
	n = d.resolve(n)
	switch n.Kind {
	case yaml.SequenceNode:
		p.Globs = d.texts(path, n)
	case yaml.MappingNode:
		seen := d.object(path, n, "field", "besides a pattern or a list of patterns there is",
			field{"regex", func(path string, n *yaml.Node) { p.Regex = d.filled(path, n) }})
		if len(seen) == 0 && len(n.Content) == 0 {
			d.refuse(at(n), path, "leave the field out", "there is no pattern")
		}
	default:
		if pattern := d.text(path, n); pattern != "" {
			p.Globs = []string{pattern}
		} else if n.ShortTag() == "!!str" {
			d.refuse(at(n), path, "leave the field out", "the text is empty")
		}
	}
	return p
}

// tests reads names, each with what its value must be.
func (d *decoder) tests(path string, n *yaml.Node) map[string]Text {
	tests := map[string]Text{}
	d.pairs(path, n, func(key, value *yaml.Node) {
		tests[key.Value] = d.test(join(path, key.Value), value)
	})
	if len(tests) == 0 {
		return nil
	}
	return tests
}

// test reads a value, or one operator.
func (d *decoder) test(path string, n *yaml.Node) (t Text) {
	n = d.resolve(n)
	if n.Kind != yaml.MappingNode {
		if n.Kind == yaml.SequenceNode {
			d.refuse(at(n), path, "write {in: […]}", "must be text or an operator, found a list")
			return t
		}
		return Text{Equals: d.text(path, n)}
	}
	seen := d.object(path, n, "matcher operator", operatorList,
		field{"equals", func(path string, n *yaml.Node) { t.Equals = d.text(path, n) }},
		field{"prefix", func(path string, n *yaml.Node) { t.Prefix = d.filled(path, n) }},
		field{"suffix", func(path string, n *yaml.Node) { t.Suffix = d.filled(path, n) }},
		field{"contains", func(path string, n *yaml.Node) { t.Contains = d.filled(path, n) }},
		field{"regex", func(path string, n *yaml.Node) { t.Regex = d.filled(path, n) }},
		field{"in", func(path string, n *yaml.Node) { t.In = d.texts(path, n) }},
		field{"exists", func(path string, n *yaml.Node) { t.Exists = d.boolean(path, n) }},
	)
	hint := operatorList + " " + strings.Join(operators[:], ", ")
	switch {
	case len(seen) > 1:
		d.refuse(at(n), path, "give one; for several write one {regex: …}", "more than one operator")
	case len(n.Content) == 0:
		d.refuse(at(n), path, hint, "there is no operator")
	}
	return t
}

// bounds reads what the size of a body must be.
func (d *decoder) bounds(path string, n *yaml.Node) *Bounds {
	var b Bounds
	before := len(d.problems)
	d.object(path, n, "field", "fields of body_bytes are",
		field{"gt", func(path string, n *yaml.Node) { b.GT = d.size(path, n) }},
		field{"lt", func(path string, n *yaml.Node) { b.LT = d.size(path, n) }},
	)
	if len(d.problems) > before {
		return nil
	}
	return &b
}

// size reads a number of bytes, with a unit or without.
func (d *decoder) size(path string, n *yaml.Node) *int64 {
	n = d.resolve(n)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" && n.ShortTag() != "!!str" {
		d.refuse(at(n), path, sizeHint, "must be a size, found %s", kind(n))
		return nil
	}
	size, err := parseSize(n.Value)
	if err != nil {
		d.refuse(at(n), path, sizeHint, "%v", err)
		return nil
	}
	return &size
}

const sizeHint = "it looks like 4096, 10KB or 2MiB"

// maxNots is deeper than anybody thinks, and keeps a block that holds itself
// by an alias from going on forever.
const maxNots = 4

func (d *decoder) not(path string, n *yaml.Node) *Match {
	if d.nots == maxNots {
		d.refuse(at(n), path, "", "not is nested deeper than %d", maxNots)
		return nil
	}
	d.nots++
	defer func() { d.nots-- }()
	before := len(d.problems)
	m := d.match(path, n)
	if len(d.problems) > before && m.empty() {
		return nil
	}
	return &m
}
