package mock

import (
	"net/http"
	"strings"
)

// The names that Options.Wires knows.
const (
	wireOpenAI    = "openai"
	wireResponses = "responses"
	wireAnthropic = "anthropic"
	wireGemini    = "gemini"
)

// place is what a path asks for.
type place struct {
	wire   string  // the name in Options.Wires; "" is always there
	speaks dialect // in whose shapes it is answered, failures too
	method string  // that it is asked with; a GET is a HEAD too
	serve  func(*exchange, []byte) *refusal
	model  string // where the path names it
	stream bool   // where the path says it
}

// locate finds the place of a request by the end of its path. One that nothing
// answers has no serve.
func locate(r *http.Request) place {
	path := strings.TrimSuffix(r.URL.Path, "/")
	if path == "" {
		return place{speaks: chat{}, method: http.MethodGet, serve: (*exchange).greet}
	}
	if strings.HasSuffix(path, "/realtime") {
		return place{wire: wireOpenAI, speaks: chat{}, method: http.MethodGet, serve: (*exchange).talkLive}
	}
	if p, ok := locatePost(path); ok {
		return p
	}
	shapes := shapesOf(r, path)
	if i := strings.LastIndex(path, "/models"); i >= 0 {
		name, of := strings.CutPrefix(path[i+len("/models"):], "/")
		if action, found := locateAction(name); of && found {
			return action
		}
		if of == (name != "") {
			return place{wire: shapes.wire, speaks: shapes.speaks, method: http.MethodGet,
				serve: (*exchange).models, model: name}
		}
	}
	return shapes
}

func locatePost(path string) (place, bool) {
	p := place{method: http.MethodPost}
	switch {
	case strings.HasSuffix(path, "/chat/completions"):
		p.wire, p.speaks, p.serve = wireOpenAI, chat{}, (*exchange).talk
	case strings.HasSuffix(path, "/responses"):
		p.wire, p.speaks, p.serve = wireResponses, responses{}, (*exchange).talk
	case strings.HasSuffix(path, "/embeddings"):
		p.wire, p.speaks, p.serve = wireOpenAI, chat{}, (*exchange).embed
	case strings.HasSuffix(path, "/messages/count_tokens"):
		p.wire, p.speaks, p.serve = wireAnthropic, messages{}, (*exchange).countMessages
	case strings.HasSuffix(path, "/messages"):
		p.wire, p.speaks, p.serve = wireAnthropic, messages{}, (*exchange).talk
	default:
		return place{}, false
	}
	return p, true
}

// locateAction reads what stands behind /models/ as Gemini has it: MODEL:ACTION.
func locateAction(name string) (place, bool) {
	i := strings.LastIndexByte(name, ':')
	if i < 1 {
		return place{}, false
	}
	p := place{wire: wireGemini, speaks: gemini{}, method: http.MethodPost, model: name[:i]}
	switch name[i+1:] {
	case "generateContent":
		p.serve = (*exchange).talk
	case "streamGenerateContent":
		p.serve, p.stream = (*exchange).talk, true
	case "countTokens":
		p.serve = (*exchange).countContents
	default:
		return place{}, false
	}
	return p, true
}

// shapesOf guesses who is called where the path alone does not tell.
func shapesOf(r *http.Request, path string) place {
	switch {
	case r.Header.Get("Anthropic-Version") != "":
		return place{wire: wireAnthropic, speaks: messages{}}
	case strings.Contains(path, "/v1beta/") || r.Header.Get("X-Goog-Api-Key") != "":
		return place{wire: wireGemini, speaks: gemini{}}
	default:
		return place{speaks: chat{}}
	}
}
