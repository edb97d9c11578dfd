package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func systemKeys() []Action { return nil }

type systemScreen struct{ *desk }

func newSystem(d *desk) *systemScreen { return &systemScreen{d} }

func (s *systemScreen) name() string           { return "system" }
func (s *systemScreen) title() string          { return "System" }
func (s *systemScreen) needs() []need          { return nil }
func (s *systemScreen) scopes() []string       { return []string{"system"} }
func (s *systemScreen) can(string) bool        { return true }
func (s *systemScreen) do(string) tea.Cmd      { return nil }
func (s *systemScreen) hear(api.Event)         {}
func (s *systemScreen) update(tea.Msg) tea.Cmd { return nil }
func (s *systemScreen) writes() bool           { return false }
func (s *systemScreen) back() bool             { return false }
func (s *systemScreen) draw(w, h int) string   { return "" }
