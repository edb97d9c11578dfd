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
	for _, in := range []string{r.Name, r.Set, r.Description, matchText(r.Match), ruleAction(r)} {
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
		{name: "MATCH", text: func(r api.Rule) string { return matchText(r.Match) }},
		{name: "ACTION", text: ruleAction},
		{name: "SET", wide: true, text: func(r api.Rule) string { return fmt.Sprintf("%s (%d)", r.Set, r.Order) }},
		{name: "DESCRIPTION", wide: true, text: func(r api.Rule) string { return dash(r.Description) }},
	}
}

// matchFields are the matchers, what people look for first.
func matchFields() []string {
	return []string{"model", "path", "method", "host", "header", "query", "stream", "key", "user", "tag", "source", "body_bytes", "not"}
}

// matchText writes a match in one line, fields what people look for first:
// model=gpt-*,o*  path=/v1/**  header x-tier=free.
func matchText(match map[string]any) string {
	var parts []string
	for _, field := range matchFields() {
		value, ok := match[field]
		if !ok {
			continue
		}
		if without, ok := value.(map[string]any); ok && field == "not" {
			parts = append(parts, "not("+matchText(without)+")")
			continue
		}
		named, isMap := value.(map[string]any)
		if !isMap {
			parts = append(parts, field+"="+scalarText(value))
			continue
		}
		for _, name := range sorted(named) {
			parts = append(parts, field+" "+name+"="+scalarText(named[name]))
		}
	}
	if len(parts) == 0 {
		return "*"
	}
	return strings.Join(parts, "  ")
}

// ruleAction writes what becomes of the requests that a rule takes.
func ruleAction(r api.Rule) string {
	text := actionText(r.Action)
	if r.Continue {
		text = "→ next rule" + strings.TrimPrefix(text, "→ nobody")
	}
	return text
}

// actionText writes an action in one line: → openai  model=gpt-5-mini.
func actionText(action map[string]any) string {
	text := "→ nobody"
	switch {
	case action["upstream"] != nil:
		text = "→ " + scalarText(action["upstream"])
	case action["upstreams"] != nil:
		text = "→ " + entriesText(action["upstreams"])
	case action["target"] != nil:
		text = "→ " + scalarText(action["target"])
	case action["respond"] != nil:
		text = "respond"
		if respond, ok := action["respond"].(map[string]any); ok && respond["status"] != nil {
			text += " " + scalarText(respond["status"])
		}
	}
	if model, ok := action["model"]; ok {
		text += "  model=" + scalarText(model)
	}
	if fallback, ok := action["fallback"]; ok {
		text += "  else " + entriesText(fallback)
	}
	for _, field := range []string{"path", "headers", "response_headers", "timeouts", "retry", "limits", "body_log"} {
		if _, ok := action[field]; ok {
			text += "  +" + field
		}
	}
	return text
}

// entriesText writes a list of upstreams with their weights: groq-a/80,groq-b/20.
func entriesText(value any) string {
	entries, ok := value.([]any)
	if !ok {
		return scalarText(value)
	}
	all := make([]string, 0, len(entries))
	for _, one := range entries {
		entry, ok := one.(map[string]any)
		if !ok {
			continue
		}
		text := scalarText(entry["name"])
		if entry["weight"] != nil {
			text += "/" + scalarText(entry["weight"])
		}
		all = append(all, text)
	}
	return strings.Join(all, ",")
}

func scalarText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		all := make([]string, 0, len(v))
		for _, one := range v {
			all = append(all, scalarText(one))
		}
		return strings.Join(all, ",")
	case map[string]any:
		all := make([]string, 0, len(v))
		for _, name := range sorted(v) {
			all = append(all, name+":"+scalarText(v[name]))
		}
		return strings.Join(all, ",")
	}
	return fmt.Sprint(value)
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
