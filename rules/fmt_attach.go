package rules

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// entry is a field or a list's item, and what was written about it. Blank
// lines among comments are empty texts.
type entry struct {
	key, value *yaml.Node // key is nil for an item
	within     *block     // the collection that it is in
	start      int        // offset
	column     int
	head       []string // comments and blank lines before it
	line       string   // the comment behind it, or behind its field's name
	text       string   // of all of it on one line; see inlining
	opened     *entry   // the same without its value, where that may go on lines of its own
}

// block is a mapping or list.
type block struct {
	node    *yaml.Node
	parent  *entry // nil for a document's
	flow    bool   // written in brackets
	from    int    // of the brackets
	to      int
	entries []*entry
	foot    []string // comments behind the last entry
	noted   bool     // a comment is somewhere in it, so it cannot stay in brackets
}

// document is one document of a file.
type document struct {
	root    *block
	whole   *entry   // stands for the root where it is in brackets
	head    []string // comments at the top: they stay there, whichever field comes first
	foot    []string // comments behind a root in brackets
	anchors bool     // fields have to stay in their order
}

// attachment finds for every comment what it is about.
type attachment struct {
	scan      *scan
	documents []*document
	blocks    map[*yaml.Node]*block
	entries   []*entry // in the order of the text, outer ones first
	first     []int    // of entries, for each document
}

func newAttachment(source []byte, documents []*yaml.Node) *attachment {
	a := &attachment{scan: scanTrivia(string(source), documents), blocks: map[*yaml.Node]*block{}}
	for _, n := range documents {
		d := &document{}
		a.documents = append(a.documents, d)
		a.first = append(a.first, len(a.entries))
		d.root = a.collect(d, n, nil)
	}
	a.attach()
	for _, d := range a.documents {
		if len(d.root.entries) > 0 {
			first := d.root.entries[0]
			d.head, first.head = afterBlanks(first.head), nil
		}
	}
	return a
}

// collect lists the entries of a collection and of those within it.
func (a *attachment) collect(d *document, n *yaml.Node, parent *entry) *block {
	b := &block{node: n, parent: parent}
	if n.Style&yaml.FlowStyle != 0 {
		b.flow = true
		b.to = a.scan.ends[n]
		b.from = a.scan.offset(n)
	}
	d.anchors = d.anchors || n.Anchor != ""
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	for i := 0; i+step <= len(n.Content); i += step {
		e := &entry{value: n.Content[i+step-1], within: b, start: a.scan.offset(n.Content[i])}
		if step == 2 {
			e.key, e.column = n.Content[i], n.Content[i].Column
			d.anchors = d.anchors || e.key.Anchor != ""
		} else {
			e.column = dashColumn(n, n.Content[i])
		}
		b.entries = append(b.entries, e)
		a.entries = append(a.entries, e)
		switch e.value.Kind {
		case yaml.MappingNode, yaml.SequenceNode:
			a.blocks[e.value] = a.collect(d, e.value, e)
		default:
			d.anchors = d.anchors || e.value.Anchor != ""
		}
	}
	return b
}

// texts lists the comments as they were found.
func (a *attachment) texts() []string {
	var texts []string
	for _, t := range a.scan.found {
		if t.text != "" {
			texts = append(texts, t.text)
		}
	}
	return texts
}

// gap is the text between the beginnings of two entries, and what was found in
// it so far.
type gap struct {
	before, after int    // indexes of the entries, -1 and len where there is none
	foot          *block // that took the comment before
	head          bool   // the entry behind took it
	blank         bool   // a blank line waits for what comes behind it
}

// attach goes through comments and blank lines in the order of the text.
func (a *attachment) attach() {
	g := gap{before: -1}
	for _, t := range a.scan.found {
		for g.after < len(a.entries) && a.entries[g.after].start < t.offset {
			a.flush(&g)
			g = gap{before: g.after, after: g.after + 1}
		}
		switch {
		case t.text == "":
			g.blank = true
		case !a.behind(&g, t):
			a.alone(&g, t)
		}
	}
	a.flush(&g)
}

// flush gives a blank line to the entry that it stands before.
func (a *attachment) flush(g *gap) {
	if g.blank && g.after < len(a.entries) {
		e := a.entries[g.after]
		e.head = append(e.head, "")
	}
	g.blank = false
}

// behind takes a comment that stands behind something on its line.
func (a *attachment) behind(g *gap, t trivia) bool {
	e := a.lastOn(g, t)
	if e == nil {
		return false
	}
	if e.line == "" {
		e.line = t.text
	} else {
		e.head = append(e.head, t.text)
	}
	e.within.note()
	return true
}

// lastOn gives the entry that a comment stands behind: the last that begins on
// its line, or, where none does, the last before, whose value ends there.
func (a *attachment) lastOn(g *gap, t trivia) *entry {
	if g.before < 0 {
		return nil
	}
	e := a.entries[g.before]
	for e != nil && !e.within.holds(t.offset) {
		e = e.within.parent
	}
	if e == nil || t.alone && a.scan.lineAt(e.start) != t.line {
		return nil
	}
	return e
}

// holds says whether a place is inside all brackets around the block's entries.
func (b *block) holds(offset int) bool {
	for ; b != nil; b = b.outer() {
		if b.flow && (offset < b.from || offset >= b.to) {
			return false
		}
	}
	return true
}

func (b *block) outer() *block {
	if b.parent == nil {
		return nil
	}
	return b.parent.within
}

// note keeps the brackets around a comment from being written on one line.
func (b *block) note() {
	for ; b != nil; b = b.outer() {
		b.noted = true
	}
}

// alone takes a comment on a line of its own.
func (a *attachment) alone(g *gap, t trivia) {
	blank := g.blank
	g.blank = false
	take := func(lines *[]string) {
		if blank {
			*lines = append(*lines, "")
		}
		*lines = append(*lines, t.text)
	}
	next, last := a.neighbours(g, t)
	b := a.ended(g, t, next, last)
	switch {
	case b != nil && !g.head:
		g.foot = b
		b.note()
		take(&b.foot)
	case next != nil:
		g.head = true
		next.within.note()
		take(&next.head)
	default:
		take(&a.documents[a.number(g.before)].foot)
	}
}

// number gives the document that entry i is in.
func (a *attachment) number(i int) int {
	n, _ := slices.BinarySearch(a.first, i+1)
	return n - 1
}

// neighbours gives the entries around a comment that are in its document: what
// stands before --- belongs to the document before it.
func (a *attachment) neighbours(g *gap, t trivia) (next, last *entry) {
	if g.before >= 0 {
		last = a.entries[g.before]
	}
	if g.after < len(a.entries) {
		next = a.entries[g.after]
	}
	if next == nil || last == nil || a.number(g.before) == a.number(g.after) {
		return next, last
	}
	after, _ := slices.BinarySearch(a.scan.markers, last.start)
	if after < len(a.scan.markers) && a.scan.markers[after] < t.offset {
		return next, nil
	}
	return nil, last
}

// ended finds the block whose entries a comment stands behind: one that ends
// between the comment's neighbours, no deeper than the comment.
func (a *attachment) ended(g *gap, t trivia, next, last *entry) *block {
	if last == nil {
		return nil
	}
	around := map[*block]bool{}
	if next != nil {
		for b := next.within; b != nil; b = b.outer() {
			around[b] = true
		}
	}
	var found *block
	for b := last.within; b != nil && !around[b]; b = b.outer() {
		switch {
		case b.flow && b.holds(t.offset):
			return b
		case b.flow, next != nil && t.column <= next.column && !next.within.flow:
		case g.foot != nil && g.foot != b && !within(g.foot, b):
		default:
			if found = b; b.entries[0].column <= t.column {
				return b
			}
		}
	}
	return found
}

// within says whether a block is somewhere in another.
func within(inner, outer *block) bool {
	for b := inner; b != nil; b = b.outer() {
		if b == outer {
			return true
		}
	}
	return false
}
