package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

func (s *Server) listRules(ctx context.Context, _ *nothing) (api.RuleList, error) {
	config, err := s.store.Load(ctx)
	if err != nil {
		return api.RuleList{}, err
	}
	list := api.RuleList{Items: []api.Rule{}, Revision: config.Revision}
	for _, file := range inOrder(config.Files) {
		for i := range file.Rules {
			view, err := viewRule(len(list.Items)+1, file, &file.Rules[i])
			if err != nil {
				return api.RuleList{}, err
			}
			list.Items = append(list.Items, view)
		}
	}
	return list, nil
}

func (s *Server) showRule(ctx context.Context, in *named) (api.Rule, error) {
	config, err := s.store.Load(ctx)
	if err != nil {
		return api.Rule{}, err
	}
	return findRule(config.Files, in.Name)
}

func findRule(files []rules.File, name string) (api.Rule, error) {
	position := 0
	for _, file := range inOrder(files) {
		for i := range file.Rules {
			position++
			if file.Rules[i].Name == name {
				return viewRule(position, file, &file.Rules[i])
			}
		}
	}
	return api.Rule{}, noSuch("rule", name)
}

func (s *Server) enableRule(ctx context.Context, in *named) (api.Rule, error) {
	return s.switchRule(ctx, "rule.enable", in.Name, false)
}

func (s *Server) disableRule(ctx context.Context, in *named) (api.Rule, error) {
	return s.switchRule(ctx, "rule.disable", in.Name, true)
}

func (s *Server) switchRule(ctx context.Context, kind, name string, disabled bool) (api.Rule, error) {
	after, err := s.editSet(ctx, kind, name, func(file *rules.File, i int) {
		file.Rules[i].Disabled = disabled
	})
	if err != nil {
		return api.Rule{}, err
	}
	return findRule(after, name)
}

func (s *Server) deleteRule(ctx context.Context, in *named) error {
	_, err := s.editSet(ctx, "rule.delete", in.Name, func(file *rules.File, i int) {
		file.Rules = slices.Delete(file.Rules, i, i+1)
	})
	return err
}

// editSet changes the set that holds the named rule, at index i, and gives all
// sets as they are then.
func (s *Server) editSet(ctx context.Context, kind, name string, edit func(file *rules.File, i int)) ([]rules.File, error) {
	var after []rules.File
	_, err := s.changeRules(ctx, &ruleChange{kind: kind, edit: func(_ State, before []rules.File) ([]rules.File, error) {
		at, ok := spotOf(before, name)
		if !ok {
			return nil, noSuch("rule", name)
		}
		after = withRules(before, at.file, slices.Clone(before[at.file].Rules))
		edit(&after[at.file], at.rule)
		return after, nil
	}})
	return after, err
}

type sets struct {
	Set []string `query:"set,explode" maxItems:"1000" doc:"Sets to write; all of them where none is named"`
}

func (s *Server) exportRules(ctx context.Context, in *sets) (api.Export, error) {
	config, err := s.store.Load(ctx)
	if err != nil {
		return api.Export{}, err
	}
	files := inOrder(config.Files)
	if len(in.Set) > 0 {
		var chosen []rules.File
		for _, name := range in.Set {
			i := slices.IndexFunc(files, func(f rules.File) bool { return f.Set == name })
			if i < 0 {
				f := noSuch("set", name)
				f.Hint = "list them: llmgw rules list -o wide"
				return api.Export{}, f
			}
			chosen = append(chosen, files[i])
		}
		files = chosen
	}
	return api.Export{YAML: string(rules.Encode(files)), Revision: config.Revision}, nil
}

// inOrder sorts sets into the order in which they are tried.
func inOrder(files []rules.File) []rules.File { return rules.Merge(files, nil) }

// viewRule shows a rule in its own words.
func viewRule(position int, file rules.File, rule *rules.Rule) (api.Rule, error) {
	var words struct{ Match, Action map[string]any }
	text, err := json.Marshal(rule)
	if err == nil {
		err = json.Unmarshal(text, &words)
	}
	if err != nil {
		return api.Rule{}, fmt.Errorf("showing rule %q: %w", rule.Name, err)
	}
	if words.Match == nil {
		words.Match = map[string]any{}
	}
	if words.Action == nil {
		words.Action = map[string]any{}
	}
	return api.Rule{
		Position: position, Set: file.Set, Order: file.Order, Name: rule.Name, Description: rule.Description,
		Enabled: !rule.Disabled, Continue: rule.Continue, Match: words.Match, Action: words.Action, YAML: string(rule.YAML()),
	}, nil
}
