package tui

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// The bounds of how many names the window is asked for: what the gateway gives
// unasked, and the most that it gives.
const (
	fewestShares = 10
	mostShares   = 1000
)

// figures is the need of a screen that shows what so many names of these kinds did
// within the window. What was not asked for so far is asked for at once.
func (d *desk) figures(names int, kinds ...string) need {
	q := &d.windowQuery
	names = min(max(names, fewestShares), mostShares)
	asked := func() bool {
		for _, kind := range kinds {
			if len(with(q.By, kind)) > len(q.By) {
				return false
			}
		}
		return q.Names >= names
	}
	if !asked() {
		d.books.window.spoil()
	}
	q.By, q.Names = kinds, names
	return need{book: bookWindow, every: windowEvery}
}

// lookedOver is how far back the figures go that are shown. Those of another window
// may still be on their way.
func (d *desk) lookedOver() time.Duration {
	if w := &d.books.window; w.there() {
		return seconds(w.value.WindowS)
	}
	return d.windowQuery.Window
}

// behind is for how long nothing has been heard of what is happening. It is a gap
// in every picture.
func (d *desk) behind() time.Duration {
	w := &d.books.window
	if !w.there() || !d.link.lost() && w.err == nil {
		return 0
	}
	return d.now().Sub(w.at)
}

// past gives a series over the window, one value for a step, up to now: the step
// that is under way is left out, and what is not known is missing.
func (d *desk) past(value func(p *api.Point, seconds float64) float64) []float64 {
	w := &d.books.window.value
	all := make([]float64, 0, len(w.Series))
	for i := range w.Series {
		switch p := &w.Series[i]; {
		case i == len(w.Series)-1:
		case p.Unknown:
			all = append(all, missing)
		default:
			all = append(all, value(p, max(w.StepS, 1e-3)))
		}
	}
	return aged(all, d.behind(), seconds(w.StepS))
}

// pastEnds is when what past gives begins and ends, by the console's own clock.
func (d *desk) pastEnds() (from, until time.Time) {
	until = d.books.window.at.Add(d.behind())
	return until.Add(-d.lookedOver()), until
}

// parts gives what a share had in each part of the window, up to now.
func (d *desk) parts(s *api.Share) []float64 {
	w := &d.books.window.value
	if s == nil || len(s.Series) == 0 {
		return nil
	}
	step := w.WindowS / float64(len(s.Series))
	all := make([]float64, len(s.Series))
	for i := range all {
		all[i] = float64(s.Series[i])
		if float64(len(all)-1-i)*step >= w.SinceS { // over before there was a gateway
			all[i] = missing
		}
	}
	return aged(all, d.behind(), seconds(step))
}

// aged gives a series as it is so much later, when nothing came since.
func aged(series []float64, by, step time.Duration) []float64 {
	if step <= 0 || by < step {
		return series
	}
	n := int(min(by/step, time.Duration(len(series))))
	out := append(make([]float64, 0, len(series)), series[n:]...)
	for range n {
		out = append(out, missing)
	}
	return out
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// latest is the newest value of a series; missing: it ends with a gap.
func latest(series []float64) float64 {
	if len(series) == 0 {
		return missing
	}
	return series[len(series)-1]
}

// perSecond, errorShare and the like are what past is asked for.
func perSecond(p *api.Point, s float64) float64 { return float64(p.Requests) / s }
func inPerMinute(p *api.Point, s float64) float64 {
	return float64(p.InputTokens) * 60 / s
}
func outPerMinute(p *api.Point, s float64) float64 {
	return float64(p.OutputTokens) * 60 / s
}
func underWay(p *api.Point, _ float64) float64 { return float64(p.InFlight) }

// errorShare is in percent. Where there was no request there was no error.
func errorShare(p *api.Point, _ float64) float64 {
	return 100 * float64(p.Errors) / float64(max(1, p.Requests))
}

// firstTokens gives the time to the first token; a step without streams has none.
func firstTokens(of func(*api.Point) float64) func(*api.Point, float64) float64 {
	return func(p *api.Point, _ float64) float64 {
		if ms := of(p); ms > 0 {
			return ms
		}
		return missing
	}
}

// decimal gives a number as short as it is: 0.5, 2, 80, 1,200.
func decimal(v float64) string {
	switch {
	case math.IsNaN(v):
		return unknown
	case v >= 10 || v == math.Trunc(v):
		return count(int64(math.Round(v)))
	case v >= 0.1:
		return trimmed(v, 2)
	}
	return trimmed(v, 4)
}

// trimmed gives a number with at most so many digits behind the point.
func trimmed(v float64, digits int) string {
	return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v, 'f', digits, 64), "0"), ".")
}
