package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// ruleChange is one change of the rules, whoever wants it: apply, rollback, or
// the editing of one rule.
type ruleChange struct {
	kind    string // noun.verb
	message string
	base    *int64 // the revision it was made against, where that counts
	dryRun  bool   // do all of it, then leave things as they were
	again   string // what to do where another revision is in force, behind "see: "

	edit  func(st State, before []rules.File) (after []rules.File, err error)
	check func(*api.Plan) error // has the last word on what comes of it; may be nil
}

// changeRules makes a change of the rules, all of it or nothing, and tells what
// it changed. What changes nothing makes no revision.
func (s *Server) changeRules(ctx context.Context, c *ruleChange) (api.Plan, error) {
	begun := time.Now()
	meta := by(ctx, c.kind)
	meta.Why, meta.Base = c.message, c.base

	var plan api.Plan
	change, stored, err := s.change(ctx, meta, func(st State) error {
		return s.editRules(st, c, &plan)
	})
	if errors.Is(err, accounts.ErrChanged) {
		return api.Plan{}, s.changedSince(ctx, *c.base, c.again)
	}
	if err != nil {
		return api.Plan{}, err
	}
	if stored && change.Revision != plan.Revision {
		plan.Applied, plan.Revision, plan.Seq = true, change.Revision, change.Seq
	}
	plan.TookMS = time.Since(begun).Milliseconds()
	return plan, nil
}

func (s *Server) editRules(st State, c *ruleChange, plan *api.Plan) error {
	before, err := st.Files()
	if err != nil {
		return err
	}
	after, err := c.edit(st, before)
	if err != nil {
		return err
	}
	*plan = viewPlan(before, after)
	plan.Revision, plan.Seq = st.Revision(), st.Seq()
	if plan.Warnings, err = s.putSets(st, before, after); err != nil {
		return err
	}
	if c.check != nil {
		if err := c.check(plan); err != nil {
			return err
		}
	}
	if c.dryRun {
		return errLeave
	}
	return nil
}

// putSets compiles after with the upstreams there are and stores what differs
// from before. A set without rules is no set. It gives the warnings.
func (s *Server) putSets(st State, before, after []rules.File) ([]api.Problem, error) {
	warnings, err := s.compileSets(st, after)
	if err != nil {
		return nil, err
	}
	return viewProblems(warnings), storeSets(st, before, after)
}

// compileSets gives the warnings about sets, or what they cannot be used for.
func (s *Server) compileSets(st State, after []rules.File) (rules.Problems, error) {
	upstreams, err := st.Upstreams()
	if err != nil {
		return nil, err
	}
	_, problems := rules.Compile(rules.Config{Revision: st.Revision() + 1, Files: after, Upstreams: upstreams, Reach: s.reach})
	if bad := problems.Errors(); len(bad) > 0 {
		return nil, bad
	}
	return problems.Warnings(), nil
}

func storeSets(st State, before, after []rules.File) error {
	for _, file := range after {
		old := setIn(before, file.Set)
		if len(file.Rules) == 0 || old >= 0 && sameFile(before[old], file) {
			continue
		}
		if err := st.PutFile(file); err != nil {
			return err
		}
	}
	for _, file := range before {
		if now := setIn(after, file.Set); now >= 0 && len(after[now].Rules) > 0 {
			continue
		}
		if err := st.DeleteSet(file.Set); err != nil {
			return err
		}
	}
	return nil
}

// setIn gives where the set of that name stands, or -1.
func setIn(files []rules.File, name string) int {
	return slices.IndexFunc(files, func(f rules.File) bool { return f.Set == name })
}

func sameFile(a, b rules.File) bool {
	return a.Order == b.Order && slices.EqualFunc(a.Rules, b.Rules, rules.Rule.Equal)
}

// changedSince says who changed the rules, and when.
func (s *Server) changedSince(ctx context.Context, base int64, again string) error {
	last, err := s.store.LastConfigChange(ctx)
	if err != nil {
		return err
	}
	return fail(http.StatusConflict, api.CodeConflict,
		fmt.Sprintf("rules changed since you read them (you have revision %d, now %d by %s %s)",
			base, last.Revision, last.Actor, age(s.now().Sub(last.At))),
		fmt.Sprintf("see: %s; apply anyway: --if-revision %d", again, last.Revision))
}

func viewPlan(before, after []rules.File) api.Plan {
	changes, unchanged := rules.Plan(before, after)
	return api.Plan{Changes: viewChanges(changes), Unchanged: unchanged}
}

func viewChanges(changes []rules.PlanChange) []api.PlanChange {
	views := make([]api.PlanChange, 0, len(changes))
	for _, c := range changes {
		views = append(views, api.PlanChange(c))
	}
	return views
}

// age writes how long ago something was, in one unit.
func age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", max(int(d.Seconds()), 0))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
