package rules

import (
	"slices"
	"strings"
)

// maxPlaces is the number of places that one rule may have in the index. One
// with more combinations of paths and models is filed by its models alone.
const maxPlaces = 256

// index finds the first rule that takes a request without asking them all. A
// rule is filed under the literal beginnings of its paths, and there under
// those of its models; only the rules along the request's own path and model
// are asked.
type index struct {
	rules []*Compiled
	paths tree[pathPlace]
}

// pathPlace holds the rules of one literal beginning of paths.
type pathPlace struct {
	under modelIndex // the path goes on somehow
	whole modelIndex // the path ends here
}

type modelIndex struct {
	any    []int // rules that ask for no model
	models tree[modelPlace]
}

// modelPlace holds the rules of one literal beginning of model names, in their
// order.
type modelPlace struct{ under, whole []int }

// newIndex files those of the rules that say continue, or all others. It is nil
// where none says continue.
func newIndex(rules []*Compiled, continuing bool) *index {
	x, filed := &index{rules: rules}, 0
	for i, rule := range rules {
		if rule.Continue == continuing {
			x.add(i, &rule.rule.Match)
			filed++
		}
	}
	if continuing && filed == 0 {
		return nil
	}
	return x
}

// beginning is a literal beginning, and whether it is all.
type beginning struct {
	text  string
	whole bool
}

func (x *index) add(rule int, m *Match) {
	paths, models := pathKeys(m), modelKeys(m)
	if len(paths)*len(models) > maxPlaces {
		paths = []beginning{{}}
	}
	for _, path := range paths {
		place := x.paths.at(path.text)
		models.file(place.choose(path.whole), rule)
	}
}

func (p *pathPlace) choose(whole bool) *modelIndex {
	if whole {
		return &p.whole
	}
	return &p.under
}

// beginnings are a rule's places by model; nil where it asks for none.
type beginnings []beginning

func (b beginnings) file(into *modelIndex, rule int) {
	if b == nil {
		into.any = appendOnce(into.any, rule)
	}
	for _, model := range b {
		place := into.models.at(model.text)
		if model.whole {
			place.whole = appendOnce(place.whole, rule)
		} else {
			place.under = appendOnce(place.under, rule)
		}
	}
}

// appendOnce keeps a rule whose alternatives begin alike from being filed twice.
func appendOnce(list []int, rule int) []int {
	if len(list) > 0 && list[len(list)-1] == rule {
		return list
	}
	return append(list, rule)
}

func pathKeys(m *Match) []beginning {
	if len(m.Path.Globs) == 0 {
		return []beginning{{}}
	}
	found := make([]beginning, len(m.Path.Globs))
	for i, pattern := range m.Path.Globs {
		found[i].text, found[i].whole = pathLiteral(pattern)
	}
	return found
}

func modelKeys(m *Match) beginnings {
	if len(m.Model) == 0 {
		return nil
	}
	var found beginnings
	for _, pattern := range m.Model {
		if !strings.HasPrefix(pattern, "!") {
			text, whole := literal(pattern)
			found = append(found, beginning{text, whole})
		}
	}
	if found == nil {
		return beginnings{{}} // exclusions alone: any model
	}
	return found
}

// first gives the first rule that takes a request, or nil.
func (x *index) first(q *Request) *Compiled {
	best := len(x.rules)
	node, rest := &x.paths.root, q.Path
	for node != nil {
		if place := node.value; place != nil {
			best = x.firstIn(&place.under, q, best)
			if rest == "" {
				best = x.firstIn(&place.whole, q, best)
			}
		}
		node, rest = node.next(rest)
	}
	if best == len(x.rules) {
		return nil
	}
	return x.rules[best]
}

func (x *index) firstIn(m *modelIndex, q *Request, best int) int {
	best = x.firstOf(m.any, q, best)
	if !q.HasModel {
		return best
	}
	node, rest := &m.models.root, q.Model
	for node != nil {
		if place := node.value; place != nil {
			best = x.firstOf(place.under, q, best)
			if rest == "" {
				best = x.firstOf(place.whole, q, best)
			}
		}
		node, rest = node.next(rest)
	}
	return best
}

// firstOf asks a list's rules until one takes the request or they come after
// the best one so far.
func (x *index) firstOf(list []int, q *Request, best int) int {
	for _, i := range list {
		if i >= best {
			return best
		}
		if x.rules[i].match.takes(q) {
			return i
		}
	}
	return best
}

// all adds the rules that take a request and stand before another one (nil: the
// end) to found, in their order.
func (x *index) all(q *Request, before *Compiled, found []*Compiled) []*Compiled {
	end := len(x.rules)
	if before != nil {
		end = before.Index
	}
	x.along(q.Path, q.Model, q.HasModel, func(list []int) {
		for _, i := range list {
			if i >= end {
				return
			}
			if x.rules[i].match.takes(q) {
				found = append(found, x.rules[i])
			}
		}
	})
	slices.SortFunc(found, func(a, b *Compiled) int { return a.Index - b.Index })
	return slices.Compact(found)
}

// along visits the lists of rules that could take everything whose path begins
// with path and whose model, where it asks for one, begins with model.
func (x *index) along(path, model string, hasModel bool, visit func([]int)) {
	walk(&x.paths.root, path, func(p *pathPlace) {
		for _, m := range []*modelIndex{&p.under, &p.whole} {
			visit(m.any)
			if hasModel {
				walk(&m.models.root, model, func(place *modelPlace) {
					visit(place.under)
					visit(place.whole)
				})
			}
		}
	})
}

// walk visits the values of all keys that text begins with.
func walk[T any](n *node[T], text string, visit func(value *T)) {
	for n != nil {
		if n.value != nil {
			visit(n.value)
		}
		n, text = n.next(text)
	}
}

// tree is a radix tree. The zero value is empty.
type tree[T any] struct{ root node[T] }

type node[T any] struct {
	label    string // of the edge that leads here
	value    *T     // nil where no key ends
	firsts   []byte // of the children's labels, sorted
	children []*node[T]
}

// next goes one edge further along text; nil where there is none.
func (n *node[T]) next(text string) (*node[T], string) {
	if text == "" {
		return nil, ""
	}
	i, found := slices.BinarySearch(n.firsts, text[0])
	if !found || !strings.HasPrefix(text, n.children[i].label) {
		return nil, ""
	}
	return n.children[i], text[len(n.children[i].label):]
}

// at gives the value of a key, which it makes where there is none.
func (t *tree[T]) at(key string) *T {
	n := &t.root
	for key != "" {
		n, key = n.towards(key)
	}
	if n.value == nil {
		n.value = new(T)
	}
	return n.value
}

// towards goes one edge along key, making or splitting it where needed.
func (n *node[T]) towards(key string) (*node[T], string) {
	i, found := slices.BinarySearch(n.firsts, key[0])
	if !found {
		n.firsts = slices.Insert(n.firsts, i, key[0])
		n.children = slices.Insert(n.children, i, &node[T]{label: key})
		return n.children[i], ""
	}
	child := n.children[i]
	shared := sharedPrefix(child.label, key)
	if shared < len(child.label) {
		upper := &node[T]{label: child.label[:shared], firsts: []byte{child.label[shared]}, children: []*node[T]{child}}
		child.label = child.label[shared:]
		n.children[i], child = upper, upper
	}
	return child, key[shared:]
}

func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
