package accounts

import "time"

// Binding says which upstream a caller uses where the rules leave it open, and,
// where it names one, which of an upstream's credentials the caller uses
// wherever requests go to that upstream. Exactly one of KeyID, UserID and Tag
// says who the caller is: a key goes before its user, and that before a tag;
// within each, Order decides.
type Binding struct {
	ID           string
	KeyID        string
	UserID       string
	Tag          string // name of a tag, of the key or its user
	TagValue     string // its value
	UpstreamID   string
	CredentialID string   // of that upstream; empty: any of its credentials
	Order        int      // lower is tried first; among equals Weight chooses, and the others are fallbacks
	Weight       int      // at least 1
	Models       []string // globs as in rules, ! excludes; empty: every model, and requests without one
	CreatedAt    time.Time
	Seq          int64 // of the change that made the binding what it is. Read only
}

// DefaultOrder is the Order of a binding that names none.
const DefaultOrder = 100
