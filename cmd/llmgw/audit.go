package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newAudit(a *app) *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "list who changed what, from where, and what it was before"}
	c.AddCommand(newAuditList(a))
	return c
}

// The bounds of one audit list. The gateway gives so many at a time.
const (
	auditShown = 50
	auditPage  = 1000
)

func newAuditList(a *app) *cobra.Command {
	var q api.AuditQuery
	var since, until string
	var limit int
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "changes, the newest first; -o wide shows what was before and after",
		Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) (err error) {
			if limit < 0 {
				return usage("--limit is 0 for all, or more")
			}
			now := time.Now()
			if q.Since, err = pastFlag("since", since, now); err != nil {
				return err
			}
			if q.Until, err = pastFlag("until", until, now); err != nil {
				return err
			}
			list, err := auditOf(ctx, t.Client, q, limit)
			if err != nil {
				return err
			}
			footer := ""
			if list.Next != "" {
				footer = fmt.Sprintf("the newest %d · all of them: --limit 0", len(list.Items))
			}
			return writeList(ctx, t.output, list.Items, list, auditColumns(), footer)
		}),
	}
	flags := c.Flags()
	flags.StringVar(&q.Actor, "actor", "", "only what this user did; local is the socket (`NAME`)")
	flags.StringVar(&q.Action, "action", "", "only this action, as key.revoke or key.* (`NOUN.VERB`)")
	flags.StringVar(&q.Name, "name", "", "only what was done to objects of this name (`NAME`)")
	flags.StringVar(&q.Subject, "subject", "", "only what was done to this object (`NOUN:ID`)")
	flags.StringVar(&since, "since", "", "only what was done since: 12h, 7d or a date (`WHEN`)")
	flags.StringVar(&until, "until", "", "only what was done before: 12h, 7d or a date (`WHEN`)")
	flags.IntVar(&limit, "limit", auditShown, "how many, 0 for all (`N`)")
	completeFlag(c, "actor", userNoun().complete(a))
	return c
}

func pastFlag(name, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := pastMoment(text, now)
	if err != nil {
		return at, usage("--%s: %v", name, err)
	}
	return at, nil
}

// auditOf asks page by page until there are limit entries, or all where it is 0.
// Next of the answer says that there are more.
func auditOf(ctx context.Context, c *api.Client, q api.AuditQuery, limit int) (api.List[api.AuditEntry], error) {
	found := api.List[api.AuditEntry]{Items: []api.AuditEntry{}}
	for {
		q.Limit = auditPage
		if limit > 0 {
			q.Limit = min(auditPage, limit-len(found.Items))
		}
		page, err := c.Audit(ctx, q)
		if err != nil {
			return found, err
		}
		found.Items = append(found.Items, page.Items...)
		found.Next = page.Next
		if page.Next == "" || page.Next == q.Cursor || limit > 0 && len(found.Items) >= limit {
			return found, nil
		}
		q.Cursor = page.Next
	}
}

func auditColumns() []column[api.AuditEntry] {
	return []column[api.AuditEntry]{
		{name: "TIME", text: func(e api.AuditEntry) string { return stamp(e.Time) }},
		{name: "ACTOR", text: func(e api.AuditEntry) string { return dash(e.Actor) }},
		{name: "FROM", text: func(e api.AuditEntry) string { return dash(e.From) }},
		{name: "ACTION", text: func(e api.AuditEntry) string { return e.Action }},
		{name: "KIND", text: auditKind},
		{name: "NAME", text: func(e api.AuditEntry) string { return dash(e.Name) }},
		{name: "MESSAGE", text: func(e api.AuditEntry) string { return dash(e.Message) }},
		{name: "REVISION", wide: true, text: func(e api.AuditEntry) string { return strconv.FormatInt(e.Revision, 10) }},
		{name: "SUBJECT", wide: true, text: func(e api.AuditEntry) string { return e.Subject }},
		{name: "CHANGES", wide: true, text: auditChanges},
	}
}
