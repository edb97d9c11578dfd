package tui

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

func bindingsKeys() []Action {
	return []Action{
		{Name: "bindings.explain", Scope: "bindings", Keys: []string{"enter", "right", "l", "x"}, Short: "who wins", Long: "where a request of a caller would go, by which binding, and why"},
		{Name: "bindings.create", Scope: "bindings", Keys: []string{"n"}, Short: "new", Long: "bind a key, a user or a tag to an upstream", Changes: true},
		{Name: "bindings.down", Scope: "bindings", Keys: []string{"J", "alt+down"}, Short: "down", Long: "try it later among those of its caller", Changes: true},
		{Name: "bindings.up", Scope: "bindings", Keys: []string{"K", "alt+up"}, Short: "up", Long: "try it earlier among those of its caller", Changes: true},
		{Name: "bindings.place", Scope: "bindings", Keys: []string{"e"}, Short: "order", Long: "write its order: the lowest is tried first, the same shares by weight", Changes: true},
		{Name: "bindings.delete", Scope: "bindings", Keys: []string{"ctrl+d"}, Short: "delete", Long: "remove the binding; asks first", Changes: true},
	}
}

// bindingsScreen shows which upstreams callers are bound to.
type bindingsScreen struct {
	list[api.Binding]

	grouped []api.Binding      // the book's, by caller, in the order in which they are tried
	weights map[boundPeers]int // what those of one caller and order weigh together
	matrix  matrix
	ofBook  time.Time // which state of the book those are of
	movedAt time.Time // the state of the book in which a binding was moved last
}

// boundPeers are the bindings of one caller that have the same order.
type boundPeers struct {
	caller string
	order  int
}

func newBindings(d *desk) *bindingsScreen {
	s := &bindingsScreen{}
	s.list = list[api.Binding]{
		desk: d, heading: "Bindings", word: "binding", aside: 120, load: s.byCaller,
		empty: emptiness{"No bindings yet. One says where a caller's requests go that no rule sends anywhere.", d.look.key.Render("n") + " makes one, or: llmgw bindings create --key ci-bot --upstream openai"},
	}
	s.detail = s.drawMatrix
	s.table = table[api.Binding]{look: d.look, columns: s.columns(), id: func(b *api.Binding) string { return b.ID }, field: bindingField}
	return s
}

func (s *bindingsScreen) columns() []column[api.Binding] {
	return []column[api.Binding]{
		{title: "CALLER", text: func(b *api.Binding) string { return clean(boundCaller(b)) }, grow: true, least: 12, order: compareCallers},
		{title: "UPSTREAM", text: func(b *api.Binding) string { return clean(boundPlace(b)) }, most: 28, order: func(a, b *api.Binding) int { return cmp.Compare(boundPlace(a), boundPlace(b)) }},
		{title: "ORDER", text: func(b *api.Binding) string { return strconv.Itoa(b.Order) }, right: true, order: func(a, b *api.Binding) int { return cmp.Compare(a.Order, b.Order) }},
		{title: "WEIGHT", text: func(b *api.Binding) string { return strconv.Itoa(b.Weight) }, right: true, rank: 2},
		{title: "SHARE", text: s.shareOf, right: true, rank: 3},
		{title: "MODELS", text: func(b *api.Binding) string { return or(clean(strings.Join(b.Models, ",")), "all") }, most: 24, rank: 1},
		{title: "MADE", text: func(b *api.Binding) string { return ago(s.now(), b.CreatedAt) }, rank: 4},
	}
}

// boundCaller says whose a binding is: key ci-bot, user dana, tag env=ci.
func boundCaller(b *api.Binding) string {
	switch {
	case b.Key != "":
		return "key " + b.Key
	case b.User != "":
		return "user " + b.User
	}
	return "tag " + b.Tag
}

// boundPlace is where a binding leads: openai-eu, or openai-eu/batch.
func boundPlace(b *api.Binding) string {
	if b.Credential == "" {
		return b.Upstream
	}
	return b.Upstream + "/" + b.Credential
}

// compareCallers puts keys before users and these before tags, as they are asked.
func compareCallers(a, b *api.Binding) int {
	return cmp.Or(cmp.Compare(levelOf(a), levelOf(b)), cmp.Compare(boundCaller(a), boundCaller(b)))
}

// levelOf is when bindings of its kind are asked: those of keys first.
func levelOf(b *api.Binding) int {
	switch {
	case b.Key != "":
		return 0
	case b.User != "":
		return 1
	}
	return 2
}

// compareBindings puts bindings by caller, and those of one in the order in which
// they are tried.
func compareBindings(a, b api.Binding) int {
	return cmp.Or(compareCallers(&a, &b), cmp.Compare(a.Order, b.Order), cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.ID, b.ID))
}

// byCaller gives the bindings as they are shown. They are sorted when others came.
func (s *bindingsScreen) byCaller() ([]api.Binding, bookState) {
	book := &s.books.bindings
	if s.ofBook != book.at || !book.there() {
		s.grouped = slices.SortedStableFunc(slices.Values(book.value), compareBindings)
		s.weights, s.matrix, s.ofBook = weightsOf(s.grouped), newMatrix(s.grouped), book.at
	}
	return s.grouped, book.state()
}

func weightsOf(bindings []api.Binding) map[boundPeers]int {
	all := map[boundPeers]int{}
	for i := range bindings {
		b := &bindings[i]
		all[boundPeers{boundCaller(b), b.Order}] += b.Weight
	}
	return all
}

// shareOf is a binding's part of its caller's requests, while all of the same
// order can be used.
func (s *bindingsScreen) shareOf(b *api.Binding) string {
	whole := s.weights[boundPeers{boundCaller(b), b.Order}]
	if whole <= 0 {
		return unknown
	}
	return boundShare(float64(b.Weight) / float64(whole))
}

func boundShare(share float64) string { return fmt.Sprintf("%.0f%%", math.Round(100*share)) }

// bindingField is what a filter looks at.
func bindingField(b *api.Binding, name string) (string, bool) {
	switch name {
	case "key":
		return b.Key, b.Key != ""
	case "user":
		return b.User, b.User != ""
	case "tag":
		return b.Tag, b.Tag != ""
	case "caller":
		return boundCaller(b), true
	case "upstream":
		return b.Upstream, true
	case "credential":
		return b.Credential, true
	case "order":
		return strconv.Itoa(b.Order), true
	case "weight":
		return strconv.Itoa(b.Weight), true
	}
	return "", false
}

func (s *bindingsScreen) name() string     { return "bindings" }
func (s *bindingsScreen) title() string    { return "Bindings" }
func (s *bindingsScreen) scopes() []string { return []string{"bindings", inLists} }
func (s *bindingsScreen) hear(api.Event)   {}

func (s *bindingsScreen) needs() []need {
	return []need{{book: bookBindings}, {book: bookUpstreams}, {book: bookKeys}, {book: bookUsers}}
}

func (s *bindingsScreen) can(action string) bool {
	switch action {
	case "bindings.create", "bindings.explain":
		return true
	}
	return s.list.can(action)
}

func (s *bindingsScreen) do(action string) tea.Cmd {
	if cmd, ok := s.doList(action); ok {
		return cmd
	}
	row := s.row()
	switch action {
	case "bindings.explain":
		s.open(s.explainForm(row))
		return nil
	case "bindings.create":
		s.open(s.newBindingForm(row))
		return nil
	}
	if row == nil {
		return nil
	}
	switch action {
	case "bindings.down":
		return s.moveBy(*row, 1)
	case "bindings.up":
		return s.moveBy(*row, -1)
	case "bindings.place":
		s.open(s.placeForm(*row))
	case "bindings.delete":
		s.open(s.askDelete(s.table.chosen()))
	}
	return nil
}

func (s *bindingsScreen) update(msg tea.Msg) tea.Cmd { return s.write(msg) }

// find puts the cursor on a binding by its ID, or on the first of a caller.
func (s *bindingsScreen) find(name string) bool {
	s.sync()
	for i := range s.grouped {
		b := &s.grouped[i]
		if slices.Contains([]string{b.ID, b.Key, b.User, b.Tag, boundCaller(b)}, name) {
			return s.table.goTo(b.ID)
		}
	}
	return false
}
