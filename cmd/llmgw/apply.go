package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

func newApply(a *app) *cobra.Command {
	var (
		paths      []string
		request    api.ApplyObjects
		ifRevision int64
		wait       time.Duration
	)
	c := &cobra.Command{
		Use:   "apply",
		Short: "make upstreams, users, keys, rules and bindings what files say, all of it or nothing",
		Long: "Makes every object what the files say of it, all in one change. What no file names\n" +
			"stays as it is; with --prune it is deleted, where the files hold objects of its kind.\n" +
			"On a terminal it shows the plan and asks; in a script it applies, but for deletions,\n" +
			"which need --yes.\n\n" + objectsHelp,
		Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			if a.command.Flags().Changed("if-revision") {
				request.IfRevision = &ifRevision
			}
			if wait < 0 {
				return usage("--wait: %s is less than nothing; write 10s", wait)
			}
			return a.applyAll(ctx, t, paths, request, wait)
		}),
	}
	addObjectsFlag(c, &paths)
	c.Flags().BoolVar(&request.DryRun, "dry-run", false, "show the plan, change nothing")
	c.Flags().BoolVar(&request.Prune, "prune", false, "delete what the files do not have, of the kinds that they hold")
	c.Flags().Int64Var(&ifRevision, "if-revision", 0, "only if this revision of rules, upstreams and bindings is in force (`N`)")
	c.Flags().DurationVar(&wait, "wait", 0, "until no node answers by what was before, at most this long (`TIME`)")
	c.Flags().StringVar(&request.Message, "message", "", "why, for those who read the history (`TEXT`)")
	return c
}

const objectsHelp = `A file is one of rules, or has upstreams, users, keys and bindings beside them or
alone, each kind in a list:

  version: 1
  upstreams:
    - name: openai-eu
      provider: openai
      url: https://eu.api.openai.com/v1
      credentials: [{name: default, reference: env:OPENAI_API_KEY}]
  users:
    - {name: dana, email: dana@example.com, role: operator}
  keys:
    - {name: ci-bot, user: dana, models: [gpt-5*], limits: [600/min], expires: 2030-01-31}
  bindings:
    - {key: ci-bot, upstream: openai-eu}

No secret stands in a file. A credential without a reference keeps the secret that the
gateway has, or waits for llmgw upstreams credential set; a new key waits for
llmgw keys rotate.`

// applyAll checks here first, so that mistakes are shown with their lines and
// nothing is sent.
func (a *app) applyAll(ctx context.Context, t talk, paths []string, request api.ApplyObjects, wait time.Duration) error {
	sources, err := a.readObjects(paths)
	if err != nil {
		return err
	}
	request.Files = sources
	asks := !request.DryRun && !a.flag("yes") && a.canAsk(t.settings)
	if asks || request.Prune && !request.DryRun && !a.flag("yes") {
		plan, err := a.agreeOnAll(ctx, t, &request, asks)
		if err != nil {
			return err
		}
		if len(plan.Changes) == 0 && len(plan.Lost) == 0 {
			return a.showAllAwaited(ctx, t, plan, wait)
		}
	}
	plan, err := t.Apply(ctx, request)
	if err != nil {
		return a.withExcerpts(err, sources)
	}
	if !asks && t.output.isTable() {
		a.writeObjectPlan(a.out, a.outStyle(), plan)
	}
	if request.DryRun {
		wait = 0
	}
	return a.showAllAwaited(ctx, t, plan, wait)
}

// agreeOnAll finds out what would be done and asks, or refuses to delete where it
// can not. What is then applied is what was shown, or nothing.
func (a *app) agreeOnAll(ctx context.Context, t talk, request *api.ApplyObjects, asks bool) (api.ObjectPlan, error) {
	dry := *request
	dry.DryRun = true
	plan, err := t.Apply(ctx, dry)
	if err != nil {
		return plan, a.withExcerpts(err, request.Files)
	}
	request.IfPlan = plan.Digest
	gone := append(deletedObjects(plan), plan.Lost...)
	switch {
	case !asks && len(gone) == 0:
		return plan, nil
	case !asks:
		return plan, usage("apply --prune needs --yes where nobody can be asked: it would delete %s", strings.Join(gone, ", "))
	}
	a.writeObjectPlan(a.err, a.errStyle(), plan)
	if len(plan.Changes) == 0 && len(plan.Lost) == 0 {
		return plan, nil
	}
	question := fmt.Sprintf("Apply %s?", plural(len(plan.Changes), "change"))
	if len(gone) > 0 {
		question = fmt.Sprintf("Apply %s, deleting %s?", plural(len(plan.Changes), "change"), strings.Join(gone, ", "))
	}
	yes, err := a.confirm(ctx, question)
	if err == nil && !yes {
		err = failed(nil, "cancelled, nothing was changed")
	}
	return plan, err
}

// deletedObjects are the objects that a plan deletes.
func deletedObjects(plan api.ObjectPlan) []string {
	var gone []string
	for _, c := range plan.Changes {
		if c.Op == rules.PlanDelete {
			gone = append(gone, c.Kind+" "+c.Name)
		}
	}
	return gone
}

// showAllAwaited shows what was applied, then waits as showAwaited does.
func (a *app) showAllAwaited(ctx context.Context, t talk, plan api.ObjectPlan, wait time.Duration) error {
	if err := a.showAllApplied(ctx, t, plan); err != nil || wait == 0 {
		return err
	}
	return a.showAwaiting(ctx, t, applied{plan.Seq, plan.Revision}, wait)
}

func (a *app) showAllApplied(ctx context.Context, t talk, plan api.ObjectPlan) error {
	if !t.output.isTable() {
		return t.output.value(ctx, plan)
	}
	text := fmt.Sprintf("applied %s in %d ms · revision %d", plural(len(plan.Changes), "change"), plan.TookMS, plan.Revision)
	switch {
	case len(plan.Changes) == 0 && len(plan.Lost) == 0:
		text = fmt.Sprintf("nothing to do, revision %d", plan.Revision)
	case !plan.Applied:
		text = fmt.Sprintf("%s to make, nothing was stored (dry run), revision %d", plural(len(plan.Changes), "change"), plan.Revision)
	}
	_, err := fmt.Fprintln(a.out, a.outStyle().plain(text))
	return err
}

// writeObjectPlan prints one line for each object that changes, its fields
// aligned, and below what else there is to know.
func (a *app) writeObjectPlan(w io.Writer, look style, plan api.ObjectPlan) {
	rows := make([][]string, 0, len(plan.Changes))
	for _, c := range plan.Changes {
		detail := strings.Join(c.Fields, "; ")
		if c.Kind == string(rules.KindRule) {
			detail = planDetail(api.PlanChange{Op: c.Op, Set: c.Set, Rule: c.Name, Position: c.Position, Fields: c.Fields})
		}
		rows = append(rows, []string{planSign(c.Op) + " " + c.Kind, look.plain(c.Name), oneLine(look.plain(detail))})
	}
	for i, line := range align(rows) {
		fmt.Fprintln(w, paintPlan(look, plan.Changes[i].Op, line))
	}
	if plan.Unchanged > 0 {
		fmt.Fprintf(w, "  %d unchanged\n", plan.Unchanged)
	}
	for _, lost := range plan.Lost {
		fmt.Fprintln(w, look.red("- "+oneLine(lost)))
	}
	warnings := make([]problem, 0, len(plan.Warnings))
	for _, p := range plan.Warnings {
		warnings = append(warnings, problem{Problem: p})
	}
	a.showWarnings(warnings)
	for _, next := range plan.Next[:min(len(plan.Next), maxNext)] {
		a.note("note: %s", oneLine(next))
	}
	if more := len(plan.Next) - maxNext; more > 0 {
		a.note("note: and %d more to do by hand; -o json lists them all", more)
	}
}

// maxNext is how many of the things that are left to do by hand are told: a team
// that comes from files has a key for each of its members.
const maxNext = 10
