package rules

import (
	"strconv"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// Verdict is what became of a rule for one request.
type Verdict uint8

// The verdicts.
const (
	Yes       Verdict = iota // it takes the request, and decides
	Continue                 // it takes the request, and the search goes on
	No                       // it does not take the request
	Disabled                 // it takes nothing
	Unreached                // another rule had decided before it was its turn
)

var verdictNames = [...]string{"yes", "continue", "no", "disabled", "unreached"}

func (v Verdict) String() string { return verdictNames[v] }

// Reason says what became of one rule for a request, and why.
type Reason struct {
	Listed  Listed
	Verdict Verdict

	// Matcher is the first matcher that does not hold, in the order path,
	// method, host, header, query, model, stream, key, user, tag, source,
	// body_bytes, not: "path", "header x-tier", "not source". It is given for No
	// and for Unreached; an unreached rule without one would take the request.
	Matcher string
	Saw     string // what the request has there; "" for nothing
	Wants   string // what the rule asks for
}

// String says why in the words of operators: path /v1/x, wants /v1/messages/**.
// It is empty where every matcher holds.
func (r *Reason) String() string {
	if r.Matcher == "" {
		return ""
	}
	between := " "
	if _, named, ok := strings.Cut(strings.TrimPrefix(r.Matcher, "not "), " "); ok && named != "" {
		between = " = "
	}
	if r.Saw == "" {
		return r.Matcher + " is not there, wants " + r.Wants
	}
	return r.Matcher + between + r.Saw + ", wants " + r.Wants
}

// Explain says of every rule, in the total order and disabled ones too, whether
// it takes a request and if not, why. It asks the same conditions as Decide.
func (s *Set) Explain(q *Request) []Reason {
	reasons, compiled, decided := make([]Reason, 0, len(s.listed)), s.rules, false
	for _, listed := range s.listed {
		reason := Reason{Listed: listed, Verdict: Disabled}
		if !listed.Rule.Disabled {
			reason.Verdict, decided = compiled[0].explain(q, decided, &reason)
			compiled = compiled[1:]
		}
		reasons = append(reasons, reason)
	}
	return reasons
}

func (r *Compiled) explain(q *Request, decided bool, reason *Reason) (v Verdict, nowDecided bool) {
	failing := r.match.failing(q)
	if failing != nil {
		reason.Matcher, reason.Saw, reason.Wants = failing.matcherName(q), failing.saw(q), failing.wants(&r.rule.Match, q)
	}
	switch {
	case decided:
		return Unreached, true
	case failing != nil:
		return No, false
	case r.Continue:
		return Continue, false
	}
	return Yes, true
}

// matcherName is what operators call a condition that fails.
func (c *condition) matcherName(q *Request) string {
	name := c.on.String()
	switch c.on {
	case onHeader:
		name += " " + strings.ToLower(c.name)
	case onQuery, onTag:
		name += " " + shorten(c.name)
	case onNot:
		if held := c.not.holding(q); held != nil {
			name += " " + held.matcherName(q)
		}
	}
	return name
}

// saw is what a request has where a condition looks, "" for nothing.
func (c *condition) saw(q *Request) string {
	switch c.on {
	case onPath:
		return plain(q.Path)
	case onMethod:
		return plain(q.Method)
	case onHost:
		return plain(hostOnly(q.Host))
	case onHeader:
		return quotedValues(c.name, q.Header[c.name])
	case onQuery:
		return quotedValues(c.name, parameters(q.RawQuery, c.name))
	case onModel:
		if !q.HasModel {
			return ""
		}
		return orQuotes(plain(q.Model))
	case onStream:
		return strconv.FormatBool(q.Stream)
	case onNot:
		held := c.not.holding(q)
		if held == nil || held.on == onNot {
			return "nothing of it"
		}
		return held.saw(q)
	}
	return c.sawOfCaller(q)
}

func (c *condition) sawOfCaller(q *Request) string {
	switch c.on {
	case onKey:
		return plain(q.Key)
	case onUser:
		return plain(q.User)
	case onTag:
		if value, ok := q.tag(c.name); ok {
			return orQuotes(plain(value))
		}
	case onSource:
		if q.Source.IsValid() {
			return q.Source.Unmap().WithZone("").String()
		}
	case onBodyBytes:
		if q.BodyBytes >= 0 {
			return strconv.FormatInt(q.BodyBytes, 10)
		}
	}
	return ""
}

// wants is what a condition asks for, as the rule has it; m is the block that it
// stands in.
func (c *condition) wants(m *Match, q *Request) string {
	list := func(values []string) string { return shorten(strings.Join(values, ", ")) }
	switch c.on {
	case onPath:
		if m.Path.Regex != "" {
			return "regex " + shorten(m.Path.Regex)
		}
		return list(m.Path.Globs)
	case onMethod:
		return list(m.Method)
	case onHost:
		return list(m.Host)
	case onHeader, onQuery:
		return c.test.wants(c.name)
	case onModel:
		return list(m.Model)
	case onStream:
		return strconv.FormatBool(c.stream)
	case onKey:
		return list(m.Key)
	case onUser:
		return list(m.User)
	case onTag:
		return orQuotes(plain(m.Tag[c.name]))
	case onSource:
		return list(m.Source)
	case onBodyBytes:
		return m.BodyBytes.String()
	}
	// not: it fails for what holds.
	held := c.not.holding(q)
	if held == nil || held.on == onNot {
		return "some of it"
	}
	return "not " + held.wants(m.Not, q)
}

// String writes bounds in words.
func (b *Bounds) String() string {
	var words []string
	if b.GT != nil {
		words = append(words, "more than "+sizeText(*b.GT))
	}
	if b.LT != nil {
		words = append(words, "less than "+sizeText(*b.LT))
	}
	return strings.Join(words, " and ")
}

// wants writes a test in words. What could be a credential is not shown.
func (t *test) wants(name string) string {
	switch t.op {
	case opExists:
		return "any value"
	case opMissing:
		return "none"
	}
	if hides(name) {
		return hidden
	}
	switch want := strconv.Quote(shorten(t.want)); t.op {
	case opPrefix:
		return "one that begins with " + want
	case opSuffix:
		return "one that ends with " + want
	case opContains:
		return "one that contains " + want
	case opRegex:
		return "regex " + shorten(t.regex.String())
	case opIn:
		return quotedList(t.in, " or ")
	default:
		return want
	}
}

// hidden stands where a credential may be.
const hidden = "‹secret›"

// hides says whether a header or parameter of that name may hold a credential.
func hides(name string) bool {
	return isCarrier(name) || name == keyParameter || mayHoldSecret(name)
}

func quotedValues(name string, values []string) string {
	if len(values) > 0 && hides(name) {
		return hidden
	}
	return quotedList(values, ", ")
}

// maxShown is how many values of a list are shown.
const maxShown = 8

func quotedList(values []string, between string) string {
	shown := make([]string, 0, min(len(values), maxShown))
	for i, value := range values {
		if i == maxShown {
			shown = append(shown, "…")
			break
		}
		if strings.Contains(value, accounts.KeyPrefix) {
			shown = append(shown, hidden)
		} else {
			shown = append(shown, strconv.Quote(shorten(value)))
		}
	}
	return strings.Join(shown, between)
}

// plain writes a text as it is where that cannot be misread.
func plain(text string) string {
	if hasControl(text) {
		return strconv.Quote(shorten(text))
	}
	return shorten(text)
}

func orQuotes(text string) string {
	if text == "" {
		return `""`
	}
	return text
}
