package admin

import (
	"maps"
	"net/textproto"
	"slices"

	"github.com/llmgw/llmgw/admin/api"
	"github.com/llmgw/llmgw/rules"
)

// copied gives a copy of a header whose lists may be replaced.
func copied(h map[string][]string) map[string][]string {
	if h = maps.Clone(h); h == nil {
		h = map[string][]string{}
	}
	return h
}

// compareHeaders says what was done to a header, nil where nothing was.
func compareHeaders(before, after map[string][]string) *api.Header {
	edits := &api.Header{}
	for name := range before {
		if _, kept := after[name]; !kept {
			edits.Removed = append(edits.Removed, name)
		}
	}
	slices.Sort(edits.Removed)
	for name, values := range after {
		if slices.Equal(before[name], values) {
			continue
		}
		var added []string
		if old := before[name]; len(old) > 0 && len(values) > len(old) && slices.Equal(old, values[:len(old)]) {
			added = values[len(old):]
		} else {
			keep(&edits.Set, name, values[0])
			added = values[1:]
		}
		if len(added) > 0 {
			keep(&edits.Add, name, added)
		}
	}
	if edits.Removed == nil && edits.Set == nil && edits.Add == nil {
		return nil
	}
	return edits
}

func keep[V any](m *map[string]V, name string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[name] = value
}

// answerEdits says what is done to the headers of an answer from c. Nobody knows
// which it will have; those that rules remove are taken to be there.
func (e *explainer) answerEdits(c *rules.Candidate) *api.Header {
	d := &e.decision
	before := map[string][]string{}
	applied := slices.Clone(d.Passed)
	if d.Rule != nil {
		applied = append(applied, d.Rule)
	}
	for _, r := range applied {
		for _, name := range e.written(r).Action.ResponseHeaders.Remove {
			before[textproto.CanonicalMIMEHeaderKey(name)] = []string{""}
		}
	}
	after := copied(before)
	d.EditResponseHeaders(&e.question.Request, c, after)
	return compareHeaders(before, after)
}
