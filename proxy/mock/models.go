package mock

import "strings"

// Model is a model name that the mock lists, and what it does.
type Model struct {
	Name  string
	About string
	trait trait
}

// trait is what is out of the ordinary about a model.
type trait struct {
	says   speech
	fault  fault
	status int // refuses with it
}

// speech is what a model's text is about.
type speech uint8

const (
	greets speech = iota
	echoes
	counts
	speaksMultibyte
	speaksAtLength // one token of more than 1 MiB
)

// fault is what goes wrong with an answer.
type fault uint8

const (
	none fault = iota
	slow
	stall
	reset
	truncated
	errorEvent
	splitsRunes
	crlf
	singleBytes
	gzipped
)

// faultAfter is how many tokens go out before a fault that strikes a stream
// under way.
const faultAfter = 5

// Models lists the models that are more than a name, in a fixed order. Every
// other name is answered as "mock" is.
func Models() []Model {
	return []Model{
		{"mock", "says what it got", trait{}},
		{"mock-echo", "repeats the last message of the user's", trait{says: echoes}},
		{"mock-long", "counts up to as many tokens as it may send", trait{says: counts}},
		{"mock-slow", "takes 150 times as long to the first token, at least 100 ms", trait{fault: slow}},
		{"mock-stall", "falls silent after 5 tokens", trait{fault: stall}},
		{"mock-reset", "resets the connection inside an event after 5 tokens", trait{fault: reset}},
		{"mock-truncated", "ends well framed after 5 tokens, without the last events", trait{fault: truncated}},
		{"mock-error-event", "tells of an error in the stream after 5 tokens", trait{fault: errorEvent}},
		{"mock-401", "refuses with 401", trait{status: 401}},
		{"mock-429", "refuses with 429 and Retry-After: 2", trait{status: 429}},
		{"mock-500", "refuses with 500", trait{status: 500}},
		{"mock-529", "refuses with 529, overloaded", trait{status: 529}},
		{"mock-split-utf8", "sends characters of several bytes in two pieces", trait{says: speaksMultibyte, fault: splitsRunes}},
		{"mock-crlf", "ends the lines of a stream with CRLF", trait{fault: crlf}},
		{"mock-bytes", "sends every byte on its own", trait{fault: singleBytes}},
		{"mock-1mb-event", "sends one event of more than 1 MiB, one token by its count", trait{says: speaksAtLength}},
		{"mock-gzip", "sends gzip, asked or not, flushed after each event", trait{fault: gzipped}},
	}
}

func traitOf(model string) trait {
	if !strings.HasPrefix(model, "mock-") {
		return trait{}
	}
	for _, m := range Models() {
		if m.Name == model {
			return m.trait
		}
	}
	return trait{}
}
