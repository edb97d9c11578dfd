package rules

import "strings"

// ExactModels lists the models that enabled rules take by their exact names,
// and the models that they send instead, each once, in the order of the rules.
// They are what can be offered by name; a glob or a placeholder stands for names
// nobody has written down.
func (s *Set) ExactModels() []string {
	var names []string
	seen := map[string]bool{}
	add := func(name string) {
		if name != "" && !seen[name] && !strings.ContainsAny(name, "*!") && !strings.Contains(name, "${") {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, r := range s.rules {
		if r.Continue {
			continue
		}
		for _, pattern := range r.rule.Match.Model {
			add(pattern)
		}
		a := &r.rule.Action
		add(a.Model)
		for _, entries := range [][]Entry{a.Upstreams, a.Fallback} {
			for i := range entries {
				add(entries[i].Model)
			}
		}
	}
	return names
}
