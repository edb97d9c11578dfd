package tui

import (
	"math"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
)

// plot is a picture of what was over time: lines, or columns of blocks. Its lines
// have the same steps. It has no title; a box has.
type plot struct {
	look    *look
	lines   []plotted
	columns bool    // blocks that stand on the ground, of the first line alone
	least   float64 // the scale reaches at least as far: 0.01 % of errors is no mountain
	unit    func(float64) string

	from, until time.Time // of the series; zero: no times are written
}

// plotted is one line of a plot. Where it crosses another, the first one's colour
// is seen.
type plotted struct {
	values []float64 // missing: nothing is known, which is drawn as a gap
	style  lipgloss.Style
	broken bool // drawn with holes, so that it is told from another without colours
}

// The least room of what stands beside a plot.
const (
	leastScaled = 16 // cells of width, with the scale's labels
	leastTimed  = 3  // lines, with the times
)

// draw gives w times h cells.
func (p *plot) draw(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	rows := h
	if h >= leastTimed && !p.until.IsZero() {
		rows--
	}
	top := p.top()
	labels := p.labels(top, rows)
	gutter := longest(labels)
	if w < leastScaled || gutter > w/3 {
		gutter = -1
	}
	room := w - gutter - 1
	lines := make([]string, 0, h)
	for i, row := range p.picture(top, room, rows) {
		lines = append(lines, p.label(labels[i], gutter)+p.render(row))
	}
	if rows < h {
		lines = append(lines, spaces(gutter+1)+p.look.dim.Render(p.times(room)))
	}
	return p.look.block(strings.Join(lines, "\n"), w, h)
}

// top is the end of the scale.
func (p *plot) top() float64 {
	top := p.least
	for i := range p.lines {
		for _, v := range p.lines[i].values {
			if v = drawable(v); v > top { // never of what is missing
				top = v
			}
		}
	}
	return niceAbove(top)
}

// labels gives what stands at the scale in each row.
func (p *plot) labels(top float64, rows int) []string {
	all := make([]string, rows)
	if p.unit == nil {
		return all
	}
	if rows > 1 {
		all[rows-1] = "0"
	}
	if rows >= 5 {
		all[rows-1-rows/2] = p.unit(top / 2)
	}
	all[0] = p.unit(top)
	return all
}

func (p *plot) label(text string, gutter int) string {
	if gutter < 0 {
		return ""
	}
	return p.look.dim.Render(p.look.fitRight(text, gutter) + p.look.vertical)
}

// times gives the line below: when it begins, the middle, and when it ends.
func (p *plot) times(w int) string {
	form := "15:04"
	if p.until.Sub(p.from) < 5*time.Minute {
		form = "15:04:05"
	}
	first, last := p.from.Format(form), p.until.Format(form)
	if w < 2*len(form)+2 {
		return p.look.fitRight(last, w)
	}
	line := p.look.ends(first, last, w)
	if w < 5*len(form) {
		return line
	}
	middle := p.from.Add(p.until.Sub(p.from) / 2).Format(form)
	return over(line, middle, (w-len(form))/2, 0)
}

// render gives one row of the picture, a style for each run of the same line.
func (p *plot) render(row []mark) string {
	var b, run strings.Builder
	for i := range row {
		run.WriteRune(row[i].sign)
		if i == len(row)-1 || row[i+1].line != row[i].line {
			b.WriteString(p.styled(row[i].line, run.String()))
			run.Reset()
		}
	}
	return b.String()
}

func (p *plot) styled(line int, text string) string {
	switch line {
	case blank:
		return text
	case ground:
		return p.look.dim.Render(text)
	}
	return p.lines[line].style.Render(text)
}

// niceAbove gives the least number not below v of which the half is read at a
// glance, too: 1, 1.2, 1.5, 2 and so on, with noughts behind it, or before it.
func niceAbove(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, nice := range []float64{1, 1.2, 1.5, 2, 3, 4, 5, 6, 8} {
		if v <= nice*power*(1+1e-9) { // 0.1+0.2 is 0.3
			return nice * power
		}
	}
	return 10 * power
}

// The values that a plot takes as they are.
const (
	smallestDrawn = 1e-9
	largestDrawn  = 1e15
)

// drawable gives a value as it can be drawn: what is no number is missing, and
// there is nothing below the ground.
func drawable(v float64) float64 {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return missing
	case v < smallestDrawn:
		return 0
	}
	return min(v, largestDrawn)
}
