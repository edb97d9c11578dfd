package tui

import (
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"github.com/llmgw/llmgw/admin/api"
)

// wideTraffic and widestTraffic are from how many cells on names have more room.
const (
	wideTraffic   = 100
	widestTraffic = 150
)

// tailColumns are the columns of the tail. Their widths do not depend on what is
// in them, so that nothing moves while rows come.
func (s *trafficScreen) tailColumns(w int) []column[tailRow] {
	model, name := 14, 10
	switch {
	case w >= widestTraffic-2: // inside its box
		model, name = 32, 18
	case w >= wideTraffic-2:
		model, name = 20, 12
	}
	l := s.look
	return []column[tailRow]{
		{title: "TIME", text: func(r *tailRow) string { return s.clockAt(r.time()) }, least: 8, most: 8},
		{title: "ST", text: func(r *tailRow) string { return statusText(l, r) }, style: s.statusStyle, least: 3, most: 3},
		{title: "MODEL", text: func(r *tailRow) string { v, _ := r.field("model"); return or(clean(v), unknown) }, least: model, most: model},
		{title: "UPSTREAM", text: func(r *tailRow) string { v, _ := r.field("upstream"); return or(clean(v), unknown) }, least: name, most: name, rank: 1},
		{title: "KEY", text: func(r *tailRow) string { v, _ := r.field("key"); return or(clean(v), unknown) }, least: name, most: name, rank: 2},
		{title: "TTFT", text: func(r *tailRow) string { return millis(r.firstToken()) }, right: true, least: 7, most: 7, rank: 3},
		{title: "TOTAL", text: func(r *tailRow) string { return totalText(l, r, s.now()) }, right: true, least: 7, most: 7},
		{title: "IN " + l.arrow + " OUT", text: func(r *tailRow) string { return tokensText(l, r.ended) }, right: true, least: 13, most: 13, rank: 4},
		{title: "END", text: func(r *tailRow) string { return endText(l, r) }, style: s.endStyle, least: 12, most: 12, grow: true},
	}
}

// time is when it ended, or started where it has not.
func (r *tailRow) time() time.Time {
	if r.ended != nil {
		return r.ended.Time
	}
	return r.started.StartedAt
}

func (r *tailRow) firstToken() float64 {
	if r.ended != nil {
		return r.ended.FirstTokenMS
	}
	return r.started.FirstToken
}

// clockAt gives the time of day where the console is: gateways tell it in UTC.
func (d *desk) clockAt(t time.Time) string { return clockOf(t.In(d.now().Location())) }

func statusText(l *look, r *tailRow) string {
	switch {
	case r.ended == nil:
		return strings.Repeat(l.dot, 3)
	case r.ended.Status == 0:
		return unknown
	}
	return strconv.Itoa(r.ended.Status)
}

func totalText(l *look, r *tailRow, now time.Time) string {
	if r.ended != nil {
		return millis(r.ended.DurationMS)
	}
	return millis(float64(now.Sub(r.started.StartedAt))/float64(time.Millisecond)) + l.more
}

// tokensText gives the tokens that went in and came out: 902 → 118.
func tokensText(l *look, x *api.Exchange) string {
	if x == nil || x.InputTokens == nil && x.OutputTokens == nil {
		return unknown
	}
	return countOf(x.InputTokens) + " " + l.arrow + " " + countOf(x.OutputTokens)
}

func countOf(n *int64) string {
	if n == nil {
		return unknown
	}
	return count(*n)
}

// endText tells how it ended, where that was not well, or that it has not.
func endText(l *look, r *tailRow) string {
	switch x := r.ended; {
	case x == nil && r.absent > 0:
		return l.dash + " end not told"
	case x == nil && r.started.Stream:
		return l.streaming + " streaming"
	case x == nil:
		return l.streaming + " waiting"
	case x.EndReason == "client_gone":
		return "client left"
	case x.EndReason == "revoked":
		return l.gone + " cut"
	case x.EndReason == "complete" && x.Status < 400:
		return ""
	case x.Error != "":
		return l.no + " " + clean(x.Error)
	default:
		return l.no + " " + whyEnded(x)
	}
}

// whyEnded says in a few words why an exchange did not end well, for which the
// gateway had no code of its own.
func whyEnded(x *api.Exchange) string {
	switch x.EndReason {
	case "complete":
		if x.Attempts == 0 {
			return "gateway"
		}
		return "upstream"
	case "rejected":
		return "refused"
	case "limited":
		return "over a limit"
	case "client_stalled":
		return "client took no more"
	case "connect_error":
		return "not reached"
	case "upstream_error":
		return "upstream broke off"
	case "upstream_truncated":
		return "upstream cut short"
	case "header_timeout", "first_token_timeout", "idle_timeout":
		return "upstream silent"
	case "total_timeout":
		return "took too long"
	case "drained":
		return "gateway stopped"
	}
	return clean(x.EndReason) // of a newer gateway
}

func (s *trafficScreen) statusStyle(r *tailRow) lipgloss.Style {
	switch {
	case r.ended == nil && r.absent > 0:
		return s.look.dim
	case r.ended == nil:
		return s.look.accent
	case r.ended.Status >= 500 || r.ended.Status == 0:
		return s.look.bad
	case r.ended.Status >= 400:
		return s.look.warn
	}
	return s.look.good
}

func (s *trafficScreen) endStyle(r *tailRow) lipgloss.Style {
	if x := r.ended; x != nil && (x.EndReason == "client_gone" || x.EndReason == "complete" && x.Status < 400) {
		return s.look.plain
	}
	return s.statusStyle(r)
}
