package tui

import (
	"context"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/accounts"
	"github.com/llmgw/llmgw/admin/api"
)

// graces are for how long an old secret can stay valid, as --grace takes them; 0s
// is not at all.
func graces() []string { return []string{"0s", "1h", "24h", "7d", "30d"} }

// usualGrace is what the gateway does itself where nothing is said.
const usualGrace = "24h"

// rotateForm asks how long the secret that a key has stays valid.
func (s *keysScreen) rotateForm(k *api.Key) *form {
	name, own := k.Name, s.isMe(k.User)
	f := &form{
		look: s.look, title: "Rotate " + clean(name),
		intro:  []string{"The key gets a new secret, which is shown once. Last used " + s.since(k.LastUsedAt) + "."},
		fields: []*field{choiceField("grace", "The old one ends after", graces(), usualGrace, "")},
	}
	f.submit = func(f *form) tea.Cmd { return s.rotateKey(name, own, f) }
	return f
}

func (s *keysScreen) rotateKey(name string, own bool, f *form) tea.Cmd {
	grace := f.value("grace")
	wanted := api.RotateKey{Grace: grace}
	if after, err := longTime(grace); err == nil { // 0s is none, and stays as it is
		wanted.Grace = after.String()
	}
	var made api.CreatedKey
	return s.submits(f, change{
		twin: []string{"keys", "rotate", name, "--grace", grace}, books: []book{bookKeys}, own: own,
		call: func(ctx context.Context, c *api.Client) (_ string, err error) {
			made, err = c.RotateKey(ctx, name, wanted)
			return "key " + name + " rotated", err
		},
		then: func(string) tea.Cmd {
			ends := "The old secret is not valid any more."
			if wanted.Grace != "0s" {
				ends = "The old secret stays valid for " + grace + "."
			}
			return s.showOnce(&made, ends)
		},
	})
}

// showOnce shows the secret of a key, and leaves no other copy of it.
func (s *keysScreen) showOnce(made *api.CreatedKey, more ...string) tea.Cmd {
	s.open(&once{desk: s.desk, title: "Key " + clean(made.Name), lines: more, secret: accounts.NewSecret(made.Secret)})
	made.Secret = ""
	return nil
}
