package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

func newRulesDiff(a *app) *cobra.Command {
	var paths []string
	var prune bool
	c := &cobra.Command{
		Use: "diff", Aliases: []string{"plan"},
		Short: "what apply would change: a unified diff and the list of rules",
		Long: "Compares what runs with what apply would make of it, both as canonical YAML, set\n" +
			"by set. Sets that the files do not have are not compared: apply leaves them alone.\n" +
			"Rules that the files' sets lost are shown as deleted; apply deletes them with\n" +
			"--prune only, and a note says so unless --prune is given here too.\n\n" +
			"Exit code: 0 no difference, 1 there is one, 2 and more trouble.",
		Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			return atLeastTwo(a.diffRules(ctx, t, paths, prune))
		}),
	}
	addFilesFlag(c, &paths)
	c.Flags().BoolVar(&prune, "prune", false, "as apply --prune: deletions are meant")
	return c
}

// difference is what apply would do, and how the YAML of the sets differs.
type difference struct {
	api.Plan
	Diff string `json:"diff"`
}

func (a *app) diffRules(ctx context.Context, t talk, paths []string, prune bool) error {
	sources, err := a.readRules(paths)
	if err != nil {
		return err
	}
	d := decodeRules(sources)
	if len(d.errors) > 0 {
		return invalidFiles(d.errors)
	}
	running, revision, err := runningRules(ctx, t)
	if err != nil {
		return err
	}
	found, err := compareRules(running, d, revision)
	if err != nil {
		return err
	}
	errs, warnings := checkMerged(running, d.files, sources)
	if len(errs) > 0 {
		return invalidFiles(errs)
	}
	for _, w := range warnings {
		found.Warnings = append(found.Warnings, w.Problem)
	}
	return a.showDifference(ctx, t, found, warnings, prune)
}

// atLeastTwo keeps exit code 1 for what was found: trouble is 2 or more.
func atLeastTwo(err error) error {
	if err == nil {
		return nil
	}
	f := explain(err)
	if f.exit != exitFailed || f.shown {
		return err
	}
	trouble := *f
	trouble.exit = exitUsage
	return &trouble
}

// runningRules gives every set that runs, as values.
func runningRules(ctx context.Context, t talk) ([]rules.File, int64, error) {
	export, err := t.ExportRules(ctx, nil)
	if err != nil || strings.TrimSpace(export.YAML) == "" {
		return nil, export.Revision, err
	}
	files, problems := rules.Decode("", []byte(export.YAML))
	if bad := problems.Errors(); len(bad) > 0 {
		return nil, 0, failed(bad, "the rules of the gateway cannot be read here: %s", bad[0].Message).
			withHint("is this llmgw as new as the gateway? llmgw version; llmgw status")
	}
	return files, export.Revision, nil
}

// compareRules tells what becomes of the running rules. A set without rules is
// no set.
func compareRules(running []rules.File, d decoded, revision int64) (difference, error) {
	found := difference{Plan: api.Plan{Changes: []api.PlanChange{}, Revision: revision}}
	changes, unchanged := rules.Plan(running, rules.Merge(running, d.files))
	for _, c := range changes {
		found.Changes = append(found.Changes, api.PlanChange(c))
	}
	found.Unchanged = unchanged
	for i, file := range d.files {
		was, is := setText{name: noFile}, setText{name: noFile}
		if at := slices.IndexFunc(running, func(f rules.File) bool { return f.Set == file.Set }); at >= 0 {
			was = textOf(running[at], fmt.Sprintf("running/%s (revision %d)", file.Set, revision))
		}
		if len(file.Rules) > 0 {
			is = textOf(file, d.from[i])
		}
		text, err := unified(was.name, is.name, was.yaml, is.yaml)
		if err != nil {
			return found, err
		}
		found.Diff += text
	}
	return found, nil
}

// setText is a set as canonical YAML, and what a diff calls it.
type setText struct{ name, yaml string }

func textOf(file rules.File, name string) setText {
	return setText{name: name, yaml: string(rules.Encode([]rules.File{file}))}
}

// checkMerged looks for what is wrong with the files among all other sets: names
// that are taken, rules that can never match. Of warnings, those about the files
// only: what runs was warned of when it was applied.
func checkMerged(running, files []rules.File, sources []api.Source) (errs, warnings []problem) {
	var d decoded
	d.add(rules.Check(rules.Merge(running, files)), sources)
	warnings = slices.DeleteFunc(d.warnings, func(p problem) bool { return p.File == "" })
	return d.errors, warnings
}

// showDifference prints what was found, and ends with 1 where anything was.
func (a *app) showDifference(ctx context.Context, t talk, found difference, warnings []problem, prune bool) error {
	differs := len(found.Changes) > 0 || found.Diff != ""
	if !t.output.isTable() {
		if err := t.output.value(ctx, found); err != nil || !differs {
			return err
		}
		return answered()
	}
	if !differs {
		a.showWarnings(warnings)
		a.note("no differences, revision %d", found.Revision)
		return nil
	}
	if err := writeUnified(a.out, a.outStyle(), found.Diff); err != nil {
		return err
	}
	if found.Diff != "" {
		fmt.Fprintln(a.out)
	}
	plan := found.Plan
	plan.Warnings = nil // shown with their lines, below
	a.writePlan(a.out, a.outStyle(), plan)
	a.showWarnings(warnings)
	if gone := deletions(found.Changes); len(gone) > 0 && !prune {
		a.note("note: apply deletes %s only with --prune", strings.Join(gone, ", "))
	}
	return answered()
}

func deletions(changes []api.PlanChange) []string {
	var names []string
	for _, c := range changes {
		if c.Op == rules.PlanDelete {
			names = append(names, c.Rule)
		}
	}
	return names
}
