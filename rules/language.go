package rules

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Language is the number of the rule language that this program knows. It grows
// with each release that brings a new field; cameLater says which.
const Language = 1

// cameLater lists the fields that came after language 1, each with the language
// that it came in. A field is written as Problem.Field has it for a rule that
// came from no file, without the keys of maps: "match.header", "action.retry.on".
func cameLater() map[string]int { return nil }

// NewerThan gives a problem for each rule with a field that a program which knows
// only a language up to the given one would refuse to read. who says whose
// program that is.
func NewerThan(language int, who string, files []File) (Problems, error) {
	if language >= Language {
		return nil, nil
	}
	return newerThan(language, who, files, cameLater())
}

func newerThan(language int, who string, files []File, since map[string]int) (Problems, error) {
	var problems Problems
	for _, f := range files {
		for i := range f.Rules {
			r := &f.Rules[i]
			field, needs, err := newest(r, since)
			if err != nil {
				return nil, fmt.Errorf("looking for new fields in rule %q: %w", r.Name, err)
			}
			if needs <= language {
				continue
			}
			problems = append(problems, Problem{
				Set: f.Set, Rule: r.Name, Field: field,
				Message: fmt.Sprintf("%s does not know this field yet", who),
				Hint:    "update every gateway first; see: llmgw status",
			})
		}
	}
	return problems, nil
}

// newest gives the field of a rule that needs the newest language.
func newest(r *Rule, since map[string]int) (field string, needs int, err error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", 0, err
	}
	var written map[string]any
	if err := json.Unmarshal(text, &written); err != nil {
		return "", 0, err
	}
	field, needs = "name", 1
	eachField("", written, func(path string) {
		if since[path] > needs {
			field, needs = path, since[path]
		}
	})
	return field, needs, nil
}

// eachField calls f with the path of every field that is given, those of an
// object after its own.
func eachField(path string, value any, f func(path string)) {
	switch v := value.(type) {
	case []any:
		for _, each := range v {
			eachField(path, each, f)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			inner := name
			if path != "" {
				inner = path + "." + name
			}
			f(inner)
			eachField(inner, v[name], f)
		}
	}
}
