package api

import "time"

// HistoryEntry is one revision of the rules.
type HistoryEntry struct {
	Revision int64        `json:"revision"`
	Time     time.Time    `json:"time"`
	Actor    string       `json:"actor"`
	From     string       `json:"from,omitempty"`
	Kind     string       `json:"kind"` // rule.apply, rule.rollback, upstream.create …
	Message  string       `json:"message,omitempty"`
	Changes  []PlanChange `json:"changes,omitempty"` // what it changed of the rules
	YAML     string       `json:"yaml,omitempty"`    // the rules at that revision; only where one revision is asked for
}

// RollbackRequest asks for the rules of an earlier revision, as a new one.
type RollbackRequest struct {
	Revision   int64  `json:"revision"`
	IfRevision *int64 `json:"if_revision,omitempty"`
	Message    string `json:"message,omitempty" maxLength:"1000"`
	DryRun     bool   `json:"dry_run,omitempty"`
}

// RuleText is one rule as it is written, to be created or to replace the one of
// its name.
type RuleText struct {
	YAML       string `json:"yaml"`          // a mapping: name, match, action …
	Set        string `json:"set,omitempty"` // of a new rule; default: default
	Before     string `json:"before,omitempty"`
	After      string `json:"after,omitempty"`
	IfRevision *int64 `json:"if_revision,omitempty"`
	Message    string `json:"message,omitempty" maxLength:"1000"`
	DryRun     bool   `json:"dry_run,omitempty"`
}

// MoveRule asks for another place within the rule's set; exactly one is given.
type MoveRule struct {
	Before     string `json:"before,omitempty"`
	After      string `json:"after,omitempty"`
	IfRevision *int64 `json:"if_revision,omitempty"`
	Message    string `json:"message,omitempty" maxLength:"1000"`
}
