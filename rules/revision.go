package rules

import "time"

// Revision is one configuration that is or was in force, and how it came to be.
type Revision struct {
	Number  int64
	At      time.Time
	Actor   string       // who made it
	From    string       // from where: "socket", an address
	Kind    string       // noun.verb as typed: rule.apply, upstream.create
	Message string       // the operator's own; may be empty
	Changes []PlanChange // of the rules; none where it changed upstreams only
	Kept    bool         // its rules can still be had
}
