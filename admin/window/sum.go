package window

import (
	"net/http"

	"github.com/llmgw/llmgw/admin/api"
)

// Sum is what came of some exchanges, in a form that can be added up.
type Sum struct {
	Requests     int64  `json:"n,omitempty"`
	Errors       int64  `json:"e,omitempty"`
	Refused      int64  `json:"r,omitempty"`
	InputTokens  int64  `json:"i,omitempty"`
	OutputTokens int64  `json:"o,omitempty"`
	Times        *Times `json:"t,omitempty"` // nil: no first token was timed
}

// count adds one exchange; timed where its first token is to be counted, too.
func (s *Sum) count(x *api.Exchange, timed bool) {
	s.Requests++
	switch outcomeOf(x) {
	case refused:
		s.Refused++
	case broken:
		s.Errors++
	}
	s.InputTokens += tokens(x.InputTokens)
	s.OutputTokens += tokens(x.OutputTokens)
	if timed && x.Stream && x.FirstTokenMS > 0 {
		s.times().count(x.FirstTokenMS)
	}
}

func (s *Sum) times() *Times {
	if s.Times == nil {
		s.Times = new(Times)
	}
	return s.Times
}

func (s *Sum) add(other *Sum) {
	s.Requests += other.Requests
	s.Errors += other.Errors
	s.Refused += other.Refused
	s.InputTokens += other.InputTokens
	s.OutputTokens += other.OutputTokens
	if other.Times != nil {
		s.times().add(other.Times)
	}
}

// view is the sum as it is told.
func (s *Sum) view() api.Counts {
	c := api.Counts{Requests: s.Requests, Errors: s.Errors, Refused: s.Refused, InputTokens: s.InputTokens, OutputTokens: s.OutputTokens}
	if s.Times != nil {
		c.FirstTokenP50, c.FirstTokenP95 = s.Times.quantile(0.50), s.Times.quantile(0.95)
	}
	return c
}

func tokens(n *int64) int64 {
	if n == nil {
		return 0
	}
	return max(*n, 0)
}

// outcome is how an exchange ended.
type outcome int

const (
	fine    outcome = iota // also where the client left: that is its own affair
	refused                // answered with 4xx, by whomever
	broken                 // answered with 5xx, or cut by the upstream's side
	ended                  // cut by the gateway: it stops, or the key has ended
)

// outcomeOf goes by the status, and where that is none of an error, by the reason
// of the end.
func outcomeOf(x *api.Exchange) outcome {
	switch x.EndReason {
	case "client_gone", "client_stalled": // its status is what the log shows, and no answer
		return fine
	}
	switch {
	case x.Status >= http.StatusInternalServerError:
		return broken
	case x.Status >= http.StatusBadRequest:
		return refused
	}
	switch x.EndReason {
	case "complete":
		return fine
	case "drained", "revoked", "rejected":
		return ended
	}
	return broken
}
