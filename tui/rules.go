package tui

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"github.com/llmgw/llmgw/admin/api"
)

func rulesKeys() []Action {
	return []Action{
		{Name: "rules.edit", Scope: "rules", Keys: []string{"e"}, Short: "edit", Long: "change the rule in your editor; what would change is shown before it does", Changes: true},
		{Name: "rules.create", Scope: "rules", Keys: []string{"n"}, Short: "new", Long: "write a new rule in your editor; it goes behind this one", Changes: true},
		{Name: "rules.create-before", Scope: "rules", Keys: []string{"N"}, Short: "new before", Long: "write a new rule in your editor; it goes before this one", Changes: true, Quiet: true},
		{Name: "rules.switch", Scope: "rules", Keys: []string{" "}, Short: "on/off", Long: "take the rule out of force, or put it in force again", Changes: true},
		{Name: "rules.down", Scope: "rules", Keys: []string{"J", "alt+down"}, Short: "move down", Long: "move the rule down within its set; nothing is sent before ctrl+s", Changes: true},
		{Name: "rules.up", Scope: "rules", Keys: []string{"K", "alt+up"}, Short: "move up", Long: "move the rule up within its set; nothing is sent before ctrl+s", Changes: true, Quiet: true},
		{Name: "rules.explain", Scope: "rules", Keys: []string{"x"}, Short: "explain", Long: "which rule takes a request, and why the others do not"},
		{Name: "rules.history", Scope: "rules", Keys: []string{"H"}, Short: "history", Long: "who changed the rules, when and why; and the way back"},
		{Name: "rules.delete", Scope: "rules", Keys: []string{"ctrl+d"}, Short: "delete", Long: "remove the rule; asks first", Changes: true},
		{Name: "rules.order-apply", Scope: "rules.order", Keys: []string{"ctrl+s"}, Short: "apply order", Long: "give the rules the order that is shown", Changes: true},
		{Name: "rules.order-discard", Scope: "rules.order", Keys: []string{"esc"}, Short: "discard order", Long: "show the rules in the order that the gateway has them in"},
		{Name: "rules.only", Scope: "rules.history", Keys: []string{"H"}, Short: "this rule only", Long: "what changed the rule that was under the cursor, or everything"},
		{Name: "rules.rollback", Scope: "rules.history", Keys: []string{"b"}, Short: "roll back", Long: "the rules of that revision again, as a new one; shows what that changes and asks", Changes: true},
	}
}

// ruleStep is how something goes on that has been elsewhere: a call, an editor.
type ruleStep struct{ next func() tea.Cmd }

// rulesScreen shows the rules in the order in which they are tried.
type rulesScreen struct {
	list[api.Rule]
	scroll  int      // of the rule that fills the screen
	order   *order   // changed here and not sent; nil: none is
	draft   *draft   // a rule that is being written; nil: none is
	history *history // shown in place of the rules; nil: it is not
}

func newRules(d *desk) *rulesScreen {
	s := &rulesScreen{}
	s.list = list[api.Rule]{
		desk: d, heading: "Rules", word: "rule", aside: 110,
		empty: emptiness{"No rules yet. A rule says where the requests go that look like it.", d.look.key.Render("n") + " creates one, or: llmgw rules apply -f examples/basic.yaml"},
		load:  s.rows,
	}
	s.detail = s.drawRule
	s.table = table[api.Rule]{look: d.look, columns: s.columns(), id: func(r *api.Rule) string { return r.Name }, field: ruleField}
	return s
}

// rows are the rules as the gateway has them, or in the order that was made here.
func (s *rulesScreen) rows() ([]api.Rule, bookState) {
	rows := s.books.rules.value.Items
	if s.order != nil {
		rows = s.order.arranged(rows)
	}
	return rows, s.books.rules.state()
}

func (s *rulesScreen) columns() []column[api.Rule] {
	return []column[api.Rule]{
		{title: "#", text: s.position, right: true},
		{title: "NAME", text: func(r *api.Rule) string { return clean(r.Name) }, least: 6, most: 24, order: func(a, b *api.Rule) int { return cmp.Compare(a.Name, b.Name) }},
		{title: "ON", text: s.sign, style: s.signStyle, order: func(a, b *api.Rule) int { return cmp.Compare(s.sign(a), s.sign(b)) }},
		{title: "MATCH", text: func(r *api.Rule) string { return matchText(r.Match) }, grow: true, least: 14},
		{title: s.look.arrow + " ACTION", text: func(r *api.Rule) string { return s.look.ruleAction(r) }, grow: true, least: 14, most: 44, rank: 1},
		{title: "REQ/MIN", text: func(r *api.Rule) string { return s.perMinute("rule", r.Name) }, right: true, rank: 2, flip: true, order: func(a, b *api.Rule) int { return cmp.Compare(s.count(a), s.count(b)) }},
	}
}

// position is where the rule stands, with a sign where it was moved here.
func (s *rulesScreen) position(r *api.Rule) string {
	text := strconv.Itoa(r.Position)
	switch was := s.order.was(r.Name); {
	case was == 0 || was == r.Position:
		return text
	case was < r.Position:
		return s.look.down + text
	}
	return s.look.up + text
}

func (s *rulesScreen) sign(r *api.Rule) string {
	if r.Enabled {
		return s.look.on
	}
	return s.look.off
}

func (s *rulesScreen) signStyle(r *api.Rule) lipgloss.Style {
	if r.Enabled {
		return s.look.good
	}
	return s.look.dim
}

func (s *rulesScreen) count(r *api.Rule) int64 {
	if share := s.share("rule", r.Name); share != nil {
		return share.Requests
	}
	return 0
}

// ruleField is what a filter looks at.
func ruleField(r *api.Rule, name string) (string, bool) {
	switch name {
	case "rule", "name":
		return r.Name, true
	case "set":
		return r.Set, true
	case "state":
		if r.Enabled {
			return "on", true
		}
		return "off", true
	case "match":
		return matchText(r.Match), true
	case "model", "path", "key", "user", "host", "method":
		value, known := r.Match[name]
		return api.ValueText(value), known
	case "upstream":
		return r.Destination(), true
	}
	return "", false
}

func (s *rulesScreen) name() string   { return "rules" }
func (s *rulesScreen) title() string  { return "Rules" }
func (s *rulesScreen) hear(api.Event) {}

func (s *rulesScreen) scopes() []string {
	switch {
	case s.history != nil:
		return []string{"rules.history", inLists}
	case s.order != nil:
		return []string{"rules.order", "rules", inLists}
	}
	return []string{"rules", inLists}
}

func (s *rulesScreen) needs() []need {
	return []need{{book: bookRules}, {book: bookHistory}, s.figures(len(s.books.rules.value.Items), "rule")}
}

func (s *rulesScreen) can(action string) bool {
	if s.history != nil {
		return s.history.can(action)
	}
	switch action {
	case "rules.create", "rules.create-before", "rules.explain", "rules.history":
		return true
	case "rules.order-apply", "rules.order-discard":
		return s.order != nil
	}
	return s.list.can(action)
}

func (s *rulesScreen) do(action string) tea.Cmd {
	if s.history != nil {
		return s.history.do(action)
	}
	if s.opened && s.turn(action) {
		return nil
	}
	if cmd, ok := s.doList(action); ok {
		s.scroll = 0
		return cmd
	}
	switch action {
	case "rules.create":
		return s.create(false)
	case "rules.create-before":
		return s.create(true)
	case "rules.explain":
		return s.explain(requestLike(s.row()))
	case "rules.history":
		s.showHistory()
	case "rules.order-apply":
		return s.applyOrder()
	case "rules.order-discard":
		s.discardOrder()
	default:
		return s.doRow(action, s.row())
	}
	return nil
}

// doRow does what concerns the rule under the cursor, or those that are marked.
func (s *rulesScreen) doRow(action string, row *api.Rule) tea.Cmd {
	if row == nil {
		return nil
	}
	switch action {
	case "rules.edit":
		return s.edit(row)
	case "rules.switch":
		return s.switchRules(s.table.chosen())
	case "rules.delete":
		s.open(s.askDelete(s.table.chosen()))
	case "rules.down":
		s.shift(row, 1)
	case "rules.up":
		s.shift(row, -1)
	}
	return nil
}

func (s *rulesScreen) update(msg tea.Msg) tea.Cmd {
	switch m := msg.(type) {
	case loaded:
		s.reconcile()
	case ruleStep:
		return m.next()
	case tea.KeyMsg:
		if s.history != nil {
			return s.history.write(m)
		}
		return s.write(m)
	}
	return nil
}

func (s *rulesScreen) writes() bool {
	return s.list.writes() || s.history != nil && s.history.writes()
}

// back closes what is open. An order that was changed is not thrown away by it:
// esc does that, which is an action of its own while there is one.
func (s *rulesScreen) back() bool {
	if s.history != nil {
		if !s.history.back() {
			s.history = nil
		}
		return true
	}
	return s.list.back()
}

// unsaved says what would be lost by leaving.
func (s *rulesScreen) unsaved() string {
	var all []string
	if s.order != nil {
		all = append(all, "The order of "+plural(len(s.order.moves()), "rule")+" was changed here and is not applied.")
	}
	if s.draft.open() && s.draft.written() {
		all = append(all, "What was written of "+s.draft.title()+" is not applied. It is kept in "+clean(s.draft.path))
	}
	return strings.Join(all, " ")
}

func (s *rulesScreen) draw(w, h int) string {
	if s.history != nil {
		return s.history.draw(w, h)
	}
	s.heading = s.headline()
	return s.list.draw(w, h)
}

// headline is what stands over the rules: how many are in force, or that their
// order was changed.
func (s *rulesScreen) headline() string {
	if s.order != nil {
		return s.order.headline(s.look)
	}
	if !s.books.rules.there() {
		return "Rules"
	}
	on := 0
	for i := range s.books.rules.value.Items {
		if s.books.rules.value.Items[i].Enabled {
			on++
		}
	}
	return fmt.Sprintf("Rules [%d/%d] rev %d", on, len(s.books.rules.value.Items), s.books.rules.value.Revision)
}
