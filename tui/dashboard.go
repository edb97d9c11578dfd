package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func dashboardKeys() []Action { return nil }

type dashboardScreen struct{ *desk }

func newDashboard(d *desk) *dashboardScreen { return &dashboardScreen{d} }

func (s *dashboardScreen) name() string           { return "dashboard" }
func (s *dashboardScreen) title() string          { return "Dashboard" }
func (s *dashboardScreen) needs() []need          { return nil }
func (s *dashboardScreen) scopes() []string       { return []string{"dashboard"} }
func (s *dashboardScreen) can(string) bool        { return true }
func (s *dashboardScreen) do(string) tea.Cmd      { return nil }
func (s *dashboardScreen) hear(api.Event)         {}
func (s *dashboardScreen) update(tea.Msg) tea.Cmd { return nil }
func (s *dashboardScreen) writes() bool           { return false }
func (s *dashboardScreen) back() bool             { return false }
func (s *dashboardScreen) draw(w, h int) string   { return "" }
