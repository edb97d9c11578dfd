package tui

import (
	"bytes"
	"strings"
	"testing"

	"github.com/llmgw/llmgw/admin/api"
)

func TestAFilterTakesWhatAllItsWordsSay(t *testing.T) {
	row := map[string]string{"status": "502", "model": "claude-opus-5", "key": "ci-bot", "ttft": "2500", "url": "https://a/b", "note": ""}
	field := func(name string) (string, bool) { value, ok := row[name]; return value, ok }
	texts := func() []string { return []string{"502", "claude-opus-5", "CI-Bot"} }
	for text, want := range map[string]bool{
		"": true, "opus": true, "OPUS ci-": true, "opus sonnet": false, "-opus": false, "-sonnet": true, "-": true,
		"status>=500": true, "status>502": false, "status<=502": true, "status<502": false, "status=502": true, "status:502": true, "status!=502": false, "-status=502": false, "status:5*": true,
		"model:claude-*": true, "model:gpt-*": false, "-model:gpt-*": true, "model:claude-opus-5 -key:ci*": false, "model!=gpt-5": true, "model:*opus*": true, "model:*-6": false,
		"ttft>2s": true, "ttft>2600ms": false, "ttft<3s": true, "url:https*": true, "nothing:x": false, "-nothing:x": true, "model>5": false,
	} {
		f, err := parseFilter(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := f.takes(field, texts); got != want {
			t.Errorf("%q takes it: %v", text, got)
		}
	}
	for text, want := range map[string]string{"status>=": "status>=: what for?", "status>high": `status>high: "high" is no number and no time`, "model:[a": "model:[a: missing ]"} {
		if _, err := parseFilter(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, and not %s", text, err, want)
		}
	}
}

func TestAFilterIsWrittenAndTakenBack(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5", "/")
		s.write("state:active user:lee")
		s.sees("filter: state:active user:lee", "1 of 4", "web-prod")
		s.seesNot("ci-bot", "old-laptop")
		s.press("enter", "t") // a key again, and no letter
		s.sees("1h ▾", "1 of 4")
		s.press("esc")
		s.sees("ci-bot", "of 4")
		s.press("/")
		s.write("state>")
		s.sees("✕ state>: what for?")
		s.press("esc")
		s.seesNot("what for?", "filter:")
		s.press("/")
		s.write("zebra")
		s.sees("0 of 4 match. esc clears the filter")
	})
}

func TestACursorStaysOnItsRowWhileRowsComeAndGo(t *testing.T) {
	play(t, 100, 30, nil, func(s *stage) {
		s.press("5", "down", "down", "v", "up")
		s.sees("1 key marked", "▸web-prod")
		s.fake.answer("GET /keys", listOf(append([]api.Key{{Name: "a-new-one", State: "active"}}, sampleKeys()...)...))
		s.press("r")
		s.sees("▸web-prod", "4 of 5", "1 key marked")
		s.press("s")
		s.sees("NAME ▴", "▸web-prod")
		s.press("S")
		s.sees("NAME ▾", "▸web-prod")
		s.fake.answer("GET /keys", listOf(sampleKeys()[:1]...))
		s.press("r")
		s.sees("▸ci-bot", "1 of 1")
	})
}

func TestColumnsThatHaveNoRoomLeaveNoTrace(t *testing.T) {
	for _, w := range []int{60, 66, 72, 80} {
		play(t, w, 16, nil, func(s *stage) {
			s.press("5")
			for line := range strings.SplitSeq(s.text(), "\n") {
				if strings.HasPrefix(line, "│") && strings.HasSuffix(line, "…│") {
					t.Errorf("%d wide: %s", w, line)
				}
			}
		})
	}
}

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
