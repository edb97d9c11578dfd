package main

import (
	"os"
	"strings"
	"testing"
)

// TestEveryCommandOfTheConsolesLogIsOne has each do what it does where there is no
// gateway: whatever is wrong with its words, flags and values would be said first.
func TestEveryCommandOfTheConsolesLogIsOne(t *testing.T) {
	text, err := os.ReadFile("../../testdata/twins.txt")
	if err != nil {
		t.Fatal(err)
	}
	ofTheirOwn(t)
	data := shortDir(t)
	tried := 0
	for line := range strings.Lines(string(text)) {
		command, found := strings.CutPrefix(strings.TrimSpace(line), "llmgw ")
		if !found {
			continue
		}
		tried++
		t.Run(command, func(t *testing.T) {
			words, err := shellWords(command)
			if err != nil {
				t.Fatal(err)
			}
			want := exitUnreachable
			if words[0] == "doctor" {
				want = exitFailed // that is what it tells of
			}
			// What is read from stdin is a rule, or a secret.
			if code, _, said := typed("name: correct-horse-battery", append(words, "--data", data, "--color", "never")...); code != want {
				t.Errorf("exit %d, want %d: %s", code, want, said)
			}
		})
	}
	if tried < 40 {
		t.Errorf("%d commands in it", tried)
	}
}
