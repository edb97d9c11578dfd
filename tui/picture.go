package tui

import (
	"math"

	"github.com/NimbleMarkets/ntcharts/canvas/runes"
)

// mark is one cell of a picture, and the line that it belongs to.
type mark struct {
	sign rune
	line int
}

// What is no line.
const (
	blank  = -1
	ground = -2
)

// The dots of a cell: braille has 2 by 4, and ASCII tells three heights apart.
const (
	brailleWide, brailleHigh = 2, 4
	asciiHigh                = 3
)

// picture draws the lines on w times h cells.
func (p *plot) picture(top float64, w, h int) [][]mark {
	out := make([][]mark, h)
	for y := range out {
		out[y] = make([]mark, max(0, w))
		for x := range out[y] {
			out[y][x] = mark{' ', blank}
		}
	}
	if w <= 0 {
		return out
	}
	if p.columns {
		if len(p.lines) > 0 {
			p.blocks(out, top, w, h)
		}
		return out
	}
	for i := range p.lines {
		if p.look.ascii {
			p.strokes(out, i, top, w, h)
		} else {
			p.dots(out, i, top, w, h)
		}
	}
	return out
}

// dots draws a line in braille. In a cell with another's dots it adds its own.
func (p *plot) dots(out [][]mark, line int, top float64, w, h int) {
	grid := runes.NewPatternDotsGrid(w*brailleWide, h*brailleHigh)
	hole := func(x int) bool { return p.lines[line].broken && x/brailleWide%2 == 1 }
	trace(p.lines[line].values, top, w*brailleWide, h*brailleHigh, func(x, y int) {
		if !hole(x) {
			grid.Set(x, y)
		}
	})
	for y, row := range grid.BraillePatterns() {
		for x, sign := range row {
			at := &out[y][x]
			switch {
			case sign == runes.BrailleBlockOffset: // no dots
			case at.line == blank:
				*at = mark{sign, line}
			default:
				at.sign = runes.CombineBraillePatterns(at.sign, sign)
			}
		}
	}
}

// strokes draws a line in ASCII: three heights in a cell, and an upright where it
// has more than one.
func (p *plot) strokes(out [][]mark, line int, top float64, w, h int) {
	trace(p.lines[line].values, top, w, h*asciiHigh, func(x, y int) {
		at := &out[y/asciiHigh][x]
		switch {
		case p.lines[line].broken && x%2 == 1, at.line != blank && at.line != line:
		case at.line == line:
			at.sign = '|'
		default:
			*at = mark{[asciiHigh]rune{'\'', '-', '.'}[y%asciiHigh], line}
		}
	})
}

// trace walks along a line on w times h dots, from the left to the right, and sets
// those that it goes over. Row 0 is at the top.
func trace(values []float64, top float64, w, h int, set func(x, y int)) {
	values = squeeze(values, w)
	last, connected := 0, false
	for x := range w {
		v := between(values, x, w)
		if math.IsNaN(v) {
			connected = false
			continue
		}
		y := h - 1 - int(math.Round(min(1, v/top)*float64(h-1)))
		from, to := y, y
		if connected && last < y {
			from = last + 1
		} else if connected && last > y {
			to = last - 1
		}
		for ; from <= to; from++ {
			set(x, from)
		}
		last, connected = y, true
	}
}

// between gives what a series is at dot x of w, on the straight way from one value
// to the next. Beside one that is missing, the gap begins halfway.
func between(values []float64, x, w int) float64 {
	n := len(values)
	if n == 0 {
		return missing
	}
	at := float64(n - 1)
	if w > 1 {
		at = at * float64(x) / float64(w-1)
	}
	i := min(int(at), n-1)
	part := at - float64(i)
	a, b := drawable(values[i]), drawable(values[min(i+1, n-1)])
	switch {
	case part == 0, math.IsNaN(b) && part < 0.5:
		return a
	case math.IsNaN(a) && part >= 0.5:
		return b
	}
	return a + (b-a)*part
}

// blocks draws columns. Of what is known to be nothing there is the ground, so that
// it is no gap.
func (p *plot) blocks(out [][]mark, top float64, w, h int) {
	values := squeeze(p.lines[0].values, w)
	steps := len(p.look.bars)
	for x := range w {
		v := missing
		if n := len(values); n > 0 {
			v = drawable(values[x*n/w])
		}
		if math.IsNaN(v) {
			continue
		}
		if v == 0 {
			out[h-1][x] = mark{p.look.bars[0], ground}
			continue
		}
		filled := max(2, int(math.Round(min(1, v/top)*float64(h*steps)))) // one is the ground's
		for y := h - 1; y >= 0 && filled > 0; y-- {
			out[y][x] = mark{p.look.bars[min(filled, steps)-1], 0}
			filled -= steps
		}
	}
}
