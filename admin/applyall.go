package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// applyAll makes objects of every kind what files say: all of it or nothing, in
// one change. A dry run does all of it too, and is rolled back.
func (s *Server) applyAll(ctx context.Context, in *body[api.ApplyObjects]) (api.ObjectPlan, error) {
	begun := time.Now()
	files, problems := s.fileCheck().Read(in.Body.Files)
	if len(problems) > 0 {
		return api.ObjectPlan{}, invalid(viewProblems(problems))
	}
	meta := by(ctx, "all.apply")
	meta.Why, meta.Base = in.Body.Message, in.Body.IfRevision

	var plan api.ObjectPlan
	change, stored, err := s.change(ctx, meta, func(st State) (err error) {
		plan, err = s.makeAll(ctx, st, &files, in.Body.Prune, asCaller())
		if err != nil {
			return err
		}
		return allowed(&plan, &in.Body)
	})
	if errors.Is(err, accounts.ErrChanged) {
		return api.ObjectPlan{}, s.changedSince(ctx, *in.Body.IfRevision, "llmgw diff -f "+filesArgument(in.Body.Files))
	}
	if err != nil {
		return api.ObjectPlan{}, err
	}
	if stored && change.ID != "" {
		plan.Applied, plan.Revision, plan.Seq = true, change.Revision, change.Seq
	}
	plan.TookMS = time.Since(begun).Milliseconds()
	return plan, nil
}

// compareWithin is how long a comparison waits for its turn.
const compareWithin = 10 * time.Second

// diffAll tells what applyAll would do, also to those who may not have it done. It
// does it all and takes it back, and so keeps changes waiting meanwhile: one at a
// time, so that whoever may only look cannot keep out who may change.
func (s *Server) diffAll(ctx context.Context, in *body[api.DiffObjects]) (api.ObjectPlan, error) {
	files, problems := s.fileCheck().Read(in.Body.Files)
	if len(problems) > 0 {
		return api.ObjectPlan{}, invalid(viewProblems(problems))
	}
	turn, cancel := context.WithTimeout(ctx, compareWithin)
	defer cancel()
	select {
	case s.comparing <- struct{}{}:
		defer func() { <-s.comparing }()
	case <-turn.Done():
		return api.ObjectPlan{}, fail(http.StatusServiceUnavailable, api.CodeUnavailable, "others' files are being compared", "try again in a moment")
	}
	var plan api.ObjectPlan
	_, _, err := s.change(ctx, by(ctx, "all.diff"), func(st State) (err error) {
		if plan, err = s.makeAll(ctx, st, &files, in.Body.Prune, justAsking()); err != nil {
			return err
		}
		return errLeave
	})
	return plan, err
}

func (s *Server) fileCheck() FileCheck {
	return FileCheck{Reach: s.reach, References: s.vault.References}
}

// makeAll makes objects what files say, within a change, and tells what became
// of them all.
func (s *Server) makeAll(ctx context.Context, st State, files *rules.Objects, prune bool, may permission) (api.ObjectPlan, error) {
	m, err := s.newMaking(st, files, prune, may)
	if err != nil {
		return api.ObjectPlan{}, err
	}
	if err := m.all(ctx); err != nil {
		return api.ObjectPlan{}, err
	}
	after, err := storedIn(st)
	if err != nil {
		return api.ObjectPlan{}, err
	}
	changes, unchanged := rules.PlanObjects(&m.before.objects, &after.objects)
	plan := api.ObjectPlan{
		Changes: make([]api.ObjectChange, 0, len(changes)), Unchanged: unchanged, Warnings: viewProblems(m.warnings),
		Lost: m.lost, Next: m.next, Revision: st.Revision(), Seq: st.Seq(),
	}
	for _, c := range changes {
		plan.Changes = append(plan.Changes, api.ObjectChange{
			Op: c.Op, Kind: string(c.Kind), Set: c.Set, Name: c.Name, Position: c.Position, Fields: c.Fields,
		})
	}
	plan.Digest, err = digest(&plan)
	return plan, err
}

// digest is of what a plan does, so that somebody can agree to just that.
func digest(plan *api.ObjectPlan) (string, error) {
	text, err := json.Marshal([]any{plan.Changes, plan.Lost})
	if err != nil {
		return "", fmt.Errorf("writing the plan: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

// allowed has the last word on what an apply does.
func allowed(plan *api.ObjectPlan, in *api.ApplyObjects) error {
	if in.IfPlan != "" && in.IfPlan != plan.Digest {
		return fail(http.StatusConflict, api.CodeConflict, "things changed since you were shown the plan: it would do something else now",
			"look again: llmgw diff -f "+filesArgument(in.Files))
	}
	if !in.Prune {
		if f := wouldLose(plan, in.Files); f != nil {
			return f
		}
	}
	if in.DryRun {
		return errLeave
	}
	return nil
}

// wouldLose refuses to take away what stands within an object that the files do
// name: a rule of a set, a credential of an upstream.
func wouldLose(plan *api.ObjectPlan, files []api.Source) error {
	gone := append([]string{}, plan.Lost...)
	for _, c := range plan.Changes {
		if c.Op == rules.PlanDelete {
			gone = append(gone, c.Kind+" "+c.Name)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return fail(http.StatusConflict, api.CodeWouldDelete, "this would delete "+strings.Join(gone, ", "),
		fmt.Sprintf("delete that, and all else that the files do not name: llmgw apply -f %s --prune", filesArgument(files)))
}

// filesArgument gives what stands behind -f, where it can be pasted.
func filesArgument(files []api.Source) string {
	return fileArgument(&api.ApplyRequest{Files: files})
}
