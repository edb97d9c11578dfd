package tui

import (
	"slices"
	"strings"
)

// keyMapMarkdown is KeyMap as the tables of a page: one for what holds everywhere,
// one for what holds in lists, and one for each screen, with its parts.
func keyMapMarkdown() string {
	var scopes []string
	for _, a := range KeyMap() {
		if !slices.Contains(scopes, a.Scope) {
			scopes = append(scopes, a.Scope)
		}
	}
	slices.SortStableFunc(scopes, func(a, b string) int { return scopeRank(a) - scopeRank(b) })
	var b strings.Builder
	for i, scope := range scopes {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString("### " + scopeTitle(scope) + "\n\n| Key | Does | Name |\n|---|---|---|\n")
		for _, a := range KeyMap() {
			if a.Scope == scope {
				b.WriteString("| " + keysMarkdown(a.Keys) + " | " + escapeCell(a.Long) + " | `" + a.Name + "` |\n")
			}
		}
	}
	return b.String()
}

// scopeRank puts what holds everywhere and in lists first, and leaves the screens
// in the order of their numbers.
func scopeRank(scope string) int {
	switch scope {
	case everywhere:
		return 0
	case inLists:
		return 1
	}
	return 2
}

func scopeTitle(scope string) string {
	switch scope {
	case everywhere:
		return "Everywhere"
	case inLists:
		return "In lists"
	}
	screen, part, parted := strings.Cut(scope, ".")
	title := strings.ToUpper(screen[:1]) + screen[1:]
	if parted {
		title += ": " + part
	}
	return title
}

// keysMarkdown are the keys of an action; a run of digits is told by its ends.
func keysMarkdown(keys []string) string {
	if slices.Equal(keys, digits()) {
		return "`1` to `9`"
	}
	texts := make([]string, len(keys))
	for i, key := range keys {
		if key == " " {
			key = "space"
		}
		texts[i] = "`" + key + "`"
	}
	return strings.Join(texts, " ")
}

// escapeCell gives a text as it can stand in a cell of a table.
func escapeCell(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`).Replace(text)
}
