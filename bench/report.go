package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

var errMissed = errors.New("an aim was missed")

// report is the figures of one scenario, each with its aim where it has one.
type report struct {
	slack float64 // by how much times may exceed their aims, as a factor, on a machine that does other things
	rows  [][]string
	bad   []error
}

// tell adds a figure without an aim.
func (r *report) tell(what, value string) {
	r.rows = append(r.rows, []string{what, value, noFigure, ""})
}

func (r *report) judge(what, value, aim string, met bool) {
	verdict := "met"
	if !met {
		verdict = "MISSED"
		r.bad = append(r.bad, fmt.Errorf("%w: %s: %s, and the aim is %s", errMissed, what, value, aim))
	}
	r.rows = append(r.rows, []string{what, value, aim, verdict})
}

func (r *report) within(what string, got, aim time.Duration) {
	aim = time.Duration(float64(aim) * r.slack)
	r.judge(what, inMillis(got)+" ms", "≤ "+strconv.FormatInt(aim.Milliseconds(), 10)+" ms", got <= aim)
}

// same is a figure that no machine excuses.
func (r *report) same(what string, got, aim int) {
	r.judge(what, strconv.Itoa(got), strconv.Itoa(aim), got == aim)
}

func (r *report) atMost(what string, got, aim int) {
	r.judge(what, strconv.Itoa(got), "≤ "+strconv.Itoa(aim), got <= aim)
}

func (r *report) atLeast(what string, got, aim int) {
	r.judge(what, strconv.Itoa(got), "≥ "+strconv.Itoa(aim), got >= aim)
}

// about is a ratio that should be 1: what exceeds that may exceed by so much.
func (r *report) about(what string, got, excess float64) {
	aim := 1 + excess*r.slack
	r.judge(what, asRatio(got), fmt.Sprintf("≤ %.2f×", aim), got <= aim)
}

// allWhole says of requests that all were answered with every byte.
func (r *report) allWhole(what string, found *round) {
	r.judge(what, fmt.Sprintf("%d of %d", found.tally[whole], found.all()), "all", found.broken() == 0 && found.all() > 0)
	if found.example != nil {
		r.bad = append(r.bad, fmt.Errorf("%s, for example: %w", what, found.example))
	}
}

// print writes the table, and gives what missed its aim.
func (r *report) print(w io.Writer, scenario string) error {
	t := newTable("", "figure", "aim", "")
	t.rows = append(t.rows, r.rows...)
	if err := t.print(w); err != nil || len(r.bad) == 0 {
		return err
	}
	return fmt.Errorf("%s: %w", scenario, errors.Join(r.bad...))
}
