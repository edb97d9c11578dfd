package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func bindingsKeys() []Action { return nil }

type bindingsScreen struct{ *desk }

func newBindings(d *desk) *bindingsScreen { return &bindingsScreen{d} }

func (s *bindingsScreen) name() string           { return "bindings" }
func (s *bindingsScreen) title() string          { return "Bindings" }
func (s *bindingsScreen) needs() []need          { return nil }
func (s *bindingsScreen) scopes() []string       { return []string{"bindings"} }
func (s *bindingsScreen) can(string) bool        { return true }
func (s *bindingsScreen) do(string) tea.Cmd      { return nil }
func (s *bindingsScreen) hear(api.Event)         {}
func (s *bindingsScreen) update(tea.Msg) tea.Cmd { return nil }
func (s *bindingsScreen) writes() bool           { return false }
func (s *bindingsScreen) back() bool             { return false }
func (s *bindingsScreen) draw(w, h int) string   { return "" }
