package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// explanation is what would become of a request, as people read it:
//
//	request      POST /v1/chat/completions  model gpt-5-mini  key ci-bot
//	1 fast-lane  no    header x-tier = "paid", wants "free"
//	2 openai     YES   path ✓  model ✓
//	  -> url     https://api.openai.com/v1/chat/completions
//	nothing was sent
type explanation struct {
	api.Explanation
	files []api.Source              // rules that are not applied
	match map[string]map[string]any // of the rules that take the request
	all   bool

	rows [][2]string // what stands left, and what stands right of it
}

func (e *explanation) write(o *output) error {
	e.add("request", e.request())
	if len(e.files) > 0 {
		names := make([]string, len(e.files))
		for i, f := range e.files {
			names[i] = f.Name
		}
		e.add("rules", strings.Join(names, ", ")+", not applied")
	}
	e.addAllowed()
	e.addRules()
	if e.Rule == "" {
		e.addOutcome()
	}
	_, err := io.WriteString(o.w, o.look.plain(e.text(o.look)))
	return err
}

func (e *explanation) add(left, right string) {
	e.rows = append(e.rows, [2]string{left, oneLine(right)})
}

// text sets the right sides one below the other.
func (e *explanation) text(look style) string {
	width := 0
	for _, row := range e.rows {
		width = max(width, utf8.RuneCountInString(row[0]))
	}
	var b strings.Builder
	for _, row := range e.rows {
		line := row[0] + strings.Repeat(" ", width-utf8.RuneCountInString(row[0])+2) + row[1]
		b.WriteString(e.paint(look, strings.TrimRight(line, " "), row[1]) + "\n")
	}
	return b.String() + "nothing was sent\n"
}

func (e *explanation) paint(look style, line, right string) string {
	switch {
	case strings.HasPrefix(right, "YES "), strings.HasPrefix(right, "also "):
		return look.green(line)
	case strings.HasPrefix(right, "skip "), strings.HasPrefix(right, "-  "):
		return look.dim(line)
	}
	return line
}

// request is the first line: what was asked about.
func (e *explanation) request() string {
	parts := []string{e.Method + " " + e.Path}
	if e.Model != "" {
		parts = append(parts, "model "+e.Model)
	}
	if e.Stream {
		parts = append(parts, "stream")
	}
	switch {
	case e.Key != "" && e.User != "":
		parts = append(parts, fmt.Sprintf("key %s (user %s)", e.Key, e.User))
	case e.Key != "":
		parts = append(parts, "key "+e.Key)
	case e.User != "":
		parts = append(parts, "user "+e.User)
	}
	return strings.Join(parts, "  ")
}

// addAllowed tells what came of the key's allow-list, which is asked first.
func (e *explanation) addAllowed() {
	if len(e.Allowed) == 0 {
		return
	}
	list := strings.Join(e.Allowed, ", ")
	if e.Code == rules.CodeModelNotAllowed {
		if e.Model != "" && rules.ModelAllowed(e.Allowed, e.Model) {
			e.add("allow-list", "no    the query names another model")
			return
		}
		reason := rules.Reason{Matcher: "model", Saw: e.Model, Wants: list}
		e.add("allow-list", "no    "+reason.String())
		return
	}
	e.add("allow-list", "YES   model ✓ ("+list+")")
}

// addRules adds a line for each rule up to the one that decides, what would be
// done below it, and those behind it that are out of force; all with --all.
func (e *explanation) addRules() {
	for _, r := range e.Rules {
		if r.Verdict == "unreached" && !e.all {
			continue
		}
		e.add(fmt.Sprintf("%d %s", r.Position, r.Name), verdict(r, e.match[r.Name]))
		if r.Name == e.Rule {
			e.addOutcome()
		}
	}
}

// verdict says whether a rule takes the request, and why not.
func verdict(r api.ExplainedRule, match map[string]any) string {
	reason := rules.Reason{Matcher: r.Matcher, Saw: r.Saw, Wants: r.Wants}
	word, why := r.Verdict, reason.String()
	switch r.Verdict {
	case "yes":
		word, why = "YES", heldText(match)
	case "continue":
		word, why = "YES", heldText(match)+"; the search goes on"
	case "skip":
		why = "disabled"
	case "unreached":
		word = "-"
		if why == "" {
			why = "would take it, were it reached"
		}
	}
	return fmt.Sprintf("%-4s  %s", word, why)
}

// detail adds a line below the rule that decides.
func (e *explanation) detail(name, text string) {
	if text != "" {
		e.add("  -> "+name, text)
	}
}

// addOutcome tells what would be done with the request.
func (e *explanation) addOutcome() {
	if b := e.Binding; b != nil {
		e.detail("binding", fmt.Sprintf("%s, order %d", b.Of, b.Order))
	}
	usable := slices.DeleteFunc(slices.Clone(e.Candidates), func(c api.CandidateReport) bool { return c.Problem != "" })
	switch {
	case e.Outcome == "refuse":
		e.detail("refused", e.ownAnswer())
	case e.Outcome == "respond":
		e.detail("answer", e.ownAnswer())
	case len(usable) > 0:
		e.addCandidates(usable)
	}
	for i := range e.Candidates {
		if c := &e.Candidates[i]; c.Problem != "" {
			e.detail("not", where(c)+": "+c.Problem)
		}
	}
	e.detail("limits", strings.Join(e.Limits, ", "))
	if e.BodyLog {
		e.detail("body log", "on, where serve has --body-log FILE")
	}
	e.detail("response", headerText(e.Response))
}

// addCandidates tells what would be sent to the first, and who comes after it.
func (e *explanation) addCandidates(usable []api.CandidateReport) {
	first := &usable[0]
	e.detail("upstream", upstreams(usable))
	e.detail("url", first.URL)
	if first.Model != e.Model {
		e.detail("model", first.Model)
	}
	headers := headerText(first.Headers)
	if first.Credential != "" {
		headers = strings.TrimSpace("credential " + first.Credential + "   " + headers)
	}
	e.detail("headers", headers)
	e.detail("timeouts", timeoutsText(first.Timeouts))
	for i := range usable[1:] {
		e.detail("then", e.next(&usable[i+1]))
	}
	if r := e.Retry; r != nil && len(r.On) > 0 && r.Attempts > 1 {
		e.detail("retry", fmt.Sprintf("on %s, %d attempts within %s", strings.Join(r.On, ", "), r.Attempts, r.Within))
	}
}

// ownAnswer is what the gateway itself answers.
func (e *explanation) ownAnswer() string {
	text := fmt.Sprint(e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Message != "" {
		text += "  " + e.Message
	}
	return text
}

// upstreams names those among which one is chosen, with their shares.
func upstreams(usable []api.CandidateReport) string {
	var peers []string
	for i := range usable {
		c := &usable[i]
		if c.Fallback {
			continue
		}
		text := where(c)
		if c.Share > 0 && c.Share < 1 {
			text += fmt.Sprintf(" (%g%%)", math.Round(c.Share*1000)/10)
		}
		peers = append(peers, text)
	}
	switch len(peers) {
	case 0:
		return where(&usable[0]) + " (fallback)"
	case 1:
		return peers[0]
	}
	slices.Sort(peers)
	return strings.Join(peers, " or ") + "   by weight; this request's is " + where(&usable[0])
}

// where names a candidate, a target by what it is.
func where(c *api.CandidateReport) string {
	if c.Upstream == "" {
		return "a target URL"
	}
	return c.Upstream
}

// next tells of a candidate that is tried after another.
func (e *explanation) next(c *api.CandidateReport) string {
	text := where(c)
	if c.Fallback {
		text += " (fallback)"
	}
	text += "  " + c.URL
	if c.Model != e.Model {
		text += "  model " + c.Model
	}
	if e.Binding != nil && c.Credential != "" {
		text += "  credential " + c.Credential
	}
	return text
}

// askedInOrder are the matchers in the order in which they are asked.
func askedInOrder() []string {
	return []string{"path", "method", "host", "header", "query", "model", "stream", "key", "user", "tag", "source", "body_bytes", "not"}
}

// heldText names the matchers of a rule that takes the request, all of which
// hold.
func heldText(match map[string]any) string {
	var parts []string
	for _, field := range askedInOrder() {
		value, ok := match[field]
		named, isMap := value.(map[string]any)
		switch {
		case !ok:
		case isMap && (field == "header" || field == "query" || field == "tag"):
			for _, name := range sorted(named) {
				parts = append(parts, field+" "+name+" ✓")
			}
		case field == "model":
			parts = append(parts, "model ✓ ("+api.ValueText(value)+")")
		default:
			parts = append(parts, field+" ✓")
		}
	}
	if len(parts) == 0 {
		return "takes everything"
	}
	return strings.Join(parts, "  ")
}

func headerText(h *api.Header) string {
	if h == nil {
		return ""
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(h.Set)) {
		parts = append(parts, strings.ToLower(name)+": "+h.Set[name])
	}
	for _, name := range slices.Sorted(maps.Keys(h.Add)) {
		for _, value := range h.Add[name] {
			parts = append(parts, "added "+strings.ToLower(name)+": "+value)
		}
	}
	if len(h.Removed) > 0 {
		parts = append(parts, "removed: "+strings.ToLower(strings.Join(h.Removed, ", ")))
	}
	return strings.Join(parts, "   ")
}

func timeoutsText(t *api.Timeouts) string {
	if t == nil {
		return ""
	}
	var parts []string
	for _, one := range [][2]string{
		{"connect", t.Connect}, {"response_header", t.ResponseHeader}, {"first_token", t.FirstToken}, {"idle", t.Idle}, {"total", t.Total},
	} {
		if one[1] != "" {
			parts = append(parts, one[0]+" "+one[1])
		}
	}
	return strings.Join(parts, ", ")
}
