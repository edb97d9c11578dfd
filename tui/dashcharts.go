package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// The most that a quiet gateway's charts are blown up.
const (
	leastRate  = 1   // requests a second
	leastShare = 1   // percent
	leastWait  = 100 // milliseconds
)

// leastWaits is how wide the plot of waits is for its two figures to be told apart.
const leastWaits = 42

// requestRate is how many requests ended a second, over what was seen of the
// window.
func (s *dashboardScreen) requestRate() string {
	if !s.books.window.there() {
		return unknown
	}
	return rate(s.books.window.value.Total.Requests, max(s.seen(), time.Second))
}

func (s *dashboardScreen) errorRate() string {
	t := &s.books.window.value.Total
	return percent(t.Errors, t.Requests)
}

func (s *dashboardScreen) waits() (p50, p95 string) {
	t := &s.books.window.value.Total
	return millis(t.FirstTokenP50), millis(t.FirstTokenP95)
}

func (s *dashboardScreen) inFlight() string {
	if !s.books.window.there() {
		return unknown
	}
	return count(s.books.window.value.Flights)
}

// tokens is how many went in and came out a minute, over what was seen of the
// window.
func (s *dashboardScreen) tokens() string {
	if !s.books.window.there() {
		return unknown
	}
	t := &s.books.window.value.Total
	minutes := max(s.seen(), time.Minute).Minutes()
	return fmt.Sprintf("%s %s %s", count(int64(float64(t.InputTokens)/minutes)), s.look.arrow, count(int64(float64(t.OutputTokens)/minutes)))
}

// drawPlots draws the three of them side by side.
func (s *dashboardScreen) drawPlots(w, h int) string {
	one, l := min(w/3, (w-leastWaits)/2), s.look
	from, until := s.pastEnds()
	rates := s.past(perSecond)
	p50, p95 := s.waits()
	requests := &plot{look: l, from: from, until: until, least: leastRate, unit: decimal, lines: []plotted{{values: rates, style: l.accent}}}
	errors := &plot{look: l, from: from, until: until, least: leastShare, unit: inPercent, columns: true, lines: []plotted{{values: s.past(errorShare), style: l.bad}}}
	waits := &plot{look: l, from: from, until: until, least: leastWait, unit: millis, lines: []plotted{
		{values: s.past(firstTokens(func(p *api.Point) float64 { return p.FirstTokenP95 })), style: l.warn},
		{values: s.past(firstTokens(func(p *api.Point) float64 { return p.FirstTokenP50 })), style: l.good, broken: true},
	}}
	return beside(
		s.boxed(requests, box{title: "Requests/s", right: s.requestRate(), foot: s.doubts(), count: rateNow(rates)}, one, h),
		s.boxed(errors, box{title: "Errors", right: s.errorRate()}, one, h),
		s.boxed(waits, box{title: "TTFT", right: fmt.Sprintf("%s p50 %s  %s p95 %s", l.broken, p50, l.line, p95)}, w-2*one, h),
	)
}

func (s *dashboardScreen) boxed(p *plot, b box, w, h int) string {
	inW, inH := inside(w, h)
	return b.draw(s.look, p.draw(inW, inH), w, h)
}

func inPercent(v float64) string { return decimal(v) + "%" }

// doubts says what is missing in the figures; empty: nothing.
func (d *desk) doubts() string {
	w := &d.books.window.value
	var all []string
	if p := w.Partial; p != nil {
		all = append(all, "without "+or(clean(strings.Join(p.Nodes, ", ")), "some nodes"))
	}
	if w.Unseen > 0 {
		all = append(all, count(w.Unseen)+" more not looked at")
	}
	return strings.Join(all, ", ")
}

// drawSparks draws three charts of one line each.
func (s *dashboardScreen) drawSparks(w int) string {
	one := w * 7 / 25 // the third has more to say
	p50, p95 := s.waits()
	rates := s.past(perSecond)
	draw := func(b box, series []float64, w int) string { return b.draw(s.look, s.look.spark(series, w-2), w, 3) }
	return beside(
		draw(box{title: "Requests/s", right: s.requestRate(), count: rateNow(rates)}, rates, one),
		draw(box{title: "Errors", right: s.errorRate()}, s.past(errorShare), one),
		draw(box{title: "TTFT", right: "p50 " + p50 + " p95 " + p95}, s.past(firstTokens(func(p *api.Point) float64 { return p.FirstTokenP95 })), w-2*one),
	)
}

// rateNow is the newest of a series, beside the figure that is of the whole window.
func rateNow(rates []float64) string { return "now " + decimal(latest(rates)) }

// drawStrip draws what is in flight and the tokens, in boxes or on one line.
func (s *dashboardScreen) drawStrip(w, h int) string {
	l, left := s.look, w/2
	flights, tokens := s.past(underWay), s.past(func(p *api.Point, sec float64) float64 { return inPerMinute(p, sec) + outPerMinute(p, sec) })
	if h >= 3 {
		return beside(
			box{title: "In flight", right: s.inFlight()}.draw(l, l.spark(flights, left-2), left, h),
			box{title: "Tokens/min", right: s.tokens()}.draw(l, l.spark(tokens, w-left-2), w-left, h),
		)
	}
	line := func(title, figure string, series []float64, w int) string {
		text := " " + l.title.Render(title) + " " + figure + " "
		return l.fit(text+l.spark(series, w-width(text)-1), w)
	}
	return line("In flight", s.inFlight(), flights, left) + line("Tokens/min", s.tokens(), tokens, w-left)
}

// drawNumbers draws what there is room for on a small terminal: five numbers.
func (s *dashboardScreen) drawNumbers(w, h int) string {
	p50, p95 := s.waits()
	numbers := [][2]string{
		{"Requests/s", s.requestRate()}, {"Errors", s.errorRate()}, {"TTFT p50 p95", p50 + " " + p95},
		{"In flight", s.inFlight()}, {"Tokens/min", s.tokens()},
	}
	var names, figures string
	for _, n := range numbers {
		cell := max(width(n[0]), width(n[1])) + 1
		names += s.look.fit(n[0], cell)
		figures += s.look.fit(n[1], cell)
	}
	return box{title: "Last " + span(s.lookedOver()), count: rateNow(s.past(perSecond)) + " requests/s"}.draw(s.look, s.look.dim.Render(s.look.cut(names, w-2))+"\n"+s.look.bold.Render(s.look.cut(figures, w-2)), w, h)
}
