package tui

import "strings"

// box is a frame with texts in its edges.
type box struct {
	title   string // upper edge, at the left
	right   string // upper edge, at the right
	foot    string // lower edge, at the left
	count   string // lower edge, at the right
	focused bool
}

// draw gives w times h cells with content inside, which is cut or filled up.
func (b box) draw(l *look, content string, w, h int) string {
	if w < 4 || h < 2 {
		return l.block(content, w, h)
	}
	style := l.border
	if b.focused {
		style = l.focus
	}
	lines := []string{b.edge(l, l.topLeft, l.topRight, b.title, b.right, w)}
	if h > 2 {
		side := style.Render(l.vertical)
		for row := range strings.SplitSeq(l.block(content, w-2, h-2), "\n") {
			lines = append(lines, side+row+side)
		}
	}
	return strings.Join(append(lines, b.edge(l, l.bottomLeft, l.bottomRight, b.foot, b.count, w)), "\n")
}

// toldOf is the box with a word on how many lines of a content have no room in it.
func (b box) toldOf(content string, h int) box {
	_, room := inside(0, h)
	if missing := strings.Count(content, "\n") + 1 - room; missing > 0 {
		b.count = plural(missing, "line") + " more"
	}
	return b
}

// inside is the room that a box of this size has.
func inside(w, h int) (int, int) { return max(0, w-2), max(0, h-2) }

func (b box) edge(l *look, left, right, text, count string, w int) string {
	style, words := l.border, l.title
	if b.focused {
		style = l.focus
	}
	room := w - 4
	if count = l.cut(count, room-2); count != "" {
		count = " " + count + " "
		room -= width(count)
	}
	if room > 4 && text != "" {
		text = " " + l.cut(text, room-2) + " "
	} else {
		text = ""
	}
	line := strings.Repeat(l.horizontal, max(0, w-4-width(text)-width(count)))
	if text != "" {
		text = words.Render(text)
	}
	return style.Render(left+l.horizontal) + text + style.Render(line) + count + style.Render(l.horizontal+right)
}
