package tui

import (
	"strings"
	"testing"
)

func TestABoxOverWideCharactersLeavesTheLineAsWideAsItWas(t *testing.T) {
	line := strings.Repeat("長", 20)
	for x := range 40 {
		for w := 1; x+w <= 40; w++ {
			got := over(line, strings.Repeat("#", w), x, 0)
			if n := width(got); n != 40 {
				t.Fatalf("%d cells at %d: %d wide, and not 40: %q", w, x, n, got)
			}
			if at := width(got[:strings.Index(got, "#")]); at != x {
				t.Fatalf("%d cells at %d stand at %d: %q", w, x, at, got)
			}
		}
	}
}
