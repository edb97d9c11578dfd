package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llmgw/llmgw/admin/api"
)

// exchangeFilter is a filter of exchanges. The gateway shows so many a second at
// most, so that what it can filter by itself it is asked to: then rare ones are
// among what it shows.
type exchangeFilter struct {
	filter             // what is looked at here only
	named  []namedTerm // what the gateway can hold, too
	status []string    // the classes of status that there can be; empty: all
	slower float64     // milliseconds that it took at least
}

// namedTerm is a pattern of a name. It takes what the gateway's takes: * is any
// text, and upper case is not lower case.
type namedTerm struct{ field, pattern string }

// exchangeFields are the fields that a filter of exchanges knows.
func exchangeFields() []string {
	return []string{"status", "model", "upstream", "key", "user", "rule", "ttft", "total", "in", "out", "error", "end", "node", "path", "id"}
}

// parseExchangeFilter reads a filter of exchanges; the error says which word is
// wrong.
func parseExchangeFilter(text string) (*exchangeFilter, error) {
	parsed, err := parseFilter(text)
	if err != nil {
		return nil, err
	}
	f := &exchangeFilter{filter: filter{text: parsed.text}}
	for _, t := range parsed.terms {
		if err := t.ofExchange(); err != nil {
			return nil, err
		}
		if t.isName() {
			f.named = append(f.named, namedTerm{t.field, t.raw})
			continue
		}
		f.terms = append(f.terms, t)
		if !t.not && len(t.or) == 0 {
			f.narrow(&t)
		}
	}
	return f, nil
}

// ofExchange makes a term one of exchanges, or says that there is no such field.
func (t *term) ofExchange() error {
	if t.field != "" && !slices.Contains(exchangeFields(), t.field) {
		return fmt.Errorf("%s: there are %s", t.field, strings.Join(exchangeFields(), ", "))
	}
	if t.field == "status" {
		t.want = statusClass(t.want)
	}
	for i := range t.or {
		if err := t.or[i].ofExchange(); err != nil {
			return err
		}
	}
	return nil
}

// isName says whether a term is a pattern that the gateway knows.
func (t *term) isName() bool {
	if t.not || len(t.or) > 0 || t.op != ":" && t.op != "=" {
		return false
	}
	switch t.field {
	case "model", "upstream", "key", "user", "rule":
		return true
	}
	return false
}

// statusClass gives 4xx as a pattern of digits.
func statusClass(want string) string {
	if len(want) == 3 && want[1:] == "xx" {
		return want[:1] + "??"
	}
	return want
}

// narrow takes in what a term leaves of all exchanges, as far as the gateway can
// be asked for that.
func (f *exchangeFilter) narrow(t *term) {
	least, isNumber := number(t.want)
	switch t.field {
	case "status":
		if f.status == nil {
			f.status = classesOf(t)
		}
	case "ttft", "total": // the first token does not come after the last
		if isNumber && (t.op == ">" || t.op == ">=") && least > 0 && least < longestWait {
			f.slower = max(f.slower, least)
		}
	}
}

// longestWait bounds a time in milliseconds that the gateway is asked to compare
// with: eleven days.
const longestWait = 1e9

// classesOf gives the classes in which there is a status that a term takes; nil:
// all of them.
func classesOf(t *term) []string {
	takes := func(status int) bool {
		return t.holds(func(string) (string, bool) { return strconv.Itoa(status), true }, nil)
	}
	if n, err := strconv.Atoi(t.want); err == nil && (t.op == ":" || t.op == "=") && n >= 0 && n < 1000 {
		return []string{fmt.Sprintf("%03d", n)}
	}
	var classes []string
	if takes(0) {
		classes = append(classes, "000") // nothing was answered
	}
	for class := 1; class <= 5; class++ {
		for status := class * 100; status < class*100+100; status++ {
			if takes(status) {
				classes = append(classes, strconv.Itoa(class)+"xx")
				break
			}
		}
	}
	if len(classes) == 0 || len(classes) == 6 {
		return nil
	}
	return classes
}

// on says whether anything is filtered.
func (f *exchangeFilter) on() bool { return len(f.named) > 0 || f.filter.on() }

// longestPattern is how long a pattern the gateway takes.
const longestPattern = 256

// query is what the gateway is asked for: no more than what the filter takes, as
// far as it can say so, and no less. Since is how far back.
func (f *exchangeFilter) query(since time.Duration) api.EventQuery {
	var q api.EventQuery
	for field, into := range map[string]*[]string{"model": &q.Model, "key": &q.Key, "user": &q.User, "rule": &q.Rule, "upstream": &q.Upstream} {
		for _, n := range f.named {
			if n.field == field && len(n.pattern) <= longestPattern {
				*into = []string{n.pattern} // the others hold here: of several, the gateway takes any
				break
			}
		}
	}
	q.Status, q.Slower = f.status, time.Duration(f.slower*float64(time.Millisecond))
	if len(q.Status) > 0 || q.Slower > 0 {
		q.Kinds = []string{"change", "exchange"} // of one that has started, neither is known
	}
	if narrows(&q) {
		q.Since = since
	}
	return q
}

// narrows says whether a query leaves anything out.
func narrows(q *api.EventQuery) bool {
	return len(q.Model)+len(q.Key)+len(q.User)+len(q.Rule)+len(q.Upstream)+len(q.Status) > 0 || q.Slower > 0
}

// sameQuery says whether two queries ask for the same.
func sameQuery(a, b *api.EventQuery) bool {
	return slices.Equal(a.Model, b.Model) && slices.Equal(a.Key, b.Key) && slices.Equal(a.User, b.User) && slices.Equal(a.Rule, b.Rule) &&
		slices.Equal(a.Upstream, b.Upstream) && slices.Equal(a.Status, b.Status) && a.Slower == b.Slower
}

// takes says whether the filter takes a row.
func (f *exchangeFilter) takes(r *tailRow) bool {
	if !f.on() {
		return true
	}
	for i := range f.named {
		if value, _ := r.field(f.named[i].field); !globs(f.named[i].pattern, value) {
			return false
		}
	}
	return f.filter.takes(r.field, r.texts)
}

// field gives what a filter looks at. What is not known of an exchange that is
// under way is not there.
func (r *tailRow) field(name string) (string, bool) {
	if r.ended == nil {
		return flightField(r.started, name)
	}
	return exchangeField(r.ended, name)
}

func exchangeField(x *api.Exchange, name string) (string, bool) {
	switch name {
	case "status":
		return strconv.Itoa(x.Status), true
	case "ttft":
		return numberText(x.FirstTokenMS), x.FirstTokenMS > 0
	case "total":
		return numberText(x.DurationMS), true
	case "in":
		return tokenText(x.InputTokens), x.InputTokens != nil
	case "out":
		return tokenText(x.OutputTokens), x.OutputTokens != nil
	case "error":
		return x.Error, x.Error != ""
	case "end":
		return x.EndReason, true
	}
	return callField(name, x.Model, x.Upstream, x.Key, x.User, x.Rule, x.Node, x.Path, x.RequestID)
}

func flightField(f *api.Flight, name string) (string, bool) {
	if name == "end" {
		return "streaming", f.Stream
	}
	return callField(name, f.Model, f.Upstream, f.Key, f.User, f.Rule, f.Node, f.Path, f.RequestID)
}

// callField gives what is known of an exchange from its start.
func callField(name, model, upstream, key, user, rule, node, path, id string) (string, bool) {
	switch name {
	case "model":
		return model, true
	case "upstream":
		return upstream, true
	case "key":
		return key, true
	case "user":
		return user, true
	case "rule":
		return rule, true
	case "node":
		return node, true
	case "path":
		return path, true
	case "id":
		return id, true
	}
	return "", false
}

// texts is what a word without a field is looked for in.
func (r *tailRow) texts() []string {
	if f := r.started; r.ended == nil {
		return []string{f.Model, f.Upstream, f.Key, f.User, f.Rule, f.Path, f.RequestID, f.Node}
	}
	x := r.ended
	return []string{x.Model, x.Upstream, x.Key, x.User, x.Rule, x.Path, x.RequestID, x.Node, x.Error, x.EndReason, strconv.Itoa(x.Status)}
}

func numberText(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func tokenText(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}
