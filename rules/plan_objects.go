package rules

import "go.yaml.in/yaml/v3"

// ObjectChange is one object that is added, changed, moved or deleted.
type ObjectChange struct {
	Op       string // as of PlanChange
	Kind     Kind
	Set      string // of a rule
	Name     string // of a binding: who → where
	Position int    // of a rule: in its set, from 1; 0 for what is deleted
	Fields   []string
}

// PlanObjects says what becomes of all objects when before is replaced by after,
// and how many stay as they are: kind by kind, each kind's deletions last.
func PlanObjects(before, after *Objects) (changes []ObjectChange, unchanged int) {
	p := objectPlan{}
	planNamed(&p, KindUpstream, before.Upstreams, after.Upstreams, func(u *WrittenUpstream) string { return u.Name }, (*WrittenUpstream).fields)
	planNamed(&p, KindUser, before.Users, after.Users, func(u *WrittenUser) string { return u.Name }, (*WrittenUser).tree)
	planNamed(&p, KindKey, before.Keys, after.Keys, func(k *WrittenKey) string { return k.Name }, (*WrittenKey).tree)
	p.rules(before.Sets, after.Sets)
	p.bindings(before.Bindings, after.Bindings)
	return p.changes, p.unchanged
}

type objectPlan struct {
	changes   []ObjectChange
	unchanged int
}

// compare notes what becomes of one object; was is nil where it is new.
func (p *objectPlan) compare(kind Kind, name string, was, is *yaml.Node) {
	change := ObjectChange{Op: PlanAdd, Kind: kind, Name: name}
	if was != nil {
		change.Op, change.Fields = PlanChanged, treeChanges(was, is)
		if len(change.Fields) == 0 {
			p.unchanged++
			return
		}
	}
	p.changes = append(p.changes, change)
}

func (p *objectPlan) gone(kind Kind, name string) {
	p.changes = append(p.changes, ObjectChange{Op: PlanDelete, Kind: kind, Name: name})
}

func planNamed[T any](p *objectPlan, kind Kind, before, after []T, name func(*T) string, tree func(*T) *yaml.Node) {
	was, kept := map[string]*T{}, map[string]bool{}
	for i := range before {
		was[name(&before[i])] = &before[i]
	}
	for i := range after {
		object := &after[i]
		kept[name(object)] = true
		if old := was[name(object)]; old != nil {
			p.compare(kind, name(object), tree(old), tree(object))
		} else {
			p.compare(kind, name(object), nil, tree(object))
		}
	}
	for i := range before {
		if !kept[name(&before[i])] {
			p.gone(kind, name(&before[i]))
		}
	}
}

func (p *objectPlan) rules(before, after []File) {
	changes, unchanged := Plan(before, after)
	for _, c := range changes {
		p.changes = append(p.changes, ObjectChange{Op: c.Op, Kind: KindRule, Set: c.Set, Name: c.Rule, Position: c.Position, Fields: c.Fields})
	}
	p.unchanged += unchanged
}

func (p *objectPlan) bindings(before, after []WrittenBinding) {
	kept := map[int]bool{}
	for i, j := range PairBindings(before, after) {
		if j < 0 {
			p.compare(KindBinding, after[i].Name(), nil, after[i].tree())
			continue
		}
		kept[j] = true
		p.compare(KindBinding, after[i].Name(), before[j].tree(), after[i].tree())
	}
	for j := range before {
		if !kept[j] {
			p.gone(KindBinding, before[j].Name())
		}
	}
}
