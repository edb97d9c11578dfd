package api

// ApplyObjects asks for upstreams, users, keys, rules and bindings to become what
// files say: all of it or nothing.
type ApplyObjects struct {
	Files      []Source `json:"files"`
	DryRun     bool     `json:"dry_run,omitempty"`
	Prune      bool     `json:"prune,omitempty"`       // delete what no file names, of the kinds that the files hold
	IfRevision *int64   `json:"if_revision,omitempty"` // of the rules, upstreams and bindings
	IfPlan     string   `json:"if_plan,omitempty"`     // ObjectPlan.Digest: only what was shown
	Message    string   `json:"message,omitempty" maxLength:"1000"`
}

// DiffObjects asks what ApplyObjects would do.
type DiffObjects struct {
	Files []Source `json:"files"`
	Prune bool     `json:"prune,omitempty"`
}

// ObjectPlan is what an apply of all kinds does, or would do.
type ObjectPlan struct {
	Changes   []ObjectChange `json:"changes"`
	Unchanged int            `json:"unchanged"` // of all objects that there are
	Warnings  []Problem      `json:"warnings,omitempty"`
	Lost      []string       `json:"lost,omitempty"` // what goes for good with a change: sealed secrets
	Next      []string       `json:"next,omitempty"` // what is left to be done by hand: secrets that are missing
	Digest    string         `json:"digest"`         // of what is changed and lost
	Applied   bool           `json:"applied"`        // something was stored: false for a dry run, and where nothing changes
	Revision  int64          `json:"revision"`       // the revision in force afterwards
	Seq       int64          `json:"seq"`            // the newest change afterwards, of whatever kind
	TookMS    int64          `json:"took_ms"`
}

// ObjectChange is one object that an apply adds, changes, moves or deletes.
type ObjectChange struct {
	Op       string   `json:"op" enum:"add,change,move,delete"`
	Kind     string   `json:"kind" enum:"upstream,user,key,rule,binding"`
	Set      string   `json:"set,omitempty"`      // of a rule
	Name     string   `json:"name"`               // of a binding: from whom → where to; empty for a set
	Position int      `json:"position,omitempty"` // of a rule: in its set, from 1
	Fields   []string `json:"fields,omitempty"`   // "limits: (none) → [600 requests/min]"
}

// ExportedObjects is everything that apply reads, as canonical YAML.
type ExportedObjects struct {
	Documents []Document `json:"documents"`
	Revision  int64      `json:"revision"`
}

// Document is one document of an export, and what a file of it may be called.
type Document struct {
	Name string `json:"name"` // "keys", "rules-default"
	YAML string `json:"yaml"`
}
