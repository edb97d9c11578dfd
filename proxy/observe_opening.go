package proxy

import "bytes"

// opening lets the events of a stream begin where they part. All chunks of one
// answer begin alike: its id, the model, the way down to the text. A machine
// that takes the same bytes from the same state comes to the same state, so
// what it has come to at the end of that beginning is kept, and an event that
// begins so is taken up from there.
//
// Nothing hangs on whether it is: an event that begins otherwise, or comes in
// pieces, is read from its first byte.
type opening struct {
	text [openingBytes]byte // how an earlier event began
	have int                // bytes of text
	n    int                // bytes of text after which the states below hold; 0: none do
	odd  int                // events in a row that began quite otherwise

	lines linePosition
	doc   jsonPosition
	kind  bounded

	learning bool
}

const (
	openingBytes = 256
	// leastOpening is the shortest beginning that is worth keeping.
	leastOpening = 32
	// mostOdd is how many other events may come before what is kept is given up.
	mostOdd = 2
)

// takeKnown takes what an event at the beginning of b has in common with those before
// it, and says how many bytes that were. It waits for the first output, behind
// which nothing that is kept can change any more what is looked into; see
// jsonReader.follows.
func (l *eventLines) takeKnown(b []byte) int {
	o := l.sink
	if !o.seen.output || o.format == nil || o.inner.to != nil {
		return 0
	}
	if l.known == nil {
		l.known = new(opening)
	}
	k := l.known
	switch {
	case k.learning:
		return 0
	case k.n == 0 || !bytes.HasPrefix(b, k.text[:k.n]):
		return l.learn(b)
	}
	k.odd = 0
	o.beginEvent()
	l.linePosition = k.lines
	o.doc.jsonPosition = k.doc
	o.seen.kind.add(k.kind.bytes())
	return k.n
}

// learn compares how two events begin. Where that is much the same, it reads so
// far, and keeps what that has come to.
func (l *eventLines) learn(b []byte) int {
	k := l.known
	if n := sharedOpening(k.text[:k.have], b); n >= leastOpening {
		k.learning = true
		l.write(b[:n])
		k.learning = false
		k.keep(l, n)
		return n
	}
	if k.odd++; k.odd >= mostOdd || k.n == 0 {
		k.have, k.n, k.odd = copy(k.text[:], b), 0, 0
	}
	return 0
}

// keep takes over the state behind n bytes of an event, if there is nothing in
// it but the way to the place: no part of a key, nothing seen that counts.
func (k *opening) keep(l *eventLines, n int) {
	k.n = 0
	s, doc := &l.sink.seen, &l.sink.doc
	if !l.data || doc.kept > 0 || s.any || s.failed || s.finish {
		k.have = 0
		return
	}
	k.n, k.lines, k.doc, k.kind = n, l.linePosition, doc.jsonPosition, s.kind
}

// sharedOpening says how long two texts are the same within one event. It ends
// behind a quote: before a text, mostly, which the next event will not share.
func sharedOpening(a, b []byte) int {
	n, lineEnd := 0, true
	for i := range min(len(a), len(b)) {
		c := a[i]
		if c != b[i] {
			break
		}
		if c != '\n' && c != '\r' {
			lineEnd = false
		} else if !lineEnd {
			lineEnd = true
		} else if c == '\r' || i == 0 || a[i-1] != '\r' {
			break // an empty line
		}
		if c == '"' {
			n = i + 1
		}
	}
	return n
}
