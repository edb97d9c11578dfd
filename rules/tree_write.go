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
	inner.texted(values)
	o.put(name, inner.node())
}

// texted writes texts by their names.
func (o *object) texted(values map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		o.put(name, textNode(values[name]))
	}
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
