package rules_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/rules"
)

// compiledSchema makes a schema ready, which checks it against the draft's own.
func compiledSchema(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7) // $schema must say which it is
	if err := compiler.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if compiled.DraftVersion != 2020 {
		t.Fatalf("the schema is of draft %d", compiled.DraftVersion)
	}
	return compiled
}

// valid asks a schema about every document of a YAML text.
func valid(s *jsonschema.Schema, source []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	for {
		var value any
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return err
		}
		if err := s.Validate(instance); err != nil {
			return err
		}
	}
}

func TestEveryRecipeFollowsTheSchemas(t *testing.T) {
	ofRules, ofTests := compiledSchema(t, rules.Schema()), compiledSchema(t, rules.TestsSchema())
	for _, name := range recipes(t) {
		if err := valid(ofRules, readFile(t, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		name = strings.TrimSuffix(name, ".yaml") + ".test.yaml"
		if err := valid(ofTests, readFile(t, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// everything is a file with every field of the language.
const everything = `# yaml-language-server: $schema=./rules.schema.json
version: 1
set: team-search
order: 200
rules:
  - name: mark-everything
    continue: true
    match: {}
    action: {headers: {set: {x-request-source: "llmgw ${key.name}"}}}
  - name: trial-keys
    description: Everything at once
    match:
      path: [/v1/**, /v2/*]
      method: [POST]
      host: ["*.example.com"]
      header: {x-tier: {in: [free, trial]}, x-a: b, x-c: {exists: true}}
      query: {beta: {prefix: t}}
      model: [gpt-5*, "!gpt-5-pro*"]
      stream: true
      key: [ci-*]
      user: [dana]
      tag: {plan: trial}
      source: [10.0.0.0/8]
      body_bytes: {gt: 10, lt: 2MiB}
      not: {source: [10.1.0.0/16], path: {regex: ^/v3}}
    action:
      upstreams:
        - {name: groq-a, weight: 80, model: openai/gpt-oss-120b}
        - {name: groq-b, weight: 20, path: {add_prefix: /openai}}
      fallback:
        - {name: openai, timeouts: {first_token: 20s}}
      affinity: header:x-session
      path: {strip_prefix: /a, replace: {regex: b, with: c}}
      model: other
      headers: {remove: [x-tier], add: {x-b: c}}
      response_headers: {set: {x-served-by: "${upstream.name}"}}
      retry: {on: [connect, reset, timeout, 429, 502, 503, 504, 529], attempts: 3, within: 10s}
      timeouts: {connect: 1s, response_header: 2s, first_token: 10s, idle: 60s, total: 0}
      limits: ["600 requests/min per key", "2M tokens/day per user"]
      on_client_gone: finish
      body_log: true
  - name: legacy-host
    match: {path: /legacy/**}
    action: {target: "https://models.internal.example/api", path: {set: /b}}
  - name: retired-models
    enabled: true
    match: {model: [gpt-3.5*]}
    action: {respond: {status: 400, message: gone}}
  - name: as-it-stands
    action: {upstream: a}
  - name: answered
    action: {respond: {status: 403, headers: {content-type: text/plain}, body: no}}
`

func TestAFileWithEveryFieldFollowsTheSchemaAndFormats(t *testing.T) {
	if _, problems := rules.Decode("rules.yaml", []byte(everything)); len(problems) > 0 {
		t.Fatal(problems)
	}
	if err := valid(compiledSchema(t, rules.Schema()), []byte(everything)); err != nil {
		t.Error(err)
	}
	formatted(t, everything)
}

// Editors must not mark what the gateway takes.
func TestWhatDecodeTakesTheSchemaTakes(t *testing.T) {
	compiled := compiledSchema(t, rules.Schema())
	rapid.Check(t, func(t *rapid.T) {
		encoded := rules.Encode(drawWritten(t))
		if err := valid(compiled, encoded); err != nil {
			t.Fatalf("%v\n%s", err, encoded)
		}
	})
}

// objects visits the forms of values that have fields, each with the path of
// keys that leads there and what a value there must hold besides.
func objects(root map[string]any, visit func(path []string, fields []string, form map[string]any)) {
	definitions, _ := root["$defs"].(map[string]any)
	var walk func(path []string, form map[string]any)
	walk = func(path []string, form map[string]any) {
		if len(path) > 12 {
			return
		}
		if reference, ok := form["$ref"].(string); ok {
			name := strings.TrimPrefix(reference, "#/$defs/")
			if name == "match" && slices.Contains(path, "not") {
				return // the same matchers again
			}
			form = definitions[name].(map[string]any)
		}
		for _, other := range anySlice(form["anyOf"]) {
			walk(path, other.(map[string]any))
		}
		if items, ok := form["items"].(map[string]any); ok {
			walk(append(slices.Clone(path), "[]"), items)
		}
		if every, ok := form["additionalProperties"].(map[string]any); ok {
			walk(append(slices.Clone(path), "x-name"), every)
		}
		if fields, ok := form["properties"].(map[string]any); ok {
			names := make([]string, 0, len(fields))
			for name := range fields {
				names = append(names, name)
			}
			visit(path, names, form)
			for _, name := range names {
				walk(append(slices.Clone(path), name), fields[name].(map[string]any))
			}
		}
	}
	walk(nil, root)
}

func anySlice(value any) []any {
	list, _ := value.([]any)
	return list
}

// fieldsInOrder gives the names of an object's fields as the schema's text has
// them, which a map forgets.
func fieldsInOrder(t *testing.T, text []byte, names []string) []string {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	var stack [][]string
	var expectKey []bool
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{', '[':
				if n := len(expectKey); n > 0 {
					expectKey[n-1] = stack[n-1] != nil
				}
				if token == '{' {
					stack, expectKey = append(stack, []string{}), append(expectKey, true)
				} else {
					stack, expectKey = append(stack, nil), append(expectKey, false)
				}
			default:
				last := stack[len(stack)-1]
				stack, expectKey = stack[:len(stack)-1], expectKey[:len(expectKey)-1]
				if sorted := slices.Sorted(slices.Values(last)); len(last) > 0 && slices.Equal(sorted, slices.Sorted(slices.Values(names))) {
					return last
				}
			}
		default:
			n := len(stack) - 1
			if stack[n] == nil {
				continue
			}
			if expectKey[n] {
				stack[n] = append(stack[n], token.(string))
			}
			expectKey[n] = !expectKey[n]
		}
	}
	t.Fatalf("no object of the schema has the fields %v", names)
	return nil
}

// inYAML writes a value at a path as a file.
func inYAML(path []string, inner string) string {
	if len(path) == 0 {
		return inner
	}
	if path[0] == "[]" {
		return "[" + inYAML(path[1:], inner) + "]"
	}
	return "{" + path[0] + ": " + inYAML(path[1:], inner) + "}"
}

// The table of fields from which the schemas are made and Format orders fields
// is that of the decoders: both say which fields there are, and in which order.
func TestTheSchemasNameTheFieldsThatTheDecodersKnow(t *testing.T) {
	for _, c := range []struct {
		name   string
		schema []byte
		decode func(source string) rules.Problems
		least  int // objects that must be seen
	}{
		{"rules", rules.Schema(), func(source string) rules.Problems { _, p := rules.Decode("f", []byte(source)); return p }, 12},
		{"tests", rules.TestsSchema(), func(source string) rules.Problems { _, p := rules.DecodeTests("f", []byte(source)); return p }, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			var root map[string]any
			if err := json.Unmarshal(c.schema, &root); err != nil {
				t.Fatal(err)
			}
			seen := 0
			objects(root, func(path, fields []string, _ map[string]any) {
				seen++
				source := inYAML(path, "{no-such-field: 1}")
				hint, found := "", false
				for _, p := range c.decode(source) {
					if strings.Contains(p.Message, `"no-such-field"`) && strings.HasPrefix(p.Message, "unknown") {
						hint, found = p.Hint, true
					}
				}
				if !found {
					t.Errorf("%s: no problem with an unknown field", source)
					return
				}
				if want := strings.Join(fieldsInOrder(t, c.schema, fields), ", "); !strings.HasSuffix(hint, " "+want) {
					t.Errorf("%s\nthe schema has %s\nthe decoder's %s", source, want, hint)
				}
			})
			if seen < c.least {
				t.Errorf("%d objects seen", seen)
			}
		})
	}
}

// Fields that must be there, and fields that are not known, are refused by both.
func TestTheSchemaAndDecodeAgreeAboutTheNamesOfFields(t *testing.T) {
	compiled := compiledSchema(t, rules.Schema())
	rapid.Check(t, func(t *rapid.T) {
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(everything), &document); err != nil {
			t.Fatal(err)
		}
		var mappings []*yaml.Node
		collectMappings(document.Content[0], &mappings)
		target := rapid.SampledFrom(mappings).Draw(t, "object")
		if len(target.Content) == 0 {
			t.Skip("an empty object")
		}
		i := 2 * rapid.IntRange(0, len(target.Content)/2-1).Draw(t, "field")
		switch rapid.IntRange(0, 2).Draw(t, "change") {
		case 0:
			target.Content = slices.Delete(target.Content, i, i+2)
		case 1:
			target.Content[i].Value += rapid.SampledFrom([]string{"s", "_", "x"}).Draw(t, "letter")
		case 2:
			target.Content = append(target.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: rapid.SampledFrom([]string{"name", "model", "path", "upstream", "version", "match", "exists"}).Draw(t, "name")}, target.Content[i+1])
		}
		source, err := yaml.Marshal(&document)
		if err != nil {
			t.Fatal(err)
		}
		_, problems := rules.Decode("rules.yaml", source)
		named := false
		for _, p := range problems {
			named = named || strings.HasPrefix(p.Message, "unknown field") || strings.HasPrefix(p.Message, "unknown matcher") ||
				strings.HasPrefix(p.Message, "unknown action") || strings.HasSuffix(p.Message, "is missing") || p.Message == "the rule has no name"
		}
		refused := valid(compiled, source)
		if named && refused == nil {
			t.Fatalf("only Decode refuses it: %v\n%s", problems, source)
		}
		if len(problems) == 0 && refused != nil {
			t.Fatalf("only the schema refuses it: %v\n%s", refused, source)
		}
	})
}

// Whatever value stands in a field: what Decode takes no editor marks.
func TestTheSchemaTakesEveryValueThatDecodeTakes(t *testing.T) {
	compiled := compiledSchema(t, rules.Schema())
	rapid.Check(t, func(t *rapid.T) {
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(everything), &document); err != nil {
			t.Fatal(err)
		}
		var mappings []*yaml.Node
		collectMappings(document.Content[0], &mappings)
		for range 20 {
			target := rapid.SampledFrom(mappings).Draw(t, "object")
			if len(target.Content) == 0 {
				continue
			}
			i := 2*rapid.IntRange(0, len(target.Content)/2-1).Draw(t, "field") + 1
			before := target.Content[i]
			written := rapid.SampledFrom([]string{
				`""`, "a", "A b", "0", "1", "-1", "1000000", "true", "/", "/**", "5s", "0s", "10KB", "key", "none", "header:x", "[]", "{}", `[""]`, "[a, b]", "[429, 599]", "[500]", "[5/min]", "{regex: a}", "{exists: false}", `{equals: ""}`, "{in: [a]}", "{x: y}", "{gt: 0}", "{set: {x: ''}}", "[{name: a}]", "[{name: a, weight: 1000}]", "{total: 0}", "{idle: 0s}", "{status: 204}", "{on: [connect]}", "{within: 1m}", "{attempts: 1}",
			}).Draw(t, "value")
			var value yaml.Node
			if err := yaml.Unmarshal([]byte(written), &value); err != nil {
				t.Fatal(err)
			}
			target.Content[i] = value.Content[0]
			source, err := yaml.Marshal(&document)
			if err != nil {
				t.Fatal(err)
			}
			if _, problems := rules.Decode("rules.yaml", source); len(problems) == 0 {
				if err := valid(compiled, source); err != nil {
					t.Fatalf("%v\n%s", err, source)
				}
			}
			target.Content[i] = before
		}
	})
}

func collectMappings(n *yaml.Node, into *[]*yaml.Node) {
	if n.Kind == yaml.MappingNode {
		*into = append(*into, n)
	}
	for _, inner := range n.Content {
		collectMappings(inner, into)
	}
}

func TestTheSchemasAreTheSameEveryTime(t *testing.T) {
	if !bytes.Equal(rules.Schema(), rules.Schema()) || !bytes.Equal(rules.TestsSchema(), rules.TestsSchema()) {
		t.Error("they differ")
	}
}

func TestTheSchemaRefuses(t *testing.T) {
	compiled := compiledSchema(t, rules.Schema())
	for _, c := range []struct{ name, fragment string }{
		{"an unknown matcher", "match: {models: [a]}"},
		{"a text where a list is wanted", "match: {model: a}"},
		{"two operators", "match: {header: {x: {prefix: a, suffix: b}}}"},
		{"no operator", "match: {header: {x: {}}}"},
		{"a method in lower case", "match: {method: [post]}"},
		{"two destinations", "action: {upstream: a, target: https://a.example}"},
		{"a destination and an answer", "action: {upstream: a, respond: {status: 400}}"},
		{"a status out of range", "action: {respond: {status: 600}}"},
		{"an entry without a name", "action: {upstreams: [{weight: 1}]}"},
		{"a weight of nothing", "action: {upstreams: [{name: a, weight: 0}]}"},
		{"what is no reason for another attempt", "action: {retry: {on: [404]}}"},
		{"a whole path beside an edit of it", "action: {path: {set: /a, add_prefix: /b}}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			source := head(c.fragment)
			if valid(compiled, []byte(source)) == nil {
				t.Error("the schema takes it")
			}
			if _, problems := rules.Decode("rules.yaml", []byte(source)); len(problems) == 0 {
				t.Error("Decode takes it")
			}
		})
	}
}
