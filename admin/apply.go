package admin

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// applyRules makes sets what the files say: all of it or nothing. A dry run
// does all of it too, and is rolled back.
func (s *Server) applyRules(ctx context.Context, in *body[api.ApplyRequest]) (api.Plan, error) {
	files, problems := decodeSources(in.Body.Files)
	if len(problems) > 0 {
		return api.Plan{}, invalid(viewProblems(problems))
	}
	return s.changeRules(ctx, &ruleChange{
		kind: "rule.apply", message: in.Body.Message, base: in.Body.IfRevision, dryRun: in.Body.DryRun,
		again: "llmgw rules diff -f " + fileArgument(&in.Body),
		edit:  func(_ State, before []rules.File) ([]rules.File, error) { return rules.Merge(before, files), nil },
		check: func(plan *api.Plan) error { return wouldDelete(plan, &in.Body) },
	})
}

// decodeSources reads every file and gives all problems of all of them. That
// two files hold the same set, or the same rule, is for Compile to find.
func decodeSources(sources []api.Source) ([]rules.File, rules.Problems) {
	if len(sources) == 0 {
		return nil, rules.Problems{{Message: "there is no rules file in the request", Hint: "name one: llmgw rules apply -f rules.yaml"}}
	}
	var files []rules.File
	var problems rules.Problems
	for _, source := range sources {
		decoded, found := rules.Decode(source.Name, []byte(source.Content))
		problems = append(problems, found.Errors()...)
		files = append(files, decoded...)
	}
	return files, problems
}

// wouldDelete refuses to delete rules, unless the request says so.
func wouldDelete(plan *api.Plan, in *api.ApplyRequest) error {
	if in.Prune {
		return nil
	}
	var names []string
	var problems []api.Problem
	for _, change := range plan.Changes {
		if change.Op == rules.PlanDelete {
			names = append(names, change.Rule)
			problems = append(problems, api.Problem{Set: change.Set, Rule: change.Rule, Message: "is not in the files and would be deleted"})
		}
	}
	if len(names) == 0 {
		return nil
	}
	f := fail(http.StatusConflict, api.CodeWouldDelete,
		fmt.Sprintf("this would delete %s: %s", count(len(names), "rule"), strings.Join(names, ", ")),
		fmt.Sprintf("delete them too: llmgw rules apply -f %s --prune", fileArgument(in)))
	f.Problems = problems
	return f
}

var plainPath = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./-]{0,200}$`)

// fileArgument gives what stands behind -f, where it can be pasted. The commands
// call what came on stdin by that name.
func fileArgument(in *api.ApplyRequest) string {
	if len(in.Files) == 1 && in.Files[0].Name == "stdin" {
		return "-"
	}
	if len(in.Files) == 1 && plainPath.MatchString(in.Files[0].Name) {
		return in.Files[0].Name
	}
	return "FILE"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func viewProblems(problems rules.Problems) []api.Problem {
	views := make([]api.Problem, 0, len(problems))
	for _, p := range problems {
		views = append(views, api.Problem{
			File: p.File, Line: p.Line, Column: p.Column, Set: p.Set, Rule: p.Rule, Field: p.Field,
			Message: p.Message, Hint: p.Hint, Suggestion: p.Suggestion,
		})
	}
	return views
}
