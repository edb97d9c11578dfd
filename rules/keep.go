package rules

import "slices"

// Keep leaves out the candidates that whoever carries a decision out knows to
// be of no use, one without a credential, say. A rule that says nothing else
// tries each of those that are left once.
func (d *Decision) Keep(useful func(*Candidate) bool) {
	if !slices.ContainsFunc(d.Candidates, func(c *Candidate) bool { return !useful(c) }) {
		return
	}
	d.Candidates = slices.DeleteFunc(slices.Clone(d.Candidates), func(c *Candidate) bool { return !useful(c) })
	if d.Rule == nil || d.Rule.rule.Action.Retry == nil || d.Rule.rule.Action.Retry.Attempts == 0 {
		d.Retry.Attempts = max(1, len(d.Candidates))
	}
	if d.Bound = nil; len(d.Candidates) > 0 {
		d.Bound = d.Candidates[0].Binding
	}
}
