package tui

import (
	"context"
	"errors"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// How often the figures of System are asked for.
const (
	statusEvery = 10 * time.Second
	nodesEvery  = 5 * time.Second
)

func systemKeys() []Action {
	return []Action{
		{Name: "system.doctor", Scope: "system", Keys: []string{"d"}, Short: "doctor", Long: "look at this machine, the configuration, the gateway and its upstreams"},
	}
}

// systemScreen shows the gateway itself: its nodes, store and bus, who changed
// what, the settings in force, and the console's own.
type systemScreen struct {
	*desk
	nodes    list[api.Node]
	audit    list[api.AuditEntry]
	settings list[api.Setting]
	actions  list[Action]
	at       int // the pane that has the keys
	calls    calls
	looking  bool // doctor is
}

// pane is one of the lists, whatever is in it.
type pane interface {
	can(action string) bool
	doList(action string) (tea.Cmd, bool)
	write(tea.Msg) tea.Cmd
	writes() bool
	back() bool
	draw(w, h int) string
	blur(bool)
}

func newSystem(d *desk) *systemScreen {
	return &systemScreen{
		desk: d, nodes: nodesList(d), audit: auditList(d), settings: settingsList(d), actions: actionsList(d), calls: newCalls(d),
	}
}

// The panes, in the order in which tab goes through them.
const (
	paneNodes = iota
	paneAudit
	paneSettings
	paneActions
)

func (s *systemScreen) panes() []pane {
	return []pane{paneNodes: &s.nodes, paneAudit: &s.audit, paneSettings: &s.settings, paneActions: &s.actions}
}

// focused is the pane that has the keys.
func (s *systemScreen) focused() pane { return s.panes()[s.at] }

func (s *systemScreen) name() string     { return "system" }
func (s *systemScreen) title() string    { return "System" }
func (s *systemScreen) scopes() []string { return []string{"system", inLists} }
func (s *systemScreen) hear(api.Event)   {}
func (s *systemScreen) writes() bool     { return s.focused().writes() }
func (s *systemScreen) back() bool       { return s.focused().back() }

func (s *systemScreen) needs() []need {
	s.calls.count(s.desk)
	return []need{{book: bookStatus, every: statusEvery}, {book: bookNodes, every: nodesEvery}, {book: bookAudit}, {book: bookSettings}}
}

func (s *systemScreen) can(action string) bool {
	switch action {
	case "system.doctor":
		return s.options.Doctor != nil
	case "open":
		return s.detailOf() != nil
	}
	return s.focused().can(action)
}

func (s *systemScreen) do(action string) tea.Cmd {
	n := len(s.panes())
	switch action {
	case "next-pane":
		s.at = (s.at + 1) % n
	case "previous-pane":
		s.at = (s.at + n - 1) % n
	case "open":
		if p := s.detailOf(); p != nil {
			s.open(p)
		}
	case "system.doctor":
		return s.examine()
	default:
		cmd, _ := s.focused().doList(action)
		return cmd
	}
	return nil
}

func (s *systemScreen) update(msg tea.Msg) tea.Cmd { return s.focused().write(msg) }

// detailOf is the row under the cursor as a page; nil: there is none.
func (s *systemScreen) detailOf() *page {
	switch s.at {
	case paneNodes:
		if n := s.nodes.row(); n != nil {
			return s.nodePage(n)
		}
	case paneAudit:
		if e := s.audit.row(); e != nil {
			return s.auditPage(e)
		}
	case paneSettings:
		if one := s.settings.row(); one != nil {
			return s.settingPage(one)
		}
	}
	return nil
}

// examine has doctor look, and shows the report. It works where the gateway does
// not answer, too.
func (s *systemScreen) examine() tea.Cmd {
	if s.looking {
		s.complain("doctor is still looking")
		return nil
	}
	s.looking = true
	s.say("doctor looks" + s.look.more)
	var report string
	show := func(err error) {
		s.looking = false
		p := &page{look: s.look, title: "Doctor", foot: "esc closes"}
		if err != nil && report == "" {
			p.lines = []string{s.look.bad.Render(s.look.no + " " + reason(err))}
		}
		for line := range strings.Lines(report) {
			p.lines = append(p.lines, clean(strings.TrimRight(line, "\r\n")))
		}
		s.open(p)
	}
	return s.change(change{
		twin: []string{"doctor"}, only: true,
		call: func(ctx context.Context, _ *api.Client) (_ string, err error) {
			report, err = s.options.Doctor(ctx)
			if report == "" && err == nil {
				err = errors.New("doctor says nothing")
			}
			return "", err
		},
		then:  func(string) tea.Cmd { show(nil); return nil },
		fails: func(err error) tea.Cmd { show(err); return nil },
	})
}
