package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// Objects are all that a gateway is told by files: rules, and the upstreams,
// users, keys and bindings beside them. No secret is in any of them.
//
// In files they stand in the same documents as rules do, each kind in a list of
// its own. What a file says of an object is the whole of it; what no file names
// is not spoken of.
type Objects struct {
	Upstreams []WrittenUpstream
	Users     []WrittenUser
	Keys      []WrittenKey
	Sets      []File
	Bindings  []WrittenBinding

	held map[Kind]bool // of files: the lists that there are, empty ones too
}

// Kind is a kind of object.
type Kind string

// The kinds, as one of each is called.
const (
	KindUpstream Kind = "upstream"
	KindUser     Kind = "user"
	KindKey      Kind = "key"
	KindRule     Kind = "rule"
	KindBinding  Kind = "binding"
)

// Kinds lists the kinds in the order in which they are written: what is named
// stands before what names it.
func Kinds() []Kind { return []Kind{KindUpstream, KindUser, KindKey, KindRule, KindBinding} }

// plural is the name of the list that objects of a kind stand in.
func (k Kind) plural() string { return string(k) + "s" }

// Holds says whether a file has a list of that kind, be it empty.
func (o *Objects) Holds(kind Kind) bool { return o.held[kind] }

func (o *Objects) hold(kind Kind) {
	if o.held == nil {
		o.held = map[Kind]bool{}
	}
	o.held[kind] = true
}

// written is where an object was read.
type written struct{ from *origin }

// Problem is about a field of the object, counted from it: "models[1]". A field
// that is not given is looked for where it would stand.
func (w written) Problem(field, message, hint string) Problem {
	p := Problem{Field: field, Message: message, Hint: hint}
	if w.from == nil {
		return p
	}
	at := w.from.nearest(field)
	p.File, p.Line, p.Column = w.from.file, at.line, at.column
	p.Field = strings.TrimSuffix(join(w.from.path, field), ".")
	return p
}

// nearest finds where a value stands, or what would hold it, or the object.
func (o *origin) nearest(field string) mark {
	for field != "" {
		if at, ok := o.at[field]; ok {
			return at
		}
		field = field[:max(strings.LastIndexAny(field, ".["), 0)]
	}
	return o.start
}

// WrittenUpstream is an upstream as a file has it: without ID, time and sealed
// secrets. A credential without a reference is one whose secret the gateway
// keeps, or waits for.
type WrittenUpstream struct {
	accounts.Upstream
	written
}

// WrittenUser is a user as a file has it, without a password.
type WrittenUser struct {
	accounts.User
	written
}

// WrittenKey is a key as a file has it, without its secrets.
type WrittenKey struct {
	accounts.Key
	Owner string // name of the user; empty: nobody's
	written
}

// WrittenBinding is a binding as a file has it: by the names of what it leads
// from and to.
type WrittenBinding struct {
	Key, User, Tag       string // one is given; Tag is NAME=VALUE
	Upstream, Credential string
	Order, Weight        int
	Models               []string
	written
}

// Name says, for people, from whom the binding leads where.
func (b *WrittenBinding) Name() string {
	to := b.Upstream
	if b.Credential != "" {
		to += "/" + b.Credential
	}
	return b.Whose() + " → " + to
}

// Whose says, for people, from whom the binding leads.
func (b *WrittenBinding) Whose() string {
	switch {
	case b.User != "":
		return "user " + b.User
	case b.Tag != "":
		return "tag " + b.Tag
	}
	return "key " + b.Key
}

// ends is what two bindings have in common that are the same one, a binding
// having no name.
func (b *WrittenBinding) ends() string {
	return strings.Join([]string{b.Key, b.User, b.Tag, b.Upstream, b.Credential}, "\x00")
}

// whole is all of a binding.
func (b *WrittenBinding) whole() string {
	return fmt.Sprintf("%s\x00%d\x00%d\x00%q", b.ends(), b.Order, b.Weight, b.Models)
}

// Compare is the order in which bindings are written: by Order, then by who and
// where to.
func (b *WrittenBinding) Compare(other *WrittenBinding) int {
	return cmp.Or(
		cmp.Compare(b.Order, other.Order), cmp.Compare(b.Key, other.Key), cmp.Compare(b.User, other.User),
		cmp.Compare(b.Tag, other.Tag), cmp.Compare(b.Upstream, other.Upstream), cmp.Compare(b.Credential, other.Credential),
		cmp.Compare(b.Weight, other.Weight), slices.Compare(b.Models, other.Models),
	)
}

// PairBindings finds for each binding of after the one of before that it is or
// was, -1 where it is new. Equal ones are each other's; of the others, those of
// the same caller, upstream and credential, in their order.
func PairBindings(before, after []WrittenBinding) []int {
	pairs, taken := make([]int, len(after)), make([]bool, len(before))
	for i := range pairs {
		pairs[i] = -1
	}
	for _, alike := range []func(*WrittenBinding) string{(*WrittenBinding).whole, (*WrittenBinding).ends} {
		waiting := map[string][]int{}
		for j := range before {
			if !taken[j] {
				waiting[alike(&before[j])] = append(waiting[alike(&before[j])], j)
			}
		}
		for i := range after {
			found := waiting[alike(&after[i])]
			if pairs[i] >= 0 || len(found) == 0 {
				continue
			}
			pairs[i], taken[found[0]] = found[0], true
			waiting[alike(&after[i])] = found[1:]
		}
	}
	return pairs
}

// Sort brings objects into the order in which they are written, so that the same
// ones always look the same. Sets keep theirs.
func (o *Objects) Sort() {
	slices.SortStableFunc(o.Upstreams, func(a, b WrittenUpstream) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(o.Users, func(a, b WrittenUser) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(o.Keys, func(a, b WrittenKey) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(o.Bindings, func(a, b WrittenBinding) int { return a.Compare(&b) })
}

// Append adds what another file says.
func (o *Objects) Append(more Objects) {
	o.Upstreams = append(o.Upstreams, more.Upstreams...)
	o.Users = append(o.Users, more.Users...)
	o.Keys = append(o.Keys, more.Keys...)
	o.Sets = append(o.Sets, more.Sets...)
	o.Bindings = append(o.Bindings, more.Bindings...)
	for kind := range more.held {
		o.hold(kind)
	}
}

// Doubled finds the names that are given twice, rules and sets aside: Check and
// Compile look at those.
func (o *Objects) Doubled() Problems {
	var problems Problems
	seen := map[string]written{}
	look := func(kind Kind, name string, w written) {
		if name == "" {
			return
		}
		first, twice := seen[kind.plural()+" "+name]
		if !twice {
			seen[kind.plural()+" "+name] = w
			return
		}
		p := w.Problem("name", "another "+string(kind)+" has this name", "")
		if first.from != nil {
			at := first.Problem("name", "", "")
			p.Hint = "it stands at " + strings.TrimSuffix(at.String(), ": ")
		}
		problems = append(problems, p)
	}
	for i := range o.Upstreams {
		look(KindUpstream, o.Upstreams[i].Name, o.Upstreams[i].written)
	}
	for i := range o.Users {
		look(KindUser, o.Users[i].Name, o.Users[i].written)
	}
	for i := range o.Keys {
		look(KindKey, o.Keys[i].Name, o.Keys[i].written)
	}
	return problems
}
