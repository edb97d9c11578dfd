package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func rulesKeys() []Action { return nil }

type rulesScreen struct{ *desk }

func newRules(d *desk) *rulesScreen { return &rulesScreen{d} }

func (s *rulesScreen) name() string           { return "rules" }
func (s *rulesScreen) title() string          { return "Rules" }
func (s *rulesScreen) needs() []need          { return nil }
func (s *rulesScreen) scopes() []string       { return []string{"rules"} }
func (s *rulesScreen) can(string) bool        { return true }
func (s *rulesScreen) do(string) tea.Cmd      { return nil }
func (s *rulesScreen) hear(api.Event)         {}
func (s *rulesScreen) update(tea.Msg) tea.Cmd { return nil }
func (s *rulesScreen) writes() bool           { return false }
func (s *rulesScreen) back() bool             { return false }
func (s *rulesScreen) draw(w, h int) string   { return "" }
