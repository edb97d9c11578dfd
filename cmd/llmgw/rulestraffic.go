package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// What a list of rules says of their traffic.
const (
	rulesWindow   = 15 * time.Minute
	leastForARate = time.Minute // a gateway that has been up for less has no rate a minute yet
)

// ruleRow is a rule, and what it did lately.
type ruleRow struct {
	api.Rule
	Traffic *ruleTraffic `json:"traffic,omitempty"` // nil: nobody knows
}

// ruleTraffic is what came of the requests that a rule took within the last 15
// minutes, on all nodes.
type ruleTraffic struct {
	Requests      int64   `json:"requests"`
	RequestsMin   float64 `json:"requests_per_minute"`
	Errors        int64   `json:"errors"`
	ErrorRate     float64 `json:"error_rate"`                   // of 1
	FirstTokenP95 float64 `json:"first_token_p95_ms,omitempty"` // of streams
}

// ruleRows is a list of rules as it is printed.
type ruleRows struct {
	Items    []ruleRow    `json:"items"`
	Revision int64        `json:"revision"`
	Partial  *api.Partial `json:"partial_traffic,omitempty"` // nodes that the traffic is without
}

// withTraffic adds to rules what they did lately. A gateway that cannot say so is
// no reason to list none.
func (a *app) withTraffic(ctx context.Context, t talk, list api.RuleList) ruleRows {
	rows := ruleRows{Items: make([]ruleRow, 0, len(list.Items)), Revision: list.Revision}
	var w *api.Window
	if len(list.Items) > 0 {
		w = a.ruleWindow(ctx, t)
	}
	shares := map[string]*api.Counts{}
	if w != nil {
		rows.Partial = w.Partial
		for i := range w.By {
			shares[w.By[i].Name] = &w.By[i].Counts
		}
	}
	for _, r := range list.Items {
		rows.Items = append(rows.Items, ruleRow{Rule: r, Traffic: trafficOf(w, shares[r.Name])})
	}
	return rows
}

// missing says for people which nodes the traffic is without.
func (r *ruleRows) missing() string {
	switch p := r.Partial; {
	case p == nil:
		return ""
	case len(p.Nodes) == 0:
		return " · traffic of this node only: " + p.Problem
	default:
		return " · traffic without " + strings.Join(p.Nodes, ", ") + ": " + p.Problem
	}
}

// ruleWindow asks what all rules did lately; nil where the gateway is one that does
// not know, or cannot say.
func (a *app) ruleWindow(ctx context.Context, t talk) *api.Window {
	w, err := t.Window(ctx, api.WindowQuery{Window: rulesWindow, Points: 1, By: []string{"rule"}, Names: 1000})
	var refusal *api.Error
	switch {
	case err == nil:
		return &w
	case errors.As(err, &refusal) && refusal.Code == api.CodeNotFound: // an older gateway
		return nil
	}
	a.note("what the rules did lately is not known: %v", err)
	return nil
}

// trafficOf is what a rule did, by its share of a window. Of one without a share
// nothing is known where there were too many names, and else it did nothing.
func trafficOf(w *api.Window, c *api.Counts) *ruleTraffic {
	switch {
	case w == nil, c == nil && slices.Contains(w.Other, "rule"):
		return nil
	case c == nil:
		return &ruleTraffic{}
	}
	minutes := max(w.SinceS, leastForARate.Seconds()) / time.Minute.Seconds()
	return &ruleTraffic{
		Requests: c.Requests, RequestsMin: float64(c.Requests) / minutes,
		Errors: c.Errors, ErrorRate: float64(c.Errors) / float64(max(c.Requests, 1)), FirstTokenP95: c.FirstTokenP95,
	}
}

func ruleRowColumns() []column[ruleRow] {
	var columns []column[ruleRow]
	for _, c := range ruleColumns() {
		columns = append(columns, column[ruleRow]{name: c.name, wide: c.wide, text: func(r ruleRow) string { return c.text(r.Rule) }})
	}
	known := func(text func(*ruleTraffic) string) func(ruleRow) string {
		return func(r ruleRow) string {
			if r.Traffic == nil {
				return "-"
			}
			return text(r.Traffic)
		}
	}
	after := 1 + slices.IndexFunc(columns, func(c column[ruleRow]) bool { return c.name == "ACTION" })
	return slices.Insert(columns, after,
		column[ruleRow]{name: "REQ/MIN", text: known((*ruleTraffic).rate)},
		column[ruleRow]{name: "ERR", text: known((*ruleTraffic).failing)},
		column[ruleRow]{name: "P95 TTFT", text: known((*ruleTraffic).firstToken)},
	)
}

func (t *ruleTraffic) rate() string {
	if t.RequestsMin > 0 && t.RequestsMin < 9.95 {
		return fmt.Sprintf("%.1f", t.RequestsMin)
	}
	return strconv.FormatFloat(t.RequestsMin, 'f', 0, 64)
}

func (t *ruleTraffic) failing() string {
	if t.Requests == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*t.ErrorRate)
}

// firstToken writes 140 ms, or 1.4 s.
func (t *ruleTraffic) firstToken() string {
	switch ms := t.FirstTokenP95; {
	case ms == 0:
		return "-"
	case ms < 999.5:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.1f s", ms/1000)
	}
}
