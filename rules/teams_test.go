package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/llmgw/llmgw/rules"
)

// TestWhoAppliedFirstMakesNoDifference: two teams apply files of their own sets,
// in either order and with changes in between, and the same total order comes of
// it.
func TestWhoAppliedFirstMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := func(set string) []rules.File {
			var text strings.Builder
			fmt.Fprintf(&text, "version: 1\nset: %s\norder: %d\nrules:\n", set, rapid.IntRange(1, 3).Draw(t, set+" order")*100)
			for n := range rapid.IntRange(1, 5).Draw(t, set+" rules") {
				fmt.Fprintf(&text, "  - {name: %s-%d, match: {model: [m%d]}, action: {respond: {status: 400, message: x}}}\n", set, n, n)
			}
			files, problems := rules.Decode(set+".yaml", []byte(text.String()))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			return files
		}
		before := rules.Merge(file("builtin"), file("other"))
		search, chat := file("team-search"), file("team-chat")
		one := order(t, rules.Merge(rules.Merge(before, search), chat))
		other := order(t, rules.Merge(rules.Merge(rules.Merge(before, chat), search), chat))
		if one != other {
			t.Fatalf("search first:\n%s\nchat first:\n%s", one, other)
		}
	})
}

func order(t *rapid.T, files []rules.File) string {
	set, problems := rules.Compile(rules.Config{Files: files})
	if set == nil {
		t.Fatal(problems)
	}
	var all strings.Builder
	for _, listed := range set.All() {
		fmt.Fprintf(&all, "%d %s %s\n", listed.Position, listed.Set, listed.Rule.Name)
	}
	return all.String()
}
