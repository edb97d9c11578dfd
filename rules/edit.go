package rules

import (
	"regexp"
	"strings"
)

// Path gives the path to send to c: the request's own, changed as the rule says
// and then as c's entry says. An edit with a value that may not be passed on is
// left out; see SkippedEdits. The error is a *PathError: the rule made something
// that is no canonical path, and the request must not be sent.
func (d *Decision) Path(q *Request, c *Candidate) (string, error) {
	path, _, err := d.editPath(q, c)
	return path, err
}

func (d *Decision) editPath(q *Request, c *Candidate) (path string, skipped int, err error) {
	path = q.Path
	if d.Rule == nil {
		return path, 0, nil
	}
	f := d.Rule.filling(q, c)
	edits := [...]*pathEdit{d.Rule.path, nil}
	if c != nil {
		edits[1] = c.path
	}
	changed := false
	for _, edit := range edits {
		if edit == nil {
			continue
		}
		edited, ok := edit.apply(path, &f)
		if !ok {
			skipped++
			continue
		}
		path, changed = edited, true
	}
	if !changed {
		return path, skipped, nil
	}
	if strings.ContainsAny(path, "?#") {
		return "", skipped, &PathError{Reason: "the path holds a query or fragment"}
	}
	path, err = CanonicalPath(path)
	return path, skipped, err
}

// Model gives the model to send to c, and whether that is another one than the
// request names. The entry's own goes before the rule's. A name with a value
// that may not be passed on, or that comes out empty, leaves the request's; see
// SkippedEdits.
func (d *Decision) Model(q *Request, c *Candidate) (model string, rewritten bool) {
	model, rewritten, _ = d.editModel(q, c)
	return model, rewritten
}

func (d *Decision) editModel(q *Request, c *Candidate) (model string, rewritten bool, skipped int) {
	written := d.rewriting(c)
	if written == nil {
		return q.Model, false, 0
	}
	f := d.Rule.filling(q, c)
	model, ok := written.fill(&f, nil)
	if !ok || model == "" {
		return q.Model, false, 1
	}
	return model, model != q.Model, 0
}

// rewriting is what the model is rewritten to for c, nil where it is left.
func (d *Decision) rewriting(c *Candidate) *template {
	switch {
	case d.Rule == nil || c == nil:
		return nil
	case c.Binding != nil: // which may be of any rule
		return d.Rule.model
	}
	return c.model
}

// SkippedEdits is how many edits of path and model Path and Model leave out for
// c, because of a value that may not be passed on.
func (d *Decision) SkippedEdits(q *Request, c *Candidate) int {
	_, paths, _ := d.editPath(q, c)
	_, _, models := d.editModel(q, c)
	return paths + models
}

// EditHeaders changes the headers of the request to c: the edits of Passed in
// order, the deciding rule's last. Names are canonical, as net/http has them;
// values are replaced, never written into. An edit whose value would hold a
// control character or a key of this gateway is left out and counted.
func (d *Decision) EditHeaders(q *Request, c *Candidate, h map[string][]string) (skipped int) {
	for _, r := range d.Passed {
		skipped += r.edit(r.Headers, q, c, h)
	}
	if d.Rule != nil {
		skipped += d.Rule.edit(d.Rule.Headers, q, c, h)
	}
	return skipped
}

// EditResponseHeaders is EditHeaders for the answer. c is nil where the rule
// answers by itself.
func (d *Decision) EditResponseHeaders(q *Request, c *Candidate, h map[string][]string) (skipped int) {
	for _, r := range d.Passed {
		skipped += r.edit(r.ResponseHeaders, q, c, h)
	}
	if d.Rule != nil {
		skipped += d.Rule.edit(d.Rule.ResponseHeaders, q, c, h)
	}
	return skipped
}

func (r *Compiled) edit(edits []HeaderEdit, q *Request, c *Candidate, h map[string][]string) (skipped int) {
	f := r.filling(q, c)
	for i := range edits {
		e := &edits[i]
		if e.Op == RemoveHeader {
			delete(h, e.Name)
			continue
		}
		value, ok := e.value.fill(&f, nil)
		switch {
		case !ok:
			skipped++
		case e.Op == SetHeader:
			h[e.Name] = []string{value}
		default:
			// The values may be somebody else's slice: grow a copy.
			h[e.Name] = append(h[e.Name][:len(h[e.Name]):len(h[e.Name])], value)
		}
	}
	return skipped
}

func (r *Compiled) filling(q *Request, c *Candidate) filling {
	return filling{q: q, rule: r.Name, upstream: c.Name()}
}

// pathEdit is a PathEdit made ready.
type pathEdit struct {
	set, strip, add, with template
	regex                 *regexp.Regexp // of Replace
}

func newPathEdit(e *PathEdit) *pathEdit {
	if e == nil {
		return nil
	}
	compiled := &pathEdit{set: mustTemplate(e.Set, false), strip: mustTemplate(e.StripPrefix, false), add: mustTemplate(e.AddPrefix, false)}
	if e.Replace != nil {
		compiled.regex, compiled.with = regexp.MustCompile(e.Replace.Regex), mustTemplate(e.Replace.With, true)
	}
	return compiled
}

// mustTemplate parses what was checked before.
func mustTemplate(text string, groups bool) template {
	t, err := parseTemplate(text, groups)
	if err != nil {
		panic("rules: an unchecked template reached compile")
	}
	return t
}

// apply edits a path: set, or else strip, add and replace in this order. It is
// all or nothing: ok is false where a value may not be passed on.
func (e *pathEdit) apply(path string, f *filling) (edited string, ok bool) {
	set, okSet := e.set.fill(f, escapeSegment)
	strip, okStrip := e.strip.fill(f, escapeSegment)
	add, okAdd := e.add.fill(f, escapeSegment)
	with, okWith := e.with.fill(f, escapeSegment)
	if !okSet || !okStrip || !okAdd || !okWith {
		return "", false
	}
	if set != "" {
		return set, true
	}
	if strip != "" && beginsWith(path, strip) {
		if path = path[len(strip):]; path == "" {
			path = "/"
		}
	}
	if add != "" {
		if path == "/" {
			path = ""
		}
		path = add + path
	}
	if e.regex != nil {
		path = e.regex.ReplaceAllString(path, with)
	}
	return path, true
}
