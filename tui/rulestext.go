package tui

import (
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// matchText gives a match in one line, as it can be shown.
func matchText(match map[string]any) string { return clean(api.MatchText(match)) }

// ruleAction gives what becomes of the requests that a rule takes.
func (l *look) ruleAction(r *api.Rule) string {
	return strings.ReplaceAll(clean(r.ActionText()), "→", l.arrow)
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
