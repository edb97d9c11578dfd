package rules

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// PlanChange is one rule that is added, changed, moved or deleted, or a set
// whose order changes (Rule is empty then).
type PlanChange struct {
	Op       string // "add", "change", "move" or "delete"
	Set      string
	Rule     string
	Position int      // in its set, from 1; 0 for what is deleted
	Fields   []string // "action.model: a → b"
}

// Operations of a PlanChange.
const (
	PlanAdd     = "add"
	PlanChanged = "change"
	PlanMove    = "move"
	PlanDelete  = "delete"
)

// Merge gives the sets as they are after files were applied to before: a set
// that files have is theirs whole, every other one stays. They come in the
// order in which they are tried.
func Merge(before, files []File) []File {
	merged := slices.Clone(files)
	for _, f := range before {
		if !slices.ContainsFunc(files, func(other File) bool { return other.Set == f.Set }) {
			merged = append(merged, f)
		}
	}
	return inOrder(merged)
}

// Plan says what becomes of the rules when before is replaced by after, both
// being all sets there are (see Merge), and how many rules stay as they are.
// Changes come in the order of after, each set's deletions behind them.
func Plan(before, after []File) (changes []PlanChange, unchanged int) {
	p := planner{before: places(before), after: places(after)}
	before, after = inOrder(before), inOrder(after)
	for i := range after {
		p.set(find(before, after[i].Set), &after[i])
	}
	for i := range before {
		if find(after, before[i].Set) == nil {
			p.deletions(&before[i])
		}
	}
	return p.changes, p.unchanged
}

// place is where a rule stands.
type place struct {
	set      string
	position int // in the set, from 1
	rule     *Rule
}

// places finds rules by name, which is unique among all sets.
func places(files []File) map[string]place {
	found := map[string]place{}
	for i := range files {
		for j := range files[i].Rules {
			found[files[i].Rules[j].Name] = place{files[i].Set, j + 1, &files[i].Rules[j]}
		}
	}
	return found
}

func find(files []File, set string) *File {
	for i := range files {
		if files[i].Set == set {
			return &files[i]
		}
	}
	return nil
}

type planner struct {
	before, after map[string]place
	changes       []PlanChange
	unchanged     int
}

// set compares one set with what it was; before is nil where it is new.
func (p *planner) set(before, after *File) {
	if before != nil && before.Order != after.Order {
		p.changes = append(p.changes, PlanChange{
			Op: PlanChanged, Set: after.Set, Fields: []string{fmt.Sprintf("order: %d → %d", before.Order, after.Order)},
		})
	}
	settled := p.settled(after)
	for j := range after.Rules {
		p.rule(place{after.Set, j + 1, &after.Rules[j]}, settled[after.Rules[j].Name])
	}
	if before != nil {
		p.deletions(before)
	}
}

func (p *planner) rule(now place, settled bool) {
	change := PlanChange{Set: now.set, Rule: now.rule.Name, Position: now.position}
	was, existed := p.before[now.rule.Name]
	if existed {
		change.Fields = fieldChanges(was.rule, now.rule)
	}
	switch {
	case !existed:
		change.Op = PlanAdd
	case len(change.Fields) > 0:
		change.Op = PlanChanged
	case !settled:
		change.Op = PlanMove
	default:
		p.unchanged++
		return
	}
	if existed && was.set != now.set {
		change.Fields = append(change.Fields, fmt.Sprintf("set: %s → %s", was.set, now.set))
	} else if existed && !settled {
		change.Fields = append(change.Fields, fmt.Sprintf("position: %d → %d", was.position, now.position))
	}
	p.changes = append(p.changes, change)
}

func (p *planner) deletions(before *File) {
	for i := range before.Rules {
		if _, kept := p.after[before.Rules[i].Name]; !kept {
			p.changes = append(p.changes, PlanChange{Op: PlanDelete, Set: before.Set, Rule: before.Rules[i].Name})
		}
	}
}

// settled gives the rules of a set that need not move: the longest run of those
// that were in it before and keep their order.
func (p *planner) settled(after *File) map[string]bool {
	var names []string
	var positions []int
	for j := range after.Rules {
		if was, ok := p.before[after.Rules[j].Name]; ok && was.set == after.Set {
			names, positions = append(names, after.Rules[j].Name), append(positions, was.position)
		}
	}
	settled := map[string]bool{}
	for _, i := range longestRising(positions) {
		settled[names[i]] = true
	}
	return settled
}

// longestRising gives the indexes of a longest rising subsequence.
func longestRising(values []int) []int {
	var ends []int                       // ends[n]: where the run of n+1 values that ends lowest ends
	previous := make([]int, len(values)) // of the same run
	for i, value := range values {
		n := sort.Search(len(ends), func(n int) bool { return values[ends[n]] >= value })
		previous[i] = -1
		if n > 0 {
			previous[i] = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, i)
		} else {
			ends[n] = i
		}
	}
	var run []int
	for i := len(ends) - 1; i >= 0; i-- {
		if len(run) == 0 {
			run = append(run, ends[i])
		} else {
			run = append(run, previous[run[len(run)-1]])
		}
	}
	return run
}

// fieldChanges lists what differs between two rules, as "field: was → is".
func fieldChanges(before, after *Rule) []string { return treeChanges(before.tree(), after.tree()) }

func treeChanges(before, after *yaml.Node) []string {
	was, is := map[string]string{}, map[string]string{}
	var names []string
	flatten(before, "", func(field, value string) { was[field] = value; names = append(names, field) })
	flatten(after, "", func(field, value string) {
		if is[field] = value; was[field] == "" {
			names = append(names, field)
		}
	})
	var changes []string
	for _, field := range names {
		if was[field] != is[field] {
			changes = append(changes, field+": "+orNone(was[field])+" → "+orNone(is[field]))
		}
	}
	return changes
}

func orNone(value string) string {
	if value == "" {
		return "(none)"
	}
	return value
}

// flatten visits the values of a rule, each with the path of its field. Lists
// are one value; a value is never empty.
func flatten(n *yaml.Node, path string, visit func(field, value string)) {
	if n.Kind != yaml.MappingNode {
		visit(path, inline(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		flatten(n.Content[i+1], join(path, n.Content[i].Value), visit)
	}
}

// inline writes a value in one line, whatever it holds: an upstream's entry is
// {name: a, weight: 80}.
func inline(n *yaml.Node) string {
	items := make([]string, 0, len(n.Content))
	switch n.Kind {
	case yaml.SequenceNode:
		for _, item := range n.Content {
			items = append(items, inline(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			items = append(items, n.Content[i].Value+": "+inline(n.Content[i+1]))
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	if n.Value == "" || hasControl(n.Value) || n.Value[0] == '"' || strings.Contains(n.Value, ", ") {
		return strconv.Quote(n.Value) // else it could be taken for another value, or for several
	}
	return n.Value
}
