package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// completion is what the shell asks for the words that may come next.
type completion func(c *cobra.Command, given []string, typed string) ([]string, cobra.ShellCompDirective)

// completeNames lets the shell complete names that the gateway knows. A shell
// that completes is told nothing of what goes wrong, and does not wait.
func (a *app) completeNames(names func(context.Context, *gateway) ([]string, error)) completion {
	return func(c *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
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
		all, err := names(ctx, g)
		if err != nil {
			return nil, nothing
		}
		return slices.DeleteFunc(all, func(name string) bool { return slices.Contains(given, name) }), nothing
	}
}

// complete completes the names of a noun.
func (n *noun[T]) complete(a *app) completion {
	return a.completeNames(func(ctx context.Context, g *gateway) ([]string, error) {
		all, err := n.all(g.Client, ctx)
		names := make([]string, 0, len(all))
		for _, one := range all {
			names = append(names, n.name(one))
		}
		return names, err
	})
}

// first completes the first word alone.
func first(with completion) completion {
	return func(c *cobra.Command, given []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(given) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return with(c, given, typed)
	}
}

// completeFlag completes the value of a flag of c, which c must have.
func completeFlag(c *cobra.Command, flag string, with completion) {
	_ = c.RegisterFlagCompletionFunc(flag, with) // fails for flags that are not there, or are completed already
}
