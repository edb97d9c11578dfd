package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newDiff(a *app) *cobra.Command {
	var paths []string
	var prune bool
	c := &cobra.Command{
		Use:   "diff",
		Short: "what apply would change of upstreams, users, keys, rules and bindings",
		Long: "Tells what apply would do with the same files, object by object. It stores nothing,\n" +
			"and whoever may see everything may ask.\n\n" +
			"Exit code: 0 no difference, 1 there is one, 2 and more trouble.",
		Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			return atLeastTwo(a.diffAll(ctx, t, paths, prune))
		}),
	}
	addObjectsFlag(c, &paths)
	c.Flags().BoolVar(&prune, "prune", false, "as apply --prune: what the files do not have is to go")
	return c
}

func (a *app) diffAll(ctx context.Context, t talk, paths []string, prune bool) error {
	sources, err := a.readObjects(paths)
	if err != nil {
		return err
	}
	plan, err := t.Diff(ctx, api.DiffObjects{Files: sources, Prune: prune})
	if err != nil {
		return a.withExcerpts(err, sources)
	}
	differs := len(plan.Changes) > 0 || len(plan.Lost) > 0
	if !t.output.isTable() {
		if err := t.output.value(ctx, plan); err != nil || !differs {
			return err
		}
		return answered()
	}
	if !differs {
		a.note("no differences, revision %d", plan.Revision)
		return nil
	}
	a.writeObjectPlan(a.out, a.outStyle(), plan)
	if gone := append(deletedObjects(plan), plan.Lost...); len(gone) > 0 && !prune {
		a.note("note: apply deletes %s only with --prune", strings.Join(gone, ", "))
	}
	return answered()
}
