package rules

import (
	"net/url"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// Config is everything that decides, at one revision.
type Config struct {
	Revision  int64
	Files     []File
	Upstreams []accounts.Upstream
}

// Request is what is decided upon. The proxy fills it from the wire, explain
// from flags. Nothing in it is kept or changed.
type Request struct {
	Method   string
	Host     string
	Path     string // canonical, escaped: the string that is sent
	RawQuery string
	Header   map[string][]string // canonical names, as net/http has them
	Wire     accounts.Wire
	Model    string // "" where it cannot be read
	HasModel bool
	Stream   bool
}

// Outcome says what is to happen to a request.
type Outcome uint8

// The outcomes. All but Forward and Respond are failures that the caller sees
// as a 400.
const (
	Forward         Outcome = iota // send it to Candidate
	Answer                         // answer with Rule's Respond
	NoRule                         // no rule takes it
	NoDestination                  // the rule leaves the destination open, and nothing else names one
	UpstreamOff                    // the rule's upstream is disabled
	WrongWire                      // the rule's upstream does not speak the request's wire format
	ModelUnreadable                // the rule rewrites a model that the request does not show
)

// Decision is what Decide found. It points into the Set; making one allocates
// nothing.
type Decision struct {
	Outcome   Outcome
	Rule      *Compiled
	Candidate *Candidate // set for Forward, UpstreamOff and WrongWire
}

// Compiled is a rule made ready to be asked. Its fields are read only.
type Compiled struct {
	Index           int // position among the set's rules, for tables made per rule
	Set             string
	Name            string
	Position        int // 1-based position in the total order, as explain and list show it
	Respond         *Respond
	Headers         []HeaderEdit
	ResponseHeaders []HeaderEdit

	rule      *Rule
	match     matcher
	path      *pathEdit  // nil leaves the path
	candidate *Candidate // nil where the rule names no destination
}

// Candidate is one destination of a rule.
type Candidate struct {
	Upstream *accounts.Upstream // nil for a target URL: no credential is put in
	Index    int                // of Upstream in the set, -1 for a target URL
	Base     *url.URL
	Model    string // the model name to send; "" leaves it
}

// HeaderEdit is one change to a header, in the order of application.
type HeaderEdit struct {
	Op    EditOp
	Name  string // canonical
	Value string
}

// EditOp is what a HeaderEdit does.
type EditOp uint8

// The edits.
const (
	RemoveHeader EditOp = iota
	SetHeader
	AddHeader
)

// Decide finds the first rule that takes a request, and what is to become of
// the request. It changes nothing, asks nobody, and allocates nothing, unless a
// rule asks for a query parameter and the query is percent-encoded.
func (s *Set) Decide(q *Request) Decision {
	rule := s.index.first(q)
	if rule == nil {
		return Decision{Outcome: NoRule}
	}
	d := Decision{Rule: rule, Candidate: rule.candidate}
	switch c := rule.candidate; {
	case rule.Respond != nil:
		d.Outcome = Answer
	case c == nil:
		d.Outcome = NoDestination
	case c.Upstream != nil && !c.Upstream.Enabled:
		d.Outcome = UpstreamOff
	case c.Upstream != nil && !c.Upstream.Speaks(q.Wire):
		d.Outcome = WrongWire
	case c.Model != "" && !q.HasModel:
		d.Outcome, d.Candidate = ModelUnreadable, nil
	}
	return d
}

// Path gives the path to send upstream: the request's own, changed as the rule
// says. The error is a *PathError: the rule made something that is no canonical
// path of this one, and the request must not be sent.
func (d *Decision) Path(q *Request) (string, error) {
	if d.Rule == nil || d.Rule.path == nil {
		return q.Path, nil
	}
	edited := d.Rule.path.apply(q.Path)
	if strings.ContainsAny(edited, "?#") {
		return "", &PathError{Reason: "the path holds a query or fragment"}
	}
	return CanonicalPath(edited)
}

// apply edits a path: set, or else strip, add and replace in this order.
func (e *pathEdit) apply(path string) string {
	if e.Set != "" {
		return e.Set
	}
	if e.StripPrefix != "" && beginsWith(path, e.StripPrefix) {
		if path = path[len(e.StripPrefix):]; path == "" {
			path = "/"
		}
	}
	if e.AddPrefix != "" {
		if path == "/" {
			path = ""
		}
		path = e.AddPrefix + path
	}
	if e.regex != nil {
		path = e.regex.ReplaceAllString(path, e.Replace.With)
	}
	return path
}
