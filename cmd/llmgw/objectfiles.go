package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin"
	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

func addObjectsFlag(c *cobra.Command, paths *[]string) {
	c.Flags().StringArrayVarP(paths, "file", "f", nil, "file, directory, or - for stdin; repeatable (`FILE`)")
}

// readObjects reads files of every kind as readRules does those of rules, and
// refuses them with all that is wrong with them.
func (a *app) readObjects(paths []string) ([]api.Source, error) {
	sources, err := a.readRules(paths)
	if err != nil {
		return nil, err
	}
	if d := checkObjects(sources); len(d.errors) > 0 {
		return nil, invalidFiles(d.errors)
	}
	return sources, nil
}

// checkedObjects is what can be told of files without a gateway.
type checkedObjects struct {
	decoded
	objects rules.Objects
}

func checkObjects(sources []api.Source) checkedObjects {
	var c checkedObjects
	check := admin.FileCheck{References: references()}
	var problems rules.Problems
	c.objects, problems = check.Read(sources)
	c.add(problems, sources)
	if len(c.errors) == 0 {
		c.add(slices.Clip(rules.Check(c.objects.Sets).Warnings()), sources)
	}
	return c
}
