package tui

import (
	"math"
	"strings"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// phase is one part of an exchange, in milliseconds after its first byte.
type phase struct {
	from, to float64
	label    string
}

// drawTiming gives the phases as a waterfall, and the gaps between chunks.
func (s *trafficScreen) drawTiming(row *tailRow, w int) string {
	x := row.ended
	if x == nil {
		return "\n" + strings.Join(indented(wrap(s.underWay(row.started), w-2)), "\n")
	}
	if x.Timing == nil {
		return "\n" + strings.Join(indented(wrap(whyNoTiming(x), w-2)), "\n") + "\n\n" + s.drawShare(x, w)
	}
	return s.drawPhases(phasesOf(x), x.DurationMS, w) + "\n" + s.drawGaps(x.Timing, w) + s.drawShare(x, w)
}

func indented(lines []string) []string {
	for i := range lines {
		lines[i] = " " + lines[i]
	}
	return lines
}

// whyNoTiming says why nothing is known of the phases.
func whyNoTiming(x *api.Exchange) string {
	if x.Attempts > 0 && x.Upstream != "" {
		return "Node " + clean(x.Node) + " did not tell the phases of this exchange: it runs a version that does not measure them."
	}
	text := "No phases: it was not sent to an upstream. The gateway answered it itself, after " + or(millis(x.DurationMS), unknown)
	if x.Error != "" {
		text += " (" + clean(x.Error) + ")"
	}
	return text + "."
}

// underWay tells of an exchange that has not ended what is known by now.
func (s *trafficScreen) underWay(f *api.Flight) string {
	for i := range s.books.streams.value.Items {
		if one := &s.books.streams.value.Items[i]; one.RequestID == f.RequestID {
			f = one // it was asked for since it started
		}
	}
	text := "Under way for " + span(s.now().Sub(f.StartedAt))
	if f.FirstToken > 0 {
		text += ", first token after " + millis(f.FirstToken)
	}
	if f.SentBytes > 0 {
		text += ", " + bytesOf(f.SentBytes) + " sent, the last of it " + millis(f.LastWriteMS) + " before that was asked"
	}
	return text + ". The phases are told when it ends."
}

// phasesOf are the phases of an exchange that was sent to an upstream. What has no
// length is told in words.
func phasesOf(x *api.Exchange) []phase {
	t := x.Timing
	all := []phase{{0, t.Body, "body " + millisOr0(t.Body)}}
	decided := max(t.Dispatched-t.Body, 0)
	if x.Attempts > 1 {
		all = append(all, phase{t.Body, t.Dispatched, plural(x.Attempts-1, "attempt") + " before " + millisOr0(decided)})
	} else {
		all = append(all, phase{t.Body, t.Dispatched, "key, rule and limits " + millisOr0(decided)})
	}
	if t.Connect > 0 {
		all = append(all, phase{t.Dispatched, t.Dispatched + t.Connect, "connect " + millis(t.Connect)})
	} else {
		all = append(all, phase{t.Dispatched, t.Dispatched, "connect 0 (reused)"})
	}
	if t.Header <= 0 {
		return append(all, phase{t.Dispatched, x.DurationMS, "waiting " + millisOr0(x.DurationMS-t.Dispatched) + ", no answer"})
	}
	all = append(all, phase{t.Dispatched, t.Header, "waiting " + millisOr0(t.Header-t.Dispatched)})
	begun := max(t.Header, t.FirstByte)
	if x.FirstTokenMS > 0 {
		all = append(all, phase{t.Header, x.FirstTokenMS, "first token " + millis(x.FirstTokenMS)})
		begun = max(begun, x.FirstTokenMS)
	}
	word := "answer "
	if x.Stream {
		word = "stream "
	}
	label := word + millisOr0(x.DurationMS-begun)
	if t.Chunks > 0 {
		label += ", " + plural(int(t.Chunks), "chunk")
	}
	return append(all, phase{begun, x.DurationMS, label})
}

// millisOr0 is millis where no time at all is a time, too.
func millisOr0(ms float64) string {
	if ms <= 0 {
		return "0 ms"
	}
	return millis(ms)
}

// drawPhases puts each phase on a line of its own, where it was and as long as it
// was.
func (s *trafficScreen) drawPhases(phases []phase, whole float64, w int) string {
	label := 0
	for _, p := range phases {
		whole = max(whole, p.to)
		label = max(label, width(p.label))
	}
	room := max(1, w-3-label)
	lines := make([]string, len(phases))
	for i, p := range phases {
		from, to := 0, 0
		if whole > 0 {
			from = min(room-1, int(p.from/whole*float64(room)))
			to = int(math.Round(p.to / whole * float64(room)))
		}
		length := max(0, min(to, room)-from)
		bar := strings.Repeat(string(s.look.wide[7]), length)
		if length == 0 {
			bar = string(s.look.wide[0])
		}
		lines[i] = " " + spaces(from) + s.look.accent.Render(bar) + " " + p.label
	}
	return strings.Join(lines, "\n")
}

// drawGaps gives the longest gap between chunks in each step of the stream.
func (s *trafficScreen) drawGaps(t *api.Timing, w int) string {
	if t.Chunks < 2 || len(t.Gaps) == 0 {
		return ""
	}
	gaps := make([]float64, len(t.Gaps))
	for i, g := range t.Gaps {
		gaps[i] = float64(g)
	}
	words := "longest " + millis(t.Gap) + " at " + millis(t.GapAt)
	if t.GapStep > 0 {
		words += ", one bar is " + millis(t.GapStep)
	}
	head := " " + s.look.dim.Render("chunk gaps") + " "
	if width(head)+len(gaps)+2+width(words) > w {
		return head + s.look.spark(gaps, max(1, min(len(gaps), w-width(head)-1))) + "\n " + words + "\n"
	}
	return head + s.look.spark(gaps, len(gaps)) + "  " + words + "\n"
}

// drawShare gives what of the time was the gateway's own.
func (s *trafficScreen) drawShare(x *api.Exchange, w int) string {
	own := time.Duration(x.OverheadUS) * time.Microsecond
	text := " " + s.look.dim.Render("gateway's own share") + " " + millisOr0(float64(own)/float64(time.Millisecond))
	if whole := int64(x.DurationMS * 1000); whole > 0 {
		text += " (" + percent(min(x.OverheadUS, whole), whole) + ")"
	}
	return s.look.cut(text+", "+s.look.dim.Render("whole")+" "+millisOr0(x.DurationMS), w)
}
