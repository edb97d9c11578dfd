package tui

import (
	"context"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// askRevoke asks before keys end for good, and what becomes of their streams.
func (s *keysScreen) askRevoke(keys []api.Key) *question {
	q := &question{look: s.look, title: "Revoke " + plural(len(keys), "key") + "?"}
	for i := range keys {
		q.lines = append(q.lines, s.look.bold.Render(clean(keys[i].Name))+"  last used "+s.since(keys[i].LastUsedAt)+", "+s.requests("key", keys[i].Name))
	}
	q.lines = append(q.lines, "", "New requests are refused at once; streams are cut, unless they are kept. It cannot be undone.")
	names := namesOf(keys)
	q.answers = []answer{
		{text: "Revoke", danger: true, do: func() tea.Cmd { return s.revoke(names, false) }},
		{text: "Keep streams", danger: true, do: func() tea.Cmd { return s.revoke(names, true) }},
	}
	return q
}

func (s *keysScreen) revoke(names []string, keepStreams bool) tea.Cmd {
	twin := append([]string{"keys", "revoke"}, names...)
	if keepStreams {
		twin = append(twin, "--keep-streams")
	}
	s.table.unmark()
	return s.change(change{
		twin: append(twin, "--yes"), books: []book{bookKeys, bookUsers},
		call: func(ctx context.Context, c *api.Client) (string, error) {
			return each("key", names, "revoked", func(name string) error {
				_, err := c.RevokeKey(ctx, name, api.RevokeKey{KeepStreams: keepStreams})
				return err
			})
		},
	})
}

// switchKeys disables keys, or enables them where none of them is. Of several it
// asks before they are refused.
func (s *keysScreen) switchKeys(keys []api.Key) tea.Cmd {
	on := true
	for i := range keys {
		on = on && !keys[i].Enabled
	}
	names := namesOf(keys)
	if on || len(keys) == 1 {
		return s.switchNamed(names, on)
	}
	q := &question{look: s.look, title: "Disable " + plural(len(keys), "key") + "?"}
	for _, name := range names {
		q.lines = append(q.lines, clean(name))
	}
	q.lines = append(q.lines, "", "They are refused until they are enabled.")
	q.answers = []answer{{text: "Disable", danger: true, do: func() tea.Cmd { return s.switchNamed(names, false) }}}
	s.open(q)
	return nil
}

func (s *keysScreen) switchNamed(names []string, on bool) tea.Cmd {
	verb := "disable"
	if on {
		verb = "enable"
	}
	s.table.unmark()
	return s.change(change{
		twin: append([]string{"keys", verb}, names...), books: []book{bookKeys},
		call: func(ctx context.Context, c *api.Client) (string, error) {
			return each("key", names, verb+"d", func(name string) error {
				_, err := c.EditKey(ctx, name, api.EditKey{Enabled: &on})
				return err
			})
		},
	})
}

func namesOf(keys []api.Key) []string {
	names := make([]string, len(keys))
	for i := range keys {
		names[i] = keys[i].Name
	}
	return names
}
