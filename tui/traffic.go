package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func trafficKeys() []Action { return nil }

type trafficScreen struct{ *desk }

func newTraffic(d *desk) *trafficScreen { return &trafficScreen{d} }

func (s *trafficScreen) name() string           { return "traffic" }
func (s *trafficScreen) title() string          { return "Traffic" }
func (s *trafficScreen) needs() []need          { return nil }
func (s *trafficScreen) scopes() []string       { return []string{"traffic"} }
func (s *trafficScreen) can(string) bool        { return true }
func (s *trafficScreen) do(string) tea.Cmd      { return nil }
func (s *trafficScreen) hear(api.Event)         {}
func (s *trafficScreen) update(tea.Msg) tea.Cmd { return nil }
func (s *trafficScreen) writes() bool           { return false }
func (s *trafficScreen) back() bool             { return false }
func (s *trafficScreen) draw(w, h int) string   { return "" }
