package tui

import (
	"strings"
	"time"
)

// emptiness says what a list is for where it is empty, and what fills it.
type emptiness struct {
	what    string // "No rules yet."
	command string // "n creates one, or: llmgw rules apply -f examples/basic.yaml"
}

// instead gives what stands in the place of a list that cannot be shown; empty:
// there is something to show. shown and all are how many rows match, and there are.
func (d *desk) instead(s bookState, empty emptiness, shown, all, w, h int) string {
	l := d.look
	var lines []string
	switch {
	case !s.there && s.err != nil:
		lines = []string{l.bad.Render(l.no + " " + reason(s.err))}
		if hint := advice(s.err); hint != "" {
			lines = append(lines, hint)
		}
		if isRefused(s.err) {
			lines = append(lines, "", "What is your own: the keys on the screen Keys, and on the screen Users "+l.key.Render(l.keyText(d.keys.named("users.password").Keys[0]))+" sets your password")
		}
		lines = append(lines, "", l.key.Render("r")+" tries again")
	case !s.there && d.link.lost() && s.asked.IsZero():
		lines = []string{"Not loaded: " + d.whyLost(), "", l.key.Render("r") + " tries again"}
	case !s.there:
		lines = d.loading(s)
	case all == 0:
		lines = []string{empty.what, "", empty.command}
	case shown == 0:
		lines = []string{"0 of " + count(int64(all)) + " match. " + l.key.Render("esc") + " clears the filter"}
	default:
		return ""
	}
	var wrapped []string
	for _, line := range lines {
		wrapped = append(wrapped, wrap(line, max(1, w-4))...)
	}
	for i := range wrapped {
		wrapped[i] = "  " + wrapped[i]
	}
	return l.block("\n"+strings.Join(wrapped, "\n"), w, h)
}

// whyLost says why nothing can be asked for now, and what helps.
func (d *desk) whyLost() string {
	if d.link.state == loggedOut {
		return "not logged in (" + reason(d.link.err) + ")"
	}
	text := "the gateway is not reachable"
	if hint := advice(d.link.err); hint != "" {
		text += "; " + hint
	}
	return text
}

// loading is what is shown while something is loaded for the first time.
func (d *desk) loading(s bookState) []string {
	l := d.look
	if !s.asked.IsZero() && d.now().Sub(s.asked) >= slowLoad {
		return []string{l.dim.Render("waiting for " + clean(d.gateway.Where) + " since " + span(d.now().Sub(s.asked).Round(time.Second)) + "; it is given up after " + span(loadLimit))}
	}
	return []string{l.dim.Render(l.more)}
}
