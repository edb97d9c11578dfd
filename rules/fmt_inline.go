package rules

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// inlining gives every entry its text as it would stand on one line, with its
// fields in order: "name: value", "- value". One run of the YAML library writes
// them all, as items of one list, since each run costs it a large buffer.
type inlining struct {
	blocks  map[*yaml.Node]*block
	inOrder bool // fields stay where they are
	entries []*entry
	list    yaml.Node
}

// inline prepares the documents for the layout.
func (a *attachment) inline(table *schema) {
	in := inlining{blocks: a.blocks, list: yaml.Node{Kind: yaml.SequenceNode}}
	for _, d := range a.documents {
		in.inOrder = d.anchors
		d.whole = &entry{value: d.root.node}
		in.add(d.whole, table)
		in.block(d.root, table)
	}
	in.write()
}

func (in *inlining) block(b *block, table *schema) {
	if b.node.Kind == yaml.MappingNode && !in.inOrder {
		slices.SortStableFunc(b.entries, func(x, y *entry) int { return table.position(x.key) - table.position(y.key) })
	}
	for _, e := range b.entries {
		within := table.within(e.key)
		in.add(e, within)
		if inner := in.blocks[e.value]; inner != nil {
			in.block(inner, within)
		}
	}
}

func (in *inlining) add(e *entry, table *schema) {
	value := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	if e.key != nil && (len(e.value.Content) > 0 && e.value.Style&yaml.FlowStyle != 0 || e.value.Style&yaml.FoldedStyle != 0) {
		e.opened = &entry{key: e.key, value: value}
		in.add(e.opened, nil)
	}
	if e.value.Kind == yaml.AliasNode || e.value.Kind == yaml.ScalarNode || e.value.Style&yaml.FlowStyle != 0 {
		value = in.flat(e.value, table)
	}
	one := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{value}}
	if e.key != nil {
		one = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{in.flat(e.key, nil), value}}
	}
	in.list.Content = append(in.list.Content, one)
	in.entries = append(in.entries, e)
}

// flat copies what is written as one value, with the styles of Encode and
// without comments.
func (in *inlining) flat(n *yaml.Node, table *schema) *yaml.Node {
	switch n.Kind {
	case yaml.AliasNode:
		return &yaml.Node{Kind: yaml.AliasNode, Value: n.Value}
	case yaml.ScalarNode:
		out := &yaml.Node{Kind: yaml.ScalarNode, Tag: n.ShortTag(), Value: strings.ToLower(n.Value)}
		if out.Tag == "!!str" {
			out = textNode(n.Value)
		}
		out.Anchor = n.Anchor
		return out
	}
	out := &yaml.Node{Kind: n.Kind, Style: yaml.FlowStyle, Anchor: n.Anchor}
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			out.Content = append(out.Content, in.flat(item, table.within(nil)))
		}
		return out
	}
	for _, i := range in.order(n, table) {
		key := n.Content[i]
		out.Content = append(out.Content, in.flat(key, nil), in.flat(n.Content[i+1], table.within(key)))
	}
	return out
}

// order gives the indexes of a mapping's keys in the order in which they are
// written.
func (in *inlining) order(n *yaml.Node, table *schema) []int {
	var order []int
	for i := 0; i+1 < len(n.Content); i += 2 {
		order = append(order, i)
	}
	if !in.inOrder {
		slices.SortStableFunc(order, func(x, y int) int { return table.position(n.Content[x]) - table.position(n.Content[y]) })
	}
	return order
}

// write has the list written, and cuts it up again.
func (in *inlining) write() {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&in.list); err != nil {
		panic(fmt.Sprintf("rules: writing a tree of our own making: %v", err))
	}
	// Everything of an item but its first line is indented.
	rest := strings.TrimSuffix(strings.TrimPrefix(out.String(), "- "), "\n")
	for _, e := range in.entries {
		var item string
		item, rest, _ = strings.Cut(rest, "\n- ")
		e.text = strings.ReplaceAll(item, "\n  ", "\n")
	}
}

// name is what stands before an entry's value: its field's name, or a dash.
func (e *entry) name() string {
	switch {
	case e.key == nil:
		return "-"
	case e.opened != nil:
		return e.opened.name()
	}
	return strings.TrimSuffix(e.text, " {}")
}
