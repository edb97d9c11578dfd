package rules

import (
	"net/netip"

	"github.com/llmgw/llmgw/accounts"
)

// Config is everything that decides, at one revision.
type Config struct {
	Revision  int64
	Files     []File
	Upstreams []accounts.Upstream
	Bindings  []accounts.Binding

	// Reach is that of the server where rules are about to be stored: a target
	// beyond it is refused then. What is stored already goes on being compiled
	// under any reach; who dials has the last word.
	Reach Reach
}

// Request is what is decided upon. The proxy fills it from the wire and from
// who is calling, explain from flags. Nothing in it is kept or changed.
type Request struct {
	ID        string // of the request, for ${request.id}
	Method    string
	Host      string
	Path      string // canonical, escaped: the string that is sent
	RawQuery  string
	Header    map[string][]string // canonical names, as net/http has them
	Wire      accounts.Wire
	Model     string // "" where it cannot be read
	HasModel  bool
	Stream    bool
	Websocket bool // a change to that protocol is asked for; see AsksForWebsocket

	Key, User      string            // names of the authenticated caller; "" for none
	Tags, UserTags map[string]string // the key's and its user's; the key's go first
	KeyID, UserID  string            // of the same, whose bindings are asked; "" for none
	Allowed        []string          // the models that the key may ask for, see ModelAllowed; empty: all
	Source         netip.Addr        // the believable peer; the zero Addr is in no network
	BodyBytes      int64             // length of the body; below zero where nobody knows, which is no size at all
	Random         uint64            // what affinity: none draws on, and any affinity where there is nothing to keep to
}

// tag looks a tag up: the key's, or else its user's.
func (q *Request) tag(name string) (value string, ok bool) {
	if value, ok = q.Tags[name]; !ok {
		value, ok = q.UserTags[name]
	}
	return value, ok
}

// Outcome says what is to happen to a request.
type Outcome uint8

// The outcomes. All but Forward and Answer are failures that the caller sees
// as a 400.
const (
	Forward         Outcome = iota // send it to Candidates
	Answer                         // answer with Rule's Respond
	NoRule                         // no rule takes it
	NoDestination                  // the rule leaves the destination open, and no binding names one
	UpstreamOff                    // every upstream of the rule, or of the bindings, is disabled or draining
	WrongWire                      // no upstream of these that takes requests speaks the request's wire format
	ModelUnreadable                // the rule rewrites a model that the request does not show
	NoWebsocket                    // no upstream of these that takes requests takes WebSockets
	WrongBaseURL                   // the path begins with /v1 twice, and nothing in the rule mends it
	ModelNotAllowed                // the key's allow-list does not take the model; no rule was asked
)

// Decision is what Decide found. It points into the Set; reusing one allocates
// nothing. Its slices are read only and last until it is used again.
type Decision struct {
	Outcome Outcome
	Rule    *Compiled   // the deciding rule; nil where none takes the request, or none was asked
	Passed  []*Compiled // rules with continue that matched before it, in order

	// Bound is the caller's binding behind the first of Candidates; nil where a
	// rule named them.
	Bound *accounts.Binding

	// Candidates are in the order in which to try them: the chosen one, its
	// peers, the fallback. For Forward they are all usable (they take requests, and
	// speak the request's wire format) and one at least. For UpstreamOff, WrongWire,
	// NoWebsocket and ModelUnreadable there is one: the one that it is about. For
	// the others there is none.
	Candidates []*Candidate

	Retry          Retry
	Limits         []accounts.Limit // of Passed and of Rule, in order
	FinishWhenGone bool             // on_client_gone: finish
	LogBody        bool             // body_log, of Passed or of Rule

	set    *Set
	chosen []*Candidate     // room for Candidates
	limits []accounts.Limit // room for Limits
	ranked []ranked         // room for the caller's bindings
}

// Compiled is a rule made ready to be asked. Its fields are read only.
type Compiled struct {
	Index           int // position among the set's rules, for tables made per rule
	Set             string
	Name            string
	Position        int // 1-based position in the total order, as explain and list show it
	Continue        bool
	Respond         *Respond
	Headers         []HeaderEdit
	ResponseHeaders []HeaderEdit

	rule       *Rule
	match      matcher
	path       *pathEdit    // nil leaves the path
	model      *template    // what the model is rewritten to where a binding names the destination
	candidates []*Candidate // upstreams as they are written, then the fallback; none where the rule names no destination
	peers      int          // how many of them are no fallback
	affinity   affinity
	retry      Retry
	finish     bool
	logsBody   bool
}

// HeaderEdit is one change to a header, in the order of application.
type HeaderEdit struct {
	Op    EditOp
	Name  string // canonical
	Value string // as written, with its placeholders

	value template
}

// EditOp is what a HeaderEdit does.
type EditOp uint8

// The edits.
const (
	RemoveHeader EditOp = iota
	SetHeader
	AddHeader
)

// Decide asks the key's allow-list, then finds the first rule that takes a
// request and does not say continue, and what is to become of the request; where
// the rules leave its destination open, the caller's bindings name one. It resets
// d first. It changes nothing else, asks nobody, and allocates nothing, unless d
// is new, or a rule or an allow-list asks for a query parameter and the query is
// percent-encoded.
func (s *Set) Decide(q *Request, d *Decision) {
	*d = Decision{set: s, Passed: d.Passed[:0], chosen: d.chosen[:0], limits: d.limits[:0], ranked: d.ranked[:0]}
	if _, refused := q.notAllowed(); refused {
		d.Outcome = ModelNotAllowed
		return
	}
	d.Rule = s.index.first(q)
	if s.continuing != nil {
		d.Passed = s.continuing.all(q, d.Rule, d.Passed)
	}
	d.collectLimits()
	d.LogBody = d.logsBody()
	switch r := d.Rule; {
	case r == nil:
		d.Outcome = d.bind(q, NoRule)
		d.Retry = (*Retry)(nil).orDefaults()
	case r.Respond != nil:
		d.Outcome = Answer
	case len(r.candidates) == 0:
		d.Outcome = d.bind(q, NoDestination)
		d.Retry = r.retry
	default:
		d.Outcome = d.choose(q)
		d.Retry = r.retry
	}
	d.FinishWhenGone = d.Rule != nil && d.Rule.finish
	if d.Retry.Attempts == 0 {
		d.Retry.Attempts = max(1, len(d.Candidates))
	}
}

// logsBody says whether a rule that counts wants the bodies in the body log.
func (d *Decision) logsBody() bool {
	for _, r := range d.Passed {
		if r.logsBody {
			return true
		}
	}
	return d.Rule != nil && d.Rule.logsBody
}

// collectLimits puts the limits of all rules that count one behind another.
func (d *Decision) collectLimits() {
	if len(d.Passed) == 0 {
		if d.Rule != nil {
			d.Limits = d.Rule.rule.Action.Limits
		}
		return
	}
	for _, r := range d.Passed {
		d.limits = append(d.limits, r.rule.Action.Limits...)
	}
	if d.Rule != nil {
		d.limits = append(d.limits, d.Rule.rule.Action.Limits...)
	}
	d.Limits = d.limits
}
