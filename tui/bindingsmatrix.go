package tui

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// The cells of the matrix.
const (
	matrixCallers = 20 // at most, for the names at the left
	leastColumn   = 12
	mostColumn    = 16
)

// matrix is the bindings as callers by upstreams.
type matrix struct {
	callers, upstreams []string
	cells              map[[2]string][]api.Binding
}

// newMatrix makes the matrix of bindings that stand by caller.
func newMatrix(bindings []api.Binding) matrix {
	m := matrix{cells: map[[2]string][]api.Binding{}}
	upstreams := map[string]bool{}
	for i := range bindings {
		b := bindings[i]
		caller := boundCaller(&b)
		if n := len(m.callers); n == 0 || m.callers[n-1] != caller {
			m.callers = append(m.callers, caller)
		}
		upstreams[b.Upstream] = true
		at := [2]string{caller, b.Upstream}
		m.cells[at] = append(m.cells[at], b)
	}
	m.upstreams = slices.Sorted(maps.Keys(upstreams))
	return m
}

// drawMatrix shows every caller and upstream at once, around the row under the
// cursor: order and weight stand where they meet.
func (s *bindingsScreen) drawMatrix(at *api.Binding, w, h int) string {
	l := s.look
	m := &s.matrix
	inW, inH := inside(w, h)
	rows := max(1, inH-1)
	top := firstShown(slices.Index(m.callers, boundCaller(at)), rows, len(m.callers))
	callers, left := m.callers[top:min(len(m.callers), top+rows)], 0
	for _, c := range callers {
		left = max(left, min(matrixCallers, width(clean(c))))
	}
	room := inW - left - 2
	column := max(leastColumn, min(mostColumn, room/max(1, len(m.upstreams))))
	columns := max(1, room/column)
	from := firstShown(slices.Index(m.upstreams, at.Upstream), columns, len(m.upstreams))
	upstreams := m.upstreams[from:min(len(m.upstreams), from+columns)]
	lines := []string{l.dim.Render("  " + spaces(left) + s.matrixHeads(upstreams, column))}
	for _, caller := range callers {
		var b strings.Builder
		b.WriteString("  " + l.fit(clean(caller), left))
		for _, upstream := range upstreams {
			current := caller == boundCaller(at) && upstream == at.Upstream
			b.WriteString(s.matrixCell(m.cells[[2]string{caller, upstream}], current, column))
		}
		lines = append(lines, b.String())
	}
	b := box{title: "Order " + l.times + " weight", foot: "a low order is tried first"}
	if hidden := len(m.upstreams) - len(upstreams); hidden > 0 {
		b.count = plural(hidden, "upstream") + " more"
	}
	return b.draw(l, strings.Join(lines, "\n"), w, h)
}

// firstShown is where what is shown begins, so that one of all is among it.
func firstShown(at, room, all int) int { return max(0, min(at-room/2, all-room)) }

func (s *bindingsScreen) matrixHeads(upstreams []string, column int) string {
	var b strings.Builder
	for _, name := range upstreams {
		b.WriteString(s.look.fitRight(s.look.cut(clean(name), column-1), column))
	}
	return b.String()
}

func (s *bindingsScreen) matrixCell(bound []api.Binding, current bool, column int) string {
	l := s.look
	text := l.dot
	if len(bound) > 0 {
		text = strconv.Itoa(bound[0].Order) + l.times + strconv.Itoa(bound[0].Weight)
		if len(bound) > 1 {
			text += " +" + strconv.Itoa(len(bound)-1)
		}
	}
	if !current {
		text = l.fitRight(text, column)
		if len(bound) == 0 {
			return l.dim.Render(text)
		}
		return text
	}
	text = l.cursor + l.cut(text, column-2)
	return spaces(column-width(text)) + l.selected.Render(text)
}
