package tui

import (
	"bytes"
	"strings"
	"testing"
)

func TestTheLastColumnThereIsRoomForIsWhole(t *testing.T) {
	text := func(s *string) string { return *s }
	for w := 12; w < 40; w++ {
		b := table[string]{look: newLook(&bytes.Buffer{}, false, true, false), id: text, columns: []column[string]{
			{title: "A", text: text, grow: true}, {title: "B", text: text}, {title: "C", text: text, rank: 1},
		}}
		b.set([]string{"12345678"})
		shown := b.draw(w, 2)
		if n := strings.Count(shown, "12345678"); n != min(3, (w+1)/10) && w >= 19 {
			t.Errorf("%d columns are whole on %d cells:\n%s", n, w, shown)
		}
	}
}
