package tui

import (
	"fmt"
	"strings"
)

// each does something to every one of the names. What fails for one does not hold
// up the others; of several the outcome says how many it was done to.
func each(word string, names []string, done string, do func(name string) error) (said string, err error) {
	var failed []string
	for _, name := range names {
		if err = do(name); err != nil {
			failed = append(failed, clean(name)+": "+reason(err))
		}
	}
	switch {
	case len(names) == 1:
		return word + " " + names[0] + " " + done, err
	case len(failed) > 0:
		return "", fmt.Errorf("%d of %s %s; %s", len(names)-len(failed), plural(len(names), word), done, strings.Join(failed, "; "))
	}
	return plural(len(names), word) + " " + done, nil
}
