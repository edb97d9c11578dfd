package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// writeYAML prints a value with the names and the order of its JSON form.
func writeYAML(w io.Writer, value any) error {
	var b bytes.Buffer
	if err := writeCompact(&b, value); err != nil {
		return err
	}
	d := json.NewDecoder(&b)
	d.UseNumber()
	tree, err := yamlTree(d)
	if err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(tree); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	return e.Close()
}

// yamlTree makes a tree of the next JSON value. The names of an object are
// values like any other: they alternate with what they name, as YAML's do.
func yamlTree(d *json.Decoder) (*yaml.Node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		return yamlList(d, t)
	case string:
		return yamlText(t)
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: t.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(t)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

func yamlList(d *json.Decoder, opened json.Delim) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	if opened == '{' {
		n.Kind = yaml.MappingNode
	}
	for d.More() {
		item, err := yamlTree(d)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, item)
	}
	_, err := d.Token() // the end of it
	return n, err
}

// yamlText quotes what a reader of this or of older YAML would not take for a
// text, and escapes what cannot be printed.
func yamlText(text string) (*yaml.Node, error) {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
	if text == "<<" || strings.ContainsFunc(text, unprintable) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.DoubleQuotedStyle}, nil
	}
	var n yaml.Node
	return &n, n.Encode(text)
}
