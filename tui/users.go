package tui

import (
	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func usersKeys() []Action { return nil }

type usersScreen struct{ *desk }

func newUsers(d *desk) *usersScreen { return &usersScreen{d} }

func (s *usersScreen) name() string           { return "users" }
func (s *usersScreen) title() string          { return "Users" }
func (s *usersScreen) needs() []need          { return nil }
func (s *usersScreen) scopes() []string       { return []string{"users"} }
func (s *usersScreen) can(string) bool        { return true }
func (s *usersScreen) do(string) tea.Cmd      { return nil }
func (s *usersScreen) hear(api.Event)         {}
func (s *usersScreen) update(tea.Msg) tea.Cmd { return nil }
func (s *usersScreen) writes() bool           { return false }
func (s *usersScreen) back() bool             { return false }
func (s *usersScreen) draw(w, h int) string   { return "" }
