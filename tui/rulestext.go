package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// matchFields are the matchers, what people look for first.
func matchFields() []string {
	return []string{"model", "path", "method", "host", "header", "query", "stream", "key", "user", "tag", "source", "body_bytes", "not"}
}

// matchText gives a match in one line: model=gpt-*,o*  header x-tier=free.
func matchText(match map[string]any) string {
	var parts []string
	for _, field := range matchFields() {
		value, given := match[field]
		if !given {
			continue
		}
		named, isMap := value.(map[string]any)
		switch {
		case isMap && field == "not":
			parts = append(parts, "not("+matchText(named)+")")
		case isMap:
			for _, name := range slices.Sorted(maps.Keys(named)) {
				parts = append(parts, field+" "+clean(name)+"="+scalarText(named[name]))
			}
		default:
			parts = append(parts, field+"="+scalarText(value))
		}
	}
	if len(parts) == 0 {
		return "*"
	}
	return strings.Join(parts, "  ")
}

// ruleAction gives what becomes of the requests that a rule takes.
func (l *look) ruleAction(r *api.Rule) string {
	text := destination(r.Action)
	switch {
	case r.Continue:
		text = l.arrow + " next rule"
	case text != "":
		text = l.arrow + " " + text
	case r.Action["respond"] != nil:
		text = "respond " + respondText(r.Action["respond"])
	default:
		text = l.arrow + " binding"
	}
	if model, given := r.Action["model"]; given {
		text += "  model=" + scalarText(model)
	}
	if fallback, given := r.Action["fallback"]; given {
		text += "  else " + entriesText(fallback)
	}
	for _, field := range []string{"path", "headers", "response_headers", "timeouts", "retry", "limits", "body_log"} {
		if _, given := r.Action[field]; given {
			text += "  +" + field
		}
	}
	return text
}

// destination names where an action sends to; empty: it does not say.
func destination(action map[string]any) string {
	switch {
	case action["upstream"] != nil:
		return scalarText(action["upstream"])
	case action["upstreams"] != nil:
		return entriesText(action["upstreams"])
	case action["target"] != nil:
		return scalarText(action["target"])
	}
	return ""
}

func respondText(value any) string {
	if answer, ok := value.(map[string]any); ok && answer["status"] != nil {
		return scalarText(answer["status"])
	}
	return ""
}

// entriesText gives a list of upstreams with their weights: groq-a/80,groq-b/20.
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

// scalarText gives a value on one line, as it can be shown.
func scalarText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return clean(v)
	case []any:
		all := make([]string, 0, len(v))
		for _, one := range v {
			all = append(all, scalarText(one))
		}
		return strings.Join(all, ",")
	case map[string]any:
		all := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, clean(name)+":"+scalarText(v[name]))
		}
		return strings.Join(all, ",")
	}
	return fmt.Sprint(value)
}

// unlisted gives an item of a YAML list as what it is by itself.
func unlisted(item string) string {
	var b strings.Builder
	for line := range strings.Lines(item) {
		if len(line) > 2 && (strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "  ")) {
			line = line[2:]
		}
		b.WriteString(line)
	}
	return b.String()
}

// cleanLines gives a text of several lines as they can be shown.
func cleanLines(text string) []string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return lines
}
