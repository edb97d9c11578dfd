package rules

import (
	"reflect"
	"slices"

	"github.com/llmgw/llmgw/accounts"
)

// File is one set of rules as it is written: a YAML document.
type File struct {
	Set   string
	Order int
	Rules []Rule
	from  *origin // nil for a set that came from no file
}

// The set and order of a file that names none, and of what the first start
// puts in.
const (
	DefaultSet   = "default"
	DefaultOrder = 100
	BuiltinSet   = "builtin"
	BuiltinOrder = 1000
)

// Rule is one rule as it is written.
type Rule struct {
	Name        string
	Description string
	Disabled    bool // written as enabled: false
	Continue    bool // its edits are kept, and the search goes on
	Match       Match
	Action      Action
	from        *origin // nil for a rule that came from no file
}

// Match is what a request must look like. What is not given holds for all.
type Match struct {
	Path      Paths
	Method    []string
	Host      []string
	Header    map[string]Text
	Query     map[string]Text
	Model     []string
	Stream    *bool
	Key, User []string          // name globs
	Tag       map[string]string // globs, by the tag's name
	Source    []string          // CIDRs
	BodyBytes *Bounds
	Not       *Match // none of its matchers may hold
}

// empty says whether nothing is asked for.
func (m *Match) empty() bool { return len(m.singles()) == 0 }

// Bounds are those of a body's size in bytes; one of them is given.
type Bounds struct{ GT, LT *int64 }

// Paths is a list of path patterns or one regular expression.
type Paths struct {
	Globs []string
	Regex string
}

// Text is what one header or query value must be; exactly one field is set, or
// none for what must be empty (Equals "").
type Text struct {
	Equals, Prefix, Suffix, Contains, Regex string
	In                                      []string
	Exists                                  *bool
}

// Action is what becomes of a request that matched.
type Action struct {
	Upstream        string
	Upstreams       []Entry
	Target          string
	Fallback        []Entry
	Affinity        string // "key", "none", "header:NAME"; empty: key
	Path            *PathEdit
	Model           string
	Headers         HeaderEdits
	ResponseHeaders HeaderEdits
	Timeouts        accounts.Timeouts
	Retry           *Retry
	Limits          []accounts.Limit
	OnClientGone    string // "cancel", "finish"; empty: cancel
	BodyLog         bool   // the bodies are written to the body log, where the gateway keeps one
	Respond         *Respond
}

// Entry is one of several upstreams, or one to fall back on.
type Entry struct {
	Name     string
	Weight   int // 0: not given, which counts as 1
	Model    string
	Path     *PathEdit // comes after the action's own
	Timeouts accounts.Timeouts
}

// PathEdit rewrites the path that is put behind the upstream's URL.
type PathEdit struct {
	Set, StripPrefix, AddPrefix string
	Replace                     *Replace
}

// Replace rewrites what an RE2 expression finds.
type Replace struct{ Regex, With string }

// HeaderEdits change headers: remove first, then set, then add.
type HeaderEdits struct {
	Set    map[string]string
	Add    map[string]string
	Remove []string
}

// Respond answers without an upstream: Message in the caller's wire format, or
// Headers and Body as they stand.
type Respond struct {
	Status  int
	Message string
	Headers map[string]string
	Body    string
}

// Equal says whether two rules are written alike; where they stand does not
// matter.
func (r Rule) Equal(other Rule) bool {
	r.from, other.from = nil, nil
	return reflect.DeepEqual(r, other)
}

// Upstreams gives the names of the upstreams that a rule sends to, each once, in
// the order in which they are written.
func (r *Rule) Upstreams() []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	add(r.Action.Upstream)
	for _, entries := range [][]Entry{r.Action.Upstreams, r.Action.Fallback} {
		for i := range entries {
			add(entries[i].Name)
		}
	}
	return names
}

// What on_client_gone may say: cut the upstream off, which is the default, or
// read its answer to the end for the exact usage.
const (
	clientCancel = "cancel"
	clientFinish = "finish"
)
