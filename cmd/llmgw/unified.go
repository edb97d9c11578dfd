package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// noFile stands for a text that is not there on one side of a diff.
const noFile = "/dev/null"

// unified gives the unified diff between two texts, "" where they are equal.
func unified(oldName, newName, before, after string) (string, error) {
	text, err := udiff.ToUnified(oldName, newName, before, udiff.Lines(before, after), udiff.DefaultContextLines)
	if err != nil {
		return "", fmt.Errorf("comparing %s with %s: %w", oldName, newName, err)
	}
	return text, nil
}

// writeUnified prints a unified diff, in colours where there are any.
func writeUnified(w io.Writer, look style, diff string) error {
	var b strings.Builder
	for line := range strings.Lines(diff) {
		text := visible(strings.TrimSuffix(line, "\n"))
		b.WriteString(paintUnified(look, text) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func paintUnified(look style, line string) string {
	switch {
	case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
		return look.dim(line)
	case strings.HasPrefix(line, "@@"):
		return look.cyan(line)
	case strings.HasPrefix(line, "+"):
		return look.green(line)
	case strings.HasPrefix(line, "-"):
		return look.red(line)
	}
	return line
}

// visible keeps a text's control characters from steering a terminal; tabs stay.
func visible(text string) string {
	parts := strings.Split(text, "\t")
	for i := range parts {
		parts[i] = oneLine(parts[i])
	}
	return strings.Join(parts, "\t")
}
