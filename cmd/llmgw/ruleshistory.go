package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

// longestHistory is how much of the history is looked through for one rule.
const longestHistory = 10_000

func newRulesHistory(a *app) *cobra.Command {
	var limit int
	var show int64
	c := &cobra.Command{
		Use:   "history [NAME | REVISION]",
		Short: "who changed the rules, when and why",
		Long: "Lists the revisions, the newest first; with NAME those that changed a rule. With a\n" +
			"number, or --show, it shows one revision and how it differs from the one before.\n" +
			"A rule whose name is a number is found by `rules history --rule NAME`.",
		Args: takesOneAtMost,
		RunE: a.calls(func(ctx context.Context, t talk, args []string) error {
			rule, err := a.command.Flags().GetString("rule")
			if err != nil {
				return err
			}
			if number, err := strconv.ParseInt(strings.Join(args, ""), 10, 64); err == nil {
				show = number
			} else if len(args) == 1 {
				rule = args[0]
			}
			if show != 0 {
				return a.showRevision(ctx, t, show)
			}
			return listHistory(ctx, t, rule, limit)
		}),
	}
	c.Flags().IntVar(&limit, "limit", 20, "how many revisions, 0 for all that are listed (`N`)")
	c.Flags().Int64Var(&show, "show", 0, "show one revision (`REVISION`)")
	c.Flags().String("rule", "", "only what changed this rule (`NAME`)")
	return c
}

func listHistory(ctx context.Context, t talk, rule string, limit int) error {
	if limit < 0 || limit > longestHistory {
		return usage("--limit is 0 to %d", longestHistory)
	}
	ask := limit
	if rule != "" || limit == 0 {
		ask = longestHistory
	}
	entries, err := t.History(ctx, ask)
	if err != nil {
		return err
	}
	if rule != "" {
		if entries, err = entriesOf(ctx, t, entries, rule); err != nil {
			return err
		}
	}
	if limit > 0 && len(entries) > limit {
		entries = entries[:limit]
	}
	footer := "llmgw rules history REVISION shows one · back to one: llmgw rules rollback REVISION"
	return writeList(ctx, t.output, entries, api.List[api.HistoryEntry]{Items: nonNil(entries)}, historyColumns(), footer)
}

// entriesOf keeps what changed one rule. A rule that was never changed is there,
// or there is none.
func entriesOf(ctx context.Context, t talk, entries []api.HistoryEntry, rule string) ([]api.HistoryEntry, error) {
	entries = slices.DeleteFunc(entries, func(e api.HistoryEntry) bool {
		return !slices.ContainsFunc(e.Changes, func(c api.PlanChange) bool { return c.Rule == rule })
	})
	if len(entries) > 0 {
		return entries, nil
	}
	_, err := t.Rule(ctx, rule)
	return entries, err
}

func historyColumns() []column[api.HistoryEntry] {
	return []column[api.HistoryEntry]{
		{name: "REVISION", text: func(e api.HistoryEntry) string { return strconv.FormatInt(e.Revision, 10) }},
		{name: "TIME", text: func(e api.HistoryEntry) string { return stamp(e.Time) }},
		{name: "ACTOR", text: func(e api.HistoryEntry) string { return dash(e.Actor) }},
		{name: "KIND", text: func(e api.HistoryEntry) string { return dash(e.Kind) }},
		{name: "CHANGES", text: func(e api.HistoryEntry) string { return dash(changesText(e.Changes)) }},
		{name: "MESSAGE", text: func(e api.HistoryEntry) string { return dash(e.Message) }},
		{name: "FROM", wide: true, text: func(e api.HistoryEntry) string { return dash(e.From) }},
	}
}

// stamp writes a time as a table does.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05Z") }

// changesText names the rules that were changed, the first few: +vision ~openai.
func changesText(changes []api.PlanChange) string {
	const shown = 4
	var names []string
	for _, c := range changes {
		name := c.Rule
		if name == "" { // the order of a set
			name = "set " + c.Set
		}
		names = append(names, planSign(c.Op)+name)
	}
	if more := len(names) - shown; more > 0 {
		names = append(names[:shown], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, " ")
}

// shownRevision is a revision and what it changed, as a diff.
type shownRevision struct {
	api.HistoryEntry
	Diff string `json:"diff"`
}

// showRevision compares a revision with the one before it. Where that is not
// kept any more, what is known of the change is shown.
func (a *app) showRevision(ctx context.Context, t talk, number int64) error {
	entry, err := t.Revision(ctx, number)
	if err != nil {
		return err
	}
	shown := shownRevision{HistoryEntry: entry}
	before, known, err := yamlBefore(ctx, t, number)
	if err == nil && known {
		oldName := noFile
		if before != "" {
			oldName = fmt.Sprintf("revision %d", number-1)
		}
		shown.Diff, err = unified(oldName, fmt.Sprintf("revision %d", number), before, entry.YAML)
	}
	if err != nil {
		return err
	}
	if !t.output.isTable() {
		return t.output.value(ctx, shown)
	}
	look := t.output.look
	a.writeEntry(a.out, look, entry)
	if !known {
		a.note("the rules of revision %d are not kept, so that there is no diff", number-1)
	}
	return writeUnified(a.out, look, shown.Diff)
}

// yamlBefore gives the rules before a revision; known is false where they are
// not kept.
func yamlBefore(ctx context.Context, t talk, number int64) (text string, known bool, err error) {
	if number <= 1 {
		return "", true, nil
	}
	before, err := t.Revision(ctx, number-1)
	var refusal *api.Error
	if errors.As(err, &refusal) && refusal.Code == api.CodeNotFound {
		return "", false, nil
	}
	return before.YAML, err == nil, err
}

// writeEntry prints who made a revision, why, and the rules that it changed.
func (a *app) writeEntry(w io.Writer, look style, e api.HistoryEntry) {
	from := ""
	if e.From != "" {
		from = " from " + e.From
	}
	line := fmt.Sprintf("revision %d · %s · %s · by %s%s", e.Revision, e.Kind, stamp(e.Time), dash(e.Actor), from)
	fmt.Fprintln(w, oneLine(look.plain(line)))
	if e.Message != "" {
		fmt.Fprintln(w, "message: "+oneLine(e.Message))
	}
	a.writePlan(w, look, api.Plan{Changes: e.Changes})
}
