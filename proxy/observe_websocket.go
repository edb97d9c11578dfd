package proxy

// messages looks on at what an upstream says over a WebSocket: where its messages
// end, and what those of OpenAI's Realtime API tell of usage.
type messages struct {
	frames
	to     *observer
	reads  bool  // the message under way is looked into
	looked int64 // so many bytes of it
	busy   bool  // a response has begun and has not ended
}

// lookBytes bounds how much of a message is looked into. What ends a response
// is far shorter: its text and its usage, no sound.
const lookBytes = 1 << 20

// follow takes more of what passes.
func (m *messages) follow(b []byte) {
	for len(b) > 0 {
		b = b[m.next(b):]
	}
}

// next takes what of b belongs to the frame that b begins in.
func (m *messages) next(b []byte) int {
	n, payload := m.frames.next(b)
	if m.to.format == nil {
		return n
	}
	if m.began {
		m.begin()
	}
	if m.reads && m.isData() && len(payload) > 0 {
		m.look(payload)
	}
	if m.whole && m.reads {
		m.finish()
	}
	return n
}

// begin begins a message. One that is compressed is not read: a connection may
// keep a window of 32 KiB over all its messages, and others wait behind it.
func (m *messages) begin() {
	m.reads, m.looked = m.opcode == opText && !m.compressed && !m.masked, 0
	if m.reads {
		m.to.beginEvent()
	}
}

func (m *messages) look(payload []byte) {
	if m.looked += int64(len(payload)); m.looked > lookBytes {
		m.reads = false
		return
	}
	m.to.eventData(payload)
}

// finish judges a message that is whole.
func (m *messages) finish() {
	m.reads = false
	m.to.endEvent(nil, false)
	switch {
	case m.to.last.is(responseCreated):
		m.busy = true
	case m.to.last.is(responseDone):
		m.busy = false
	}
}

// atRest says whether the session can be ended without breaking anything off:
// between two messages, and no response is under way.
func (m *messages) atRest() bool { return m.betweenMessages() && !m.busy }

// The server events between which a response is under way
// (https://platform.openai.com/docs/api-reference/realtime-server-events).
const (
	responseCreated = "response.created"
	responseDone    = "response.done"
)

// openAIRealtime reads the Realtime API: each response of a session tells its own
// usage, and they add up.
var openAIRealtime = wireFormat{
	shape: newShape([]place{
		{"type", eventKind},
		{"response.usage.input_tokens", inputTokens},
		{"response.usage.output_tokens", outputTokens},
		{"response.usage.input_token_details.cached_tokens", cachedInputTokens},
		{"response.usage.output_token_details.reasoning_tokens", reasoningTokens},
	}),
	judge: func(s *sighting) verdict { return verdict{counts: s.is(responseDone)} },
	arms:  armsOf{endless: true, sums: true},
}
