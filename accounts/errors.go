package accounts

import (
	"errors"
	"fmt"
)

// The kinds of refusal that everybody who stores or reads the gateway's nouns
// must tell apart. Errors wrap one of them with what and which.
var (
	// ErrNotFound: there is no such object.
	ErrNotFound = errors.New("not found")
	// ErrExists: the name is taken.
	ErrExists = errors.New("already exists")
	// ErrInUse: something else names the object.
	ErrInUse = errors.New("in use")
	// ErrChanged: somebody changed it since it was read.
	ErrChanged = errors.New("changed since it was read")
	// ErrText: a text holds a zero byte, or is not UTF-8. No store takes it.
	ErrText = errors.New("text with a zero byte, or not UTF-8")
	// ErrUnavailable: the truth cannot be asked right now. Never a reason to
	// tell a caller that a key is wrong.
	ErrUnavailable = errors.New("store unavailable")
)

// OutcomeError says that a change was sent to the store, and that whether it was
// made is not known: the store did not answer, then or when it was asked. It is
// ErrUnavailable. The change made again under its ID is made once.
type OutcomeError struct {
	Change string // its ID
	Cause  error
}

func (e *OutcomeError) Error() string {
	return fmt.Sprintf("committing, and whether change %s was stored is not known: %v", e.Change, e.Cause)
}

// Unwrap gives the kind of it and the cause.
func (e *OutcomeError) Unwrap() []error { return []error{ErrUnavailable, e.Cause} }
