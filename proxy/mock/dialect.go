package mock

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// dialect is one wire format.
type dialect interface {
	// title names it to a reader.
	title() string
	// requestID is the header that carries a request's id, "" for none.
	requestID() string
	// read fills in the prompt from a body.
	read(body []byte, p *prompt) *refusal
	// whole is the body of an answer that is not streamed.
	whole(a *answer) any
	// script writes the events of a streamed answer.
	script(a *answer, s *script)
	// broken writes the event that tells of an error in mid-stream.
	broken(a *answer, s *script)
	// failure is the body of a refusal.
	failure(f refusal, requestID string) any
}

// refusal is a request that gets an error instead of an answer.
type refusal struct {
	status  int
	message string
}

// encode writes JSON as providers do, with <, > and & as they stand. Everything
// it is given is made of strings, numbers and JSON that has been read before:
// an error is a bug here.
func encode(v any) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Errorf("encoding an answer: %w", err))
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// appendQuoted appends text as a JSON string.
func appendQuoted(dst []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(dst, encode(text)...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, text...)
	return append(dst, '"')
}

// hole stands for the text of a token where an event is made once for all of
// them.
const hole = "\x00token\x00"

// around gives what stands before and behind the hole in v.
func around(v any) (head, tail []byte) {
	whole, quoted := encode(v), encode(hole)
	at := bytes.LastIndex(whole, quoted)
	return whole[:at:at], whole[at+len(quoted):]
}

// decode reads a body, and says what is wrong with it in words that name no
// type of ours.
func decode(body []byte, into any) *refusal {
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	var typed *json.UnmarshalTypeError
	if errors.As(err, &typed) && typed.Field != "" {
		return refuse(400, "%s: a JSON %s cannot stand here", typed.Field, strings.Fields(typed.Value)[0])
	}
	var refused *refusal
	if errors.As(err, &refused) {
		return refused
	}
	return refuse(400, "We could not parse the JSON body of your request.")
}

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, message: fmt.Sprintf(format, args...)}
}

// Error lets a refusal come out of encoding/json.
func (f *refusal) Error() string { return f.message }
