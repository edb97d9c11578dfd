package store

import (
	"errors"
	"fmt"
	"net"

	"github.com/llmgw/llmgw/accounts"
)

// NewerSchemaError says that a newer llmgw has changed the tables.
type NewerSchemaError struct {
	Has   int64  // the schema that the store has
	Knows int64  // the newest one that this program knows
	By    string // this program's version; empty where it was not said
}

func (e *NewerSchemaError) Error() string {
	program := "this llmgw"
	if e.By != "" {
		program += " " + e.By
	}
	return fmt.Sprintf("the store has schema %d, %s knows %d: use a newer llmgw, or restore a backup", e.Has, program, e.Knows)
}

// OlderSchemaError says that the tables are to be brought up to date, and that
// Options.KeepSchema forbids it.
type OlderSchemaError struct {
	Has   int64  // the schema that the store has; 0: none at all
	Wants int64  // the one that this program needs
	By    string // this program's version; empty where it was not said
}

func (e *OlderSchemaError) Error() string {
	program := "this llmgw"
	if e.By != "" {
		program += " " + e.By
	}
	return fmt.Sprintf("the store has schema %d, %s needs %d: run llmgw migrate up", e.Has, program, e.Wants)
}

// ErrNoCopy says that the store is no file that could be copied.
var ErrNoCopy = errors.New("the store is PostgreSQL, which has a backup of its own: pg_dump")

// unavailable marks what a database answers as no answer: whoever asked must
// not take it for "there is no such thing". It keeps nil nil, and leaves a text
// that was not even asked about as it is.
func unavailable(err error) error {
	if err == nil || errors.Is(err, accounts.ErrText) {
		return err
	}
	return fmt.Errorf("%w: %w", accounts.ErrUnavailable, steady(err))
}

// lineError is a network's failure in words that are the same each time. Those of
// package net have this end's port in them, so that whoever logs what is new only
// would log every try.
type lineError struct {
	reason string
	cause  error
}

func (e *lineError) Error() string { return e.reason }
func (e *lineError) Unwrap() error { return e.cause }

// steady gives a network's failure as a lineError, and everything else as it is.
func steady(err error) error {
	var (
		line *net.OpError
		told *lineError
	)
	if !errors.As(err, &line) || errors.As(err, &told) {
		return err
	}
	return &lineError{silence(err), err}
}

func errClosed() error { return fmt.Errorf("%w: it is closed", accounts.ErrUnavailable) }

func notFound(noun, name string) error {
	return fmt.Errorf("%s %q: %w", noun, name, accounts.ErrNotFound)
}

// taken turns the refusal of a constraint into ErrExists, and any other
// failure into ErrUnavailable.
func taken(err error, noun, name string) error {
	if violatesUnique(err) {
		return fmt.Errorf("%s %q: %w", noun, name, accounts.ErrExists)
	}
	return unavailable(err)
}
