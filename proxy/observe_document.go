package proxy

// arrayState is how far a document that turned out to be an array has come.
type arrayState uint8

const (
	noArray arrayState = iota
	betweenElements
	inElement
	afterArray
)

// document takes more of a body that is JSON as a whole: one document, or,
// where the format allows it, an array whose elements are events (Gemini's
// stream without alt=sse).
func (o *observer) document(b []byte) {
	for len(b) > 0 {
		if o.array == betweenElements || o.array == afterArray || o.mayBeArray() {
			b = o.between(b)
			continue
		}
		b = b[o.doc.write(b):]
		if o.doc.state != docDone {
			return
		}
		if o.events && o.array == noArray {
			return // something behind the document
		}
		o.seen.whole = o.array == noArray
		o.settle()
		if o.array == inElement {
			o.array = betweenElements
		}
	}
}

// mayBeArray says whether the document's first byte is still to come, and
// would tell.
func (o *observer) mayBeArray() bool {
	return o.format != nil && o.format.arms.arrays && o.media == mediaDocument &&
		o.array == noArray && o.doc.state == wantValue && o.doc.depth == 0
}

// between takes bytes outside elements: white space, commas, the brackets.
func (o *observer) between(b []byte) []byte {
	switch c := b[0]; {
	case isJSONSpace(c):
	case o.array == noArray && c == '[':
		o.array = betweenElements
	case o.array == betweenElements && c == ',':
	case o.array == betweenElements && c == ']':
		o.array = afterArray
	case o.array == afterArray:
		return nil
	default:
		return o.element(b)
	}
	return b[1:]
}

// element begins an element of the array, or the only document.
func (o *observer) element(b []byte) []byte {
	o.beginEvent()
	if o.array == betweenElements {
		o.array = inElement
	}
	return b[o.doc.write(b[:1]):]
}
