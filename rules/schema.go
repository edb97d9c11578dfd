package rules

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Schema gives the JSON Schema (draft 2020-12) of one document of a rules file,
// for editors: the fields that there are, what each is for, and which form its
// value has. What it refuses Decode refuses too; Decode refuses more, and says
// why.
func Schema() []byte { return rulesSchema().text() }

// TestsSchema gives the same for rule test files; see DecodeTests.
func TestsSchema() []byte { return testsSchema().text() }

// schema says how a value of a file is written. It is the table of the language
// from which both JSON Schemas are made, and by which Format orders fields.
type schema struct {
	Dialect     string     `json:"$schema,omitempty"`
	Title       string     `json:"title,omitempty"`
	Description string     `json:"description,omitempty"`
	Ref         string     `json:"$ref,omitempty"`
	Type        string     `json:"type,omitempty"`
	Const       any        `json:"const,omitempty"`
	Enum        []any      `json:"enum,omitempty"`
	Pattern     string     `json:"pattern,omitempty"`
	MinLength   int        `json:"minLength,omitempty"`
	Minimum     *int       `json:"minimum,omitempty"`
	Maximum     *int       `json:"maximum,omitempty"`
	MinItems    int        `json:"minItems,omitempty"`
	Items       *schema    `json:"items,omitempty"`
	Properties  properties `json:"properties,omitempty"`
	Required    []string   `json:"required,omitempty"`
	Additional  any        `json:"additionalProperties,omitempty"` // false, or the *schema of every value
	MinFields   int        `json:"minProperties,omitempty"`
	MaxFields   int        `json:"maxProperties,omitempty"`
	AnyOf       []*schema  `json:"anyOf,omitempty"`
	AllOf       []*schema  `json:"allOf,omitempty"`
	Not         *schema    `json:"not,omitempty"`
	Default     any        `json:"default,omitempty"`
	Examples    []any      `json:"examples,omitempty"`
	Defs        properties `json:"$defs,omitempty"`

	target *schema // of Ref
}

// property is a field of an object.
type property struct {
	name string
	of   *schema
}

// properties are fields in the order of the canonical form.
type properties []property

// MarshalJSON keeps the order, which a map would not.
func (p properties) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, field := range p {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := json.Marshal(field.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(field.of)
		if err != nil {
			return nil, err
		}
		out.Write(append(append(name, ':'), value...))
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// text writes a schema as a file.
func (s *schema) text() []byte {
	s.Dialect = "https://json-schema.org/draft/2020-12/schema"
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		panic(fmt.Sprintf("rules: writing a schema of our own making: %v", err))
	}
	return out.Bytes()
}

// within gives the schema of a field's value, or, where key is nil, that of a
// list's items; nil where there is none.
func (s *schema) within(key *yaml.Node) *schema {
	for _, form := range s.forms() {
		if key == nil {
			if form.Items != nil {
				return form.Items
			}
			continue
		}
		for _, field := range form.Properties {
			if field.name == key.Value {
				return field.of
			}
		}
		if every, ok := form.Additional.(*schema); ok {
			return every
		}
	}
	return nil
}

// position gives the place of a field among those of its object; the same one
// for all fields where their names are free.
func (s *schema) position(key *yaml.Node) int {
	for _, form := range s.forms() {
		for i, field := range form.Properties {
			if field.name == key.Value {
				return i
			}
		}
	}
	return 0
}

// forms lists the ways in which a value may be written.
func (s *schema) forms() []*schema {
	switch {
	case s == nil:
		return nil
	case s.target != nil:
		return s.target.forms()
	case len(s.AnyOf) > 0:
		return s.AnyOf
	}
	return []*schema{s}
}

// The forms of values. about is a sentence for whoever points at the field.

func text(about string, examples ...any) *schema {
	return &schema{Type: "string", Description: about, Examples: examples}
}

func filledText(about string, examples ...any) *schema {
	return &schema{Type: "string", MinLength: 1, Description: about, Examples: examples}
}

func oneOf(about string, words ...any) *schema {
	return &schema{Type: "string", Enum: words, Description: about}
}

func boolean(about string) *schema { return &schema{Type: "boolean", Description: about} }

func number(about string, least, most int) *schema {
	return &schema{Type: "integer", Minimum: &least, Maximum: &most, Description: about}
}

func atLeast(about string, least int) *schema {
	return &schema{Type: "integer", Minimum: &least, Description: about}
}

func listOf(about string, item *schema) *schema {
	return &schema{Type: "array", Items: item, MinItems: 1, Description: about}
}

// namesOf is an object with free names.
func namesOf(about string, value *schema) *schema {
	return &schema{Type: "object", Additional: value, Description: about}
}

func either(about string, forms ...*schema) *schema {
	return &schema{AnyOf: forms, Description: about}
}

// objectOf is an object with fields of the language.
func objectOf(about string, fields ...property) *schema {
	return &schema{Type: "object", Properties: fields, Additional: false, Description: about}
}

// needs names the fields that an object cannot do without.
func (s *schema) needs(names ...string) *schema {
	s.Required = names
	return s
}

// notBoth refuses objects with two fields of which one is enough.
func (s *schema) notBoth(pairs ...[2]string) *schema {
	for _, pair := range pairs {
		s.AllOf = append(s.AllOf, &schema{Not: &schema{Required: pair[:]}})
	}
	return s
}

// as names a schema that others refer to.
func (s *schema) as(name string) *schema {
	return &schema{Ref: "#/$defs/" + name, target: s, Description: s.Description}
}
