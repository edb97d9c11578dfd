package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/llmgw/llmgw/admin/api"
)

func newStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "the running gateway at a glance", Args: takes(),
		RunE: a.calls(func(ctx context.Context, t talk, _ []string) error {
			s, err := t.Status(ctx)
			if err != nil {
				return err
			}
			return writeOne(ctx, t.output, s, func(w io.Writer) { writeStatus(w, s, time.Now()) })
		}),
	}
}

// writeStatus shows only what the gateway counts.
func writeStatus(w io.Writer, s api.Status, now time.Time) {
	lines := []string{
		"gateway", strings.Join([]string{s.Proxy, "up " + uptime(now.Sub(s.StartedAt)), "llmgw " + s.Version, condition(s)}, "   "),
		"traffic", fmt.Sprintf("%s   %s   in flight %d", plural64(s.Traffic.Requests, "request"), errorRate(s.Traffic.Errors, s.Traffic.Requests), s.InFlight),
		"rules", fmt.Sprintf("%d enabled, %d disabled   revision %d%s", s.Rules.Enabled, s.Rules.Disabled, s.Rules.Revision, changed(s.Rules, now)),
		"upstreams", upstreamsLine(s.Upstreams),
		"keys", strconv.Itoa(s.Keys),
		"store", storeLine(s.Store) + "   bus " + s.Bus,
		"tokens", fmt.Sprintf("%s in   %s out", humanize.Comma(s.Traffic.InputTokens), humanize.Comma(s.Traffic.OutputTokens)),
		"data", shortPath(s.Data),
	}
	if s.Problem != "" {
		lines = append(lines, "problem", s.Problem)
	}
	fields(w, append(lines, nodeLines(s.Nodes)...)...)
}

func condition(s api.Status) string {
	text := "ready"
	switch {
	case s.Draining:
		text = "draining"
	case !s.Ready && s.NotReady != "":
		text = "not ready: " + s.NotReady
	case !s.Ready:
		text = "not ready"
	}
	if len(s.Nodes) > 0 {
		text += "   " + plural(len(s.Nodes), "node")
	}
	return text
}

func changed(r api.RulesStatus, now time.Time) string {
	if r.ChangedAt.IsZero() {
		return ""
	}
	by := ""
	if r.ChangedBy != "" {
		by = " by " + r.ChangedBy
	}
	return fmt.Sprintf(" (%s ago%s)", age(now.Sub(r.ChangedAt)), by)
}

func upstreamsLine(upstreams []api.UpstreamStatus) string {
	if len(upstreams) == 0 {
		return "none yet: llmgw upstreams create"
	}
	all := make([]string, 0, len(upstreams))
	for _, u := range upstreams {
		text := sign(u.Enabled && !u.Draining, u.Usable) + " " + u.Name
		if u.Draining {
			text += " draining"
		}
		if u.Requests > 0 {
			text += fmt.Sprintf(" %.1f%%", 100*float64(u.Errors)/float64(u.Requests))
		}
		all = append(all, text)
	}
	return strings.Join(all, "   ")
}

func storeLine(s api.StoreStatus) string {
	if s.Place != "" {
		s.Kind += " " + s.Place
	}
	switch {
	case s.Since != nil:
		text := fmt.Sprintf("%s not reachable since %s (%s)", s.Kind, s.Since.Local().Format(time.DateTime), s.Reason)
		if s.CopyOf != nil {
			text += ", served from the copy of " + s.CopyOf.Local().Format(time.DateTime)
		}
		return text
	case !s.OK:
		return s.Kind + " not reachable: " + s.Error
	}
	return fmt.Sprintf("%s ok %.1f ms", s.Kind, s.LatencyMS)
}

func errorRate(errors, requests int64) string {
	if requests == 0 {
		return "no errors"
	}
	return fmt.Sprintf("%.1f%% errors", 100*float64(errors)/float64(requests))
}

// uptime writes 3h12m, 12m4s or 4s.
func uptime(d time.Duration) string {
	switch d = max(d, 0).Truncate(time.Second); {
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return d.String()
}

func plural64(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return humanize.Comma(n) + " " + noun + "s"
}
