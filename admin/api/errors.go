package api

// Codes of Error.Code. Each has one exit code of the command line and one HTTP
// status; both tables stand with those who need them.
const (
	CodeInvalid     = "invalid"      // 422: the input has errors, listed in Problems
	CodeUsage       = "usage"        // 400: the request itself is wrong
	CodeDenied      = "denied"       // 401, 403; 429: too many wrong passwords
	CodeNotFound    = "not_found"    // 404
	CodeConflict    = "conflict"     // 409: changed since it was read, or the name exists
	CodeInUse       = "in_use"       // 409: something else names it
	CodeWouldDelete = "would_delete" // 409: apply would delete rules and was not told to
	CodeUnavailable = "unavailable"  // 503: the store cannot be reached, or too many log in at once
	CodeUnreachable = "unreachable"  // no answer at all; made by the client
	CodeInternal    = "internal"     // 500
)

// Error is a refusal, as application/problem+json (RFC 9457) with members of
// our own: code, hint and problems. Of what was sent it repeats names that have
// the form of a name, and what the problems of a rules file quote; nothing else.
type Error struct {
	Type     string    `json:"type,omitempty"`
	Title    string    `json:"title"`
	Status   int       `json:"status"`
	Detail   string    `json:"detail"`
	Code     string    `json:"code"`
	Hint     string    `json:"hint,omitempty"`
	Problems []Problem `json:"problems,omitempty"`
	Cause    error     `json:"-"` // set by the client where there was no answer: context.Canceled, a network error
}

func (e *Error) Error() string { return e.Detail }

func (e *Error) Unwrap() error { return e.Cause }
