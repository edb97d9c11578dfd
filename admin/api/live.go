package api

import (
	"slices"
	"time"
)

// Flight is an exchange that is under way on a node.
type Flight struct {
	RequestID   string    `json:"request_id"`
	StartedAt   time.Time `json:"started_at"`
	Method      string    `json:"method"`
	Path        string    `json:"path"`
	Key         string    `json:"key"`
	User        string    `json:"user"`
	Rule        string    `json:"rule"`
	Upstream    string    `json:"upstream"`
	Model       string    `json:"model"`
	Stream      bool      `json:"stream"`
	Status      int       `json:"status,omitempty"` // of the answer, once its head is there
	SentBytes   int64     `json:"sent_bytes"`
	FirstToken  float64   `json:"first_token_ms,omitempty"`
	LastWriteMS float64   `json:"since_last_write_ms,omitempty"`
	Node        string    `json:"node"`
}

// Exchange is an exchange that has ended: its access line.
type Exchange struct {
	RequestID     string    `json:"request_id"`
	Time          time.Time `json:"time"` // of its end
	Method        string    `json:"method"`
	Path          string    `json:"path"`
	Status        int       `json:"status"`
	EndReason     string    `json:"end_reason"`
	Error         string    `json:"error,omitempty"` // the gateway's own code
	Key           string    `json:"key"`
	User          string    `json:"user"`
	Rule          string    `json:"rule"`
	Upstream      string    `json:"upstream"`
	Wire          string    `json:"wire"`
	Model         string    `json:"model"`
	UpstreamModel string    `json:"upstream_model,omitempty"`
	Stream        bool      `json:"stream"`
	DurationMS    float64   `json:"duration_ms"`
	UpstreamMS    float64   `json:"upstream_ms"`
	FirstTokenMS  float64   `json:"first_token_ms,omitempty"`
	OverheadUS    int64     `json:"overhead_us"`
	RequestBytes  int64     `json:"request_bytes"`
	ResponseBytes int64     `json:"response_bytes"`
	InputTokens   *int64    `json:"input_tokens,omitempty"`
	OutputTokens  *int64    `json:"output_tokens,omitempty"`
	CachedTokens  *int64    `json:"cached_input_tokens,omitempty"`
	CacheWrites   *int64    `json:"cache_write_tokens,omitempty"`
	Reasoning     *int64    `json:"reasoning_tokens,omitempty"`
	Attempts      int       `json:"attempts"`
	Revision      int64     `json:"revision"`
	Node          string    `json:"node"`
	Timing        *Timing   `json:"timing,omitempty"` // of one that was sent to an upstream
}

// Timing is when what of an exchange was, in milliseconds after its first byte;
// of what did not happen, 0.
type Timing struct {
	Body       float64 `json:"body_ms,omitempty"`    // the request's body was there
	Dispatched float64 `json:"dispatched_ms"`        // the last attempt was given to the transport
	Connect    float64 `json:"connect_ms,omitempty"` // how long a new connection took; 0: one was there
	Header     float64 `json:"header_ms,omitempty"`  // the answer's head was there
	FirstByte  float64 `json:"first_byte_ms,omitempty"`
	Chunks     int64   `json:"chunks,omitempty"`         // writes to the client
	Gap        float64 `json:"longest_gap_ms,omitempty"` // between two of them
	GapAt      float64 `json:"longest_gap_at_ms,omitempty"`
	GapStep    float64 `json:"gap_step_ms,omitempty"` // what one of Gaps stands for
	Gaps       []int32 `json:"gaps_ms,omitempty"`     // the longest gap that ended in each step since the first byte, 32 at most
}

// Event is one server-sent event of /api/v1/events: exactly one field is set,
// the event's name is that field's, and its data the field's value.
type Event struct {
	ID string `json:"-"` // of a hello and of exchanges: a place in what the node remembers; see EventQuery.After

	Hello    *Hello    `json:"hello,omitempty"`    // the first, and again after a gap
	Change   *Changed  `json:"change,omitempty"`   // something was changed: load it again
	Exchange *Exchange `json:"exchange,omitempty"` // an exchange has ended
	Started  *Flight   `json:"started,omitempty"`  // an exchange has been sent to an upstream
	Tally    *Tally    `json:"tally,omitempty"`    // once a second, where it has changed
	Partial  *Partial  `json:"partial,omitempty"`  // exchanges of some nodes are not shown; or of none, any more
}

// Hello begins a stream of events.
type Hello struct {
	Node     string `json:"node"`
	Seq      int64  `json:"seq"` // changes after this one are told
	Revision int64  `json:"revision"`
}

// Changed is a change of the store, without its content.
type Changed struct {
	Seq      int64     `json:"seq"`
	Revision int64     `json:"revision"`
	Action   string    `json:"action"`
	Subjects []string  `json:"subjects"`
	Actor    string    `json:"actor"`
	Time     time.Time `json:"time"`
}

// Tally counts the exchanges, and their starts, that were and were not shown on
// this connection since it began.
type Tally struct {
	Shown    int64 `json:"shown"`
	Filtered int64 `json:"filtered"`
	Dropped  int64 `json:"dropped"` // the reader was too slow, there were more in a second than are shown, or some were lost between nodes
}

// Partial says of which nodes nothing is known, and why.
type Partial struct {
	Nodes   []string `json:"nodes"`             // empty without a problem: nothing is missing any more
	Problem string   `json:"problem,omitempty"` // without nodes: it is not known which there are
}

// Same says whether two tell the same; nil: nothing is missing.
func (p *Partial) Same(q *Partial) bool {
	if p == nil || q == nil {
		return p == q
	}
	return p.Problem == q.Problem && slices.Equal(p.Nodes, q.Nodes)
}

// Streams is what is in flight on all nodes.
type Streams struct {
	Items   []Flight `json:"items"`             // the oldest first
	Partial *Partial `json:"partial,omitempty"` // what may be missing
}

// EventQuery says which events are wanted. Filters concern exchanges only; they
// are applied at the gateway. Globs are those of rules.
type EventQuery struct {
	Kinds    []string // "change", "exchange", "started"; empty: change and exchange
	Model    []string // globs
	Key      []string // globs
	User     []string // globs
	Rule     []string // globs
	Upstream []string // globs
	Status   []string // "429", "4xx"
	Slower   time.Duration
	Since    time.Duration // exchanges of the past, as far as they are remembered
	After    string        // an Event.ID: exchanges that have ended since that one, in place of Since
}
