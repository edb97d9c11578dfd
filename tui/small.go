package tui

import (
	"math"
	"strings"
)

// missing stands in a series where nothing is known. It is drawn as a gap.
var missing = math.NaN()

// spark gives a series as one line of w cells, the newest at the right. Zero is an
// empty line, and the highest value the highest bar.
func (l *look) spark(series []float64, w int) string {
	if w <= 0 {
		return ""
	}
	series = squeeze(series, w)
	top := highest(series)
	var b strings.Builder
	for _, v := range series {
		switch {
		case math.IsNaN(v):
			b.WriteByte(' ')
		case top <= 0 || v <= 0:
			b.WriteRune(l.bars[0])
		default:
			b.WriteRune(l.bars[min(len(l.bars)-1, int(v/top*float64(len(l.bars))))])
		}
	}
	return l.fitRight(b.String(), w)
}

// bar gives a share of 1 as a line of at most w cells.
func (l *look) bar(share float64, w int) string {
	if w <= 0 || math.IsNaN(share) {
		return ""
	}
	eighths := int(math.Round(max(0, min(1, share)) * float64(w*8)))
	text := strings.Repeat(string(l.wide[7]), eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string(l.wide[rest-1])
	}
	return text
}

// squeeze gives at most n values: the highest of those that fall together.
func squeeze(series []float64, n int) []float64 {
	if len(series) <= n {
		return series
	}
	out := make([]float64, n)
	for i := range out {
		part := series[i*len(series)/n : (i+1)*len(series)/n]
		out[i] = missing
		for _, v := range part {
			if math.IsNaN(out[i]) || v > out[i] {
				out[i] = v
			}
		}
	}
	return out
}

func highest(series []float64) (top float64) {
	for _, v := range series {
		if v > top {
			top = v
		}
	}
	return top
}
