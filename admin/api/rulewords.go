package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// matchFields are the matchers, what people look for first.
func matchFields() []string {
	return []string{"model", "path", "method", "host", "header", "query", "stream", "key", "user", "tag", "source", "body_bytes", "not"}
}

// MatchText gives a match in one line: model=gpt-*,o*  header x-tier=free. It is as
// the rule says it, and not cleaned for a terminal.
func MatchText(match map[string]any) string {
	var parts []string
	for _, field := range matchFields() {
		value, given := match[field]
		if !given {
			continue
		}
		named, isMap := value.(map[string]any)
		switch {
		case isMap && field == "not":
			parts = append(parts, "not("+MatchText(named)+")")
		case isMap:
			for _, name := range slices.Sorted(maps.Keys(named)) {
				parts = append(parts, field+" "+name+"="+ValueText(named[name]))
			}
		default:
			parts = append(parts, field+"="+ValueText(value))
		}
	}
	if len(parts) == 0 {
		return "*"
	}
	return strings.Join(parts, "  ")
}

// ActionText gives in one line what becomes of the requests that the rule takes:
// → openai  model=gpt-5-mini.
func (r *Rule) ActionText() string {
	text := r.Destination()
	switch {
	case r.Continue:
		text = "→ next rule"
	case text != "":
		text = "→ " + text
	case r.Action["respond"] != nil:
		text = "respond " + respondText(r.Action["respond"])
	default:
		text = "→ binding"
	}
	if model, given := r.Action["model"]; given {
		text += "  model=" + ValueText(model)
	}
	if fallback, given := r.Action["fallback"]; given {
		text += "  else " + entriesText(fallback)
	}
	for _, field := range []string{"path", "headers", "response_headers", "timeouts", "retry", "limits", "body_log"} {
		if _, given := r.Action[field]; given {
			text += "  +" + field
		}
	}
	return strings.TrimRight(text, " ")
}

// Destination names where the rule sends to; empty: it does not say.
func (r *Rule) Destination() string {
	switch {
	case r.Action["upstream"] != nil:
		return ValueText(r.Action["upstream"])
	case r.Action["upstreams"] != nil:
		return entriesText(r.Action["upstreams"])
	case r.Action["target"] != nil:
		return ValueText(r.Action["target"])
	}
	return ""
}

func respondText(value any) string {
	if answer, ok := value.(map[string]any); ok && answer["status"] != nil {
		return ValueText(answer["status"])
	}
	return ""
}

// entriesText gives a list of upstreams with their weights: groq-a/80,groq-b/20.
func entriesText(value any) string {
	entries, ok := value.([]any)
	if !ok {
		return ValueText(value)
	}
	all := make([]string, 0, len(entries))
	for _, one := range entries {
		entry, ok := one.(map[string]any)
		if !ok {
			continue
		}
		text := ValueText(entry["name"])
		if entry["weight"] != nil {
			text += "/" + ValueText(entry["weight"])
		}
		all = append(all, text)
	}
	return strings.Join(all, ",")
}

// ValueText gives a value of a rule on one line.
func ValueText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		all := make([]string, 0, len(v))
		for _, one := range v {
			all = append(all, ValueText(one))
		}
		return strings.Join(all, ",")
	case map[string]any:
		all := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, name+":"+ValueText(v[name]))
		}
		return strings.Join(all, ",")
	}
	return fmt.Sprint(value)
}
