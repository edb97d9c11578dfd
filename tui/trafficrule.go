package tui

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// explained is what the gateway said of a request like one that was made.
type explained struct {
	id     string // of the exchange; empty: nothing was asked
	answer *api.Explanation
	err    error
}

func (e *explained) of(row *tailRow) bool { return e.id == row.id() }

// explainShown asks which rule takes such a request, where that is shown and was
// not asked yet.
func (s *trafficScreen) explainShown() tea.Cmd {
	row := s.opened
	if row == nil || s.part != partRule || s.explained.of(row) {
		return nil
	}
	id := row.id()
	s.explained = explained{id: id}
	request, twin := explainRequest(row)
	var answer api.Explanation
	return s.change(change{
		only: true, twin: twin,
		call: func(ctx context.Context, c *api.Client) (_ string, err error) {
			answer, err = c.Explain(ctx, request)
			return "", err
		},
		then: func(string) tea.Cmd {
			if s.explained.id == id { // else another is shown by now
				s.explained.answer = &answer
			}
			return nil
		},
		fails: func(err error) tea.Cmd {
			if s.explained.id == id {
				s.explained.err = err
			}
			return nil
		},
	})
}

// explainRequest describes a request like one that was made, as far as it is
// remembered, and the command that asks the same.
func explainRequest(row *tailRow) (api.ExplainRequest, []string) {
	var q api.ExplainRequest
	var model string
	var stream bool
	if x := row.ended; x != nil {
		q = api.ExplainRequest{Method: x.Method, Path: x.Path, Key: x.Key, User: x.User}
		model, stream = x.Model, x.Stream
	} else {
		f := row.started
		q = api.ExplainRequest{Method: f.Method, Path: f.Path, Key: f.Key, User: f.User}
		model, stream = f.Model, f.Stream
	}
	twin := []string{"rules", "explain", "--path", q.Path}
	if q.Method != http.MethodPost {
		twin = append(twin, "--method", q.Method)
	}
	if model != "" {
		q.Model = &model
		twin = append(twin, "--model", model)
	}
	if stream {
		q.Stream = &stream
		twin = append(twin, "--stream")
	}
	if q.Key != "" {
		q.User = "" // it comes with the key
		twin = append(twin, "--key", q.Key)
	} else if q.User != "" {
		twin = append(twin, "--user", q.User)
	}
	return q, twin
}

// drawExplained tells which rule takes such a request now.
func (s *trafficScreen) drawExplained(w int) string {
	l, e := s.look, &s.explained
	switch {
	case e.err != nil:
		text := "\n " + l.bad.Render(l.no+" "+reason(e.err))
		if hint := advice(e.err); hint != "" {
			text += "\n " + hint
		}
		return text
	case e.answer == nil:
		return "\n " + l.dim.Render(l.more)
	}
	lines := []string{""}
	for i := range e.answer.Rules {
		r := &e.answer.Rules[i]
		if r.Verdict == "unreached" {
			continue
		}
		lines = append(lines, s.ruleLine(r))
		if r.Name == e.answer.Rule {
			lines = append(lines, s.outcome(e.answer)...)
		}
	}
	if e.answer.Rule == "" {
		lines = append(lines, s.outcome(e.answer)...)
	}
	note := fmt.Sprintf("As rules are now (rev %d), by what is remembered: method, path, model and key; not headers or body. Nothing was sent.", e.answer.Revision)
	lines = append(lines, "")
	for _, part := range wrap(note, w-2) {
		lines = append(lines, " "+l.dim.Render(part))
	}
	return strings.Join(lines, "\n")
}

func (s *trafficScreen) ruleLine(r *api.ExplainedRule) string {
	l := s.look
	name := fmt.Sprintf(" %2d %s ", r.Position, l.fit(clean(r.Name), 20))
	switch r.Verdict {
	case "yes":
		return name + l.good.Render(l.yes+" takes it")
	case "continue":
		return name + l.good.Render(l.yes+" holds, and the search goes on")
	case "skip":
		return name + l.dim.Render(l.off+" disabled")
	}
	why := r.Matcher
	if r.Saw != "" {
		why += " " + r.Saw
	} else {
		why += " is not there"
	}
	return name + l.no + " " + clean(why+", wants "+r.Wants)
}

// outcome tells what would be done with it.
func (s *trafficScreen) outcome(e *api.Explanation) []string {
	var lines []string
	add := func(name, text string) {
		if text != "" {
			lines = append(lines, "    "+s.look.arrow+" "+s.look.dim.Render(name)+" "+clean(text))
		}
	}
	if b := e.Binding; b != nil {
		add("binding", fmt.Sprintf("%s, order %d", b.Of, b.Order))
	}
	if e.Outcome != "forward" {
		add("answered", strings.TrimSpace(fmt.Sprintf("%d %s  %s", e.Status, e.Code, e.Message)))
	}
	for i := range e.Candidates {
		c := &e.Candidates[i]
		text := or(c.Upstream, c.URL)
		if c.Share > 0 && c.Share < 1 {
			text += fmt.Sprintf(" (%.0f%%)", math.Round(c.Share*100))
		}
		if c.Fallback {
			text += " (fallback)"
		}
		if c.Model != "" && c.Model != e.Model {
			text += ", model " + c.Model
		}
		if c.Problem != "" {
			text += ": " + c.Problem
		}
		add("upstream", text)
	}
	add("limits", strings.Join(e.Limits, ", "))
	return lines
}
