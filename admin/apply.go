package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// applyRules makes sets what the files say: all of it or nothing. A dry run
// does all of it too, and is rolled back.
func (s *Server) applyRules(ctx context.Context, in *body[api.ApplyRequest]) (api.Plan, error) {
	begun := time.Now()
	files, problems := decodeSources(in.Body.Files)
	if len(problems) > 0 {
		return api.Plan{}, invalid(viewProblems(problems))
	}
	meta := local("rule.apply")
	meta.Why, meta.Base = in.Body.Message, in.Body.IfRevision

	var plan api.Plan
	change, stored, err := s.change(ctx, meta, func(st State) error {
		before, err := st.Files()
		if err != nil {
			return err
		}
		after := rules.Merge(before, files)
		plan = viewPlan(before, after)
		plan.Revision = st.Revision()
		if plan.Warnings, err = s.putSets(st, before, after); err != nil {
			return err
		}
		if f := wouldDelete(&plan, &in.Body); f != nil {
			return f
		}
		if in.Body.DryRun {
			return errLeave
		}
		return nil
	})
	if errors.Is(err, accounts.ErrChanged) {
		return api.Plan{}, s.changedSince(ctx, &in.Body)
	}
	if err != nil {
		return api.Plan{}, err
	}
	if stored && change.Revision != plan.Revision {
		plan.Applied, plan.Revision = true, change.Revision
	}
	plan.TookMS = time.Since(begun).Milliseconds()
	return plan, nil
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

// putSets compiles after with the upstreams there are and stores what differs
// from before. A set without rules is no set. It gives the warnings.
func (s *Server) putSets(st State, before, after []rules.File) ([]api.Problem, error) {
	upstreams, err := st.Upstreams()
	if err != nil {
		return nil, err
	}
	_, problems := rules.Compile(rules.Config{Revision: st.Revision() + 1, Files: after, Upstreams: upstreams})
	if bad := problems.Errors(); len(bad) > 0 {
		return nil, bad
	}
	for _, file := range after {
		old := slices.IndexFunc(before, func(f rules.File) bool { return f.Set == file.Set })
		switch {
		case old >= 0 && sameFile(before[old], file), old < 0 && len(file.Rules) == 0:
			continue
		case len(file.Rules) == 0:
			err = st.DeleteSet(file.Set)
		default:
			err = st.PutFile(file)
		}
		if err != nil {
			return nil, err
		}
	}
	return viewProblems(problems.Warnings()), nil
}

func sameFile(a, b rules.File) bool {
	return a.Order == b.Order && slices.EqualFunc(a.Rules, b.Rules, rules.Rule.Equal)
}

// wouldDelete refuses to delete rules, unless the request says so.
func wouldDelete(plan *api.Plan, in *api.ApplyRequest) *failure {
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

// changedSince says who changed the rules, and when.
func (s *Server) changedSince(ctx context.Context, in *api.ApplyRequest) error {
	last, err := s.store.LastConfigChange(ctx)
	if err != nil {
		return err
	}
	return fail(http.StatusConflict, api.CodeConflict,
		fmt.Sprintf("rules changed since you read them (you have revision %d, now %d by %s %s)",
			*in.IfRevision, last.Revision, last.Actor, age(s.now().Sub(last.At))),
		fmt.Sprintf("see: llmgw rules diff -f %s; apply anyway: --if-revision %d", fileArgument(in), last.Revision))
}

var plainPath = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./-]{0,200}$`)

// fileArgument gives what stands behind -f, where it can be pasted.
func fileArgument(in *api.ApplyRequest) string {
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

func viewPlan(before, after []rules.File) api.Plan {
	changes, unchanged := rules.Plan(before, after)
	plan := api.Plan{Changes: make([]api.PlanChange, 0, len(changes)), Unchanged: unchanged}
	for _, c := range changes {
		plan.Changes = append(plan.Changes, api.PlanChange(c))
	}
	return plan
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
