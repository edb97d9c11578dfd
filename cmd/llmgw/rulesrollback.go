package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newRulesRollback(a *app) *cobra.Command {
	request := api.RollbackRequest{}
	c := &cobra.Command{
		Use:   "rollback REVISION",
		Short: "the rules of an earlier revision again, as a new one",
		Long: "Makes the rules of an earlier revision those of a new one. Keys and upstreams stay as\n" +
			"they are; where an upstream that those rules need is gone, it is refused (exit 6).\n" +
			"On a terminal it shows the plan and asks; elsewhere it needs --yes.",
		Args: takes("REVISION"),
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			number, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || number < 1 {
				return usage("%q is not the number of a revision", args[0]).withHint("see which there are: llmgw rules history")
			}
			request.Revision = number
			return a.rollback(ctx, t, request)
		}),
	}
	c.Flags().BoolVar(&request.DryRun, "dry-run", false, "show the plan, change nothing")
	addMessageFlag(c, &request.Message)
	return c
}

// rollback asks before it does what it showed: the request is bound to the
// revision of the plan.
func (a *app) rollback(ctx context.Context, t talk, request api.RollbackRequest) error {
	asks := !request.DryRun && !a.flag("yes")
	if asks {
		if !a.canAsk(t.settings) {
			return usage("rules rollback needs --yes where nobody can be asked")
		}
		dry := request
		dry.DryRun = true
		plan, err := t.Rollback(ctx, dry)
		if err != nil {
			return err
		}
		if len(plan.Changes) == 0 {
			return a.showApplied(ctx, t, plan)
		}
		a.writePlan(a.err, a.errStyle(), plan)
		question := fmt.Sprintf("Roll back to revision %d, %s?", request.Revision, plural(len(plan.Changes), "change"))
		if err := a.mayDestroy(ctx, t.settings, question, "rules rollback"); err != nil {
			return err
		}
		request.IfRevision = &plan.Revision
	}
	plan, err := t.Rollback(ctx, request)
	if err != nil {
		return err
	}
	if !asks && t.output.isTable() {
		a.writePlan(a.out, a.outStyle(), plan)
	}
	return a.showApplied(ctx, t, plan)
}
