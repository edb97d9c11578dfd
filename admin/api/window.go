package api

import "time"

// Window is what ended within the last while, on all nodes: a node keeps an hour
// of it in memory and nothing on disk.
type Window struct {
	Until   time.Time `json:"until"`
	WindowS float64   `json:"window_seconds"`        // as asked
	SinceS  float64   `json:"since_seconds"`         // how much of it the oldest of the nodes has seen: less after a start, and a moment less always, as steps are whole
	StepS   float64   `json:"step_seconds"`          // of the series
	Total   Counts    `json:"total"`                 //
	Series  []Point   `json:"series"`                // the oldest first; the last one is under way
	Unseen  int64     `json:"unseen"`                // exchanges that ended too fast to be counted here: /metrics has them
	Partial *Partial  `json:"partial,omitempty"`     // nodes of which nothing is in here
	Recent  []Trouble `json:"recent_trouble"`        // the newest first, 20 at most
	By      []Share   `json:"by"`                    // who and what it was, the most first within each kind
	Flights int64     `json:"in_flight"`             // now
	Other   []string  `json:"other_kinds,omitempty"` // kinds of which there were too many names: the rest stands under the name ""
}

// Counts is what came of some exchanges. Times are in milliseconds.
type Counts struct {
	Requests      int64   `json:"requests"`
	Errors        int64   `json:"errors"`  // answered with 5xx, or cut by the upstream's side
	Refused       int64   `json:"refused"` // answered with 4xx, whoever said so
	InputTokens   int64   `json:"input_tokens"`
	OutputTokens  int64   `json:"output_tokens"`
	FirstTokenP50 float64 `json:"first_token_p50_ms,omitempty"` // of streams; within 15 % of the truth
	FirstTokenP95 float64 `json:"first_token_p95_ms,omitempty"`
}

// Point is one step of a series.
type Point struct {
	Counts
	InFlight int64 `json:"in_flight"`         // the most that were seen at once
	Unknown  bool  `json:"unknown,omitempty"` // no node was there yet
}

// Share is one name's part: of a key, user, model, upstream or rule.
type Share struct {
	Kind string `json:"kind" enum:"key,user,model,upstream,rule"`
	Name string `json:"name"` // empty, and last: none, or all that there was no room for
	Counts
	Series []int64 `json:"series,omitempty"` // requests in equal parts of the window, 15 at most, the oldest first
}

// Trouble is exchanges that ended alike and not well, one after the other.
type Trouble struct {
	Time     time.Time `json:"time"`  // of the newest
	First    time.Time `json:"first"` // of the oldest that is counted
	Count    int64     `json:"count"`
	Status   int       `json:"status"`
	Reason   string    `json:"end_reason"`
	Error    string    `json:"error,omitempty"` // the gateway's own code
	Upstream string    `json:"upstream"`
	Model    string    `json:"model"`
	Key      string    `json:"key"`
	Last     string    `json:"request_id"` // of the newest
	Node     string    `json:"node"`
}

// WindowQuery says what is wanted of a window.
type WindowQuery struct {
	Window time.Duration // 1 minute to 1 hour; 0: 15 minutes
	Points int           // of the series; 0: 60, at most 240
	By     []string      // kinds of Share; none: no shares
	Names  int           // of each kind; 0: 10, at most 1,000
}
