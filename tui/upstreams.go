package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func upstreamsKeys() []Action { return nil }

type upstreamsScreen struct{ *desk }

func newUpstreams(d *desk) *upstreamsScreen { return &upstreamsScreen{d} }

func (s *upstreamsScreen) name() string           { return "upstreams" }
func (s *upstreamsScreen) title() string          { return "Upstreams" }
func (s *upstreamsScreen) needs() []need          { return nil }
func (s *upstreamsScreen) scopes() []string       { return []string{"upstreams"} }
func (s *upstreamsScreen) can(string) bool        { return true }
func (s *upstreamsScreen) do(string) tea.Cmd      { return nil }
func (s *upstreamsScreen) hear(api.Event)         {}
func (s *upstreamsScreen) update(tea.Msg) tea.Cmd { return nil }
func (s *upstreamsScreen) writes() bool           { return false }
func (s *upstreamsScreen) back() bool             { return false }
func (s *upstreamsScreen) draw(w, h int) string   { return "" }
