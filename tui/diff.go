package tui

import (
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// diff gives the lines in which two texts differ, with a few around them. Each
// begins with +, - or a space, which says the same without colours.
func (l *look) diff(before, after string) []string {
	text, err := udiff.ToUnified("a", "b", before, udiff.Lines(before, after), udiff.DefaultContextLines)
	if err != nil { // the edits do not fit the text: they are shown as the texts
		text = "\n\n-" + strings.Join(cleanLines(before), "\n-") + "\n+" + strings.Join(cleanLines(after), "\n+")
	}
	if text == "" {
		return []string{l.dim.Render("  the same")}
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")[2:] // without the names of files
	for i, line := range lines {
		line = clean(line)
		switch {
		case strings.HasPrefix(line, "@@"):
			line = l.dim.Render(line)
		case strings.HasPrefix(line, "+"):
			line = l.added.Render(line)
		case strings.HasPrefix(line, "-"):
			line = l.removed.Render(line)
		}
		lines[i] = line
	}
	return lines
}
