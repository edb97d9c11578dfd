package proxy

import (
	"math"

	"github.com/llmgw/llmgw/accounts"
)

// sighting is what one event or document has shown so far.
type sighting struct {
	name   []byte // what the stream calls the event; empty where it does not
	kind   bounded
	counts [countKinds]accounts.Count
	any    bool // something in counts
	output bool
	failed bool
	finish bool
	done   bool // the event is OpenAI's [DONE]
	thrown bool // the frame is no event but an exception
	whole  bool // it is an answer's whole document, no event
}

// is says whether the event goes by a name, in its frame or in its text.
func (s *sighting) is(name string) bool { return string(s.name) == name || s.kind.is(name) }

// note records that there is something at a place.
func (s *sighting) note(m meaning) {
	switch m {
	case someOutput:
		s.output = true
	case someError:
		s.failed = true
	case someFinish:
		s.finish = true
	}
}

// bounded is the beginning of a name that somebody else chose.
type bounded struct {
	text [64]byte
	n    int
}

func (b *bounded) add(more []byte)     { b.n += copy(b.text[b.n:], more) }
func (b *bounded) bytes() []byte       { return b.text[:b.n] }
func (b *bounded) is(name string) bool { return string(b.text[:b.n]) == name }

// jsonState is what the next byte may be.
type jsonState uint8

const (
	wantValue jsonState = iota
	wantValueOrEnd
	wantKeyOrEnd
	wantKey
	wantColon
	wantCommaOrEnd
	inString
	inNumber
	inLiteral
	skimming // inside a container that nobody asks for
	docDone
	docBroken
)

// maxShapeDepth bounds the containers that are followed; deeper ones are
// skimmed, however deep, and cost no memory.
const maxShapeDepth = 10

// jsonReader reads one JSON document (RFC 8259) as it passes, in any pieces,
// and records in a sighting what stands at the places of a shape. It keeps
// nothing but the path, a key of bounded length and a number: what is not asked
// for is skipped, strings by looking for their end only. It is no validator:
// what it skips may be wrong inside.
type jsonReader struct {
	root  *shape
	seen  *sighting
	inner *base64Reader // takes the text of sealedEvent strings; nil: nobody

	jsonPosition
	text [200]byte // of a string that is asked for and comes in pieces or with escapes
}

// jsonPosition is how far a document has been read.
type jsonPosition struct {
	state  jsonState
	depth  int // open containers that are followed
	skim   int // open containers inside the one that is skimmed
	levels [maxShapeDepth]jsonLevel
	at     *shape // of the value that comes next

	after   jsonState // what follows the string
	isKey   bool
	keep    bool // the string is asked for
	tap     bool // the string goes to inner
	mark    meaning
	escaped bool // the last byte was a backslash that counts
	kept    int  // bytes in text

	number int64
	digits int // of the number; -1: no count
}

type jsonLevel struct {
	is    *shape
	array bool
}

// reset prepares for another document.
func (r *jsonReader) reset() {
	r.state, r.depth, r.skim, r.escaped, r.at = wantValue, 0, 0, false, r.root
}

// unfinished says whether the document has begun and not ended. A number or a
// word that is the whole document may have.
func (r *jsonReader) unfinished() bool {
	switch r.state {
	case docDone, docBroken:
		return false
	case wantValue, inNumber, inLiteral:
		return r.depth > 0
	}
	return true
}

// breakOff gives the document up: what it has shown does not count.
func (r *jsonReader) breakOff() { r.state = docBroken }

// write takes more of the document and says how much: everything, unless the
// document ended before. A number that is the whole document has no end.
func (r *jsonReader) write(b []byte) int {
	i := 0
	for i < len(b) {
		switch r.state {
		case inString:
			i += r.inString(b[i:])
		case skimming:
			i += r.skimOver(b[i:])
		case inNumber:
			i += r.inNumber(b[i:])
		case inLiteral:
			i += r.inLiteral(b[i:])
		case docDone:
			return i
		case docBroken:
			return len(b)
		default:
			c := b[i]
			i++
			switch {
			case c == '"':
				if n := r.wholeString(b[i:]); n > 0 {
					i += n
				} else {
					r.structure(c)
				}
			case c > ' ':
				r.structure(c)
			case !isJSONSpace(c):
				r.breakOff()
			}
		}
	}
	return i
}

// writeLast takes more of a document behind which only white space may stand.
func (r *jsonReader) writeLast(b []byte) {
	for rest := b[r.write(b):]; len(rest) > 0; rest = rest[1:] {
		if !isJSONSpace(rest[0]) {
			r.breakOff()
			return
		}
	}
}

func isJSONSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// structure takes a byte between values.
func (r *jsonReader) structure(c byte) {
	switch r.state {
	case wantKeyOrEnd:
		if c == '}' {
			r.close()
			return
		}
		r.seen.note(r.levels[r.depth-1].is.means)
		r.beginKey(c)
	case wantKey:
		r.beginKey(c)
	case wantColon:
		r.state = wantValue
		if c != ':' {
			r.breakOff()
		}
	case wantValueOrEnd:
		if c == ']' {
			r.close()
			return
		}
		r.seen.note(r.levels[r.depth-1].is.means)
		r.beginValue(c)
	case wantValue:
		r.beginValue(c)
	case wantCommaOrEnd:
		r.afterValue(c)
	}
}

func (r *jsonReader) beginKey(c byte) {
	if c != '"' {
		r.breakOff()
		return
	}
	r.beginString(wantColon)
	r.isKey, r.keep = true, true
}

// beginValue takes the first byte of a value.
func (r *jsonReader) beginValue(c byte) {
	switch {
	case c == '"':
		r.beginString(r.afterThis())
		if r.at != nil {
			r.keep = r.at.means == eventKind
			r.tap = r.at.means == sealedEvent && r.inner != nil
			r.mark = r.at.means
		}
	case c == '{' || c == '[':
		r.open(c == '[')
	case c == '-' || '0' <= c && c <= '9':
		r.state, r.number, r.digits = inNumber, int64(c-'0'), 1
		if c == '-' || r.at == nil || !r.at.means.isCount() {
			r.digits = -1
		}
	case c == 't' || c == 'f' || c == 'n':
		r.state = inLiteral
	default:
		r.breakOff()
	}
}

// afterThis is what follows a value at the present depth.
func (r *jsonReader) afterThis() jsonState {
	if r.depth == 0 {
		return docDone
	}
	return wantCommaOrEnd
}

func (r *jsonReader) open(array bool) {
	if !r.follows(array) {
		r.state, r.skim = skimming, 1
		return
	}
	r.levels[r.depth] = jsonLevel{r.at, array}
	r.depth++
	if array {
		r.at, r.state = r.at.elements, wantValueOrEnd
	} else {
		r.state = wantKeyOrEnd
	}
}

// follows says whether the container that opens has to be looked into: for
// what is in it, or to see whether anything is.
func (r *jsonReader) follows(array bool) bool {
	if r.at == nil || r.depth == maxShapeDepth {
		return false
	}
	switch {
	case r.at.means == someOutput && !r.seen.output, r.at.means == someError, r.at.means == someFinish:
		return true
	case array:
		return r.at.elements != nil
	}
	return !r.at.isLeaf()
}

// afterValue takes what stands behind a value: a comma or the container's end.
func (r *jsonReader) afterValue(c byte) {
	level := &r.levels[r.depth-1]
	switch {
	case c == ',' && level.array:
		r.at, r.state = level.is.elements, wantValue
	case c == ',':
		r.state = wantKey
	case c == ']' && level.array, c == '}' && !level.array:
		r.close()
	default:
		r.breakOff()
	}
}

func (r *jsonReader) close() {
	r.depth--
	r.state = r.afterThis()
}

// skimStops marks the bytes that matter while skimming.
var skimStops = [256]bool{'"': true, '{': true, '}': true, '[': true, ']': true}

// skimOver passes over a container that nobody asks for. Only strings and the
// number of open brackets matter.
func (r *jsonReader) skimOver(b []byte) int {
	for i, c := range b {
		if !skimStops[c] {
			continue
		}
		switch c {
		case '"':
			r.beginString(skimming)
			return i + 1
		case '{', '[':
			r.skim++
		default:
			r.skim--
			if r.skim == 0 {
				r.state = r.afterThis()
				return i + 1
			}
		}
	}
	return len(b)
}

// inNumber takes more of a number. Only what is written in digits alone and
// fits is a count.
func (r *jsonReader) inNumber(b []byte) int {
	for i, c := range b {
		switch {
		case '0' <= c && c <= '9':
			r.digit(int64(c - '0'))
		case c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-':
			r.digits = -1
		default:
			r.endNumber()
			return i
		}
	}
	return len(b)
}

func (r *jsonReader) digit(d int64) {
	if r.digits < 0 {
		return
	}
	if r.number > (math.MaxInt64-d)/10 || r.digits == 1 && r.number == 0 {
		r.digits = -1 // does not fit, or begins with a zero, which JSON forbids
		return
	}
	r.number = r.number*10 + d
	r.digits++
}

func (r *jsonReader) endNumber() {
	r.state = r.afterThis()
	if r.digits > 0 {
		r.seen.counts[r.at.means-inputTokens].Set(r.number)
		r.seen.any = true
	}
}

// inLiteral passes over true, false and null, none of which says anything.
func (r *jsonReader) inLiteral(b []byte) int {
	for i, c := range b {
		if c < 'a' || c > 'z' {
			r.state = r.afterThis()
			return i
		}
	}
	return len(b)
}
