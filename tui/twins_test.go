package tui

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// twinsPath has every form of command that the log tells of. What llmgw makes of
// them is tested beside its commands.
const twinsPath = "../testdata/twins.txt"

// kept fails where the console has logged a command that is not among those of
// testdata/twins.txt, or has a flag that it has not there. play asks for it at the
// end of every test.
func (l *commandLog) kept(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(twinsPath)
	if err != nil {
		t.Fatal(err)
	}
	known := spelledIn(string(text))
	for _, e := range l.entries {
		if !slices.ContainsFunc(known, spelled(e.text).within) {
			t.Errorf("%q is no command of %s", e.text, twinsPath)
		}
	}
}

// spelling is a command without its values, and without what leads to the gateway.
type spelling struct {
	verb  string
	flags []string
}

func (s spelling) within(other spelling) bool {
	return s.verb == other.verb && !slices.ContainsFunc(s.flags, func(flag string) bool { return !slices.Contains(other.flags, flag) })
}

func spelledIn(text string) (all []spelling) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "llmgw ") {
			all = append(all, spelled(strings.TrimSpace(line)))
		}
	}
	return all
}

var (
	quotedWords = regexp.MustCompile(`'[^']*'|\\'`)
	flagOnly    = regexp.MustCompile(`^--?[a-zA-Z][a-z-]*`)
)

func spelled(twin string) (s spelling) {
	words := strings.Fields(quotedWords.ReplaceAllString(twin, "_"))
	verbs := 3 // llmgw NOUN VERB
	if len(words) > 2 && words[2] == "credential" {
		verbs = 4
	}
	if at := slices.Index(words, "--context"); at > 0 {
		words = words[:at] // it comes last
	}
	for i, word := range words {
		flag := flagOnly.FindString(word)
		switch {
		case flag != "":
			s.flags = append(s.flags, flag)
		case i < verbs && len(s.flags) == 0:
			s.verb += word + " "
		}
	}
	return s
}

func TestACommandIsKnownByItsVerbAndItsFlags(t *testing.T) {
	known := spelled(`llmgw upstreams credential set x --credential - --name 'a b'`)
	for twin, want := range map[string]bool{
		`llmgw upstreams credential set 'o'\''neill --grace' --name y`: true,
		`llmgw upstreams credential set x --grace 1h`:                  false,
		`llmgw upstreams credential rotate x --credential -`:           false,
		`llmgw upstreams set x`:                                        false,
	} {
		if spelled(twin).within(known) != want {
			t.Errorf("%s is one of %+v: %v, want %v", twin, known, !want, want)
		}
	}
}
