package rules

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/llmgw/llmgw/accounts"
)

// maxModelBytes bounds what is taken for the name of a model, as it is written
// in path or body. Names go into rules, logs and metrics.
const maxModelBytes = 4 << 10

// PathRead is what a path tells of a request: the wire format, and for some
// formats model and stream, which the others have in the body.
type PathRead struct {
	Wire     accounts.Wire
	Model    string // decoded
	HasModel bool
	Stream   bool

	modelStart, modelEnd int  // where the model stands in the path, or
	inQuery              bool // in the query
	twice                bool // the query names it twice
}

// The paths of the formats whose whole path is known. Callers and upstreams
// put prefixes before them (/openai/v1, /api/v1, /anthropic), or leave /v1
// out, so they are known by how they end. Anthropic's need the /v1: OpenAI has
// /v1/threads/{id}/messages.
var endings = [...]struct {
	ending string
	wire   accounts.Wire
}{
	{"/chat/completions", accounts.WireOpenAIChat},
	{"/v1/messages", accounts.WireAnthropicMessages},
	{"/v1/messages/count_tokens", accounts.WireAnthropicCountTokens},
	{"/responses", accounts.WireOpenAIResponses},
	{"/responses/compact", accounts.WireOpenAIResponses},
	{"/responses/input_tokens", accounts.WireOpenAIResponses},
	{"/embeddings", accounts.WireOpenAIEmbeddings},
	{"/images/generations", accounts.WireOpenAIImages},
	{"/images/edits", accounts.WireOpenAIImages},
	{"/images/variations", accounts.WireOpenAIImages},
	{"/audio/speech", accounts.WireOpenAIAudio},
	{"/audio/transcriptions", accounts.WireOpenAIAudio},
	{"/audio/translations", accounts.WireOpenAIAudio},
	{"/v1/realtime", accounts.WireOpenAIRealtime},
}

// ReadPath recognises the wire format of a canonical path (see CanonicalPath).
// A trailing slash is overlooked. It allocates only where the model's name has
// an escape.
func ReadPath(canonical string) PathRead {
	path := strings.TrimSuffix(canonical, "/")
	if p, ok := readModelVerb(path); ok {
		return p
	}
	if p, ok := readBedrock(path); ok {
		return p
	}
	for _, e := range &endings {
		if before, ok := strings.CutSuffix(path, e.ending); ok {
			return readDeployment(path, before, e.wire)
		}
	}
	switch {
	case hasSegments(path, "/v1/files"):
		return PathRead{Wire: accounts.WireOpenAIFiles}
	case hasSegments(path, "/v1/batches"):
		return PathRead{Wire: accounts.WireOpenAIBatches}
	}
	return PathRead{}
}

// ReadsBody says whether requests of the format name model and stream in a
// body, JSON or form: ScanBody or ScanMultipart finds them. What the path says
// goes before it.
func ReadsBody(w accounts.Wire) bool {
	switch w {
	case accounts.WireNone, accounts.WireOpenAIFiles, accounts.WireOpenAIRealtime, accounts.WireGoogleGenerate, accounts.WireBedrock:
		return false
	}
	return true
}

// WithModel puts another model into the path that p was read from, which must
// be that very path. Every character of the name but the unreserved ones and @
// is escaped, so that a slash stays within the segment and a colon is no verb.
// A name made by a caller can still give a dot segment: CanonicalPath refuses
// the outcome then. Without a model in the path, the path comes back.
func (p PathRead) WithModel(path, model string) string {
	if !p.HasModel || p.inQuery {
		return path
	}
	out := make([]byte, 0, len(path)+len(model))
	out = append(out, path[:p.modelStart]...)
	for i := range len(model) {
		if model[i] == '@' {
			out = append(out, '@')
			continue
		}
		out = appendEscape(out, model[i])
	}
	return string(append(out, path[p.modelEnd:]...))
}

// readDeployment finds Azure's model, which stands before the format's ending:
// /openai/deployments/{model}/chat/completions.
func readDeployment(path, before string, wire accounts.Wire) PathRead {
	p := PathRead{Wire: wire}
	parent, deployment := cutLast(before)
	if wire.IsOpenAI() && strings.HasSuffix(parent, "/deployments") && deployment != "" {
		p.setModel(path, len(parent)+1, len(before))
	}
	return p
}

// readBedrock reads /model/{model}/{operation}.
func readBedrock(path string) (PathRead, bool) {
	before, operation := cutLast(path)
	p := PathRead{Wire: accounts.WireBedrock}
	switch operation {
	case "invoke", "converse", "count-tokens":
	case "invoke-with-response-stream", "converse-stream":
		p.Stream = true
	default:
		return PathRead{}, false
	}
	parent, model := cutLast(before)
	if !strings.HasSuffix(parent, "/model") || model == "" {
		return PathRead{}, false
	}
	p.setModel(path, len(parent)+1, len(before))
	return p, true
}

// readModelVerb reads Google's /models/{model}:{verb}, of the Gemini API and
// of Vertex, where /publishers/{publisher} stands before it.
func readModelVerb(path string) (PathRead, bool) {
	parent, last := cutLast(path)
	owner, ok := strings.CutSuffix(parent, "/models")
	if !ok {
		return PathRead{}, false
	}
	name, verb := cutVerb(last)
	if name == "" || verb == "" {
		return PathRead{}, false
	}
	publishers, publisher := cutLast(owner)
	if !strings.HasSuffix(publishers, "/publishers") {
		publisher = "google"
	}
	p := PathRead{Stream: strings.HasPrefix(verb, "stream")}
	switch {
	case publisher == "google" && isGoogleVerb(verb):
		p.Wire = accounts.WireGoogleGenerate
	case publisher != "google" && (verb == "rawPredict" || verb == "streamRawPredict"):
		p.Wire = publishedWire(publisher, name)
	default:
		return PathRead{}, false
	}
	if p.Wire != accounts.WireAnthropicCountTokens {
		p.setModel(path, len(parent)+1, len(parent)+1+len(name))
	}
	return p, true
}

// publishedWire: rawPredict passes the publisher's own bodies through. Token
// counting is a model of its own name there, with the real one in the body.
func publishedWire(publisher, model string) accounts.Wire {
	switch {
	case publisher != "anthropic":
		return accounts.WireNone
	case model == "count-tokens":
		return accounts.WireAnthropicCountTokens
	}
	return accounts.WireAnthropicMessages
}

// isGoogleVerb knows the verbs by name: llama3:latest and openai/gpt-5:free
// are models without one.
func isGoogleVerb(verb string) bool {
	switch verb {
	case "generateContent", "streamGenerateContent", "batchGenerateContent",
		"countTokens", "computeTokens",
		"embedContent", "batchEmbedContents", "asyncBatchEmbedContent",
		"predict", "predictLongRunning", "fetchPredictOperation":
		return true
	}
	return false
}

// cutVerb cuts at the last colon, which Google takes escaped as well.
func cutVerb(segment string) (name, verb string) {
	plain, escaped := strings.LastIndexByte(segment, ':'), strings.LastIndex(segment, "%3A")
	switch {
	case plain > escaped:
		return segment[:plain], segment[plain+1:]
	case escaped >= 0:
		return segment[:escaped], segment[escaped+len("%3A"):]
	}
	return segment, ""
}

// setModel decodes the model in path[start:end]. One that cannot be read is
// not known, but the format is.
func (p *PathRead) setModel(path string, start, end int) {
	model, err := url.PathUnescape(path[start:end])
	if err != nil || end-start > maxModelBytes || !utf8.ValidString(model) {
		return
	}
	p.Model, p.HasModel = model, true
	p.modelStart, p.modelEnd = start, end
}

// cutLast cuts the last segment off; the slash before it belongs to neither.
func cutLast(path string) (before, last string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// hasSegments says whether the segments stand anywhere in path.
func hasSegments(path, segments string) bool {
	for {
		_, rest, ok := strings.Cut(path, segments)
		if !ok {
			return false
		}
		if rest == "" || rest[0] == '/' {
			return true
		}
		path = rest
	}
}
