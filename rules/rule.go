package rules

import "reflect"

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
	Match       Match
	Action      Action
	from        *origin // nil for a rule that came from no file
}

// Match is what a request must look like. What is not given holds for all.
type Match struct {
	Path   Paths
	Method []string
	Host   []string
	Header map[string]Text
	Query  map[string]Text
	Model  []string
	Stream *bool
}

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
	Target          string
	Path            *PathEdit
	Model           string
	Headers         HeaderEdits
	ResponseHeaders HeaderEdits
	Respond         *Respond
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
