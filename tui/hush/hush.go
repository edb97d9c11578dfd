// Package hush keeps the terminal from being asked for its colours by commands
// that show no console.
//
// The library that package tui draws with asks while the program starts, whatever
// it was started for: it writes a question to the terminal, waits up to 5 seconds
// for an answer, and takes what was typed meanwhile for one. It does not ask a
// terminal that is called dumb. So:
//
//  1. This package calls it that before the library begins. Packages begin one
//     after another by their import paths, each after those that it imports (the Go
//     specification, section "Package initialization"); this one imports the
//     standard library only, and so comes before the first of the library's own
//     imports whose path is behind it.
//  2. Package tui imports the library, begins after it, and calls Over.
//
// In between nothing of ours runs.
package hush

import "os"

const variable = "TERM"

// before is what the environment said.
var before = quiet()

// said is the value of a variable.
type said struct {
	value string
	set   bool
}

func quiet() said {
	var s said
	s.value, s.set = os.LookupEnv(variable)
	if err := os.Setenv(variable, "dumb"); err != nil {
		return said{} // the library asks, then
	}
	return s
}

// Over gives the terminal its name back, and says whether it had one.
func Over() (named bool) {
	if os.Getenv(variable) != "dumb" {
		return before.set
	}
	var err error
	if before.set {
		err = os.Setenv(variable, before.value)
	} else {
		err = os.Unsetenv(variable)
	}
	return err == nil && before.set
}
