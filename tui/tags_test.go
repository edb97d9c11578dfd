package tui

import (
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTagsThatAreWrittenIntoAFormAreReadAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[a-z=,\\\\ 研.-]{0,12}`).Filter(func(v string) bool { return strings.TrimSpace(v) == v })
		tags := rapid.MapOf(rapid.StringMatching(`[a-z][a-z0-9-]{0,5}`), value).Draw(t, "tags")
		read, err := tagsIn(tagsText(tags))
		if err != nil || !maps.Equal(read, tags) {
			t.Fatalf("%q became %q: %v, %v", tags, tagsText(tags), read, err)
		}
	})
}

func TestATagWithACommaSurvivesAnEditOfAnother(t *testing.T) {
	keys := sampleKeys()
	keys[0].Tags = map[string]string{"plan": "a,b=c"}
	play(t, 100, 30, func(_ *Options, f *fake) { f.answer("GET /keys", listOf(keys...)) }, func(s *stage) {
		s.press("5", "e", "tab", "tab", "tab", "end")
		s.write(", x=1")
		s.press("ctrl+s")
		s.did(`PATCH /keys/ci-bot {"tags":{"plan":"a,b=c","x":"1"}}`)
		s.logs("llmgw keys edit ci-bot --tag plan=a,b=c --tag x=1 --context prod")
	})
}
