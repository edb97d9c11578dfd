package tui

import (
	"strings"
	"testing"
)

// firstRow is the first row of the table that has the keys, without its cursor.
func (s *stage) firstRow(heading string) string {
	lines := strings.Split(s.text(), "\n")
	for i, line := range lines[:len(lines)-1] {
		if strings.Contains(line, heading) {
			return strings.TrimLeft(lines[i+1], "│▸ ")
		}
	}
	return ""
}

func TestEveryColumnThatSortsPutsTheRightRowFirst(t *testing.T) {
	for name, c := range map[string]struct {
		way     []string
		heading string
		firsts  []string // after each s
	}{
		"keys":     {[]string{"5"}, "NAME", []string{"ci-bot", "notebook", "ci-bot", "web-prod"}},
		"users":    {[]string{"6"}, "NAME", []string{"ana", "dana", "gone", "dana", "dana"}},
		"nodes":    {[]string{"9"}, "NODE", []string{"a1", "b1", "b1", "b1"}},
		"audit":    {[]string{"9", "tab"}, "WHEN", []string{"5 h ago", "1 h ago"}},
		"settings": {[]string{"9", "tab", "tab"}, "SETTING", []string{"body-limit", "body-limit"}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, 99, 30, nil, func(s *stage) {
				s.press(c.way...)
				for i, want := range c.firsts {
					s.press("s", "g")
					if got := s.firstRow(c.heading); !strings.HasPrefix(got, want) {
						t.Errorf("after %d s the first is %q, and not %s\n%s", i+1, got, want, s.text())
					}
				}
			})
		})
	}
}

func TestEveryFieldOfAFilterIsLookedAt(t *testing.T) {
	for where, c := range map[string]struct {
		way     []string
		all     string
		filters []string // each finds one row
	}{
		"keys":     {[]string{"5"}, "of 4", []string{"name:ci-bot", "key:ci*", "user:ana", "state:revoked", "plan:trial", "tag-plan:trial", "-name:*b* -key:zzz"}},
		"nodes":    {[]string{"9"}, "of 3", []string{"name:a1", "node:b*", "version:0.6.4", "rev<41", "revision=40", "behind>0", "silence>10s", "problem:*sign*"}},
		"audit":    {[]string{"9", "tab"}, "of 2", []string{"who:lee", "actor:dana", "what:key.*", "action:rule.apply", "of:openai", "name:old*", "from:10.0.0.9", "message:more*", "-nothing:x -who:lee"}},
		"settings": {[]string{"9", "tab", "tab"}, "of 4", []string{"name:listen", "setting:store", "value:32mib", "origin:file", "source:*listen", "-nothing:x origin:default"}},
		"key map":  {[]string{"9", "shift+tab"}, " of ", []string{"key:ctrl+z", "action:refresh", "name:refresh", "where:system doctor"}},
	} {
		for _, filter := range c.filters {
			t.Run(where+" "+filter, func(t *testing.T) {
				play(t, 99, 30, nil, func(s *stage) {
					s.press(c.way...)
					s.press("/")
					s.write(filter)
					s.press("enter", "G") // with all rows it would be the last of them
					s.sees("1 " + strings.TrimSpace(c.all))
				})
			})
		}
	}
}
