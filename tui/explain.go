package tui

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// explainAfter is how long the form is left alone before the gateway is asked.
const explainAfter = 300 * time.Millisecond

// explainer tells what would become of a request, while it is written. At most
// one call is under way, and an answer to what is not written any more is dropped.
type explainer struct {
	*desk
	form    *form
	request api.ExplainRequest // as it was opened: what the form has no field for
	written int                // counts what was written
	asking  bool               // a call is under way
	due     bool               // another one follows it
	asked   api.ExplainRequest // what the answer is to
	answer  *api.Explanation
	err     error
	top     int
	shown   int
}

// explain opens the form with a request in it, and asks about that.
func (d *desk) explain(q api.ExplainRequest) tea.Cmd {
	model := ""
	if q.Model != nil {
		model = *q.Model
	}
	e := &explainer{desk: d, request: q}
	e.form = &form{look: d.look, fields: []*field{
		writtenField("method", "Method", or(q.Method, http.MethodPost), ""),
		writtenField("path", "Path", or(q.Path, "/v1/chat/completions"), "with its query"),
		writtenField("model", "Model", model, "as the body says it"),
		writtenField("key", "Key", q.Key, "whose it is, by name"),
		writtenField("headers", "Headers", headersText(q.Headers), "x-tier: free, x-team: a"),
	}, at: 1}
	for _, one := range e.form.fields {
		one.input.CursorEnd()
	}
	e.form.changed = func(*form) tea.Cmd { return e.later() }
	d.open(e)
	return e.ask()
}

// explainDue is when what was written is asked about, unless more was.
type explainDue struct {
	of      *explainer
	written int
}

// explained is an answer.
type explained struct {
	of      *explainer
	written int
	request api.ExplainRequest
	answer  api.Explanation
	err     error
}

// later asks when nothing more has been written for a while.
func (e *explainer) later() tea.Cmd {
	e.written++
	due := explainDue{e, e.written}
	return tea.Tick(explainAfter, func(time.Time) tea.Msg { return due })
}

// ask asks about what is written now, or after the call that is under way.
func (e *explainer) ask() tea.Cmd {
	if e.asking {
		e.due = true
		return nil
	}
	q := e.described()
	e.due, e.asking = false, true
	client, written := e.gateway.Client, e.written
	return e.away(loadLimit, func(ctx context.Context) tea.Msg {
		answer, err := client.Explain(ctx, q)
		return explained{e, written, q, answer, err}
	})
}

// described is the request that the form describes.
func (e *explainer) described() api.ExplainRequest {
	q := e.request
	q.Method, q.Path, q.Key = strings.ToUpper(e.form.value("method")), e.form.value("path"), e.form.value("key")
	q.Model = nil
	if model := e.form.value("model"); model != "" {
		q.Model = &model
	}
	q.Headers = readHeaders(e.form.value("headers"))
	return q
}

func (e *explainer) update(msg tea.Msg) (tea.Cmd, bool) {
	switch m := msg.(type) {
	case explainDue:
		if m.of == e && m.written == e.written {
			return e.ask(), false
		}
	case explained:
		if m.of == e {
			return e.take(&m), false
		}
	case tea.KeyMsg:
		return e.press(m)
	}
	return nil, false
}

func (e *explainer) take(m *explained) tea.Cmd {
	e.asking = false
	if m.written == e.written {
		e.asked, e.err = m.request, m.err
		if m.err == nil {
			e.answer = &m.answer
		}
	}
	if e.due {
		return e.ask()
	}
	return nil
}

func (e *explainer) press(key tea.KeyMsg) (tea.Cmd, bool) {
	switch key.String() {
	case "esc":
		e.keep()
		return nil, true
	case "ctrl+s", "enter":
		e.written++ // what is due later is not asked again
		return e.ask(), false
	case "pgdown", "ctrl+f":
		e.top += max(1, e.shown-1)
		return nil, false
	case "pgup", "ctrl+b":
		e.top -= max(1, e.shown-1)
		return nil, false
	}
	return e.form.update(key)
}

// keep puts the command that explains the same into the log.
func (e *explainer) keep() {
	if e.answer != nil && e.err == nil {
		e.log.add(e.now(), e.twin(explainTwin(&e.asked))).end(nil)
	}
}

// explainTwin is the command that explains a request. Credentials stay out of it.
func explainTwin(q *api.ExplainRequest) []string {
	words := []string{"rules", "explain", "--path", q.Path}
	flag := func(name, value string) {
		if value != "" {
			words = append(words, name, value)
		}
	}
	if q.Method != http.MethodPost {
		flag("--method", q.Method)
	}
	if q.Model != nil {
		flag("--model", *q.Model)
	}
	if q.Stream != nil && *q.Stream {
		words = append(words, "--stream")
	}
	flag("--host", q.Host)
	flag("--key", q.Key)
	flag("--user", q.User)
	flag("--source", q.Source)
	for _, name := range slices.Sorted(maps.Keys(q.Tags)) {
		flag("--tag", name+"="+q.Tags[name])
	}
	for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
		for _, value := range q.Headers[name] {
			if secretHeader(name) {
				value = "***"
			}
			flag("-H", strings.ToLower(name)+": "+value)
		}
	}
	return words
}

// secretHeader says whether a header is one of those that carry credentials.
func secretHeader(name string) bool {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie":
		return true
	}
	return false
}

// readHeaders reads "x-tier: free, x-team: a". A part without a colon belongs to
// the value before it.
func readHeaders(text string) map[string][]string {
	headers := map[string][]string{}
	last := ""
	for part := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(part, ":")
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		switch values := headers[last]; {
		case found && name != "":
			headers[name], last = append(headers[name], strings.TrimSpace(value)), name
		case len(values) > 0 && strings.TrimSpace(part) != "":
			values[len(values)-1] += ", " + strings.TrimSpace(part)
		}
	}
	if len(headers) == 0 {
		return nil
	}
	return headers
}

// headersText is what readHeaders reads.
func headersText(headers map[string][]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		for _, value := range headers[name] {
			all = append(all, strings.ToLower(name)+": "+value)
		}
	}
	return strings.Join(all, ", ")
}

// requestLike describes a request that a rule may take.
func requestLike(r *api.Rule) api.ExplainRequest {
	q := api.ExplainRequest{Method: http.MethodPost, Path: "/v1/chat/completions"}
	if r == nil {
		return q
	}
	if method := firstOf(r.Match["method"]); method != "" {
		q.Method = method
	}
	if path := firstOf(r.Match["path"]); path != "" {
		if path = example(strings.TrimSuffix(path, "/**")); path != "" {
			q.Path = path
		}
	}
	if model := firstOf(r.Match["model"]); model != "" {
		model = example(model)
		q.Model = &model
	}
	if key := firstOf(r.Match["key"]); !strings.Contains(key, "*") {
		q.Key = key
	}
	if headers, ok := r.Match["header"].(map[string]any); ok {
		q.Headers = map[string][]string{}
		for name, wanted := range headers {
			if value := headerLike(wanted); value != "" {
				q.Headers[http.CanonicalHeaderKey(name)] = []string{value}
			}
		}
	}
	return q
}

// firstOf is the first value of a list that is not an exclusion, or the only one.
func firstOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case []any:
		for _, one := range v {
			if text, ok := one.(string); ok && !strings.HasPrefix(text, "!") {
				return text
			}
		}
	}
	return ""
}

// example is a text that a pattern takes.
func example(pattern string) string {
	return strings.ReplaceAll(strings.ReplaceAll(pattern, "**", "x"), "*", "x")
}

// headerLike is a value that a condition on a header takes, where that is plain.
func headerLike(wanted any) string {
	if text, ok := wanted.(string); ok {
		return text
	}
	condition, ok := wanted.(map[string]any)
	if !ok {
		return ""
	}
	for _, word := range []string{"equals", "in", "prefix", "suffix", "contains"} {
		if value := firstOf(condition[word]); value != "" {
			return value
		}
	}
	if condition["exists"] == true {
		return "x"
	}
	return ""
}
