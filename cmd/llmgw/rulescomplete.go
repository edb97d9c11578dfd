package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// completeRules lets the shell complete the names of rules, where a command of
// rules takes one.
func (a *app) completeRules(c *cobra.Command) {
	for _, sub := range c.Commands() {
		if slices.Contains([]string{"get", "edit", "enable", "disable", "move", "delete", "history"}, sub.Name()) {
			sub.ValidArgsFunction = a.ruleNames
		}
		for _, flag := range []string{"before", "after", "expect", "rule"} {
			if sub.Flags().Lookup(flag) != nil {
				_ = sub.RegisterFlagCompletionFunc(flag, a.ruleNames) // fails for flags that are not there only
			}
		}
	}
}

// ruleNames asks the gateway. A shell that completes is told nothing of what
// goes wrong, and does not wait.
func (a *app) ruleNames(c *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	const nothing = cobra.ShellCompDirectiveNoFileComp
	s, err := loadSettings(c.Flags())
	if err != nil {
		return nil, nothing
	}
	g, err := a.gateway(s)
	if err != nil {
		return nil, nothing
	}
	defer g.Close()
	ctx, cancel := context.WithTimeout(c.Context(), 2*time.Second)
	defer cancel()
	list, err := g.Rules(ctx)
	if err != nil {
		return nil, nothing
	}
	var names []string
	for _, r := range list.Items {
		if !slices.Contains(given, r.Name) {
			names = append(names, r.Name)
		}
	}
	return names, nothing
}
