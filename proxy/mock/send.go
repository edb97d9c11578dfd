package mock

import (
	"net/http"
	"strconv"
)

// sendWhole sends an answer that is not streamed, with whatever the model's
// fault makes of it.
func (e *exchange) sendWhole(body []byte, tokens int) {
	if !e.wait(0) {
		e.gone()
		return
	}
	h := e.w.Header()
	h.Set("Content-Type", "application/json")
	half := body[:len(body)/2]
	switch {
	case e.trait.fault == stall:
		e.silence()
	case e.trait.fault == truncated:
		e.sendNow("application/json", half)
	case e.trait.fault == reset, e.CutAfter > 0 && tokens >= e.CutAfter:
		h.Set("Content-Length", strconv.Itoa(len(body)))
		if !e.open(false) || !e.emit(half) {
			e.gone()
			return
		}
		e.sever(nil)
	default:
		e.sendNow("application/json", body)
	}
}

// sendNow sends a body that is ready.
func (e *exchange) sendNow(contentType string, body []byte) {
	h := e.w.Header()
	h.Set("Content-Type", contentType)
	if e.trait.fault != gzipped {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	if !e.open(false) || !e.emit(body) || !e.close() {
		e.gone()
	}
}

// sendStream sends an answer as a stream of events.
func (e *exchange) sendStream(a *answer) {
	f := framing{eol: "\n", array: a.jsonArray}
	if e.trait.fault == crlf {
		f.eol = "\r\n"
	}
	s := newScript(f, a.output())
	if e.trait.fault == errorEvent {
		e.scriptBroken(a, s)
	} else {
		e.place.speaks.script(a, s)
		s.end()
	}
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	if a.jsonArray {
		h.Set("Content-Type", "application/json; charset=UTF-8")
	}
	h.Set("Cache-Control", "no-cache")
	if !e.open(e.due(0) > 0) || !e.play(s) {
		e.gone()
	}
}

// scriptBroken writes the script of a stream in which an error is told of
// after some tokens.
func (e *exchange) scriptBroken(a *answer, s *script) {
	e.place.speaks.script(a, s)
	tokens, keep := 0, 0
	for keep < len(s.frames) && tokens < faultAfter && s.frames[keep].kind != closing {
		if s.frames[keep].kind == token {
			tokens++
		}
		keep++
	}
	s.cut(keep)
	e.place.speaks.broken(a, s)
	s.end()
}

// play sends a script at its pace. It says whether all went out that was meant
// to.
func (e *exchange) play(s *script) bool {
	sent := 0
	for i := range s.frames {
		data, kind := s.frame(i)
		if e.endsBefore(kind, sent) {
			e.strike(data)
			return !e.left
		}
		if kind != closing && !e.wait(sent) || !e.emit(data) {
			return false
		}
		if kind == token {
			sent++
		}
	}
	return e.close()
}

// endsBefore says whether the stream ends before an event of this kind, so many
// tokens having been sent.
func (e *exchange) endsBefore(k kind, sent int) bool {
	if k == opening {
		return false
	}
	if e.CutAfter > 0 && sent >= e.CutAfter {
		return true
	}
	switch e.trait.fault {
	case stall, reset, truncated:
		return sent >= faultAfter || k == closing
	}
	return false
}

// strike ends a stream as the model's fault has it, where next would have been
// sent.
func (e *exchange) strike(next []byte) {
	switch e.trait.fault {
	case stall:
		e.silence()
	case reset:
		e.sever(next)
	case truncated:
		e.close()
	default: // CutAfter
		panic(http.ErrAbortHandler)
	}
}

// silence waits for the client to leave, and for stallTime at most.
func (e *exchange) silence() {
	if e.pause(stallTime) {
		panic(http.ErrAbortHandler)
	}
	e.gone()
}
