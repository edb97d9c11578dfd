package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newRulesApply(a *app) *cobra.Command {
	var (
		paths      []string
		request    api.ApplyRequest
		ifRevision int64
		wait       time.Duration
	)
	c := &cobra.Command{
		Use:   "apply",
		Short: "make sets what rules files say, all of it or nothing",
		Long:  "Makes each set what its file says, all files in one change. On a terminal it shows\nthe plan and asks; in a script it applies.",
		Args:  takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			if a.command.Flags().Changed("if-revision") {
				request.IfRevision = &ifRevision
			}
			if wait < 0 {
				return usage("--wait: %s is less than nothing; write 10s", wait)
			}
			return a.applyRules(ctx, t, paths, request, wait)
		}),
	}
	addFilesFlag(c, &paths)
	c.Flags().BoolVar(&request.DryRun, "dry-run", false, "show the plan, change nothing")
	c.Flags().BoolVar(&request.Prune, "prune", false, "delete rules that the files do not have")
	c.Flags().Int64Var(&ifRevision, "if-revision", 0, "only if this revision is in force (`N`)")
	c.Flags().DurationVar(&wait, "wait", 0, "until no node answers by what was before, at most this long (`TIME`)")
	c.Flags().StringVar(&request.Message, "message", "", "why, for those who read the history (`TEXT`)")
	return c
}

// applyRules decodes here first, so that mistakes are shown with their lines
// and nothing is sent.
func (a *app) applyRules(ctx context.Context, t talk, paths []string, request api.ApplyRequest, wait time.Duration) error {
	sources, err := a.readRules(paths)
	if err != nil {
		return err
	}
	if d := decodeRules(sources); len(d.errors) > 0 {
		return invalidFiles(d.errors)
	}
	request.Files = sources
	asks := !request.DryRun && !a.flag("yes") && a.canAsk(t.settings)
	if asks {
		plan, err := a.agreeOnPlan(ctx, t, &request)
		if err != nil {
			return err
		}
		if len(plan.Changes) == 0 {
			return a.showAwaited(ctx, t, plan, wait)
		}
	}
	plan, err := t.ApplyRules(ctx, request)
	if err != nil {
		return a.withExcerpts(err, sources)
	}
	if !asks && t.output.isTable() {
		a.writePlan(a.out, a.outStyle(), plan)
	}
	if request.DryRun {
		wait = 0
	}
	return a.showAwaited(ctx, t, plan, wait)
}

// showAwaited shows what was applied, then waits for the node to have it, where
// that was asked for. What nothing had to be done for is waited for, too: an
// apply that is repeated after exit code 8 must not say that all is well.
func (a *app) showAwaited(ctx context.Context, t talk, plan api.Plan, wait time.Duration) error {
	if err := a.showApplied(ctx, t, plan); err != nil || wait == 0 {
		return err
	}
	return a.showAwaiting(ctx, t, applied{plan.Seq, plan.Revision}, wait)
}

// showAwaiting waits until the nodes have what was applied, and tells of them
// where there are several.
func (a *app) showAwaiting(ctx context.Context, t talk, what applied, wait time.Duration) error {
	all, err := a.awaitNodes(ctx, t, what, wait)
	if err == nil && t.output.isTable() && len(all.nodes) > 1 {
		fmt.Fprintln(a.out, a.outStyle().plain(all.text()))
	}
	return err
}

// agreeOnPlan shows what would be done and asks. What is then applied is what
// was shown, or nothing: the request is bound to the revision of the plan.
func (a *app) agreeOnPlan(ctx context.Context, t talk, request *api.ApplyRequest) (api.Plan, error) {
	dry := *request
	dry.DryRun = true
	plan, err := t.ApplyRules(ctx, dry)
	if err != nil {
		return plan, a.withExcerpts(err, request.Files)
	}
	a.writePlan(a.err, a.errStyle(), plan)
	if len(plan.Changes) == 0 {
		return plan, nil
	}
	yes, err := a.confirm(ctx, fmt.Sprintf("Apply %s?", plural(len(plan.Changes), "change")))
	if err != nil {
		return plan, err
	}
	if !yes {
		return plan, failed(nil, "cancelled, nothing was changed")
	}
	if request.IfRevision == nil {
		request.IfRevision = &plan.Revision
	}
	return plan, nil
}

func (a *app) showApplied(ctx context.Context, t talk, plan api.Plan) error {
	if !t.output.isTable() {
		return t.output.value(ctx, plan)
	}
	switch {
	case len(plan.Changes) == 0:
		fmt.Fprintf(a.out, "nothing to do, revision %d\n", plan.Revision)
	case !plan.Applied:
		fmt.Fprintf(a.out, "%s to make, nothing was stored (dry run), revision %d\n", plural(len(plan.Changes), "change"), plan.Revision)
	default:
		undo := ""
		if plan.Revision > 1 {
			undo = fmt.Sprintf(" · undo: llmgw rules rollback %d", plan.Revision-1)
		}
		fmt.Fprintln(a.out, a.outStyle().plain(fmt.Sprintf("applied revision %d in %d ms%s", plan.Revision, plan.TookMS, undo)))
	}
	return nil
}

// writePlan prints one line for each rule that changes, its fields aligned.
func (a *app) writePlan(w io.Writer, look style, plan api.Plan) {
	rows := make([][]string, 0, len(plan.Changes))
	for _, c := range plan.Changes {
		rows = append(rows, []string{planSign(c.Op) + " " + c.Rule, oneLine(look.plain(planDetail(c)))})
	}
	for i, line := range align(rows) {
		fmt.Fprintln(w, paintPlan(look, plan.Changes[i].Op, line))
	}
	if plan.Unchanged > 0 {
		fmt.Fprintf(w, "  %d unchanged\n", plan.Unchanged)
	}
	warnings := make([]problem, 0, len(plan.Warnings))
	for _, w := range plan.Warnings {
		warnings = append(warnings, problem{Problem: w})
	}
	a.showWarnings(warnings)
}

func planSign(op string) string {
	switch op {
	case "add":
		return "+"
	case "delete":
		return "-"
	}
	return "~"
}

func paintPlan(look style, op, line string) string {
	switch op {
	case "add":
		return look.green(line)
	case "delete":
		return look.red(line)
	}
	return look.yellow(line)
}

func planDetail(c api.PlanChange) string {
	switch c.Op {
	case "add":
		return fmt.Sprintf("(%sposition %d)", otherSet(c.Set), c.Position)
	case "move":
		return fmt.Sprintf("(%sto position %d)", otherSet(c.Set), c.Position)
	case "delete":
		return strings.TrimSpace(otherSet(c.Set))
	}
	return strings.Join(c.Fields, "; ")
}

// otherSet names a set that is not the one meant when none is named.
func otherSet(set string) string {
	if set == "default" {
		return ""
	}
	return "set " + set + " "
}

// withExcerpts adds the lines of the files to the problems that only the
// server could find.
func (a *app) withExcerpts(err error, sources []api.Source) error {
	f := explain(err)
	for i := range f.problems {
		p := &f.problems[i]
		at := slices.IndexFunc(sources, func(s api.Source) bool { return s.Name == p.File })
		if at >= 0 {
			p.excerpt = excerptOf(p.Problem, sources[at].Content)
		}
	}
	if f.exit == exitUnreachable {
		return err
	}
	return f
}
