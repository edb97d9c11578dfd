package proxy

import "bytes"

// eventLines cuts a text/event-stream into lines and events (WHATWG HTML,
// section 9.2.6), in any pieces, and hands on the data of each event as it
// passes. Nothing of an event is kept but its name.
type eventLines struct {
	sink  *observer
	known *opening // of the stream's events; nil until there is one

	linePosition
}

// linePosition is how far a stream's lines have come.
type linePosition struct {
	state   lineState
	bom     int // bytes of a byte order mark seen; 3: it has passed, or there is none
	afterCR bool
	open    bool // something of an event has passed
	data    bool // data was in it
	field   [6]byte
	fieldN  int
	name    bounded
	done    int // bytes of [DONE] that the data begins with; -1: it begins otherwise
}

type lineState uint8

const (
	inField lineState = iota // at a line's start or in its field name
	afterColon
	inData
	inName
	inRest // of a line that says nothing
)

const (
	byteOrderMark = "\xef\xbb\xbf"
	doneMark      = "[DONE]"
)

// dataField begins nearly every line.
var dataField = []byte("data: ")

// lineFeed joins the data lines of an event.
var lineFeed = []byte{'\n'}

// atBoundary says whether only whole events have passed. After a CR it waits
// for more: half of a CR LF is on its way, perhaps.
func (l *eventLines) atBoundary() bool {
	return !l.open && !l.afterCR && l.state == inField && l.fieldN == 0 && (l.bom == 0 || l.bom == len(byteOrderMark))
}

// end takes the end of the stream for that of the last event, which need not
// have its empty line. What is missing of it is still missing on the wire.
func (l *eventLines) end() {
	whole := l.atBoundary()
	if l.state != inField || l.fieldN > 0 {
		l.endLine()
	}
	l.endEvent()
	l.open = !whole
}

// write takes more of the stream.
func (l *eventLines) write(b []byte) {
	if l.bom < len(byteOrderMark) {
		b = l.skipMark(b)
	}
	feed, carriage := indexFrom(b, 0, '\n'), indexFrom(b, 0, '\r')
	for i := 0; i < len(b); {
		if l.afterCR {
			l.afterCR = false
			if b[i] == '\n' {
				i++
				continue
			}
		}
		if !l.open && l.state == inField && l.fieldN == 0 {
			if i += l.takeKnown(b[i:]); i == len(b) {
				return
			}
		}
		if feed < i {
			feed = indexFrom(b, i, '\n')
		}
		if carriage < i {
			carriage = indexFrom(b, i, '\r')
		}
		end := min(feed, carriage)
		l.piece(b[i:end])
		if end == len(b) {
			return
		}
		l.endLine()
		l.afterCR = end == carriage
		i = end + 1
	}
}

// indexFrom finds c in b from i on; the end of b where there is none.
func indexFrom(b []byte, i int, c byte) int {
	if n := bytes.IndexByte(b[i:], c); n >= 0 {
		return i + n
	}
	return len(b)
}

// skipMark passes over a byte order mark at the stream's very start.
func (l *eventLines) skipMark(b []byte) []byte {
	for len(b) > 0 && l.bom < len(byteOrderMark) {
		if b[0] != byteOrderMark[l.bom] {
			if l.bom > 0 { // the line begins with something that is no field's name
				l.open, l.state = true, inRest
			}
			l.bom = len(byteOrderMark)
			return b
		}
		l.bom++
		b = b[1:]
	}
	return b
}

// piece takes a part of a line, without its end.
func (l *eventLines) piece(b []byte) {
	switch {
	case l.state != inField:
	case l.fieldN == 0 && bytes.HasPrefix(b, dataField):
		l.fieldN = copy(l.field[:], "data")
		l.state, b = afterColon, b[len("data:"):]
	default:
		b = l.inField(b)
	}
	if l.state == afterColon && len(b) > 0 {
		if b[0] == ' ' {
			b = b[1:]
		}
		l.beginValue()
	}
	switch l.state {
	case inData:
		l.inData(b)
	case inName:
		l.name.add(b)
	}
}

// inField takes the name of a line's field and gives what follows the colon.
func (l *eventLines) inField(b []byte) []byte {
	for i, c := range b {
		if c != ':' {
			if l.fieldN == len(l.field) {
				l.open, l.state = true, inRest
				return b[i:]
			}
			l.field[l.fieldN] = c
			l.fieldN++
			continue
		}
		if l.fieldN == 0 { // a comment
			l.state = inRest
		} else {
			l.state = afterColon
		}
		return b[i+1:]
	}
	return nil
}

// beginValue decides by its field's name what the rest of the line is.
func (l *eventLines) beginValue() {
	l.open = true
	switch string(l.field[:l.fieldN]) {
	case "data":
		l.state = inData
		if l.data {
			l.inData(lineFeed)
		} else {
			l.data = true
			l.sink.beginEvent()
		}
	case "event":
		l.state = inName
		l.name.n = 0
	default:
		l.state = inRest
	}
}

func (l *eventLines) inData(b []byte) {
	for i := 0; i < len(b) && l.done >= 0 && l.done < len(doneMark); i++ {
		if b[i] != doneMark[l.done] {
			l.done = -1
			break
		}
		l.done++
	}
	l.sink.eventData(b)
}

// endLine takes the end of a line. An empty line ends the event.
func (l *eventLines) endLine() {
	switch {
	case l.state == inField && l.fieldN == 0:
		l.endEvent()
	case l.state == inField || l.state == afterColon: // a field without a colon, or without a value
		l.beginValue()
	}
	l.state, l.fieldN = inField, 0
}

func (l *eventLines) endEvent() {
	if l.data {
		l.sink.endEvent(l.name.bytes(), l.done == len(doneMark))
	}
	l.open, l.data, l.name.n, l.done = false, false, 0, 0
}
