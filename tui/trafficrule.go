package tui

import (
	"context"
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// whyTaken is what the gateway said of a request like one that was made.
type whyTaken struct {
	id     string // of the exchange; empty: nothing was asked
	answer *api.Explanation
	err    error
}

func (e *whyTaken) of(row *tailRow) bool { return e.id == row.id() }

// explainShown asks which rule takes such a request, where that is shown and was
// not asked yet.
func (s *trafficScreen) explainShown() tea.Cmd {
	row := s.opened
	if row == nil || s.part != partRule || s.explained.of(row) {
		return nil
	}
	id := row.id()
	s.explained = whyTaken{id: id}
	request := explainRequest(row)
	var answer api.Explanation
	return s.change(change{
		only: true, twin: explainTwin(&request),
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
// remembered.
func explainRequest(row *tailRow) api.ExplainRequest {
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
	if model != "" {
		q.Model = &model
	}
	if stream {
		q.Stream = &stream
	}
	if q.Key != "" {
		q.User = "" // it comes with the key
	}
	return q
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
	t := &told{look: l, matches: s.matches()}
	t.explain(e.answer)
	lines := []string{""}
	for _, line := range t.lines(w - 2) {
		lines = append(lines, " "+line)
	}
	note := fmt.Sprintf("As rules are now (rev %d), by what is remembered: method, path, model and key; not headers or body. Nothing was sent.", e.answer.Revision)
	lines = append(lines, "")
	for _, part := range wrap(note, w-2) {
		lines = append(lines, " "+l.dim.Render(part))
	}
	return strings.Join(lines, "\n")
}
