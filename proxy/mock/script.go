package mock

// kind is where in a stream an event stands.
type kind uint8

const (
	opening kind = iota // before the first token
	token               // carries one
	closing             // after the last
)

// framing is how events become bytes.
type framing struct {
	eol   string // of a line of Server-Sent Events
	array bool   // Gemini without alt=sse: one JSON array, an event an element
}

// script is a stream before it is sent: its events, framed, in one buffer.
type script struct {
	framing
	buf    []byte
	frames []frame
}

type frame struct {
	end  int // in buf
	kind kind
}

func newScript(f framing, tokens int) *script {
	return &script{framing: f, buf: make([]byte, 0, 2048+256*tokens), frames: make([]frame, 0, tokens+10)}
}

// add puts in one event: its name ("" for none) and its JSON, in pieces.
func (s *script) add(k kind, event string, data ...[]byte) {
	switch {
	case s.array && len(s.frames) == 0:
		s.buf = append(s.buf, '[')
	case s.array:
		s.buf = append(s.buf, ",\r\n"...)
	case event != "":
		s.buf = append(append(append(s.buf, "event: "...), event...), s.eol...)
		fallthrough
	default:
		s.buf = append(s.buf, "data: "...)
	}
	for _, piece := range data {
		s.buf = append(s.buf, piece...)
	}
	if !s.array {
		s.buf = append(append(s.buf, s.eol...), s.eol...)
	}
	s.mark(k)
}

// end closes what the framing has opened.
func (s *script) end() {
	if s.array {
		s.buf = append(s.buf, "]\n"...)
		s.mark(closing)
	}
}

// cut takes out all but the first events.
func (s *script) cut(keep int) {
	s.frames = s.frames[:keep]
	end := 0
	if keep > 0 {
		end = s.frames[keep-1].end
	}
	s.buf = s.buf[:end]
}

func (s *script) mark(k kind) {
	s.frames = append(s.frames, frame{end: len(s.buf), kind: k})
}

// frame gives the bytes of frame i, and where in the stream it stands.
func (s *script) frame(i int) ([]byte, kind) {
	begin := 0
	if i > 0 {
		begin = s.frames[i-1].end
	}
	f := s.frames[i]
	return s.buf[begin:f.end], f.kind
}
