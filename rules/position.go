package rules

// mark is a place in a file, both from 1.
type mark struct{ line, column int }

// origin says where a rule was read from, for problems that are found only when
// rules and upstreams are seen together.
type origin struct {
	file  string
	path  string          // "rules[2]"
	start mark            // of the rule
	keys  map[string]mark // of field names, by the field's path within the rule
	at    map[string]mark // of values, likewise; a list's items are "match.model[1]"
}

// key finds where a field's name stands, or else the rule.
func (o *origin) key(field string) mark {
	if at, ok := o.keys[field]; ok {
		return at
	}
	return o.value(field)
}

// value finds where a field's value stands, or else the rule.
func (o *origin) value(field string) mark {
	if at, ok := o.at[field]; ok {
		return at
	}
	return o.start
}

// problem fills in the place of a problem with a rule.
func (r *Rule) problem(set string, p Problem, onKey bool) Problem {
	p.Set, p.Rule = set, r.Name
	if r.from == nil {
		return p
	}
	at := r.from.value(p.Field)
	if onKey {
		at = r.from.key(p.Field)
	}
	p.File, p.Line, p.Column = r.from.file, at.line, at.column
	if p.Field == "" {
		p.Field = r.from.path
	} else {
		p.Field = join(r.from.path, p.Field)
	}
	return p
}
