package proxy

import (
	"net/http"
	"strings"

	"github.com/llmgw/llmgw/accounts"
)

// observer looks on while an answer passes and says what it was: how many
// tokens the provider counted, whether output has begun, whether the stream
// came to its proper end.
//
//  1. newObserver chooses by wire format and content type what to read.
//  2. write sees every byte once. Lines (observe_sse.go) or frames
//     (observe_frames.go) are told apart, the JSON in them is read as it passes
//     (observe_json.go) with eyes only for the places that the format names
//     (observe_openai.go and its sisters). An event of a stream that begins as
//     those before it is taken up where it parts from them (observe_opening.go).
//  3. When an event is whole, the format judges what was seen in it. Counts of
//     an event that never became whole do not count.
//
// It is a state machine over bytes: how they are cut into writes makes no
// difference, by construction. It holds no event but how one began, and grows
// with none. Of an encoded body it looks at a decoded copy
// (observe_encoded.go). It alters nothing.
type observer struct {
	format  *wireFormat // nil: the bytes say nothing that we can read
	media   media
	status  int
	opaque  bool         // the body is encoded
	json    bool         // the body says that it is JSON
	toEnd   bool         // and nothing but its own end tells that it is whole: it is looked at whatever the format
	unread  string       // why the body, encoded as it is, is not read
	encoded *encodedBody // decodes it; nil: it is not encoded, or not read

	bytes  bool // at least one
	events bool // at least one whole event
	counts [countKinds]accounts.Count
	ended  bool // the protocol's last event was seen
	broke  bool // an error event was seen
	last   bounded

	seen  sighting
	lines eventLines
	frame *frameReader // nil: the answer comes in no frames
	doc   jsonReader
	inner base64Reader
	array arrayState
}

// media is how the body is cut into documents.
type media uint8

const (
	mediaDocument media = iota // one JSON document, or nothing we know
	mediaEvents                // text/event-stream
	mediaFrames                // application/vnd.amazon.eventstream
	mediaMessages              // of a WebSocket, told apart by observe_websocket.go
)

// wireFormat is what is to be known of a wire format's answers.
type wireFormat struct {
	shape *shape
	judge func(*sighting) verdict
	arms  armsOf
}

// armsOf are the ways in which formats differ but for shape and judgement.
type armsOf struct {
	endless bool   // its streams have no terminal event, and any byte is output
	arrays  bool   // a document that is an array is a stream of its elements
	sums    bool   // its events count for themselves, not for all that was before
	inner   *shape // of events that stand in base64 in the event proper
}

// verdict is what a whole event was.
type verdict struct {
	counts   bool // its counts are the provider's word on the whole exchange
	terminal bool // the protocol ends with it
	failed   bool // it says that the upstream could not go on
}

// wireFormats are the wire formats that are read. An absent one passes unread.
var wireFormats = [...]*wireFormat{
	accounts.WireOpenAIChat:        &openAIChat,
	accounts.WireOpenAIResponses:   &openAIResponses,
	accounts.WireOpenAIEmbeddings:  &openAIOther,
	accounts.WireOpenAIImages:      &openAIOther,
	accounts.WireOpenAIAudio:       &openAIOther,
	accounts.WireOpenAIBatches:     &openAIOther,
	accounts.WireOpenAIRealtime:    &openAIRealtime,
	accounts.WireAnthropicMessages: &anthropicMessages,
	accounts.WireGoogleGenerate:    &googleGenerate,
	accounts.WireBedrock:           &bedrock,
}

// newObserver makes an observer for one answer. header is the upstream's.
func newObserver(wire accounts.Wire, status int, header http.Header) *observer {
	o := &observer{status: status, media: mediaOf(header), opaque: isEncoded(header), json: isJSONBody(header)}
	if int(wire) < len(wireFormats) {
		o.format = wireFormats[wire]
	}
	if wire == accounts.WireBedrock {
		bedrockHeaders(header, &o.counts)
	}
	if o.opaque {
		o.openEncoded(header)
	}
	o.lines.sink = o
	if o.media == mediaFrames {
		o.frame = &frameReader{sink: o}
	}
	o.doc.seen = &o.seen
	if o.format != nil {
		o.doc.root = o.format.shape
		if inner := o.format.arms.inner; inner != nil {
			o.inner.to = &jsonReader{root: inner, seen: &o.seen}
			o.doc.inner = &o.inner
		}
	}
	o.doc.reset()
	return o
}

// unframed is told of a body whose end is only that of its connection.
func (o *observer) unframed() { o.toEnd = o.json && !o.opaque && o.media == mediaDocument }

func isJSONBody(header http.Header) bool {
	kind, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

func mediaOf(header http.Header) media {
	kind, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	switch kind = strings.TrimSpace(kind); {
	case strings.EqualFold(kind, "text/event-stream"):
		return mediaEvents
	case strings.EqualFold(kind, "application/vnd.amazon.eventstream"):
		return mediaFrames
	}
	return mediaDocument
}

// write looks at the next bytes of the body. It keeps none of them.
func (o *observer) write(b []byte) {
	if len(b) == 0 {
		return
	}
	o.bytes = true
	switch {
	case o.encoded != nil:
		o.encoded.write(b)
	case !o.opaque:
		o.look(b)
	}
}

// look looks at the next bytes of the body as it is without its coding.
func (o *observer) look(b []byte) {
	switch {
	case o.media == mediaEvents:
		o.lines.write(b)
	case o.format == nil && !o.toEnd:
	case o.media == mediaFrames:
		o.frame.write(b)
	default:
		o.document(b)
	}
}

// end says that the body has ended as it should. A last event that lacks only
// its empty line is taken as whole.
func (o *observer) end() {
	if o.encoded != nil {
		o.encoded.end()
	}
	if o.media == mediaEvents && (!o.opaque || o.encoded != nil) {
		o.lines.end()
	}
}

// usage gives what the provider has counted so far.
func (o *observer) usage() accounts.Usage {
	return accounts.Usage{
		InputTokens:       o.counts[0],
		OutputTokens:      o.counts[outputTokens-inputTokens],
		CachedInputTokens: o.counts[cachedInputTokens-inputTokens],
		CacheWriteTokens:  o.counts[cacheWriteTokens-inputTokens],
		ReasoningTokens:   o.counts[reasoningTokens-inputTokens],
	}
}

// sawToken says whether output has begun: text, a tool call, reasoning. Where
// that cannot be told, any byte is output.
func (o *observer) sawToken() bool {
	if o.reads() {
		return o.seen.output
	}
	return o.bytes && !o.mayBeArray()
}

// reads says whether the answer is a stream whose events are understood.
func (o *observer) reads() bool {
	return o.isStream() && o.format != nil && !o.format.arms.endless && o.status/100 == 2
}

// isStream says whether the answer comes in events.
func (o *observer) isStream() bool { return o.media != mediaDocument || o.array != noArray }

// terminal says whether the protocol's last event was seen. Where there is no
// such event, it is true.
func (o *observer) terminal() bool { return o.ended || !o.reads() }

// cutShort says, after end, whether the body ended inside of what it is: a JSON
// document or the coding around it.
func (o *observer) cutShort() bool {
	switch {
	case o.encoded != nil && o.encoded.cut:
		return true
	case !o.bytes || !o.json || o.media != mediaDocument || o.whyUnread() != "":
		return false
	case o.array != noArray:
		return o.array != afterArray
	}
	return o.doc.unfinished()
}

// failed says whether the upstream itself sent an error in the stream.
func (o *observer) failed() bool { return o.broke }

// atBoundary says whether another event may be written here: the answer is an
// event stream in plain text, and only whole events have passed.
func (o *observer) atBoundary() bool {
	return o.media == mediaEvents && !o.opaque && o.lines.atBoundary()
}

// lastEvent names the last whole event, in at most 64 bytes. It is the
// upstream's text.
func (o *observer) lastEvent() string {
	switch {
	case !o.isStream():
		return ""
	case o.last.n == 0 && o.events:
		return "message" // what an event without a name is called
	}
	return string(o.last.bytes())
}

// beginEvent prepares for the data of an event.
func (o *observer) beginEvent() {
	o.doc.reset()
	if o.inner.to != nil {
		o.inner.reset()
	}
	s := &o.seen
	s.name, s.kind.n, s.failed, s.finish, s.done, s.thrown = nil, 0, false, false, false, false
	if s.any {
		s.any, s.counts = false, [countKinds]accounts.Count{}
	}
}

// eventData takes a part of an event's data.
func (o *observer) eventData(b []byte) {
	if o.format != nil {
		o.doc.writeLast(b)
	}
}

// endEvent judges an event that has come to its end.
func (o *observer) endEvent(name []byte, done bool) {
	o.seen.name, o.seen.done = name, done
	o.settle()
}

// endFrame judges a frame: an event, or an exception instead of one.
func (o *observer) endFrame(name []byte, thrown bool) {
	o.seen.name, o.seen.thrown = name, thrown
	o.settle()
}

// settle takes over what an event or document said, if all of it was read.
func (o *observer) settle() {
	s := &o.seen
	if !o.wasRead() {
		s.any, s.counts, s.kind.n = false, [countKinds]accounts.Count{}, 0
		s.failed, s.finish = false, false
	}
	o.remember(s)
	if o.format == nil {
		return
	}
	v := o.format.judge(s)
	o.ended = o.ended || v.terminal
	o.broke = o.broke || v.failed && o.isStream()
	if !v.counts || !s.any {
		return
	}
	for i, c := range s.counts {
		switch {
		case !c.Known:
		case o.format.arms.sums:
			o.counts[i].Add(c.N)
		default:
			o.counts[i] = c
		}
	}
}

// wasRead says whether the event's document was whole, and the one in it.
func (o *observer) wasRead() bool {
	return o.doc.state == docDone && (o.inner.to == nil || !o.inner.begun || o.inner.to.state == docDone)
}

// remember keeps the name of the last event.
func (o *observer) remember(s *sighting) {
	o.events, o.last.n = true, 0
	switch {
	case s.done:
		o.last.add([]byte(doneMark))
	case s.kind.n > 0:
		o.last.add(s.kind.bytes())
	default:
		o.last.add(s.name)
	}
}
