package rules

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// tree writes a set as Encode has it.
func (f *File) tree() *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range f.Rules {
		list.Content = append(list.Content, f.Rules[i].tree())
	}
	if len(f.Rules) == 0 {
		list.Style = yaml.FlowStyle
	}
	o := object{}
	o.put("version", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: version})
	o.text("set", f.Set)
	o.put("order", numberNode(f.Order))
	o.put("rules", list)
	return o.node()
}

// tree writes a rule: nothing that is not given, but match and action always.
func (r *Rule) tree() *yaml.Node {
	o := object{}
	o.text("name", r.Name)
	o.text("description", r.Description)
	if r.Disabled {
		o.put("enabled", boolNode(false))
	}
	if r.Continue {
		o.put("continue", boolNode(true))
	}
	o.put("match", r.Match.tree())
	o.put("action", r.Action.tree())
	return o.node()
}

func (m *Match) tree() *yaml.Node {
	o := object{}
	switch {
	case m.Path.Regex != "":
		var regex object
		regex.text("regex", m.Path.Regex)
		o.put("path", flow(regex.node()))
	case len(m.Path.Globs) == 1:
		o.text("path", m.Path.Globs[0])
	default:
		o.texts("path", m.Path.Globs)
	}
	o.texts("method", m.Method)
	o.texts("host", m.Host)
	o.tests("header", m.Header)
	o.tests("query", m.Query)
	o.texts("model", m.Model)
	if m.Stream != nil {
		o.put("stream", boolNode(*m.Stream))
	}
	o.texts("key", m.Key)
	o.texts("user", m.User)
	if len(m.Tag) > 0 {
		var tags object
		tags.texted(m.Tag)
		o.put("tag", flow(tags.node()))
	}
	o.texts("source", m.Source)
	if m.BodyBytes != nil {
		o.put("body_bytes", flow(m.BodyBytes.tree()))
	}
	if m.Not != nil {
		o.put("not", m.Not.tree())
	}
	return o.node()
}

func (b *Bounds) tree() *yaml.Node {
	o := object{}
	if b.GT != nil {
		o.put("gt", sizeNode(*b.GT))
	}
	if b.LT != nil {
		o.put("lt", sizeNode(*b.LT))
	}
	return o.node()
}

func sizeNode(size int64) *yaml.Node {
	if text := sizeText(size); strings.Trim(text, "0123456789") != "" {
		return textNode(text)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(size, 10)}
}

func (t *Text) tree() *yaml.Node {
	o := object{}
	o.text("prefix", t.Prefix)
	o.text("suffix", t.Suffix)
	o.text("contains", t.Contains)
	o.text("regex", t.Regex)
	o.texts("in", t.In)
	if t.Exists != nil {
		o.put("exists", boolNode(*t.Exists))
	}
	if len(o.content) == 0 {
		return textNode(t.Equals)
	}
	return flow(o.node())
}
