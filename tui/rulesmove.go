package tui

import (
	"context"
	"errors"
	"fmt"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// shift moves a rule by one place in what is shown. Nothing is sent.
func (s *rulesScreen) shift(r *api.Rule, by int) {
	if s.table.sorted > 0 || s.table.filter.on() {
		s.complain("rules are moved where all of them are shown in their own order: esc clears a filter, s goes on to no sorting")
		return
	}
	if s.order == nil {
		s.order = newOrder(s.books.rules.value.Items, s.books.rules.value.Revision)
	}
	if why := s.order.shift(r.Name, by); why != "" {
		s.complain(why)
	}
	s.showOrder()
}

// showOrder puts the rows where the order has them. An order that changes nothing
// is none.
func (s *rulesScreen) showOrder() {
	if s.order != nil && len(s.order.moves()) == 0 {
		s.order = nil
	}
	rows, _ := s.rows()
	s.table.set(rows)
}

// discardOrder throws the order away, after what is open in front of it.
func (s *rulesScreen) discardOrder() {
	if s.list.back() || s.order == nil || s.order.sending {
		return
	}
	s.order = nil
	s.showOrder()
	s.say("the order is as the gateway has it")
}

// applyOrder sends the moves one after the other, each on top of the one before,
// and stops at the first that is refused.
func (s *rulesScreen) applyOrder() tea.Cmd {
	if s.order == nil || s.order.sending {
		return nil
	}
	if s.order.revision < s.books.rules.value.Revision {
		s.askOrder()
		return nil
	}
	sent := &sentOrder{screen: s, order: s.order, moves: s.order.moves(), revision: s.order.revision}
	s.order.sending = true
	return s.change(change{books: ruleBooks(), call: sent.call, then: sent.then, fails: sent.fails})
}

// sentOrder is an order on its way. What call finds out is read when it has ended.
type sentOrder struct {
	screen   *rulesScreen
	order    *order
	moves    []move
	tried    int
	done     int
	revision int64 // after what was done
}

func (o *sentOrder) call(ctx context.Context, c *api.Client) (string, error) {
	for _, m := range o.moves {
		o.tried++
		revision := o.revision
		plan, err := c.MoveRule(ctx, m.name, api.MoveRule{Before: m.before, After: m.after, IfRevision: &revision})
		if err != nil {
			return "", err
		}
		o.done, o.revision = o.done+1, plan.Revision
	}
	return fmt.Sprintf("order applied: %s moved, revision %d", plural(o.done, "rule"), o.revision), nil
}

// log keeps the command of every move that was tried.
func (o *sentOrder) log(err error) {
	d := o.screen.desk
	for i := range o.tried {
		entry := d.log.add(d.now(), d.twin(o.moves[i].twin()))
		if i < o.done {
			entry.end(nil)
		} else {
			entry.end(err)
		}
	}
}

func (m *move) twin() []string {
	if m.before != "" {
		return []string{"rules", "move", m.name, "--before", m.before}
	}
	return []string{"rules", "move", m.name, "--after", m.after}
}

func (o *sentOrder) then(said string) tea.Cmd {
	o.log(nil)
	o.screen.order = nil // the rows stay where they are until the gateway's come
	o.screen.say(said)
	return nil
}

// fails keeps what is left of the order.
func (o *sentOrder) fails(err error) tea.Cmd {
	o.log(err)
	o.order.sending = false
	o.order.advance(o.moves[:o.done], o.revision)
	text := fmt.Sprintf("%d of %s done, then: %s", o.done, plural(len(o.moves), "move"), reason(err))
	var refusal *api.Error
	if o.tried == 0 || !errors.As(err, &refusal) {
		text = reason(err)
	}
	o.screen.complain(text + ". The order stays here, not applied")
	return nil
}

// advance takes moves as done.
func (o *order) advance(moves []move, revision int64) {
	for _, m := range moves {
		o.base = m.done(o.base)
	}
	for i, name := range o.base {
		o.place[name] = i + 1
	}
	o.revision = revision
	o.count()
}

// reconcile looks, when rules have come, whether they are still those whose order
// was changed here. Where only what they say is another, that is told; where they
// stand otherwise, or are others, somebody is asked.
func (s *rulesScreen) reconcile() {
	o, now := s.order, &s.books.rules.value
	if o == nil || o.sending || now.Revision <= o.revision || o.asked == now.Revision {
		return
	}
	if !o.same(now.Items) {
		s.askOrder()
		return
	}
	o.revision = now.Revision
	if !s.notes.bad {
		s.say(fmt.Sprintf("the rules were changed meanwhile (revision %d); your order is kept, not applied", now.Revision))
	}
}

// askOrder asks what becomes of an order that was made of rules which are others
// now.
func (s *rulesScreen) askOrder() {
	o, now := s.order, &s.books.rules.value
	o.asked = now.Revision
	q := &question{look: s.look, title: "The rules were changed meanwhile", keeps: "Keep mine", lines: []string{
		fmt.Sprintf("You changed the order of revision %d; now it is revision %d.", o.revision, now.Revision), s.changedBy(now.Revision),
		s.look.bold.Render("theirs") + "  " + inOrder(now.Items),
		s.look.bold.Render("yours") + "   " + inOrder(o.arranged(now.Items)), "",
		"Nothing is sent by either answer.",
	}}
	q.cancel = func() tea.Msg { return ruleStep{func() tea.Cmd { s.keepMine(); return nil }} }
	q.answers = []answer{{text: "Take theirs", do: func() tea.Cmd {
		s.order = nil
		s.showOrder()
		s.say("the order is as the gateway has it")
		return nil
	}}}
	s.open(q)
}

// keepMine makes the order one of the rules as they are now.
func (s *rulesScreen) keepMine() {
	if s.order == nil {
		return
	}
	now := &s.books.rules.value
	s.order.mine = arrange(s.order.mine, now.Items)
	s.order.rebase(now.Items, now.Revision)
	s.order.count()
	s.showOrder()
}

// changedBy names who made a revision, where the history says so.
func (s *rulesScreen) changedBy(revision int64) string {
	for i := range s.books.history.value {
		if e := &s.books.history.value[i]; e.Revision == revision {
			return "It was " + clean(e.Actor) + ", " + ago(s.now(), e.Time) + ": " + s.changesText(e.Changes)
		}
	}
	return ""
}

func inOrder(rows []api.Rule) string {
	text := ""
	for i := range rows {
		if i > 0 {
			text += ", "
		}
		text += clean(rows[i].Name)
	}
	return text
}
