package tui

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/admin/api"
)

// draw gives the form, and what would become of the request below it.
func (e *explainer) draw(w, h int) string {
	wide := min(w, 110)
	label := 0
	for _, one := range e.form.fields {
		label = max(label, width(one.label))
	}
	var lines []string
	for i, one := range e.form.fields {
		lines = append(lines, " "+e.form.line(one, i == e.form.at, label, wide-4))
	}
	lines = append(lines, e.look.border.Render(strings.Repeat(e.look.horizontal, wide-2)))
	room := max(1, h-len(lines)-2)
	below := e.result(wide - 4)
	e.shown = room
	e.top = max(0, min(e.top, len(below)-room))
	for _, line := range below[e.top:min(len(below), e.top+room)] {
		lines = append(lines, " "+line)
	}
	b := box{title: "Explain", right: e.state(), foot: "tab next  enter asks  pgdn scrolls  esc closes", focused: true}
	if rest := len(below) - e.top - room; rest > 0 {
		b.count = plural(rest, "line") + " more"
	}
	return b.draw(e.look, strings.Join(lines, "\n"), wide, min(h, max(len(lines)+2, 16)))
}

func (e *explainer) state() string {
	if e.asking {
		return e.look.more
	}
	return ""
}

// result is what came of it, line by line.
func (e *explainer) result(w int) []string {
	l := e.look
	switch {
	case e.err != nil:
		lines := wrap(l.bad.Render(l.no+" "+reason(e.err)), w)
		if hint := advice(e.err); hint != "" {
			lines = append(lines, wrap(hint, w)...)
		}
		for _, p := range problemsOf(e.err) {
			lines = append(lines, wrap(problemText(&p, 0), w)...)
		}
		return lines
	case e.answer == nil:
		return []string{l.dim.Render(l.more)}
	}
	t := &told{look: l, matches: e.matches()}
	t.explain(e.answer)
	return append(t.lines(w), l.dim.Render("nothing was sent"))
}

// matches are the matchers of the rules, by name.
func (d *desk) matches() map[string]map[string]any {
	all := map[string]map[string]any{}
	for i := range d.books.rules.value.Items {
		r := &d.books.rules.value.Items[i]
		all[r.Name] = r.Match
	}
	return all
}

// told is an explanation as rows of a name and what there is to say.
type told struct {
	look    *look
	matches map[string]map[string]any
	rows    []toldRow
}

type toldRow struct {
	left, sign, text string
	dim, good        bool
}

func (t *told) add(left, text string) {
	if text != "" {
		t.rows = append(t.rows, toldRow{left: left, text: clean(text)})
	}
}

// lines sets the rows below each other, long ones broken.
func (t *told) lines(w int) []string {
	label := 0
	for _, r := range t.rows {
		label = max(label, width(r.left))
	}
	label = min(label, max(8, w/3))
	var all []string
	for _, r := range t.rows {
		for i, part := range wrap(r.text, max(8, w-label-8)) {
			left, sign := t.look.fit(r.left, label), t.look.fit(r.sign, 4)
			if i > 0 {
				left, sign = spaces(label), spaces(4)
			}
			line := left + "  " + sign + "  " + part
			switch {
			case r.good:
				line = t.look.good.Render(line)
			case r.dim:
				line = t.look.dim.Render(line)
			}
			all = append(all, line)
		}
	}
	return all
}

func (t *told) explain(a *api.Explanation) {
	t.add("request", requestText(a))
	if len(a.Allowed) > 0 {
		t.add("allow-list", strings.Join(a.Allowed, ", "))
	}
	for i := range a.Rules {
		r := &a.Rules[i]
		t.rule(r)
		if r.Name == a.Rule {
			t.outcome(a)
		}
	}
	if a.Rule == "" {
		t.outcome(a)
	}
}

// requestText is what was asked about, as the gateway understood it.
func requestText(a *api.Explanation) string {
	text := a.Method + " " + a.Path
	if a.Model != "" {
		text += "  model " + a.Model
	}
	if a.Stream {
		text += "  stream"
	}
	if a.Key != "" {
		text += "  key " + a.Key
	}
	if a.User != "" {
		text += "  user " + a.User
	}
	return text
}

// rule says whether a rule takes the request, and why not.
func (t *told) rule(r *api.ExplainedRule) {
	row := toldRow{left: strconv.Itoa(r.Position) + " " + clean(r.Name), sign: clean(r.Verdict), text: clean(whyNot(r))}
	switch r.Verdict {
	case "yes", "continue":
		row.sign, row.good, row.text = "YES", true, t.held(t.matches[r.Name])
		if r.Verdict == "continue" {
			row.text += "; the search goes on"
		}
	case "skip":
		row.dim, row.text = true, "disabled"
	case "unreached":
		row.sign, row.dim = unknown, true
		row.text = or(row.text, "would take it, were it reached")
	}
	t.rows = append(t.rows, row)
}

// whyNot is the first matcher that does not hold: header x-tier = "paid", wants
// "free".
func whyNot(r *api.ExplainedRule) string {
	switch {
	case r.Matcher == "":
		return ""
	case r.Saw == "":
		return r.Matcher + " is not there, wants " + r.Wants
	case strings.Contains(strings.TrimPrefix(r.Matcher, "not "), " "):
		return r.Matcher + " = " + r.Saw + ", wants " + r.Wants
	}
	return r.Matcher + " " + r.Saw + ", wants " + r.Wants
}

// held names the matchers of a rule that takes the request, all of which hold.
func (t *told) held(match map[string]any) string {
	var parts []string
	for _, field := range []string{"path", "method", "host", "header", "query", "model", "stream", "key", "user", "tag", "source", "body_bytes", "not"} {
		value, given := match[field]
		named, isMap := value.(map[string]any)
		switch {
		case !given:
		case isMap && (field == "header" || field == "query" || field == "tag"):
			for _, name := range slices.Sorted(maps.Keys(named)) {
				parts = append(parts, field+" "+clean(name)+" "+t.look.yes)
			}
		case field == "model":
			parts = append(parts, "model "+t.look.yes+" ("+clean(api.ValueText(value))+")")
		default:
			parts = append(parts, field+" "+t.look.yes)
		}
	}
	return or(strings.Join(parts, "  "), "takes it")
}

// detail adds a line below the rule that decides.
func (t *told) detail(name, text string) { t.add("  "+t.look.arrow+" "+name, text) }

// outcome tells what would be done with the request.
func (t *told) outcome(a *api.Explanation) {
	if b := a.Binding; b != nil {
		t.detail("binding", fmt.Sprintf("%s, order %d", b.Of, b.Order))
	}
	switch a.Outcome {
	case "refuse":
		t.detail("refused", ownAnswer(a))
	case "respond":
		t.detail("answer", ownAnswer(a))
	}
	for i := range a.Candidates {
		t.candidate(a, &a.Candidates[i])
	}
	if r := a.Retry; r != nil && len(r.On) > 0 && r.Attempts > 1 {
		t.detail("retry", fmt.Sprintf("on %s, %d attempts within %s", strings.Join(r.On, ", "), r.Attempts, r.Within))
	}
	t.detail("limits", strings.Join(a.Limits, ", "))
	t.detail("response", headerEdits(a.Response))
}

func ownAnswer(a *api.Explanation) string {
	text := strconv.Itoa(a.Status)
	if a.Code != "" {
		text += " " + a.Code
	}
	if a.Message != "" {
		text += "  " + a.Message
	}
	return text
}

// candidate tells of one destination, in the order in which they are tried.
func (t *told) candidate(a *api.Explanation, c *api.CandidateReport) {
	text := or(c.Upstream, "a target URL")
	if c.Share > 0 && c.Share < 1 {
		text += fmt.Sprintf(" (%g%%)", math.Round(c.Share*1000)/10)
	}
	if c.Fallback {
		text += " (fallback)"
	}
	if c.Problem != "" {
		t.detail("not", text+": "+c.Problem)
		return
	}
	text += "  " + c.URL
	if c.Model != a.Model {
		text += "  model " + c.Model
	}
	if c.Credential != "" {
		text += "  credential " + c.Credential
	}
	t.detail("upstream", text)
	t.detail("headers", headerEdits(c.Headers))
}

// headerEdits is what becomes of headers.
func headerEdits(h *api.Header) string {
	if h == nil {
		return ""
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(h.Set)) {
		parts = append(parts, strings.ToLower(name)+": "+h.Set[name])
	}
	for _, name := range slices.Sorted(maps.Keys(h.Add)) {
		parts = append(parts, "added "+strings.ToLower(name)+": "+strings.Join(h.Add[name], ", "))
	}
	if len(h.Removed) > 0 {
		parts = append(parts, "removed: "+strings.ToLower(strings.Join(h.Removed, ", ")))
	}
	return strings.Join(parts, "   ")
}
