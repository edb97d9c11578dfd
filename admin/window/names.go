package window

import (
	"cmp"
	"maps"
	"slices"

	"github.com/llmgw/llmgw/admin/api"
)

// Bounds of what is kept by name.
const (
	fineCells   = 60  // of fifteen seconds: a quarter of an hour
	coarseCells = 60  // of a minute, four fine ones each
	finePer     = 4   // fine cells in a coarse one
	mostNames   = 256 // of a kind, in a cell
)

// kind is what a name is of.
type kind int

const (
	ofKey kind = iota
	ofUser
	ofModel
	ofUpstream
	ofRule
	kinds
)

func (k kind) String() string { return [kinds]string{"key", "user", "model", "upstream", "rule"}[k] }

// timed says whether first tokens are counted by name: where an operator wrote the
// names, there are few.
func (k kind) timed() bool { return k == ofUpstream || k == ofRule }

func (k kind) of(x *api.Exchange) string {
	return [kinds]string{x.Key, x.User, x.Model, x.Upstream, x.Rule}[k]
}

// names counts by name: the last quarter of an hour finely, what is older
// coarsely. No exchange is in both.
type names struct {
	now    int64 // the fine cell that is under way
	fine   [fineCells]*cell
	coarse [coarseCells]*cell
}

// cell is what ended within some time.
type cell struct {
	at     int64 // which one: how many of its size there were before
	tables [kinds]table
}

// table is the names of a kind in a cell. While it is under way it is a map; then
// it becomes a list, which takes a third of the memory.
type table struct {
	open    map[string]*Sum
	closed  []line
	crowded bool // some had no room, and stand under the name ""
}

type line struct {
	name  string
	sum   Sum    // without times
	times string // packed
}

func (n *names) count(x *api.Exchange) {
	slot := &n.fine[n.now%fineCells]
	if *slot == nil {
		*slot = &cell{at: n.now}
	}
	for k := range kinds {
		(*slot).tables[k].sumOf(k.of(x)).count(x, k.timed())
	}
}

// sumOf is where a name is counted in a table under way.
func (t *table) sumOf(name string) *Sum {
	if s := t.open[name]; s != nil {
		return s
	}
	if t.open == nil {
		t.open = map[string]*Sum{}
	}
	if name != "" && t.named() >= mostNames {
		t.crowded = true
		return t.sumOf("")
	}
	s := new(Sum)
	t.open[name] = s
	return s
}

func (t *table) named() int {
	n := len(t.open)
	if t.open[""] != nil {
		n--
	}
	return n
}

// advance begins a cell. The one before is closed, and those that have had their
// quarter of an hour become part of coarse ones.
func (n *names) advance(now int64) {
	if now == n.now {
		return
	}
	for i, c := range n.fine {
		if c == nil {
			continue
		}
		if c.at == n.now {
			c.close()
		}
		if c.at <= now-fineCells {
			n.fine[i] = nil
			n.age(c, now)
		}
	}
	n.now = now
	for i, c := range n.coarse { // what nobody asks for any more is not kept
		if c != nil && c.at <= now/finePer-coarseCells {
			n.coarse[i] = nil
		}
	}
}

// age makes a fine cell part of a coarse one, unless it is too old for that.
func (n *names) age(c *cell, now int64) {
	at := c.at / finePer
	if at <= now/finePer-coarseCells {
		return
	}
	slot := &n.coarse[at%coarseCells]
	if *slot == nil || (*slot).at != at {
		*slot = &cell{at: at}
	}
	for k := range kinds {
		(*slot).tables[k].take(&c.tables[k])
	}
}

// take adds a closed table to another one, and keeps the names with the most
// requests.
func (t *table) take(other *table) {
	t.crowded = t.crowded || other.crowded
	if len(t.closed) == 0 {
		t.closed = other.closed
		return
	}
	all := map[string]*Sum{}
	for _, of := range []*table{t, other} {
		of.each(func(name string, s *Sum) {
			if all[name] == nil {
				all[name] = new(Sum)
			}
			all[name].add(s)
		})
	}
	t.open = all
	if over := t.named() - mostNames; over > 0 {
		t.crowded = true
		least := slices.DeleteFunc(slices.Collect(maps.Keys(all)), func(name string) bool { return name == "" })
		slices.SortFunc(least, func(a, b string) int {
			return cmp.Or(cmp.Compare(all[a].Requests, all[b].Requests), cmp.Compare(a, b))
		})
		for _, name := range least[:over] {
			t.sumOf("").add(all[name])
			delete(all, name)
		}
	}
	t.close()
}

func (c *cell) close() {
	for k := range kinds {
		c.tables[k].close()
	}
}

func (t *table) close() {
	if t.open == nil {
		return
	}
	t.closed = make([]line, 0, len(t.open))
	for name, s := range t.open {
		l := line{name: name, sum: *s}
		if l.sum.Times != nil {
			l.times, l.sum.Times = string(l.sum.Times.pack()), nil
		}
		t.closed = append(t.closed, l)
	}
	t.open = nil
}

// each calls f with every name, in any order. What it is given is not to be kept.
func (t *table) each(f func(name string, s *Sum)) {
	for name, s := range t.open {
		f(name, s)
	}
	var s Sum
	var times Times
	for i := range t.closed {
		l := &t.closed[i]
		if s = l.sum; l.times != "" {
			times = Times{}
			s.Times = &times
			_ = s.Times.addPacked([]byte(l.times)) // it was packed here
		}
		f(l.name, &s)
	}
}

// since calls f with every cell that is not older than one, by the size that the
// first is counted in.
func (n *names) since(first, per int64, f func(at int64, c *cell)) {
	for _, c := range n.fine {
		if c != nil && c.at/per >= first {
			f(c.at/per, c)
		}
	}
	if per == 1 {
		return
	}
	for _, c := range n.coarse {
		if c != nil && c.at >= first {
			f(c.at, c)
		}
	}
}
