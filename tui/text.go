package tui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// clean gives text that a caller or a provider chose as it can be shown: on one
// line, without anything that a terminal would obey, and without marks at its ends
// that belong to a letter of what stands beside it.
func clean(text string) string {
	if strings.IndexFunc(text, obeyed) >= 0 {
		text = strings.Map(func(r rune) rune {
			if obeyed(r) {
				return instead
			}
			return r
		}, text)
	}
	if first, n := utf8.DecodeRuneInString(text); n > 0 && first >= firstMark && oneLetter("|", text[:n]) {
		text = string(instead) + text[n:]
	}
	if last, n := utf8.DecodeLastRuneInString(text); n > 0 && last >= firstMark && oneLetter(text[len(text)-n:], "|") {
		text = text[:len(text)-n] + string(instead)
	}
	return text
}

const (
	instead   = '·'    // of what is not shown
	firstMark = 0x0300 // no rune below joins another
)

// oneLetter says whether a terminal may draw two runes as one (Unicode annex 29).
func oneLetter(a, b string) bool {
	cluster, _ := ansi.FirstGraphemeCluster(a+b, ansi.GraphemeWidth)
	return len(cluster) > len(a)
}

// obeyed says whether a terminal may do something else with a rune than show it:
// control characters, those that turn the direction of writing, and ends of lines.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar
}

// width is how many cells of the terminal a text takes. Most of what is drawn is
// plain, and counted at once: nine tenths of a frame's time went into looking for
// letters of several runes where there are none.
func width(text string) int {
	if n, ok := plainWidth(text); ok {
		return n
	}
	return ansi.StringWidth(text)
}

// plainWidth counts the cells of a text of nothing but ASCII, lines, blocks, Braille
// and changes of style. None of those runes joins another, and each takes one cell.
func plainWidth(text string) (cells int, ok bool) {
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\x1b':
			n := styleLength(text[i:])
			if n == 0 {
				return 0, false
			}
			i += n
		case c >= ' ' && c <= '~':
			i++
			cells++
		default:
			r, n := utf8.DecodeRuneInString(text[i:])
			if (r < '─' || r > '▟') && (r < '⠀' || r > '⣿') {
				return 0, false
			}
			i += n
			cells++
		}
	}
	return cells, true
}

// styleLength is how long the change of style is with which a text begins; 0: it
// begins with none.
func styleLength(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	for i := len("\x1b["); i < len(text); i++ {
		switch c := text[i]; {
		case c == 'm':
			return i + 1
		case (c < '0' || c > '9') && c != ';':
			return 0
		}
	}
	return 0
}

// cut shortens a line to w cells, with a sign that something is missing.
func (l *look) cut(text string, w int) string {
	if w <= 0 {
		return ""
	}
	if width(text) <= w {
		return text
	}
	return ansi.Truncate(text, w, l.more)
}

// fit gives a line of exactly w cells.
func (l *look) fit(text string, w int) string {
	if w <= 0 {
		return ""
	}
	text = l.cut(text, w)
	return text + spaces(w-width(text))
}

// fitRight is fit with the text at the right.
func (l *look) fitRight(text string, w int) string {
	if w <= 0 {
		return ""
	}
	text = l.cut(text, w)
	return spaces(w-width(text)) + text
}

// ends puts one text at the left and one at the right of a line of w cells. Where
// there is not room for both, the left one is shortened, and then the right one.
func (l *look) ends(left, right string, w int) string {
	right = l.cut(right, w)
	room := w - width(right)
	if right != "" && room > 0 {
		room--
	}
	return l.fit(left, room) + spaces(w-room-width(right)) + right
}

func spaces(n int) string { return strings.Repeat(" ", max(0, n)) }

// block gives text of exactly w times h cells: lines are cut or filled up, and so
// is their number.
func (l *look) block(text string, w, h int) string {
	if h <= 0 || w <= 0 {
		return ""
	}
	lines := strings.Split(text, "\n")
	if len(lines) > h {
		lines = lines[:h]
	}
	for len(lines) < h {
		lines = append(lines, "")
	}
	for i := range lines {
		lines[i] = l.fit(lines[i], w)
	}
	return strings.Join(lines, "\n")
}

// beside puts blocks of the same height next to each other.
func beside(blocks ...string) string {
	split := make([][]string, len(blocks))
	rows := 0
	for i, b := range blocks {
		split[i] = strings.Split(b, "\n")
		rows = max(rows, len(split[i]))
	}
	lines := make([]string, rows)
	for i := range lines {
		for _, b := range split {
			if i < len(b) {
				lines[i] += b[i]
			}
		}
	}
	return strings.Join(lines, "\n")
}

// below puts blocks under each other; empty ones take no line.
func below(blocks ...string) string {
	var all []string
	for _, b := range blocks {
		if b != "" {
			all = append(all, b)
		}
	}
	return strings.Join(all, "\n")
}

// wrap breaks text into lines of at most w cells.
func wrap(text string, w int) []string {
	if w <= 0 {
		return nil
	}
	if !strings.Contains(text, " -") || strings.Contains(text, unbroken) {
		return wrapped(text, w)
	}
	words := strings.Split(text, " ")
	for i, word := range words {
		if strings.HasPrefix(word, "-") { // a flag: what is behind its dashes is no line of its own
			words[i] = strings.ReplaceAll(word, "-", unbroken)
		}
	}
	lines := wrapped(strings.Join(words, " "), w)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], unbroken, "-")
	}
	return lines
}

// unbroken is a hyphen behind which no line ends.
const unbroken = "\u2011"

func wrapped(text string, w int) []string {
	const ends = " /,;" // behind these a line may end
	lines := strings.Split(ansi.Wrap(text, w, ends), "\n")
	if longest(lines) > w { // it gives one of those its cell, even where there is none
		lines = strings.Split(ansi.Wrap(text, max(1, w-1), ends), "\n")
	}
	open := "" // the style in which the line before ended
	for i := range lines {
		lines[i] = open + lines[i]
		if open = styleAtEnd(lines[i]); open != "" {
			lines[i] += ansi.ResetStyle
		}
	}
	return lines
}

// styleAtEnd gives the sequences that are in force at the end of a line.
func styleAtEnd(line string) string {
	var open strings.Builder
	for {
		at := strings.Index(line, "\x1b[")
		if at < 0 {
			return open.String()
		}
		line = line[at:]
		sequence, rest, found := strings.Cut(line, "m")
		if !found {
			return open.String()
		}
		if line = rest; sequence == "\x1b[" || sequence == "\x1b[0" {
			open.Reset()
		} else {
			open.WriteString(sequence + "m")
		}
	}
}

// over lays a box over a block, its upper left corner at column x of line y.
func over(block, box string, x, y int) string {
	lines := strings.Split(block, "\n")
	for i, row := range strings.Split(box, "\n") {
		at := y + i
		if at < 0 || at >= len(lines) {
			continue
		}
		line := lines[at]
		whole := width(line)
		left := ansi.Cut(line, 0, x)
		left += spaces(x - width(left)) // half of a wide character was cut off
		end := x + width(row)
		right := ""
		for from := end; from < whole; from++ {
			if part := ansi.Cut(line, from, whole); width(part) <= whole-end {
				right = part
				break
			}
		}
		lines[at] = left + row + spaces(whole-end-width(right)) + right
	}
	return strings.Join(lines, "\n")
}
