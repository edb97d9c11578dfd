package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newRules(a *app) *cobra.Command {
	n := ruleNoun()
	c := &cobra.Command{
		Use: "rules", Aliases: []string{"rule"},
		Short: "list | get | create | apply | diff | validate | test | explain | edit | fmt | enable | disable | move | delete | history | rollback | export | schema",
	}
	c.AddCommand(
		newRulesList(a), n.get(a, "one rule or several, as YAML"), newRulesApply(a), newRulesValidate(a),
		n.turn(a, "enable", "put a rule in force again", (*api.Client).EnableRule),
		n.turn(a, "disable", "keep a rule and take it out of force", (*api.Client).DisableRule),
		n.delete(a, "remove a rule"), newRulesExport(a),
		newRulesExplain(a), newRulesTest(a), newRulesDiff(a), newRulesHistory(a), newRulesRollback(a),
		newRulesCreate(a), newRulesEdit(a), newRulesMove(a), newRulesFmt(a), newRulesSchema(a),
	)
	a.completeRules(c)
	return c
}

func ruleNoun() *noun[api.Rule] {
	return &noun[api.Rule]{
		word: "rule", columns: ruleColumns(), show: showRule, name: func(r api.Rule) string { return r.Name },
		all: func(c *api.Client, ctx context.Context) ([]api.Rule, error) {
			list, err := c.Rules(ctx)
			return list.Items, err
		},
		one: (*api.Client).Rule, remove: (*api.Client).DeleteRule,
	}
}

// showRule writes a rule as YAML, its place above it.
func showRule(w io.Writer, r api.Rule) {
	state := ""
	if !r.Enabled {
		state = ", not in force"
	}
	fmt.Fprintf(w, "# position %d, set %s (order %d)%s\n%s", r.Position, r.Set, r.Order, state, ended(r.YAML))
}

func newRulesList(a *app) *cobra.Command {
	var enabled bool
	var match string
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "every rule, in the order in which they are tried", Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			list, err := t.Rules(ctx)
			if err != nil {
				return err
			}
			on := 0
			for _, r := range list.Items {
				if r.Enabled {
					on++
				}
			}
			footer := fmt.Sprintf("%d of %d enabled · revision %d", on, len(list.Items), list.Revision)
			list.Items = slices.DeleteFunc(nonNil(list.Items), func(r api.Rule) bool {
				return enabled && !r.Enabled || match != "" && !mentions(r, match)
			})
			rows := a.withTraffic(ctx, t, list)
			return writeList(ctx, t.output, rows.Items, rows, ruleRowColumns(), footer+rows.missing())
		}),
	}
	c.Flags().BoolVar(&enabled, "enabled", false, "leave rules out that are not in force")
	c.Flags().StringVar(&match, "match", "", "only rules that have this in name, match or action (`TEXT`)")
	return c
}

func mentions(r api.Rule, text string) bool {
	text = strings.ToLower(text)
	for _, in := range []string{r.Name, r.Set, r.Description, api.MatchText(r.Match), r.ActionText()} {
		if strings.Contains(strings.ToLower(in), text) {
			return true
		}
	}
	return false
}

func ruleColumns() []column[api.Rule] {
	return []column[api.Rule]{
		{name: "#", text: func(r api.Rule) string { return strconv.Itoa(r.Position) }},
		{name: "NAME", text: func(r api.Rule) string { return r.Name }},
		{name: "ON", text: func(r api.Rule) string { return sign(r.Enabled, true) }},
		{name: "MATCH", text: func(r api.Rule) string { return api.MatchText(r.Match) }},
		{name: "ACTION", text: func(r api.Rule) string { return r.ActionText() }},
		{name: "SET", wide: true, text: func(r api.Rule) string { return fmt.Sprintf("%s (%d)", r.Set, r.Order) }},
		{name: "DESCRIPTION", wide: true, text: func(r api.Rule) string { return dash(r.Description) }},
	}
}

func sorted(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ended gives text that ends its last line.
func ended(text string) string { return strings.TrimRight(text, "\n") + "\n" }

func newRulesExport(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "export [SET…]", Short: "the rules as YAML, one document a set; apply reads it back",
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			export, err := t.ExportRules(ctx, args)
			if err != nil {
				return err
			}
			if t.output.isTable() {
				_, err = io.WriteString(a.out, ended(export.YAML))
				return err
			}
			return t.output.value(ctx, export)
		}),
	}
}
