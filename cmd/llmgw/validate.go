package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newValidate(a *app) *cobra.Command {
	var paths []string
	var strict bool
	c := &cobra.Command{
		Use:   "validate",
		Short: "check files for apply, without a gateway",
		Long: "Checks files as apply does, as far as that can be done without a gateway, and tells\n" +
			"everything that is wrong at once, with line and column. What they name and do not\n" +
			"hold is taken to be in the gateway.\n\n" + objectsHelp,
		Args: takes(),
		RunE: a.does(func(_ context.Context, _ []string) error {
			sources, err := a.readRules(paths)
			if err != nil {
				return err
			}
			return a.validateAll(checkObjects(sources), len(sources), strict)
		}),
	}
	addObjectsFlag(c, &paths)
	c.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	return c
}

func (a *app) validateAll(c checkedObjects, files int, strict bool) error {
	if strict {
		c.errors, c.warnings = append(c.errors, c.warnings...), nil
	}
	a.showWarnings(c.warnings)
	if len(c.errors) > 0 {
		return invalidFiles(c.errors)
	}
	all := 0
	for _, f := range c.objects.Sets {
		all += len(f.Rules)
	}
	var counts []string
	for _, of := range []struct {
		n    int
		noun string
	}{
		{len(c.objects.Upstreams), "upstream"},
		{len(c.objects.Users), "user"},
		{len(c.objects.Keys), "key"},
		{all, "rule"},
		{len(c.objects.Bindings), "binding"},
	} {
		if of.n > 0 {
			counts = append(counts, plural(of.n, of.noun))
		}
	}
	if len(counts) == 0 {
		counts = []string{"no objects"}
	}
	_, err := fmt.Fprintf(a.out, "valid: %s in %s\n", strings.Join(counts, ", "), plural(files, "file"))
	return err
}
