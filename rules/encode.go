package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Encode writes sets as canonical YAML, one document a set, in the order in
// which they are tried. Decode gives the same sets again, and the same sets
// always give the same bytes.
func Encode(files []File) []byte {
	if len(files) == 0 {
		return nil
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	for _, f := range inOrder(files) {
		if err := encoder.Encode(f.tree()); err != nil {
			panic(fmt.Sprintf("rules: writing a tree of our own making: %v", err))
		}
	}
	if err := encoder.Close(); err != nil {
		panic(fmt.Sprintf("rules: writing to memory: %v", err))
	}
	return out.Bytes()
}

// YAML writes one rule as Encode writes it, without its set.
func (r *Rule) YAML() []byte {
	set := string(Encode([]File{{Set: DefaultSet, Rules: []Rule{*r}}}))
	_, list, _ := strings.Cut(set, "\nrules:\n")
	var out strings.Builder
	for line := range strings.Lines(list) {
		out.WriteString(strings.TrimPrefix(line, "  "))
	}
	return []byte(out.String())
}

// MarshalJSON writes a rule with the names and the order of the YAML form.
func (r Rule) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	if err := writeJSON(&out, r.tree()); err != nil {
		return nil, fmt.Errorf("writing rule %q: %w", r.Name, err)
	}
	return out.Bytes(), nil
}

func writeJSON(out *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		return writeJSONList(out, n)
	}
	if n.Tag != "!!str" {
		out.WriteString(n.Value)
		return nil
	}
	text, err := json.Marshal(n.Value)
	out.Write(text)
	return err
}

func writeJSONList(out *bytes.Buffer, n *yaml.Node) error {
	brackets := "[]"
	if n.Kind == yaml.MappingNode {
		brackets = "{}"
	}
	out.WriteByte(brackets[0])
	for i, item := range n.Content {
		switch {
		case i == 0:
		case n.Kind == yaml.MappingNode && i%2 == 1:
			out.WriteByte(':')
		default:
			out.WriteByte(',')
		}
		if err := writeJSON(out, item); err != nil {
			return err
		}
	}
	out.WriteByte(brackets[1])
	return nil
}
