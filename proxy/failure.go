package proxy

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/llmgw/llmgw/accounts"
)

// failure is an error that the gateway itself makes and a caller sees. Its
// message is one sentence for the developer at the client; it holds no secret,
// no internal address and nobody else's name.
type failure struct {
	status     int
	code       string // x-llmgw-error, and error in the log line
	message    string
	noRetry    bool          // a retry cannot help: x-should-retry: false
	retryAfter time.Duration // Retry-After; 0: none
	end        endReason     // how the exchange ends; "" is rejected
	cause      error         // for the log, never for the caller
}

// because adds what the log should say.
func (f *failure) because(cause error) *failure {
	f.cause = cause
	return f
}

// why is what the log says of it: the cause, or what the caller is told.
func (f *failure) why() string {
	if f.cause != nil {
		return f.cause.Error()
	}
	return f.message
}

func (f *failure) reason() endReason {
	if f.end == "" {
		return endRejected
	}
	return f.end
}

// refuse ends an exchange with a failure. Nobody is told where nobody is left.
func (x *exchange) refuse(f *failure) {
	x.logFailure(f)
	x.tellFailure(f)
}

// tellFailure ends the exchange, and tells the caller why.
func (x *exchange) tellFailure(f *failure) {
	x.record.end(f.reason(), f.code)
	if x.headSent {
		x.broken = true
		return
	}
	if f.end == endClientGone {
		x.record.status = statusClientGone
		x.broken = true
		return
	}
	x.writeFailure(f)
}

// statusClientGone is what the log shows where a client left before it was
// answered, as nginx has it. It is never sent.
const statusClientGone = 499

// writeFailure answers in the shape of the wire format that was called.
func (x *exchange) writeFailure(f *failure) {
	body := errorBody(x.errorWire(), f, x.id)
	x.moveWriteDeadline(time.Now())
	h := x.w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["X-Request-Id"] = []string{x.id}
	h["Request-Id"] = []string{x.id}
	h["X-Llmgw-Error"] = []string{f.code}
	if f.noRetry {
		h["X-Should-Retry"] = []string{"false"}
	}
	if f.retryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(max(1, int(f.retryAfter/time.Second)))}
	}
	if x.unreadBody() {
		h["Connection"] = []string{"close"}
	}
	x.w.WriteHeader(f.status)
	x.headSent, x.record.status = true, f.status
	if x.r.Method == http.MethodHead {
		return
	}
	x.bodies.passed(body)
	n, err := x.w.Write(body)
	x.record.responseBytes = int64(n)
	if err != nil {
		x.record.reason = x.clientLost(err)
	}
}

// unreadBody says whether something of the request's body may still be coming.
// The connection is not used again then: what comes is not a request.
func (x *exchange) unreadBody() bool {
	return x.r.ContentLength != 0 && x.record.bodyRead == 0
}

// errorBody shapes a failure as the provider of a wire format would: clients
// show the message only where they find it.
func errorBody(w accounts.Wire, f *failure, id string) []byte {
	var shape any
	switch {
	case w.IsAnthropic():
		shape = anthropicError{Type: "error", Error: anthropicDetail{anthropicType(f), f.message}, RequestID: id}
	case w.IsGoogle():
		shape = googleError{googleDetail{f.status, f.message, googleStatus(f.status)}}
	case w.IsBedrock():
		shape = bedrockError{f.message}
	default:
		shape = openAIError{openAIDetail{Message: f.message, Type: openAIType(f), Code: f.code}}
	}
	return mustJSON(shape)
}

type (
	openAIError struct {
		Error openAIDetail `json:"error"`
	}
	openAIDetail struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
	}
	anthropicError struct {
		Type      string          `json:"type"`
		Error     anthropicDetail `json:"error"`
		RequestID string          `json:"request_id"`
	}
	anthropicDetail struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	googleError struct {
		Error googleDetail `json:"error"`
	}
	googleDetail struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Status  string `json:"status"`
	}
	bedrockError struct {
		Message string `json:"message"`
	}
)

// openAIType follows https://platform.openai.com/docs/guides/error-codes.
func openAIType(f *failure) string {
	switch {
	case f.status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case f.status >= 500:
		return "server_error"
	}
	return "invalid_request_error"
}

// anthropicType follows https://docs.anthropic.com/en/api/errors.
func anthropicType(f *failure) string {
	switch f.status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusServiceUnavailable, 529:
		return "overloaded_error"
	}
	if f.status >= 500 {
		return "api_error"
	}
	return "invalid_request_error"
}

// googleStatus follows https://cloud.google.com/apis/design/errors.
func googleStatus(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	}
	if status >= 500 {
		return "INTERNAL"
	}
	return "INVALID_ARGUMENT"
}

// clientLost tells how a client was lost on which a write failed.
func (x *exchange) clientLost(err error) endReason {
	x.broken = true
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return endClientStalled
	}
	return endClientGone
}

// isConnectionError says whether an error is that of a socket rather than of
// what came through it.
func isConnectionError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}
