package rules

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/llmgw/llmgw/accounts"
)

// field is a field that an object may have, and what reads its value.
type field struct {
	name string
	read func(path string, n *yaml.Node)
}

// object reads a mapping with known fields and says which it found, nil where
// it is no mapping. what names a field in messages, and list begins the hint
// that names them all.
func (d *decoder) object(path string, n *yaml.Node, what, list string, fields ...field) map[string]bool {
	return d.fields(path, n, fields, func(key *yaml.Node) { d.unknown(path, key, what, list, fields) })
}

// fields is object, with something else to do about a field that is not known.
func (d *decoder) fields(path string, n *yaml.Node, fields []field, unknown func(key *yaml.Node)) map[string]bool {
	seen := map[string]bool{}
	ok := d.pairs(path, n, func(key *yaml.Node, value *yaml.Node) {
		inner := join(path, key.Value)
		for _, f := range fields {
			if f.name == key.Value {
				seen[f.name] = true
				f.read(inner, value)
				return
			}
		}
		unknown(key)
	})
	if !ok {
		return nil
	}
	return seen
}

func (d *decoder) unknown(path string, key *yaml.Node, what, list string, fields []field) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	d.suggest(at(key), join(path, shorten(key.Value)), list+" "+strings.Join(names, ", "),
		nearestWord(key.Value, names), "unknown %s %q", what, shorten(key.Value))
}

// pairs goes through a mapping, each key of which is text and given once.
func (d *decoder) pairs(path string, n *yaml.Node, each func(key, value *yaml.Node)) bool {
	n = d.resolve(n)
	if n.Kind != yaml.MappingNode {
		d.refuse(at(n), path, "", "must be fields (name: value), found %s", kind(n))
		return false
	}
	given := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content) && !d.exhausted(); i += 2 {
		key, value := d.resolve(n.Content[i]), n.Content[i+1]
		switch {
		case key.ShortTag() == "!!merge":
			d.refuse(at(key), join(path, "<<"), "write the fields out", "merge keys are not supported")
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			d.refuse(at(key), path, `if it is a name, quote it`, "a field's name must be text, found %s", kind(key))
		case given[key.Value]:
			d.refuse(at(key), join(path, shorten(key.Value)), "", "%q is given twice", shorten(key.Value))
		default:
			given[key.Value] = true
			d.from.keys[join(path, key.Value)] = at(key)
			d.from.at[join(path, key.Value)] = at(value)
			each(key, value)
		}
	}
	return true
}

// list goes through a sequence.
func (d *decoder) list(path string, n *yaml.Node, mayBeEmpty bool, each func(path string, n *yaml.Node)) {
	n = d.resolve(n)
	if n.Kind != yaml.SequenceNode {
		hint := ""
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" && !mayHoldSecret(path) && !isObjectPath(d.from.path) {
			hint = "put it in brackets: [" + shorten(plainOrQuoted(n.Value)) + "]"
		}
		d.refuse(at(n), path, hint, "must be a list, found %s", kind(n))
		return
	}
	if len(n.Content) == 0 && !mayBeEmpty {
		d.refuse(at(n), path, "leave the field out", "the list is empty")
	}
	for i, item := range n.Content {
		if d.exhausted() {
			return
		}
		inner := path + "[" + strconv.Itoa(i) + "]"
		d.from.at[inner] = at(item)
		each(inner, item)
	}
}

// texts reads a list of text that is not empty.
func (d *decoder) texts(path string, n *yaml.Node) (values []string) {
	d.list(path, n, false, func(path string, n *yaml.Node) {
		values = append(values, d.text(path, n))
	})
	return values
}

// textMap reads names and a text for each; nil where there are none.
func (d *decoder) textMap(path string, n *yaml.Node) map[string]string {
	values := map[string]string{}
	d.pairs(path, n, func(key, value *yaml.Node) {
		values[key.Value] = d.text(join(path, key.Value), value)
	})
	if len(values) == 0 {
		return nil
	}
	return values
}

func (d *decoder) text(path string, n *yaml.Node) string {
	n = d.resolve(n)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		hint := ""
		if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" && !mayHoldSecret(path) && !isObjectPath(d.from.path) {
			hint = "quote it: " + strconv.Quote(shorten(n.Value))
		}
		d.refuse(at(n), path, hint, "must be text, found %s", kind(n))
		return ""
	}
	return n.Value
}

// filled reads text that says something.
func (d *decoder) filled(path string, n *yaml.Node) string {
	before := len(d.problems)
	text := d.text(path, n)
	if text == "" && len(d.problems) == before {
		d.refuse(at(n), path, "leave the field out", "the text is empty")
	}
	return text
}

func (d *decoder) name(path string, n *yaml.Node) (string, bool) {
	before := len(d.problems)
	name := d.text(path, n)
	if len(d.problems) > before {
		return "", false
	}
	if !accounts.ValidName(name) {
		d.refuse(at(n), path, "names match "+accounts.NamePattern, "%q is not a name", shorten(name))
		return "", false
	}
	return name, true
}

func (d *decoder) boolean(path string, n *yaml.Node) *bool {
	n = d.resolve(n)
	var value bool
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(&value) != nil {
		d.refuse(at(n), path, "", "must be true or false, found %s", kind(n))
		return nil
	}
	return &value
}

// number reads a whole number; 0 where it is none.
func (d *decoder) number(path string, n *yaml.Node, least, most int) int {
	n = d.resolve(n)
	value, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil || value < least || value > most {
		found := kind(n)
		if err == nil && n.ShortTag() == "!!int" {
			found = n.Value
		}
		d.refuse(at(n), path, "", "must be a whole number from %d to %d, found %s", least, most, found)
		return 0
	}
	return value
}

// resolve follows an alias, and counts.
func (d *decoder) resolve(n *yaml.Node) *yaml.Node {
	d.values++
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func (d *decoder) exhausted() bool { return d.values > maxValues }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// plainOrQuoted writes a value as it must stand in a flow list.
func plainOrQuoted(value string) string {
	if strings.ContainsAny(value, `,[]{}#&*!|>'"%@:`+"`") || value != strings.TrimSpace(value) {
		return fmt.Sprintf("%q", value)
	}
	return value
}
