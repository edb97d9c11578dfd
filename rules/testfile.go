package rules

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Test is one request and what is expected to become of it.
type Test struct {
	Name         string
	File         string // as DecodeTests was told
	Line, Column int    // from 1
	Request      Request
	Expect       Expectation
}

// Expectation is what a test compares. What is not given is not compared.
type Expectation struct {
	Rule     string   // the deciding rule
	Upstream []string // one of them is tried first; a target URL's host stands for it
	Model    string   // as it is sent upstream
	Status   int      // what the gateway answers; 200 for a request that is sent upstream
	Code     string   // of a refusal: CodeNoRule and so on
	Path     string   // as it is put behind the upstream's URL
	Headers  map[string]Text
}

// DecodeTests reads a rule test file, as strictly as Decode reads rules: every
// problem at once, in the order of the text. name is what problems and results
// call the file. The requests are complete: what the path and the body tell has
// been read from them, as the proxy does. The tests are to be used only where
// there is no problem.
//
// Where a file is silent: the method is POST. A model that no body names is
// taken to be in one of unknown size; without a model and a body there are no
// bytes. The request's id is TestRequestID.
//
// Tests are about rules alone. A caller is a name and tags: no bindings and no
// allow-list come with it, so that what rules leave to bindings ends in
// CodeNoRule or CodeNoDestination, which a test can expect beside the rule.
func DecodeTests(name string, source []byte) ([]Test, Problems) {
	d := &decoder{file: name}
	documents := d.parse(source)
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	if len(documents) == 0 {
		d.refuse(mark{1, 1}, "", "the smallest test file is: {version: 1, tests: []}", "the file is empty")
	}
	var tests []Test
	for _, document := range documents {
		tests = append(tests, d.testDocument(document)...)
	}
	d.distinctTests(tests)
	d.problems.Sort()
	return tests, d.limited()
}

func (d *decoder) testDocument(n *yaml.Node) (tests []Test) {
	d.from = d.origin("", n)
	var list *yaml.Node
	seen := d.object("", n, "field", "fields of a test file are",
		field{"version", func(path string, n *yaml.Node) {
			if n = d.resolve(n); n.Kind != yaml.ScalarNode || n.Value != version || n.ShortTag() != "!!int" {
				d.refuse(at(n), path, "write version: 1", "unknown version of rule tests")
			}
		}},
		field{"tests", func(_ string, n *yaml.Node) { list = n }},
	)
	d.require(n, "", seen, "version", "write version: 1")
	d.require(n, "", seen, "tests", "a file of rules begins with version and rules")
	if list != nil {
		d.list("tests", list, true, func(path string, n *yaml.Node) { tests = append(tests, d.readTest(path, n)) })
	}
	return tests
}

// require refuses an object that lacks a field.
func (d *decoder) require(n *yaml.Node, path string, seen map[string]bool, name, hint string) {
	if seen != nil && !seen[name] {
		d.refuse(at(n), join(path, name), hint, "%s is missing", name)
	}
}

// readTest reads one test. The paths of its fields are counted from the test.
func (d *decoder) readTest(path string, n *yaml.Node) Test {
	document := d.from
	t := Test{File: d.file, Line: n.Line, Column: n.Column}
	d.from = d.origin(path, n)
	defer func() { d.from = document }()
	seen := d.object("", n, "field", "fields of a test are",
		field{"name", func(path string, n *yaml.Node) { t.Name = d.filled(path, n) }},
		field{"request", func(path string, n *yaml.Node) { t.Request = d.testRequest(path, n) }},
		field{"expect", func(path string, n *yaml.Node) { t.Expect = d.expectation(path, n) }},
	)
	d.require(n, "", seen, "name", "say in a sentence what is to happen")
	d.require(n, "", seen, "request", "the smallest one is {path: /v1/chat/completions}")
	d.require(n, "", seen, "expect", "say what is to become of the request: rule, upstream, model, status, code, path, headers")
	return t
}

// distinctTests refuses a second test of one name: reports tell tests apart by
// their names.
func (d *decoder) distinctTests(tests []Test) {
	d.from = nil
	lines := map[string]int{}
	for _, t := range tests {
		if first, taken := lines[t.Name]; taken && t.Name != "" {
			d.refuse(mark{t.Line, t.Column}, "", "", "there is already a test %q in line %d", shorten(t.Name), first)
			continue
		}
		lines[t.Name] = t.Line
	}
}

func (d *decoder) expectation(path string, n *yaml.Node) (e Expectation) {
	seen := d.object(path, n, "field", "fields of expect are",
		field{"rule", func(path string, n *yaml.Node) { e.Rule, _ = d.name(path, n) }},
		field{"upstream", func(path string, n *yaml.Node) { e.Upstream = d.oneOrSome(path, n) }},
		field{"model", func(path string, n *yaml.Node) { e.Model = d.filled(path, n) }},
		field{"status", func(path string, n *yaml.Node) { e.Status = d.number(path, n, 200, 599) }},
		field{"code", func(path string, n *yaml.Node) { e.Code = d.code(path, n) }},
		field{"path", func(path string, n *yaml.Node) { e.Path = d.pathToSend(path, n) }},
		field{"headers", func(path string, n *yaml.Node) { e.Headers = d.expectedHeaders(path, n) }},
	)
	if seen != nil && len(seen) == 0 && len(n.Content) == 0 {
		d.refuse(at(n), path, "say at least one of rule, upstream, model, status, code, path, headers", "nothing is expected")
	}
	return e
}

// oneOrSome reads a text or a list of alternatives.
func (d *decoder) oneOrSome(path string, n *yaml.Node) []string {
	if d.resolve(n).Kind == yaml.SequenceNode {
		return d.texts(path, n)
	}
	if value := d.filled(path, n); value != "" {
		return []string{value}
	}
	return nil
}

func (d *decoder) code(path string, n *yaml.Node) string {
	code := d.filled(path, n)
	if known := testCodes(); code != "" && !slices.Contains(known, code) {
		d.suggest(at(n), path, "codes are "+strings.Join(known, ", "), nearestWord(code, known), "unknown code %q", shorten(code))
	}
	return code
}

// pathToSend reads a path as it leaves the gateway.
func (d *decoder) pathToSend(path string, n *yaml.Node) string {
	value := d.filled(path, n)
	if value == "" {
		return ""
	}
	switch canonical, err := CanonicalPath(value); {
	case err != nil:
		d.refuse(at(n), path, "", "%v", err)
	case canonical != value:
		d.refuse(at(n), path, "write "+canonical, "the path is not written as it is sent")
	}
	return value
}

// expectedHeaders reads them as a rule's matcher, and checks them so.
func (d *decoder) expectedHeaders(path string, n *yaml.Node) map[string]Text {
	headers := d.tests(path, n)
	d.check(func(c *checker) {
		c.rule = &Rule{from: d.from}
		c.headerTests(path+".", headers)
	})
	return headers
}
