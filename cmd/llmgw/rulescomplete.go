package main

import (
	"slices"

	"github.com/spf13/cobra"
)

// completeRules lets the shell complete the names of rules, where a command of
// rules takes one.
func (a *app) completeRules(c *cobra.Command) {
	names, keys := ruleNoun().complete(a), keyNoun().complete(a)
	for _, sub := range c.Commands() {
		if slices.Contains([]string{"get", "edit", "enable", "disable", "move", "delete", "history"}, sub.Name()) {
			sub.ValidArgsFunction = names
		}
		for _, flag := range []string{"before", "after", "expect", "rule"} {
			if sub.Flags().Lookup(flag) != nil {
				completeFlag(sub, flag, names)
			}
		}
		completeFlag(sub, "key", keys)
	}
}
