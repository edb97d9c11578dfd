package tui

import (
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"
)

// column is one column of a table.
type column[T any] struct {
	title string
	text  func(*T) string         // plain, and clean of what a terminal obeys
	style func(*T) lipgloss.Style // nil: plain
	right bool                    // numbers
	least int                     // cells; 0: as wide as its title
	most  int                     // cells; 0: as wide as its widest text
	grow  bool                    // takes what room is left
	rank  int                     // columns of the highest rank go first where there is no room; 0: never
	order func(a, b *T) int       // nil: it cannot be sorted by
	flip  bool                    // sorted the other way round at first: the most first
}

// table shows rows and remembers what a person did to them: the cursor, marks,
// order and filter stay where they are while the rows are loaded again.
type table[T any] struct {
	look    *look
	columns []column[T]
	id      func(*T) string
	field   func(*T, string) (string, bool) // what a filter's field:… looks at

	filter   filter
	sorted   int // 1 + the column; 0: as the rows came
	reversed bool
	marks    map[string]bool
	anchor   string // the row that was marked last

	rows   []T   // all of them
	shown  []int // those that match, in order
	cursor int   // into shown
	at     string
	top    int
	page   int // rows that were drawn last

	blurred bool // another pane has the keys: the cursor is not shown
	ranked  bool // the first rows matter most: they stay in view until somebody moves on
}

// set takes rows as they are now.
func (t *table[T]) set(rows []T) {
	t.rows = rows
	t.arrange()
}

// arrange finds out again which rows are shown in which order, and keeps the
// cursor on the row that it is on.
func (t *table[T]) arrange() {
	t.shown = t.shown[:0]
	for i := range t.rows {
		if t.filter.takes(func(name string) (string, bool) { return t.field(&t.rows[i], name) }, func() []string { return t.texts(&t.rows[i]) }) {
			t.shown = append(t.shown, i)
		}
	}
	if t.sorted > 0 {
		c := &t.columns[t.sorted-1]
		slices.SortStableFunc(t.shown, func(a, b int) int {
			n := c.order(&t.rows[a], &t.rows[b])
			if t.reversed != c.flip {
				return -n
			}
			return n
		})
	}
	if !t.ranked || t.cursor > 0 {
		t.follow()
	}
	t.move(0)
}

// follow puts the cursor where the row that it was on is now.
func (t *table[T]) follow() {
	if at := slices.IndexFunc(t.shown, func(i int) bool { return t.id(&t.rows[i]) == t.at }); at >= 0 && t.at != "" {
		t.cursor = at
	}
}

// blur takes the keys away, or gives them back. A ranked table that has them no
// more shows its first rows again.
func (t *table[T]) blur(blurred bool) {
	if t.blurred = blurred; blurred && t.ranked {
		t.move(-len(t.shown))
	}
}

// texts is what a row says, for a filter without a field.
func (t *table[T]) texts(row *T) []string {
	all := make([]string, len(t.columns))
	for i := range t.columns {
		all[i] = t.columns[i].text(row)
	}
	return all
}

// move moves the cursor, as far as there are rows.
func (t *table[T]) move(by int) {
	t.cursor = max(0, min(t.cursor+by, len(t.shown)-1))
	t.at = ""
	if row := t.current(); row != nil {
		t.at = t.id(row)
	}
}

// goTo puts the cursor on a row; false: it is not among those that are shown.
func (t *table[T]) goTo(id string) bool {
	at := slices.IndexFunc(t.shown, func(i int) bool { return t.id(&t.rows[i]) == id })
	if at < 0 {
		return false
	}
	t.cursor = at
	t.move(0)
	return true
}

// current is the row under the cursor; nil: there is none.
func (t *table[T]) current() *T {
	if t.cursor < 0 || t.cursor >= len(t.shown) {
		return nil
	}
	return &t.rows[t.shown[t.cursor]]
}

// chosen is what an action concerns: the rows that are marked, or else the one
// under the cursor.
func (t *table[T]) chosen() []T {
	var all []T
	for i := range t.rows {
		if t.marks[t.id(&t.rows[i])] {
			all = append(all, t.rows[i])
		}
	}
	if row := t.current(); len(all) == 0 && row != nil {
		all = append(all, *row)
	}
	return all
}

// unmark takes all marks away; false: there were none.
func (t *table[T]) unmark() bool {
	if len(t.marks) == 0 {
		return false
	}
	t.marks = nil
	return true
}

// do does an action of every list; false: it is none of them.
func (t *table[T]) do(action string) bool {
	switch action {
	case "down":
		t.move(1)
	case "up":
		t.move(-1)
	case "first":
		t.move(-len(t.shown))
	case "last":
		t.move(len(t.shown))
	case "page-down":
		t.move(max(1, t.page-1))
	case "page-up":
		t.move(-max(1, t.page-1))
	case "mark":
		t.mark()
	case "mark-range":
		t.markTo()
	case "sort":
		t.sortNext()
	case "reverse":
		t.reversed = !t.reversed
		t.arrange()
	default:
		return false
	}
	return true
}

func (t *table[T]) mark() {
	row := t.current()
	if row == nil {
		return
	}
	if t.marks == nil {
		t.marks = map[string]bool{}
	}
	id := t.id(row)
	if t.marks[id] {
		delete(t.marks, id)
	} else {
		t.marks[id], t.anchor = true, id
	}
	t.move(1)
}

func (t *table[T]) markTo() {
	from := slices.IndexFunc(t.shown, func(i int) bool { return t.id(&t.rows[i]) == t.anchor })
	if from < 0 || !t.marks[t.anchor] {
		t.mark()
		return
	}
	for at := min(from, t.cursor); at <= max(from, t.cursor); at++ {
		t.marks[t.id(&t.rows[t.shown[at]])] = true
	}
}

func (t *table[T]) sortNext() {
	for next := t.sorted + 1; next <= len(t.columns); next++ {
		if t.columns[next-1].order != nil {
			t.sorted, t.reversed = next, false
			t.arrange()
			return
		}
	}
	t.sorted, t.reversed = 0, false
	t.arrange()
}

// filterBy shows what matches; the error says what is wrong with the text.
func (t *table[T]) filterBy(text string) error {
	f, err := parseFilter(text)
	if err != nil {
		return err
	}
	t.filter = f
	t.arrange()
	return nil
}

// counted says how many rows are shown: "3 of 5", or "5".
func (t *table[T]) counted() string {
	switch {
	case len(t.shown) < len(t.rows):
		return count(int64(len(t.shown))) + " of " + count(int64(len(t.rows)))
	case len(t.rows) == 0:
		return "none"
	}
	return count(int64(t.cursor+1)) + " of " + count(int64(len(t.rows)))
}

// draw gives w times h cells: the headings and as many rows as there is room for.
func (t *table[T]) draw(w, h int) string {
	if h <= 0 || w <= 0 {
		return ""
	}
	t.page = max(1, h-1)
	t.top = max(0, min(t.top, len(t.shown)-t.page))
	if t.cursor < t.top {
		t.top = t.cursor
	} else if t.cursor >= t.top+t.page {
		t.top = t.cursor - t.page + 1
	}
	visible := t.shown[t.top:min(len(t.shown), t.top+t.page)]
	texts := make([][]string, len(visible))
	for i, row := range visible {
		texts[i] = t.texts(&t.rows[row])
	}
	widths := t.layOut(texts, w-1) // one cell for the cursor
	lines := []string{t.headings(widths)}
	for i, row := range visible {
		lines = append(lines, t.line(&t.rows[row], texts[i], widths, t.top+i == t.cursor))
	}
	return t.look.block(strings.Join(lines, "\n"), w, h)
}

// layOut gives the width of every column; 0: there is no room for it.
func (t *table[T]) layOut(texts [][]string, room int) []int {
	widths := make([]int, len(t.columns))
	for i := range t.columns {
		c := &t.columns[i]
		widths[i] = max(c.least, width(c.title)+t.signWidth(i))
		for _, row := range texts {
			widths[i] = max(widths[i], width(row[i]))
		}
		if c.most > 0 {
			widths[i] = min(widths[i], max(c.most, width(c.title)+t.signWidth(i)))
		}
	}
	for taken(widths) > room {
		if !t.narrow(widths, taken(widths)-room) {
			break
		}
	}
	if spare := room - taken(widths); spare > 0 {
		for i := range t.columns {
			if t.columns[i].grow && widths[i] > 0 {
				widths[i] += spare
				break
			}
		}
	}
	return widths
}

// narrow takes away a column, or a few cells of those that grow.
func (t *table[T]) narrow(widths []int, by int) bool {
	for i := range t.columns {
		if least := max(t.columns[i].least, 8); t.columns[i].grow && widths[i] > least {
			widths[i] = max(least, widths[i]-by)
			return true
		}
	}
	last := -1
	for i := range t.columns {
		if widths[i] > 0 && t.columns[i].rank > 0 && (last < 0 || t.columns[i].rank >= t.columns[last].rank) {
			last = i
		}
	}
	if last < 0 {
		return false
	}
	widths[last] = 0
	return true
}

func (t *table[T]) signWidth(column int) int {
	if t.sorted == column+1 {
		return 2
	}
	return 0
}

func (t *table[T]) headings(widths []int) string {
	var b strings.Builder
	b.WriteString(" ")
	first := true
	for i := range t.columns {
		if widths[i] == 0 {
			continue
		}
		b.WriteString(gapBefore(&first))
		c, text := &t.columns[i], t.columns[i].title
		if t.sorted == i+1 {
			sign := t.look.up
			if t.reversed != c.flip {
				sign = t.look.down
			}
			text += " " + sign
		}
		b.WriteString(t.cell(c, text, widths[i]))
	}
	return t.look.dim.Render(b.String())
}

// cell is a text in its column.
func (t *table[T]) cell(c *column[T], text string, w int) string {
	if c.right {
		return t.look.fitRight(text, w)
	}
	return t.look.fit(text, w)
}

// gapBefore is what stands before a column: nothing before the first.
func gapBefore(first *bool) string {
	if *first {
		*first = false
		return ""
	}
	return spaces(columnGap)
}

const columnGap = 2

// taken is how many cells columns take together, gaps included.
func taken(widths []int) int {
	n := 0
	for _, w := range widths {
		if w > 0 {
			n += w + columnGap
		}
	}
	return max(0, n-columnGap)
}

func (t *table[T]) line(row *T, texts []string, widths []int, current bool) string {
	current = current && !t.blurred
	var b strings.Builder
	sign, marked := " ", t.marks[t.id(row)]
	switch {
	case current:
		sign = t.look.cursor
	case marked:
		sign = t.look.mark
	}
	b.WriteString(sign)
	first := true
	for i := range t.columns {
		if widths[i] == 0 {
			continue
		}
		b.WriteString(gapBefore(&first))
		c := &t.columns[i]
		text := t.cell(c, texts[i], widths[i])
		if c.style != nil && !current {
			text = c.style(row).Render(text)
		}
		b.WriteString(text)
	}
	switch {
	case current:
		return t.look.selected.Render(b.String())
	case marked:
		return t.look.marked.Render(b.String())
	}
	return b.String()
}
