package api

import "time"

// Node is one running gateway, as the one that was asked sees it.
type Node struct {
	ID        string    `json:"id"`   // made at each start
	Name      string    `json:"name"` // of its machine
	Version   string    `json:"version"`
	Self      bool      `json:"self,omitempty"` // it is the one that was asked
	StartedAt time.Time `json:"started_at"`     // by its own clock
	Bus       string    `json:"bus"`            // how it hears of changes

	Revision int64 `json:"revision"` // of the configuration in force there
	Applied  int64 `json:"applied"`  // the change up to which all is in force there
	Behind   int64 `json:"behind"`   // changes that it has yet to take over; -1 where SameLog is false
	SameLog  bool  `json:"same_log"` // its numbers are of the log that is stored, not of one that was replaced

	MaxStalenessS float64 `json:"max_staleness_seconds"` // the age of what it knows at which it refuses requests; 0: it never does
	FencedAfterS  float64 `json:"fenced_after_seconds"`  // so long after a change it certainly refuses requests, where it does not have the change; 0: never

	SilenceS float64 `json:"silence_seconds"` // for how long it has given no sign, as far as the one that was asked has seen
	Silent   bool    `json:"silent"`          // for too long: it is away, or cannot reach the store
	Problem  string  `json:"problem,omitempty"`
}

// Has says whether a change, and the revision that it left, are in force on the
// node, or later ones. Keys and users change without a new revision.
func (n *Node) Has(seq, revision int64) bool {
	return n.SameLog && n.Applied >= seq && n.Revision >= revision
}

// Refuses says whether the node certainly refuses requests, since it is without a
// change that was committed so long ago.
func (n *Node) Refuses(since time.Duration) bool {
	return n.FencedAfterS > 0 && since.Seconds() > n.FencedAfterS
}
