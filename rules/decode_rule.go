package rules

import "go.yaml.in/yaml/v3"

// DecodeRule reads one rule: a mapping of its fields, or a list of one such, as
// Rule.YAML writes it. name is what the problems call the text. It checks what
// Decode checks; the rule is to be used only where there is no problem.
func DecodeRule(name string, source []byte) (Rule, Problems) {
	d := &decoder{file: name}
	documents := d.parse(source)
	switch {
	case len(d.problems) > 0:
		return Rule{}, d.problems
	case len(documents) == 0:
		d.refuse(mark{1, 1}, "", "the smallest rule is: {name: NAME}", "there is no rule")
		return Rule{}, d.problems
	case len(documents) > 1:
		d.refuse(at(documents[1]), "", "rules in files are applied: llmgw rules apply -f FILE", "there is more than one document; this is the place of one rule")
		return Rule{}, d.problems
	}
	n := documents[0]
	if n.Kind == yaml.SequenceNode {
		if len(n.Content) != 1 {
			d.refuse(at(n), "", "rules in files are applied: llmgw rules apply -f FILE", "the list holds %d rules; this is the place of one", len(n.Content))
			return Rule{}, d.problems
		}
		n = n.Content[0]
	}
	d.from = d.origin("", n)
	r := d.readRule("", n)
	d.check(func(c *checker) { c.oneRule(&r) })
	d.problems.Sort()
	return r, d.limited()
}
