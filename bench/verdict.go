package main

import (
	"bytes"
	"fmt"
)

// verdict is what became of one answer.
type verdict int

const (
	whole     verdict = iota // every byte, and nothing else
	cut                      // it stopped early, and the connection shows it
	hiddenCut                // it stopped early and ended as if it were complete
	altered                  // bytes differ, or there are more than were sent
	failed                   // no answer, or another status than 200
	verdicts                 // how many there are
)

func (v verdict) String() string {
	return [...]string{"whole", "cut", "cut as if complete", "altered", "failed"}[v]
}

// tally counts answers by what became of them.
type tally [verdicts]int

func (t *tally) add(o tally) {
	for v := range o {
		t[v] += o[v]
	}
}

func (t *tally) all() (n int) {
	for _, of := range t {
		n += of
	}
	return n
}

// broken counts the answers that are not what the upstream sent.
func (t *tally) broken() int { return t.all() - t[whole] }

func (t *tally) problem(who string) error {
	if t.broken() == 0 {
		return nil
	}
	return fmt.Errorf("%s: of %d answers %d cut, %d cut as if complete, %d altered, %d failed",
		who, t.all(), t[cut], t[hiddenCut], t[altered], t[failed])
}

// checker compares the bytes of a body with those that the upstream sent, as
// they come.
type checker struct {
	want  []byte
	seen  int
	wrong bool
}

func (c *checker) Write(b []byte) (int, error) {
	left := c.want[c.seen:]
	if len(b) > len(left) || !bytes.Equal(b, left[:len(b)]) {
		c.wrong = true
	}
	c.seen = min(c.seen+len(b), len(c.want))
	return len(b), nil
}

// judge tells what became of a body that ended: cleanly, or with an error.
func (c *checker) judge(clean bool) verdict {
	switch {
	case c.wrong:
		return altered
	case !clean:
		return cut
	case c.seen < len(c.want):
		return hiddenCut
	}
	return whole
}
