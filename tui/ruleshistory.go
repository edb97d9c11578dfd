package tui

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// history shows the revisions of the rules, in place of the rules.
type history struct {
	list[api.HistoryEntry]
	rule string // the one that was under the cursor; empty: there was none
	only bool   // what changed that one alone is shown
}

func (s *rulesScreen) showHistory() {
	h := &history{}
	if r := s.row(); r != nil {
		h.rule = r.Name
	}
	h.list = list[api.HistoryEntry]{
		desk: s.desk, heading: "History", word: "revision", aside: 120, load: h.rows,
		empty: emptiness{"No revision changed it.", s.look.key.Render("H") + " shows all of them"},
	}
	h.detail = h.drawEntry
	h.table = table[api.HistoryEntry]{look: s.look, columns: h.columns(), id: revisionOf, field: historyField}
	s.history = h
}

func revisionOf(e *api.HistoryEntry) string { return strconv.FormatInt(e.Revision, 10) }

func (h *history) rows() ([]api.HistoryEntry, bookState) {
	all, state := h.books.history.value, h.books.history.state()
	if !h.only {
		return all, state
	}
	var some []api.HistoryEntry
	for i := range all {
		if changesRule(&all[i], h.rule) {
			some = append(some, all[i])
		}
	}
	return some, state
}

func (h *history) columns() []column[api.HistoryEntry] {
	return []column[api.HistoryEntry]{
		{title: "REV", text: revisionOf, right: true, order: func(a, b *api.HistoryEntry) int { return cmp.Compare(a.Revision, b.Revision) }},
		{title: "WHEN", text: func(e *api.HistoryEntry) string { return ago(h.now(), e.Time) }},
		{title: "WHO", text: func(e *api.HistoryEntry) string { return or(clean(e.Actor), unknown) }, most: 16},
		{title: "KIND", text: func(e *api.HistoryEntry) string { return or(clean(e.Kind), unknown) }, most: 16, rank: 2},
		{title: "CHANGES", text: func(e *api.HistoryEntry) string { return h.changesText(e.Changes) }, grow: true, least: 14},
		{title: "MESSAGE", text: func(e *api.HistoryEntry) string { return clean(e.Message) }, most: 30, rank: 1},
	}
}

// historyField is what a filter looks at.
func historyField(e *api.HistoryEntry, name string) (string, bool) {
	switch name {
	case "rev", "revision":
		return revisionOf(e), true
	case "who", "actor":
		return e.Actor, true
	case "kind":
		return e.Kind, true
	case "message":
		return e.Message, true
	case "rule":
		var names []string
		for _, c := range e.Changes {
			names = append(names, c.Rule)
		}
		return strings.Join(names, " "), true
	}
	return "", false
}

// changesText names the rules that were changed, the first few: +vision ~openai.
func (d *desk) changesText(changes []api.PlanChange) string {
	const shown = 4
	var names []string
	for i := range changes {
		if i == shown {
			names = append(names, fmt.Sprintf("and %d more", len(changes)-shown))
			break
		}
		sign := "~"
		switch changes[i].Op {
		case "add":
			sign = "+"
		case "delete":
			sign = "-"
		}
		names = append(names, sign+or(clean(changes[i].Rule), "set "+clean(changes[i].Set)))
	}
	return or(strings.Join(names, " "), unknown)
}

func (h *history) can(action string) bool {
	switch action {
	case "rules.only":
		return h.rule != ""
	case "rules.rollback":
		return h.row() != nil
	}
	return h.list.can(action)
}

func (h *history) do(action string) tea.Cmd {
	switch action {
	case "open":
		return h.showRevision(h.row())
	case "rules.only":
		h.only = !h.only
		h.heading = "History"
		if h.only {
			h.heading = "History of " + clean(h.rule)
		}
		rows, _ := h.rows()
		h.table.set(rows)
	case "rules.rollback":
		return h.planRollback(h.row())
	default:
		cmd, _ := h.doList(action)
		return cmd
	}
	return nil
}

// drawEntry shows one revision beside the others.
func (h *history) drawEntry(e *api.HistoryEntry, w, height int) string {
	inW, inH := inside(w, height)
	text := h.facts(inW,
		[2]string{"time", e.Time.Format(time.RFC3339)},
		[2]string{"by", or(clean(e.Actor), unknown) + fromWhere(e)},
		[2]string{"kind", clean(e.Kind)},
		[2]string{"message", clean(e.Message)},
	)
	for i := range e.Changes {
		for _, part := range wrap(h.planLine(&e.Changes[i]), max(8, inW-2)) {
			text += "\n " + part
		}
	}
	return box{title: "Revision " + revisionOf(e), foot: "enter diff"}.draw(h.look, h.look.block(text, inW, inH), w, height)
}

func fromWhere(e *api.HistoryEntry) string {
	if e.From == "" {
		return ""
	}
	return " from " + clean(e.From)
}

// shownRevision is a revision beside the one before it.
type shownRevision struct {
	this, before api.HistoryEntry
	unkept       bool // the rules of the one before are not known any more
}

// showRevision shows how a revision differs from the one before it.
func (h *history) showRevision(e *api.HistoryEntry) tea.Cmd {
	if e == nil {
		return nil
	}
	number := e.Revision
	var shown shownRevision
	return h.change(change{
		only: true, twin: []string{"rules", "history", revisionOf(e)},
		call: func(ctx context.Context, c *api.Client) (_ string, err error) {
			if shown.this, err = c.Revision(ctx, number); err != nil || number <= 1 {
				return "", err
			}
			shown.before, err = c.Revision(ctx, number-1)
			if isCode(err, api.CodeNotFound) {
				shown.unkept, err = true, nil
			}
			return "", err
		},
		then: func(string) tea.Cmd {
			h.open(h.revisionPage(&shown))
			return nil
		},
	})
}

func (h *history) revisionPage(r *shownRevision) *page {
	e := &r.this
	p := &page{look: h.look, title: "Revision " + revisionOf(e), foot: "esc closes", lines: []string{
		clean(e.Kind) + " by " + or(clean(e.Actor), unknown) + fromWhere(e) + ", " + ago(h.now(), e.Time),
	}}
	if e.Message != "" {
		p.lines = append(p.lines, clean(e.Message))
	}
	p.lines = append(p.lines, "")
	for i := range e.Changes {
		p.lines = append(p.lines, h.planLine(&e.Changes[i]))
	}
	if r.unkept {
		p.lines = append(p.lines, "", "The rules of the revision before are not kept, so that there is no diff.")
		return p
	}
	p.lines = append(append(p.lines, ""), h.look.diff(r.before.YAML, e.YAML)...)
	return p
}

// planRollback asks the gateway what the way back would change.
func (h *history) planRollback(e *api.HistoryEntry) tea.Cmd {
	if e == nil {
		return nil
	}
	number := e.Revision
	var plan api.Plan
	return h.change(change{
		only: true, twin: []string{"rules", "rollback", revisionOf(e), "--dry-run"},
		call: func(ctx context.Context, c *api.Client) (_ string, err error) {
			plan, err = c.Rollback(ctx, api.RollbackRequest{Revision: number, DryRun: true})
			return "", err
		},
		then: func(string) tea.Cmd {
			if len(plan.Changes) == 0 {
				h.say(fmt.Sprintf("the rules are those of revision %d", number))
				return nil
			}
			h.open(h.askRollback(number, &plan))
			return nil
		},
	})
}

func (h *history) askRollback(number int64, plan *api.Plan) *question {
	q := &question{look: h.look, title: fmt.Sprintf("Roll back to revision %d?", number)}
	for i := range plan.Changes {
		q.lines = append(q.lines, h.planLine(&plan.Changes[i]))
	}
	q.lines = append(q.lines, h.warnings(plan)...)
	q.lines = append(q.lines, "", "It makes a new revision. Keys and upstreams stay as they are.")
	q.answers = []answer{{text: "Roll back", danger: true, do: func() tea.Cmd { return h.rollback(number, plan.Revision) }}}
	return q
}

// rollback does what was shown: it is bound to the revision of the plan.
func (h *history) rollback(number, seen int64) tea.Cmd {
	return h.change(change{
		twin: []string{"rules", "rollback", strconv.FormatInt(number, 10), "--yes"}, books: ruleBooks(),
		call: func(ctx context.Context, c *api.Client) (string, error) {
			plan, err := c.Rollback(ctx, api.RollbackRequest{Revision: number, IfRevision: &seen})
			return fmt.Sprintf("back to the rules of revision %d, as revision %d", number, plan.Revision), err
		},
	})
}
