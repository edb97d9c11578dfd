package tui

import (
	"fmt"
	"slices"

	"github.com/llmgw/llmgw/admin/api"
)

// order is the order of the rules as somebody made it here, until it is applied
// or thrown away. A rule stays within its set.
type order struct {
	revision int64             // of the rules that it was made from
	base     []string          // their names, in the gateway's order
	mine     []string          // the same names, in the order that is shown
	set      map[string]string // of each
	place    map[string]int    // of each in base, from 1
	pending  []move            // what makes base into mine
	sending  bool
	asked    int64 // the revision about which somebody was asked what to do
}

// move puts a rule before or behind another one of its set.
type move struct{ name, before, after string }

func newOrder(rows []api.Rule, revision int64) *order {
	o := &order{}
	o.rebase(rows, revision)
	o.mine = slices.Clone(o.base)
	return o
}

// rebase takes other rules as those that were there before.
func (o *order) rebase(rows []api.Rule, revision int64) {
	o.revision, o.base = revision, make([]string, len(rows))
	o.set, o.place = make(map[string]string, len(rows)), make(map[string]int, len(rows))
	for i := range rows {
		name := rows[i].Name
		o.base[i], o.set[name], o.place[name] = name, rows[i].Set, i+1
	}
}

// was is the place that the gateway has a rule at; 0: it is not known.
func (o *order) was(name string) int {
	if o == nil {
		return 0
	}
	return o.place[name]
}

func (o *order) moves() []move { return o.pending }

// count finds out again what is to be sent.
func (o *order) count() {
	o.pending = nil
	for _, set := range o.sets() {
		in := func(name string) bool { return o.set[name] == set }
		o.pending = append(o.pending, movesTo(only(o.base, in), only(o.mine, in))...)
	}
}

func (o *order) sets() []string {
	var all []string
	for _, name := range o.base {
		if set := o.set[name]; !slices.Contains(all, set) {
			all = append(all, set)
		}
	}
	return all
}

func only(names []string, keep func(string) bool) []string {
	var all []string
	for _, name := range names {
		if keep(name) {
			all = append(all, name)
		}
	}
	return all
}

// shift moves a rule by one place; the reason says why it cannot be.
func (o *order) shift(name string, by int) (reason string) {
	at := slices.Index(o.mine, name)
	to := at + by
	switch {
	case o.sending:
		return "the order is being applied"
	case at < 0:
		return "rule " + clean(name) + " is not there any more"
	case to < 0 || to >= len(o.mine) || o.set[o.mine[to]] != o.set[name]:
		end := "last"
		if by < 0 {
			end = "first"
		}
		return fmt.Sprintf("rule %s is the %s of set %s; a rule moves within its set", clean(name), end, clean(o.set[name]))
	}
	o.mine[at], o.mine[to] = o.mine[to], o.mine[at]
	o.count()
	return ""
}

// same says whether rules are those that the order was made from, in their order.
func (o *order) same(rows []api.Rule) bool {
	return slices.EqualFunc(o.base, rows, func(name string, r api.Rule) bool { return name == r.Name && o.set[name] == r.Set })
}

// arranged gives rules in this order. Those that it does not know stay behind the
// one that they stand behind.
func (o *order) arranged(rows []api.Rule) []api.Rule {
	byName := make(map[string]api.Rule, len(rows))
	for i := range rows {
		byName[rows[i].Name] = rows[i]
	}
	all := make([]api.Rule, 0, len(rows))
	for i, name := range arrange(o.mine, rows) {
		r := byName[name]
		r.Position = i + 1
		all = append(all, r)
	}
	return all
}

// arrange gives the names of rules in an order that was made of others, set by set.
func arrange(mine []string, rows []api.Rule) []string {
	rank := make(map[string]int, len(mine))
	for i, name := range mine {
		rank[name] = i + 1
	}
	var all []string
	for from := 0; from < len(rows); {
		to := from + 1
		for to < len(rows) && rows[to].Set == rows[from].Set {
			to++
		}
		all = append(all, arrangeSet(rank, rows[from:to])...)
		from = to
	}
	return all
}

func arrangeSet(rank map[string]int, rows []api.Rule) []string {
	behind := map[string][]string{} // what is new, by the known rule that it stands behind
	var known []string
	last := ""
	for i := range rows {
		name := rows[i].Name
		if rank[name] == 0 {
			behind[last] = append(behind[last], name)
			continue
		}
		known, last = append(known, name), name
	}
	slices.SortStableFunc(known, func(a, b string) int { return rank[a] - rank[b] })
	all := slices.Clone(behind[""])
	for _, name := range known {
		all = append(append(all, name), behind[name]...)
	}
	return all
}

// movesTo gives the fewest moves that make one order of names into another. Each
// is made with those before it done.
func movesTo(have, want []string) []move {
	stays := longestRun(have, want)
	have = slices.Clone(have)
	var all []move
	for i, name := range want {
		if stays[name] {
			continue
		}
		m := move{name: name}
		if i > 0 {
			m.after = want[i-1]
		} else {
			m.before = have[0]
		}
		have = m.done(have)
		all = append(all, m)
	}
	return all
}

// done gives the names as they are after the move.
func (m *move) done(names []string) []string {
	rest := only(names, func(name string) bool { return name != m.name })
	at := slices.Index(rest, m.before+m.after) // one of them is empty
	if m.after != "" {
		at++
	}
	return slices.Insert(rest, max(at, 0), m.name)
}

// longestRun gives the most names that stand in the same order in both: the
// longest increasing subsequence of their places (patience sorting).
func longestRun(have, want []string) map[string]bool {
	place := make(map[string]int, len(have))
	for i, name := range have {
		place[name] = i
	}
	var tops []int // of each pile, an index into want
	previous := make([]int, len(want))
	for i, name := range want {
		pile, _ := slices.BinarySearchFunc(tops, place[name], func(top, at int) int { return place[want[top]] - at })
		previous[i] = -1
		if pile > 0 {
			previous[i] = tops[pile-1]
		}
		if pile == len(tops) {
			tops = append(tops, i)
		} else {
			tops[pile] = i
		}
	}
	run := map[string]bool{}
	if len(tops) > 0 {
		for i := tops[len(tops)-1]; i >= 0; i = previous[i] {
			run[want[i]] = true
		}
	}
	return run
}

func (o *order) headline(l *look) string {
	text := "Rules  order changed: " + plural(len(o.pending), "rule")
	if o.sending {
		return text + " " + l.dot + " being applied" + l.more
	}
	return text + " " + l.dot + " ctrl+s apply " + l.dot + " esc discard"
}
