package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

// completing bounds how long a shell that completes waits for the gateway.
const completing = 2 * time.Second

// lister gives the names there are of a noun.
type lister func(context.Context, *api.Client) ([]string, error)

func ruleNames(ctx context.Context, c *api.Client) ([]string, error) {
	list, err := c.Rules(ctx)
	return namesOf(list.Items, func(r api.Rule) string { return r.Name }), err
}

func upstreamNames(ctx context.Context, c *api.Client) ([]string, error) {
	list, err := c.Upstreams(ctx)
	return namesOf(list, func(u api.Upstream) string { return u.Name }), err
}

func keyNames(ctx context.Context, c *api.Client) ([]string, error) {
	list, err := c.Keys(ctx)
	return namesOf(list, func(k api.Key) string { return k.Name }), err
}

func namesOf[T any](items []T, name func(T) string) []string {
	var names []string
	for _, item := range items {
		names = append(names, name(item))
	}
	return names
}

// completeNames lets the shell complete names where a verb of a noun takes one.
func (a *app) completeNames(c *cobra.Command, list lister, verbs ...string) {
	for _, sub := range c.Commands() {
		if slices.Contains(verbs, sub.Name()) {
			sub.ValidArgsFunction = a.completion(list)
		}
	}
}

// completeFlags lets the shell complete names behind flags, where a command has
// them.
func (a *app) completeFlags(c *cobra.Command, list lister, flags ...string) {
	for _, flag := range flags {
		if c.Flags().Lookup(flag) != nil {
			_ = c.RegisterFlagCompletionFunc(flag, a.completion(list)) // fails for flags that are not there only
		}
	}
}

// completion asks the gateway. A shell that completes is told nothing of what
// goes wrong, and does not wait.
func (a *app) completion(list lister) cobra.CompletionFunc {
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
		ctx, cancel := context.WithTimeout(c.Context(), completing)
		defer cancel()
		names, err := list(ctx, g.Client)
		if err != nil {
			return nil, nothing
		}
		return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(given, name) }), nothing
	}
}
