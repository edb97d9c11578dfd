package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// UnmarshalJSON reads what MarshalJSON writes, as strictly as Decode reads
// YAML: the same fields, the same problems, without positions. The error is of
// type Problems.
func (r *Rule) UnmarshalJSON(source []byte) error {
	n, err := parseJSON(source)
	if err != nil {
		return Problems{{Message: "not JSON: " + err.Error()}}
	}
	d := &decoder{}
	d.from = d.origin("", n)
	read := d.readRule("", n)
	read.from = nil
	if n.Kind == yaml.MappingNode {
		d.check(func(c *checker) { c.oneRule(&read) })
	}
	if len(d.problems) > 0 {
		return d.limited()
	}
	*r = read
	return nil
}

// parseJSON gives a JSON text as the tree that its YAML form would be. A YAML
// parser is not asked: it does not know JSON's surrogate pairs.
func parseJSON(source []byte) (*yaml.Node, error) {
	decoder := json.NewDecoder(bytes.NewReader(source))
	decoder.UseNumber()
	n, err := readJSON(decoder, 0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one value")
	}
	return n, nil
}

// maxNesting is deeper than any rule.
const maxNesting = 64

func readJSON(decoder *json.Decoder, depth int) (*yaml.Node, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		return readJSONList(decoder, t, depth+1)
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: t}, nil
	case json.Number:
		if _, err := strconv.Atoi(t.String()); err != nil {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: t.String()}, nil //nolint:nilerr // what is no integer is a float
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: t.String()}, nil
	case bool:
		return boolNode(t), nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

// readJSONList reads the rest of an object or array. An object's names come
// from the decoder as values do, so both are lists of nodes.
func readJSONList(decoder *json.Decoder, opening json.Delim, depth int) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	if opening == '{' {
		n.Kind = yaml.MappingNode
	}
	if depth > maxNesting {
		return nil, fmt.Errorf("values are nested deeper than %d", maxNesting)
	}
	for decoder.More() {
		item, err := readJSON(decoder, depth)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, item)
	}
	_, err := decoder.Token() // the closing bracket
	return n, err
}
