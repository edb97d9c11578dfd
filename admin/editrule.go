package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// createRule adds one rule: to the end of a set, or before or after a rule that
// is there.
func (s *Server) createRule(ctx context.Context, in *body[api.RuleText]) (api.Plan, error) {
	rule, err := readRule(&in.Body)
	if err != nil {
		return api.Plan{}, err
	}
	if in.Body.Before != "" && in.Body.After != "" {
		return api.Plan{}, wrongField("before", "give either before or after")
	}
	return s.changeRules(ctx, ruleTextChange("rule.create", &in.Body, func(before []rules.File) ([]rules.File, error) {
		if spot, ok := spotOf(before, rule.Name); ok {
			return nil, ruleTaken(rule.Name, before[spot.file].Set)
		}
		return addRule(before, rule, &in.Body)
	}))
}

// editRule puts another text in the place of a rule, under the same name or
// another.
func (s *Server) editRule(ctx context.Context, in *namedBody[api.RuleText]) (api.Plan, error) {
	rule, err := readRule(&in.Body)
	if err != nil {
		return api.Plan{}, err
	}
	if in.Body.Set != "" || in.Body.Before != "" || in.Body.After != "" {
		return api.Plan{}, wrongField("set", "an edited rule stays where it is; move it: llmgw rules move")
	}
	return s.changeRules(ctx, ruleTextChange("rule.edit", &in.Body, func(before []rules.File) ([]rules.File, error) {
		spot, ok := spotOf(before, in.Name)
		if !ok {
			return nil, noSuch("rule", in.Name)
		}
		if other, taken := spotOf(before, rule.Name); taken && other != spot {
			return nil, ruleTaken(rule.Name, before[other.file].Set)
		}
		after := withRules(before, spot.file, slices.Clone(before[spot.file].Rules))
		after[spot.file].Rules[spot.rule] = rule
		return after, nil
	}))
}

// moveRule gives a rule another place within its set.
func (s *Server) moveRule(ctx context.Context, in *namedBody[api.MoveRule]) (api.Plan, error) {
	m := &in.Body
	if (m.Before == "") == (m.After == "") {
		return api.Plan{}, wrongField("before", "give either before or after")
	}
	return s.changeRules(ctx, &ruleChange{
		kind: "rule.move", message: m.Message, base: m.IfRevision, again: "llmgw rules list",
		edit: func(_ State, before []rules.File) ([]rules.File, error) {
			spot, ok := spotOf(before, in.Name)
			if !ok {
				return nil, noSuch("rule", in.Name)
			}
			return movedTo(before, spot, m.Before, m.After)
		},
	})
}

// readRule decodes a rule, with every problem at its place in the text.
func readRule(in *api.RuleText) (rules.Rule, error) {
	rule, problems := rules.DecodeRule("", []byte(in.YAML))
	if len(problems) > 0 {
		return rules.Rule{}, invalid(viewProblems(problems))
	}
	return rule, nil
}

func ruleTextChange(kind string, in *api.RuleText, edit func([]rules.File) ([]rules.File, error)) *ruleChange {
	return &ruleChange{
		kind: kind, message: in.Message, base: in.IfRevision, dryRun: in.DryRun, again: "llmgw rules list",
		edit: func(_ State, before []rules.File) ([]rules.File, error) { return edit(before) },
	}
}

// spot is where a rule stands: in which file, and where in it.
type spot struct{ file, rule int }

func spotOf(files []rules.File, name string) (spot, bool) {
	for f := range files {
		if i := slices.IndexFunc(files[f].Rules, func(r rules.Rule) bool { return r.Name == name }); i >= 0 {
			return spot{f, i}, true
		}
	}
	return spot{}, false
}

// withRules gives the files with other rules in one of them.
func withRules(files []rules.File, at int, list []rules.Rule) []rules.File {
	files = slices.Clone(files)
	files[at].Rules = list
	return files
}

func addRule(before []rules.File, rule rules.Rule, in *api.RuleText) ([]rules.File, error) {
	if in.Before == "" && in.After == "" {
		return appendRule(before, rule, in.Set), nil
	}
	next, place, err := neighbour(before, in.Before, in.After)
	if err != nil {
		return nil, err
	}
	if set := before[next.file].Set; in.Set != "" && in.Set != set {
		return nil, wrongField("set", fmt.Sprintf("rule %q is in set %q; leave the set out", in.Before+in.After, set))
	}
	return withRules(before, next.file, slices.Insert(slices.Clone(before[next.file].Rules), place, rule)), nil
}

// appendRule adds a rule to the end of a set, which is made where there is none.
func appendRule(before []rules.File, rule rules.Rule, set string) []rules.File {
	if set == "" {
		set = rules.DefaultSet
	}
	at := setIn(before, set)
	if at < 0 {
		order := rules.DefaultOrder
		if set == rules.BuiltinSet {
			order = rules.BuiltinOrder
		}
		return append(slices.Clone(before), rules.File{Set: set, Order: order, Rules: []rules.Rule{rule}})
	}
	return withRules(before, at, append(slices.Clone(before[at].Rules), rule))
}

// neighbour finds the rule before or after which something is to stand, and
// the place that means.
func neighbour(files []rules.File, before, after string) (next spot, place int, err error) {
	name := before + after // one of them is empty
	next, ok := spotOf(files, name)
	if !ok {
		return next, 0, noSuch("rule", name)
	}
	if before != "" {
		return next, next.rule, nil
	}
	return next, next.rule + 1, nil
}

func movedTo(files []rules.File, from spot, before, after string) ([]rules.File, error) {
	next, place, err := neighbour(files, before, after)
	if err != nil {
		return nil, err
	}
	rule, set := files[from.file].Rules[from.rule], files[from.file].Set
	switch {
	case next == from:
		return nil, wrongField("before", "a rule cannot stand before or after itself")
	case next.file != from.file:
		return nil, wrongField("before", fmt.Sprintf("rule %q is in set %q, rule %q in %q; a rule moves within its set",
			before+after, files[next.file].Set, rule.Name, set))
	}
	list := slices.Delete(slices.Clone(files[from.file].Rules), from.rule, from.rule+1)
	if place > from.rule {
		place--
	}
	return withRules(files, from.file, slices.Insert(list, place, rule)), nil
}

func ruleTaken(name, set string) *failure {
	return fail(http.StatusConflict, api.CodeConflict,
		fmt.Sprintf("there is already a rule %q, in set %q", name, set), "change it: llmgw rules edit "+name)
}

func wrongField(field, message string) *failure {
	return invalid([]api.Problem{{Field: field, Message: message}})
}
