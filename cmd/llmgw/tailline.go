package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"github.com/llmgw/llmgw/admin/api"
)

// exchangeColumns are the parts of a line of tail.
func exchangeColumns(look style) []column[*api.Exchange] {
	return []column[*api.Exchange]{
		{"TIME", false, func(x *api.Exchange) string { return x.Time.Local().Format("15:04:05.000") }},
		{"STATUS", false, func(x *api.Exchange) string { return statusSign(look, x) }},
		{"MODEL", false, func(x *api.Exchange) string { return dash(x.Model) }},
		{"UPSTREAM", false, func(x *api.Exchange) string { return dash(x.Upstream) }},
		{"KEY", false, func(x *api.Exchange) string { return dash(x.Key) }},
		{"USER", true, func(x *api.Exchange) string { return dash(x.User) }},
		{"RULE", true, func(x *api.Exchange) string { return dash(x.Rule) }},
		{"NODE", true, func(x *api.Exchange) string { return dash(x.Node) }},
		{"WHAT", false, whatBecame},
		{"REQUEST", false, func(x *api.Exchange) string { return x.RequestID }},
	}
}

// exchangeLines sets lines one below the other without knowing those to come: a
// column is as wide as its widest cell so far, and at first as most are.
type exchangeLines struct {
	columns []column[*api.Exchange]
	widths  map[string]int
}

func (l *exchangeLines) line(x *api.Exchange) string {
	if l.widths == nil {
		l.widths = map[string]int{"MODEL": 16, "UPSTREAM": 9, "KEY": 8, "WHAT": 41}
	}
	var b strings.Builder
	for _, c := range l.columns {
		cell := c.text(x)
		shown := cell
		if c.name != "STATUS" { // which has colours, and nothing of anybody else's
			shown = oneLine(cell)
			l.widths[c.name] = max(l.widths[c.name], utf8.RuneCountInString(shown))
		}
		b.WriteString(shown)
		b.WriteString(strings.Repeat(" ", 2+max(0, l.widths[c.name]-utf8.RuneCountInString(shown))))
	}
	return strings.TrimRight(b.String(), " ")
}

// statusSign is the status, or --- where the client did not stay for the answer.
func statusSign(look style, x *api.Exchange) string {
	text := strconv.Itoa(x.Status)
	switch {
	case x.Status == 0 || x.EndReason == "client_gone":
		return look.dim("---")
	case x.Status >= 500 || x.EndReason != "complete" && x.Status < 400:
		return look.red(text)
	case x.Status >= 400:
		return look.yellow(text)
	}
	return look.green(text)
}

// whatBecame tells the times and tokens of what went well, and of all else why
// not.
func whatBecame(x *api.Exchange) string {
	after := short(x.DurationMS)
	var why string
	switch x.EndReason {
	case "complete":
		if x.Status < 400 {
			return timesAndTokens(x)
		}
		why = answeredBy(x)
	case "rejected":
		why = "refused"
	case "limited":
		why = "over a limit"
	case "client_gone":
		why = "client left after " + after + sent(x)
	case "client_stalled":
		why = "client took nothing more, cut after " + after + sent(x)
	case "connect_error":
		why = "upstream not reached"
	case "upstream_error":
		why = "upstream broke off after " + after
	case "upstream_truncated":
		why = "upstream ended before its end, after " + after
	case "header_timeout", "first_token_timeout", "idle_timeout":
		why = "upstream silent for too long, cut after " + after
	case "total_timeout":
		why = "took too long, cut after " + after
	case "drained":
		why = "gateway stopped, cut after " + after
	case "revoked":
		why = "key ended or operator cut it, after " + after
	default: // of a newer gateway
		why = x.EndReason + " after " + after
	}
	if x.Error != "" {
		why += ": " + x.Error
	}
	return why
}

// answeredBy says whose the answer was that is no success.
func answeredBy(x *api.Exchange) string {
	if x.Upstream == "" || x.Attempts == 0 {
		return "answered by the gateway"
	}
	return fmt.Sprintf("upstream answered %d after %s", x.Status, short(x.DurationMS))
}

func timesAndTokens(x *api.Exchange) string {
	ttft := strings.Repeat(" ", len("ttft  612ms"))
	if x.FirstTokenMS > 0 {
		ttft = fmt.Sprintf("ttft %6s", short(x.FirstTokenMS))
	}
	text := fmt.Sprintf("%s  total %5s", ttft, short(x.DurationMS))
	if x.InputTokens != nil || x.OutputTokens != nil {
		text += fmt.Sprintf("   %s→%s tok", tokens(x.InputTokens), tokens(x.OutputTokens))
	}
	return text
}

func sent(x *api.Exchange) string {
	if x.OutputTokens == nil {
		return fmt.Sprintf(", %s sent", humanize.IBytes(uint64(max(0, x.ResponseBytes))))
	}
	return ", " + tokens(x.OutputTokens) + " tok sent"
}

func tokens(n *int64) string {
	if n == nil {
		return "-"
	}
	return humanize.Comma(*n)
}

// short writes 612ms, 9.8s or 2m05s.
func short(milliseconds float64) string {
	switch d := time.Duration(milliseconds * float64(time.Millisecond)); {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", milliseconds)
	case d < time.Second:
		return fmt.Sprintf("%.0fms", milliseconds)
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	default:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
}
