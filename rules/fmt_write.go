package rules

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// The widths of a file's lines, in characters.
const (
	// widestFlow is the longest line with something in brackets.
	widestFlow = 120
	// widestText is the longest line of a folded text that has a blank to be
	// broken at.
	widestText = 100
	// widestAligned is the longest line that others' comments are moved for.
	widestAligned = 72
)

// line is one line of a file.
type line struct {
	indent  int
	text    string // empty for a blank line
	comment string // behind it
}

// layout writes documents as lines.
type layout struct {
	lines  []line
	blocks map[*yaml.Node]*block
}

func (w *layout) document(d *document) {
	w.remarks(0, d.head)
	if w.fits(d.root, d.whole, 0) {
		w.lines = append(w.lines, line{text: strings.TrimPrefix(d.whole.text, "- ")})
	} else {
		w.block(d.root, 0)
	}
	w.remarks(0, d.foot)
}

func (w *layout) remarks(indent int, texts []string) {
	for _, text := range texts {
		w.lines = append(w.lines, line{indent: indent, text: text})
	}
}

func afterBlanks(texts []string) []string {
	for len(texts) > 0 && texts[0] == "" {
		texts = texts[1:]
	}
	return texts
}

// block writes a collection on lines of its own.
func (w *layout) block(b *block, indent int) {
	for i, e := range b.entries {
		if i == 0 {
			e.head = afterBlanks(e.head)
		}
		w.entry(e, indent)
	}
	w.remarks(indent, b.foot)
}

// entry writes a field or an item with what was written about it.
func (w *layout) entry(e *entry, indent int) {
	inner := w.blocks[e.value]
	switch {
	case inner == nil || w.fits(inner, e, indent):
		w.remarks(indent, e.head)
		w.leaf(e, indent)
	case e.key != nil:
		w.remarks(indent, e.head)
		w.texts(e.name()+anchor(e.value), e.line, indent)
		w.block(inner, indent+2)
	default:
		w.remarks(indent, e.head)
		if e.line != "" {
			w.remarks(indent, []string{e.line})
		}
		w.item(e, inner, indent)
	}
}

// fits says whether a collection, which is the value of e, is written in
// brackets.
func (w *layout) fits(b *block, e *entry, indent int) bool {
	if !b.flow || b.noted {
		return len(b.entries) == 0
	}
	return indent+utf8.RuneCountInString(e.text) <= widestFlow
}

// item writes a list's item on several lines. The first one stands behind the
// dash, unless there is an anchor.
func (w *layout) item(e *entry, inner *block, indent int) {
	if e.value.Anchor != "" {
		w.lines = append(w.lines, line{indent: indent, text: "-" + anchor(e.value)})
		w.block(inner, indent+2)
		return
	}
	first := inner.entries[0]
	w.remarks(indent, afterBlanks(first.head))
	first.head = nil
	dash := len(w.lines)
	w.block(inner, indent+2)
	w.lines[dash].indent, w.lines[dash].text = indent, "- "+w.lines[dash].text
}

func anchor(n *yaml.Node) string {
	if n.Anchor == "" {
		return ""
	}
	return " &" + n.Anchor
}

// leaf writes a scalar, or what is in brackets.
func (w *layout) leaf(e *entry, indent int) {
	if e.value.Kind == yaml.ScalarNode && e.value.Style&yaml.FoldedStyle != 0 && isFoldable(e.value.Value) {
		w.folded(e, indent)
		return
	}
	w.texts(e.text, e.line, indent)
}

// texts writes what the YAML library laid out, with a comment behind its first
// line. A very long name is two lines already: "? name", ":".
func (w *layout) texts(text, comment string, indent int) {
	for part := range strings.SplitSeq(text, "\n") {
		w.lines = append(w.lines, line{indent: indent, text: part, comment: comment})
		comment = ""
	}
}

// folded writes a text that its author broke into lines.
func (w *layout) folded(e *entry, indent int) {
	text, ended := strings.CutSuffix(e.value.Value, "\n")
	opening := e.name() + anchor(e.value) + " >"
	if !ended {
		opening += "-"
	}
	w.texts(opening, e.line, indent)
	for i, paragraph := range strings.Split(text, "\n") {
		if i > 0 {
			w.lines = append(w.lines, line{})
		}
		w.fill(paragraph, indent+2)
	}
}

// fill breaks a paragraph into lines.
func (w *layout) fill(paragraph string, indent int) {
	current := ""
	for word := range strings.FieldsSeq(paragraph) {
		if current != "" && indent+utf8.RuneCountInString(current)+1+utf8.RuneCountInString(word) > widestText {
			w.lines = append(w.lines, line{indent: indent, text: current})
			current = ""
		}
		if current != "" {
			current += " "
		}
		current += word
	}
	w.lines = append(w.lines, line{indent: indent, text: current})
}

// isFoldable says whether a text may be broken at its blanks and comes back the
// same.
func isFoldable(text string) bool {
	for paragraph := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		odd := func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
		if paragraph == "" || paragraph != strings.Join(strings.Fields(paragraph), " ") || strings.ContainsFunc(paragraph, odd) {
			return false
		}
	}
	return true
}

// bytes gives the text. The comments of neighbouring lines that begin in one
// column stand in one column.
func (w *layout) bytes() []byte {
	var out bytes.Buffer
	for i := 0; i < len(w.lines); {
		end := i + 1
		for w.lines[i].comment != "" && end < len(w.lines) && w.lines[end].comment != "" && w.lines[end].column() == w.lines[i].column() {
			end++
		}
		writeAligned(&out, w.lines[i:end])
		i = end
	}
	return out.Bytes()
}

// column is where what a line says begins, behind its dash.
func (l *line) column() int {
	return l.indent + len(l.text) - len(strings.TrimPrefix(l.text, "- "))
}

func writeAligned(out *bytes.Buffer, lines []line) {
	widest := 0
	for _, l := range lines {
		widest = max(widest, l.indent+utf8.RuneCountInString(l.text))
	}
	if widest > widestAligned {
		widest = 0
	}
	for _, l := range lines {
		text := ""
		if l.text != "" {
			text = strings.Repeat(" ", l.indent) + l.text
		}
		out.WriteString(text)
		if l.comment != "" {
			out.WriteString(strings.Repeat(" ", max(1, widest-utf8.RuneCountInString(text)+1)) + l.comment)
		}
		out.WriteByte('\n')
	}
}
