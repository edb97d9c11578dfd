package rules

import "strings"

// ExactModels lists the models that enabled rules take by their exact names,
// and the models that they send instead, each once, in the order of the rules.
// They are what can be offered by name; a glob stands for names nobody has
// written down.
func (s *Set) ExactModels() []string {
	var names []string
	seen := map[string]bool{}
	add := func(name string) {
		if name != "" && !seen[name] && !strings.ContainsAny(name, "*!") {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, r := range s.rules {
		for _, pattern := range r.rule.Match.Model {
			add(pattern)
		}
		add(r.rule.Action.Model)
	}
	return names
}
