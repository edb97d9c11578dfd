package tui

import (
	"encoding/csv"
	"strconv"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

// clipboardLimit is how much is put into the clipboard. Terminals take 74,994 bytes
// of base64 at least, where they take any.
const clipboardLimit = 56_000

// export copies the rows that are shown as CSV. The console may be at the far end
// of ssh: a file here would be of no use there.
func (s *usageScreen) export() tea.Cmd {
	text, rows := s.csv()
	if all := len(s.table.shown); rows < all {
		s.complain("copied the first " + count(int64(rows)) + " of " + count(int64(all)) + " rows as CSV; more does not fit into a clipboard")
	} else {
		s.say("copied " + plural(rows, "row") + " as CSV; if nothing arrives, the terminal does not allow it")
	}
	return s.copiesQuietly(text)
}

// csv gives the rows that are shown, in their order, and how many of them there was
// room for.
func (s *usageScreen) csv() (text string, rows int) {
	var b strings.Builder
	w := csv.NewWriter(&b)
	write := func(fields ...string) bool {
		before := b.Len()
		_ = w.Write(fields) // a Builder takes everything
		w.Flush()
		if b.Len() > clipboardLimit {
			text = b.String()[:before]
			return false
		}
		return true
	}
	write(s.by(), "requests", "errors", "refused", "input_tokens", "output_tokens")
	for _, i := range s.table.shown {
		r := &s.table.rows[i]
		if !write(csvName(r.Name), number10(r.Requests), number10(r.Errors), number10(r.Refused), number10(r.InputTokens), number10(r.OutputTokens)) {
			return text, rows
		}
		rows++
	}
	return b.String(), rows
}

func number10(n int64) string { return strconv.FormatInt(n, 10) }

// csvName gives a name that a caller may have chosen, as a model's, so that no
// spreadsheet takes it for a formula.
func csvName(name string) string {
	name = clean(name)
	if name != "" && strings.ContainsRune("=+-@", rune(name[0])) {
		return "'" + name
	}
	return name
}
