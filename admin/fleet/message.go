package fleet

import (
	"encoding/json"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/admin/window"
)

// sender is the node that a message is of.
type sender struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// call is for all nodes: one of its fields is set.
type call struct {
	From     sender      `json:"from"`
	Watch    *watchCall  `json:"watch,omitempty"`
	Question *questionOf `json:"question,omitempty"`
}

// watchCall wants what the filters take, for as long as a lease lasts; without a
// filter, nothing any more.
type watchCall struct {
	ID      string   `json:"id"`
	Filters []Filter `json:"filters,omitempty"`
}

// questionOf wants what is in flight, the oldest so many of it; or where Cut is
// set, that one to be cut; or where Traffic is, what ended. A node that does not
// know of Traffic answers as if it had been asked for nothing in flight.
type questionOf struct {
	ID      string        `json:"id"`
	Limit   int           `json:"limit,omitempty"`
	Cut     string        `json:"cut,omitempty"`
	By      Actor         `json:"by,omitzero"`
	Traffic *window.Query `json:"traffic,omitempty"`
}

// answer is for whoever asked.
type answer struct {
	From    sender       `json:"from"`
	Flights []api.Flight `json:"flights,omitempty"`
	Cut     *api.Flight  `json:"cut,omitempty"`
	Traffic *window.Part `json:"traffic,omitempty"`
}

// counts are of one lease, from its beginning.
type counts struct {
	FilteredStarted int64 `json:"filtered_started,omitempty"`
	FilteredEnded   int64 `json:"filtered_ended,omitempty"`
	Dropped         int64 `json:"dropped,omitempty"`
}

// batch is for whoever watches. A node counts up its leases, and the batches of
// each, so that none is taken twice.
type batch struct {
	From   sender `json:"from"`
	Lease  int64  `json:"lease"`
	Number int64  `json:"number"`
	Before int64  `json:"before"` // exchanges and starts in the batches before this one
	counts
	Started []json.RawMessage `json:"started,omitempty"`
	Ended   []json.RawMessage `json:"ended,omitempty"`
}

// batchRead is a batch as it is read.
type batchRead struct {
	batch
	Started []api.Flight   `json:"started"`
	Ended   []api.Exchange `json:"ended"`
}
