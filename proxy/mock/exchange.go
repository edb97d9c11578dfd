package mock

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Bounds on what a client may make the mock wait for, or hold.
const (
	maxBody    = 64 << 20
	bodyTime   = time.Minute
	writeTime  = 2 * time.Minute  // of one write; moved on every so often
	writeMoves = 10 * time.Second // so often
	stallTime  = 10 * time.Minute // the longest silence of mock-stall
)

// exchange is one request and its answer.
type exchange struct {
	*handler
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	place   place
	number  uint64
	start   time.Time // the request has been read
	model   string
	trait   trait
	timer   *time.Timer
	out     outlet
	left    bool // the client, before it had its answer
}

// body reads the body, within bounds. That a deadline cannot be set (as in a
// test without a connection) leaves the body to the server's own bounds.
func (e *exchange) body() ([]byte, *refusal) {
	if e.r.Body == nil || e.r.Body == http.NoBody {
		return nil, nil
	}
	_ = e.control.SetReadDeadline(time.Now().Add(bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(e.w, e.r.Body, maxBody))
	_ = e.control.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, refuse(http.StatusRequestEntityTooLarge, "Request exceeds the maximum size of %d bytes.", maxBody)
	case err != nil:
		e.gone()
	}
	return body, nil
}

// answer does what the place is for.
func (e *exchange) answer(body []byte) *refusal {
	p := e.place
	if name := p.speaks.requestID(); name != "" {
		e.w.Header().Set(name, makeID("req_", e.number))
	}
	if p.serve == nil || p.wire != "" && !e.speaks(p.wire) {
		return refuse(http.StatusNotFound, "Invalid URL (%s %s)", e.r.Method, brief(e.r.URL.Path, 200))
	}
	if p.method != e.r.Method && !(p.method == http.MethodGet && e.r.Method == http.MethodHead) {
		e.w.Header().Set("Allow", p.method)
		return refuse(http.StatusMethodNotAllowed, "Not allowed to %s on %s, only to %s",
			e.r.Method, brief(e.r.URL.Path, 200), p.method)
	}
	if p.method == http.MethodPost && e.ErrorRate > 0 && rand.Float64() < e.ErrorRate {
		return faultRefusal(http.StatusInternalServerError)
	}
	return p.serve(e, body)
}

// greet answers those who knock at the front door: HEAD / is how clients ask
// whether anybody is there.
func (e *exchange) greet([]byte) *refusal {
	e.trait = trait{}
	e.sendNow("text/plain; charset=utf-8", []byte("llmgw mock: a stand-in for the APIs of OpenAI, Anthropic and Gemini\n"))
	return nil
}

// talk answers a prompt.
func (e *exchange) talk(body []byte) *refusal {
	p := &prompt{model: e.place.model, stream: e.place.stream}
	p.jsonArray = p.stream && e.r.URL.Query().Get("alt") != "sse"
	if refused := e.place.speaks.read(body, p); refused != nil {
		return refused
	}
	if refused := e.take(p.model); refused != nil {
		return refused
	}
	a := compose(p, e.trait.says, e.place.speaks.title(), e.Tokens)
	a.number, a.created = e.number, e.Now().Unix()
	if p.stream {
		e.sendStream(a)
		return nil
	}
	if e.trait.fault == errorEvent {
		return faultRefusal(http.StatusInternalServerError)
	}
	e.sendWhole(encode(e.place.speaks.whole(a)), a.output())
	return nil
}

// take notes the model, and refuses for those that always do.
func (e *exchange) take(model string) *refusal {
	if model == "" {
		return refuse(http.StatusBadRequest, "you must provide a model parameter")
	}
	e.model, e.trait = model, traitOf(model)
	if e.trait.status != 0 {
		return faultRefusal(e.trait.status)
	}
	return nil
}

func faultRefusal(status int) *refusal {
	switch status {
	case http.StatusUnauthorized:
		return refuse(status, "Incorrect API key provided (the mock model was asked to say so).")
	case http.StatusTooManyRequests:
		return refuse(status, "Rate limit reached (the mock model was asked to say so). Please try again in 2s.")
	case statusOverloaded:
		return refuse(status, "Overloaded")
	default:
		return refuse(status, "The server had an error while processing your request (the mock was asked to).")
	}
}

// statusOverloaded is Anthropic's own.
const statusOverloaded = 529

// refuse writes a failure in the shape of the place.
func (e *exchange) refuse(f refusal) {
	body := encode(e.place.speaks.failure(f, makeID("req_", e.number)))
	h := e.w.Header()
	if f.status == http.StatusTooManyRequests {
		h.Set("Retry-After", "2")
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	e.bound()
	e.w.WriteHeader(f.status)
	if !e.write(body) {
		e.gone()
	}
}

// gone notes, once, that the client has left.
func (e *exchange) gone() {
	if !e.left && e.OnGone != nil {
		e.OnGone(e.r)
	}
	e.left = true
}

// finish leaves the connection as the server wants it for the next request: a
// deadline that still stood would strike there.
func (e *exchange) finish() {
	if e.timer != nil {
		e.timer.Stop()
	}
	if !e.out.bounded.IsZero() {
		_ = e.control.SetWriteDeadline(time.Time{})
	}
}
