package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// auditKind is the noun of what was changed.
func auditKind(e api.AuditEntry) string {
	kind, _, _ := strings.Cut(e.Subject, ":")
	return dash(kind)
}

// auditChanges tells what a change did to the fields of an object:
// role: member → admin; email: + a@example.com; models: - gpt-4*.
func auditChanges(e api.AuditEntry) string {
	var changes []string
	switch {
	case e.Before == nil && e.After != nil:
		changes = append(changes, "made")
	case e.Before != nil && e.After == nil:
		changes = append(changes, "removed")
	}
	changes = append(changes, fieldChanges("", e.Before, e.After)...)
	return dash(strings.Join(changes, "; "))
}

// fieldChanges tells of each field what became of it; the name of one within
// another stands behind that one's and a dot.
func fieldChanges(within string, before, after map[string]any) []string {
	var changes []string
	for _, name := range fieldsOf(before, after) {
		field := within + name
		old, was := before[name]
		now, is := after[name]
		oldFields, hadFields := old.(map[string]any)
		nowFields, hasFields := now.(map[string]any)
		switch {
		case was && is && reflect.DeepEqual(old, now):
		case hadFields && hasFields:
			changes = append(changes, fieldChanges(field+".", oldFields, nowFields)...)
		case was && is:
			changes = append(changes, field+": "+fieldChange(old, now))
		case is:
			changes = append(changes, field+": + "+auditValue(now))
		default:
			changes = append(changes, field+": - "+auditValue(old))
		}
	}
	return changes
}

// fieldsOf gives every name of two objects once, in order.
func fieldsOf(a, b map[string]any) []string {
	names := append(sorted(a), sorted(b)...)
	slices.Sort(names)
	return slices.Compact(names)
}

// fieldChange tells of two lists what came and what went, and of any other
// values both.
func fieldChange(before, after any) string {
	old, wasList := before.([]any)
	now, isList := after.([]any)
	if !wasList || !isList {
		return auditValue(before) + " → " + auditValue(after)
	}
	var parts []string
	if gone := without(old, now); len(gone) > 0 {
		parts = append(parts, "- "+auditValue(gone))
	}
	if came := without(now, old); len(came) > 0 {
		parts = append(parts, "+ "+auditValue(came))
	}
	if len(parts) == 0 {
		return "in another order"
	}
	return strings.Join(parts, " ")
}

// without gives the items that others does not have.
func without(items, others []any) []any {
	return slices.DeleteFunc(slices.Clone(items), func(item any) bool {
		return slices.ContainsFunc(others, func(other any) bool { return reflect.DeepEqual(item, other) })
	})
}

// auditValue writes texts as they are, lists with commas, and what has fields as
// JSON.
func auditValue(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		all := make([]string, 0, len(v))
		for _, one := range v {
			all = append(all, auditValue(one))
		}
		return strings.Join(all, ",")
	}
	text, err := json.Marshal(value)
	if err != nil { // cannot be: it was read from JSON
		return fmt.Sprint(value)
	}
	return string(text)
}
