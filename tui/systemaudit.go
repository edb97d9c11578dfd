package tui

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

func auditList(d *desk) list[api.AuditEntry] {
	return list[api.AuditEntry]{
		desk: d, heading: "Audit", word: "entry",
		empty: emptiness{"Nothing was changed yet.", "llmgw audit list shows all of it"},
		load:  func() ([]api.AuditEntry, bookState) { return d.books.audit.value, d.books.audit.state() },
		table: table[api.AuditEntry]{
			look: d.look, field: auditField,
			id: func(e *api.AuditEntry) string { return strconv.FormatInt(e.Seq, 10) + " " + e.Subject },
			columns: []column[api.AuditEntry]{
				{title: "WHEN", text: func(e *api.AuditEntry) string { return ago(d.now(), e.Time) }, least: 10, order: func(a, b *api.AuditEntry) int { return a.Time.Compare(b.Time) }},
				{title: "WHO", text: func(e *api.AuditEntry) string { return clean(e.Actor) }, most: 16, order: func(a, b *api.AuditEntry) int { return cmp.Compare(a.Actor, b.Actor) }},
				{title: "WHAT", text: func(e *api.AuditEntry) string { return clean(e.Action) }, most: 20, rank: 1},
				{title: "OF", text: func(e *api.AuditEntry) string { return clean(e.Name) }, grow: true, least: 8},
				{title: "MESSAGE", text: func(e *api.AuditEntry) string { return clean(e.Message) }, most: 24, rank: 2},
			},
		},
	}
}

func auditField(e *api.AuditEntry, name string) (string, bool) {
	switch name {
	case "who", "actor":
		return e.Actor, true
	case "what", "action":
		return e.Action, true
	case "of", "name":
		return e.Name, true
	case "from":
		return e.From, true
	case "message":
		return e.Message, true
	}
	return "", false
}

// auditPage shows what a change did to an object.
func (s *systemScreen) auditPage(e *api.AuditEntry) *page {
	text := s.facts(pageWidth,
		[2]string{"when", momentOf(&e.Time) + ", " + ago(s.now(), e.Time)}, [2]string{"who", clean(e.Actor)}, [2]string{"from", clean(e.From)},
		[2]string{"what", clean(e.Action)}, [2]string{"of", clean(e.Name) + " (" + clean(e.Subject) + ")"}, [2]string{"message", clean(e.Message)},
		[2]string{"number", fmt.Sprintf("%d, revision %d", e.Seq, e.Revision)},
	)
	lines := append(strings.Split(text, "\n"), "")
	changes := s.differences(e.Before, e.After)
	if len(changes) == 0 {
		changes = []string{" what it was and became is not kept"}
	}
	return &page{look: s.look, title: "Change " + strconv.FormatInt(e.Seq, 10), foot: "esc closes", lines: append(lines, changes...)}
}

// differences lists the fields of an object before and after, what changed with -
// and +.
func (s *systemScreen) differences(before, after map[string]any) []string {
	was, is := map[string]string{}, map[string]string{}
	flatten("", before, was)
	flatten("", after, is)
	names := slices.Collect(maps.Keys(was))
	names = slices.AppendSeq(names, maps.Keys(is))
	slices.Sort(names)
	var lines []string
	for _, name := range slices.Compact(names) {
		old, had := was[name]
		now, has := is[name]
		if had && has && old == now {
			lines = append(lines, s.look.dim.Render("   "+clean(name+": "+old)))
			continue
		}
		if had {
			lines = append(lines, s.look.removed.Render(" - "+clean(name+": "+old)))
		}
		if has {
			lines = append(lines, s.look.added.Render(" + "+clean(name+": "+now)))
		}
	}
	return lines
}

// flatten gives what is in nested objects by the path to it: match.model.
func flatten(path string, value any, into map[string]string) {
	object, nested := value.(map[string]any)
	if !nested || len(object) == 0 && path != "" {
		if path != "" {
			into[path] = fmt.Sprint(value)
		}
		return
	}
	for name, one := range object {
		if path != "" {
			name = path + "." + name
		}
		flatten(name, one, into)
	}
}
