package rules

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

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
	return o.node()
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

func (a *Action) tree() *yaml.Node {
	o := object{}
	o.text("upstream", a.Upstream)
	o.text("target", a.Target)
	if a.Path != nil {
		o.put("path", a.Path.tree())
	}
	o.text("model", a.Model)
	o.edits("headers", &a.Headers)
	o.edits("response_headers", &a.ResponseHeaders)
	if a.Respond != nil {
		o.put("respond", a.Respond.tree())
	}
	return o.node()
}

func (e *PathEdit) tree() *yaml.Node {
	o := object{}
	o.text("set", e.Set)
	o.text("strip_prefix", e.StripPrefix)
	o.text("add_prefix", e.AddPrefix)
	if e.Replace != nil {
		var replace object
		replace.put("regex", textNode(e.Replace.Regex))
		replace.put("with", textNode(e.Replace.With))
		o.put("replace", replace.node())
	}
	return o.node()
}

func (r *Respond) tree() *yaml.Node {
	o := object{}
	o.put("status", numberNode(r.Status))
	o.text("message", r.Message)
	o.textMap("headers", r.Headers)
	o.text("body", r.Body)
	return o.node()
}

// object is a mapping being written.
type object struct{ content []*yaml.Node }

func (o *object) put(name string, value *yaml.Node) {
	o.content = append(o.content, textNode(name), value)
}

// text writes a text that is given.
func (o *object) text(name, value string) {
	if value != "" {
		o.put(name, textNode(value))
	}
}

func (o *object) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, value := range values {
		list.Content = append(list.Content, textNode(value))
	}
	o.put(name, list)
}

func (o *object) textMap(name string, values map[string]string) {
	if len(values) == 0 {
		return
	}
	var inner object
	for _, key := range slices.Sorted(maps.Keys(values)) {
		inner.put(key, textNode(values[key]))
	}
	o.put(name, inner.node())
}

func (o *object) tests(name string, tests map[string]Text) {
	if len(tests) == 0 {
		return
	}
	var inner object
	for _, key := range slices.Sorted(maps.Keys(tests)) {
		test := tests[key]
		inner.put(key, test.tree())
	}
	o.put(name, inner.node())
}

func (o *object) edits(name string, e *HeaderEdits) {
	if e.empty() {
		return
	}
	var inner object
	inner.textMap("set", e.Set)
	inner.textMap("add", e.Add)
	inner.texts("remove", e.Remove)
	o.put(name, inner.node())
}

func (o *object) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Content: o.content}
	if len(o.content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n
}

func flow(n *yaml.Node) *yaml.Node {
	n.Style = yaml.FlowStyle
	return n
}

func boolNode(value bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(value)}
}

func numberNode(value int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(value)}
}

// textNode chooses how a text is written: plain or quoted as YAML needs it,
// over several lines where that keeps every character, and otherwise with
// escapes.
func textNode(value string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	switch {
	case isBlock(value):
		n.Style = yaml.LiteralStyle
	case value == "<<", strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }):
		n.Style = yaml.DoubleQuotedStyle // << plain is a merge key, even as a value
	}
	return n
}

// isBlock says whether a text can be written as a literal block and comes back
// the same.
func isBlock(value string) bool {
	if !strings.Contains(value, "\n") || strings.HasSuffix(value, "\n\n") || strings.HasPrefix(value, "\n") {
		return false
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(value, "\n"), "\n") {
		if strings.Trim(line, " ") != line || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
			return false
		}
	}
	return true
}
