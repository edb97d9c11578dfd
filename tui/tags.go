package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// tagsText gives tags as a form has them: a=1, b=2. A comma of a value, and a
// backslash, have a backslash before them.
func tagsText(tags map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, name+"="+strings.NewReplacer(`\`, `\\`, ",", `\,`).Replace(tags[name]))
	}
	return strings.Join(all, ", ")
}

// tagsIn reads tags as tagsText writes them. Space around one is not of it.
func tagsIn(text string) (map[string]string, error) {
	tags := map[string]string{}
	for _, part := range unescapedParts(text) {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, valued := strings.Cut(part, "=")
		if !valued || name == "" {
			return nil, fmt.Errorf("%s is no tag; write NAME=VALUE", clean(part))
		}
		tags[name] = value
	}
	return tags, nil
}

// unescapedParts gives what stands between commas. What follows a backslash is
// itself.
func unescapedParts(text string) []string {
	var parts []string
	var part strings.Builder
	escaped := false
	for _, r := range text {
		switch {
		case escaped:
			part.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == ',':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteRune(r)
		}
	}
	return append(parts, part.String())
}

// tagFlags are the flags that give an object these tags, in place of any it has.
func tagFlags(tags map[string]string) []string {
	if len(tags) == 0 {
		return []string{"--tag", ""}
	}
	var flags []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		flags = append(flags, "--tag", name+"="+tags[name])
	}
	return flags
}
