package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func usageKeys() []Action { return nil }

type usageScreen struct{ *desk }

func newUsage(d *desk) *usageScreen { return &usageScreen{d} }

func (s *usageScreen) name() string           { return "usage" }
func (s *usageScreen) title() string          { return "Usage" }
func (s *usageScreen) needs() []need          { return nil }
func (s *usageScreen) scopes() []string       { return []string{"usage"} }
func (s *usageScreen) can(string) bool        { return true }
func (s *usageScreen) do(string) tea.Cmd      { return nil }
func (s *usageScreen) hear(api.Event)         {}
func (s *usageScreen) update(tea.Msg) tea.Cmd { return nil }
func (s *usageScreen) writes() bool           { return false }
func (s *usageScreen) back() bool             { return false }
func (s *usageScreen) draw(w, h int) string   { return "" }
