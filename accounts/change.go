package accounts

import "time"

// Meta is what somebody says about a change before it is made.
type Meta struct {
	ID    string // made by the caller, so that a commit of unknown outcome can be looked up; empty: made here
	Kind  string // noun.verb as typed: rule.apply, key.revoke
	Actor string // who; "local" on the socket
	From  string // from where: "socket", an address
	Why   string // the operator's message
	Base  *int64 // the config revision it was made against; ErrChanged where another is in force
}

// Change is one entry of the store's log.
type Change struct {
	Seq      int64 // moves with every change
	Revision int64 // the config revision in force afterwards; moves with what is compiled
	ID       string
	Kind     string
	Subjects []string // what changed: "key:key_01…", "upstream:up_01…", "set:default"
	Actor    string
	From     string
	Why      string
	At       time.Time
}

// Audit is one object that a change made, altered or took away, as it was and
// as it became.
type Audit struct {
	Change
	Subject string // "key:key_01…", "set:default"
	Name    string // the object's name at the time
	Before  []byte // JSON object; nil: it was not there. A secret stands in it as a fingerprint
	After   []byte // the same; nil: it is there no more
}
