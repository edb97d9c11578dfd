package tui

import (
	"context"
	"strconv"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/llmgw/llmgw/admin/api"
)

// boundKinds are what can be bound.
func boundKinds() []string { return []string{"key", "user", "tag"} }

// newBindingForm asks for what a new binding needs: for the caller of a row, where
// there is one.
func (s *bindingsScreen) newBindingForm(row *api.Binding) *form {
	kind, caller := "key", ""
	if row != nil {
		kind, caller, _ = strings.Cut(boundCaller(row), " ")
	}
	f := &form{look: s.look, title: "New binding", fields: []*field{
		choiceField("kind", "Bind a", boundKinds(), kind, ""),
		writtenField("caller", "Called", caller, "its name; of a tag NAME=VALUE"),
		writtenField("upstream", "To upstream", "", s.upstreamNames()),
		writtenField("credential", "Credential", "", "any of the upstream's"),
		writtenField("order", "Order", "", "100; the lowest is tried first"),
		writtenField("weight", "Weight", "", "1; the share among those of one order"),
		writtenField("models", "Models", "", "all; or gpt-5*, !gpt-5-pro"),
	}}
	f.submit = func(f *form) tea.Cmd { return s.createBinding(f) }
	return f
}

func (s *bindingsScreen) upstreamNames() string {
	var names []string
	for i := range s.books.upstreams.value {
		names = append(names, clean(s.books.upstreams.value[i].Name))
	}
	return strings.Join(names, ", ")
}

// boundNumber reads a field that may be empty; false: what it holds is no number.
func boundNumber(f *form, name string) (n *int, ok bool) {
	text := f.value(name)
	if text == "" {
		return nil, true
	}
	value, err := strconv.Atoi(text)
	if err != nil {
		f.problem = clean(text) + " is no number"
		return nil, false
	}
	return &value, true
}

func (s *bindingsScreen) createBinding(f *form) tea.Cmd {
	wanted := api.NewBinding{Upstream: f.value("upstream"), Credential: f.value("credential"), Models: f.words("models")}
	kind, caller := f.value("kind"), f.value("caller")
	switch kind {
	case "key":
		wanted.Key = caller
	case "user":
		wanted.User = caller
	default:
		wanted.Tag = caller
	}
	order, orderOK := boundNumber(f, "order")
	weight, weightOK := boundNumber(f, "weight")
	switch {
	case !orderOK || !weightOK:
		return nil
	case caller == "" || wanted.Upstream == "":
		f.problem = "say whom to bind, and to which upstream"
		return nil
	case strings.Contains(wanted.Upstream, "/"):
		f.problem = "the credential has a line of its own"
		return nil
	}
	to := api.Binding{Upstream: wanted.Upstream, Credential: wanted.Credential}
	twin := []string{"bindings", "create", "--" + kind, caller, "--upstream", boundPlace(&to)}
	if wanted.Order = order; order != nil {
		twin = append(twin, "--order", strconv.Itoa(*order))
	}
	if weight != nil {
		wanted.Weight = *weight
		twin = append(twin, "--weight", strconv.Itoa(*weight))
	}
	if len(wanted.Models) > 0 {
		twin = append(twin, "--models", strings.Join(wanted.Models, ","))
	}
	var made api.Binding
	return s.submits(f, change{
		twin: twin, books: []book{bookBindings},
		call: func(ctx context.Context, c *api.Client) (_ string, err error) {
			made, err = c.CreateBinding(ctx, wanted)
			return kind + " " + caller + " bound to " + boundPlace(&to), err
		},
		then: func(said string) tea.Cmd {
			s.say(said)
			s.table.at = made.ID // the cursor goes there when it comes with the list
			return nil
		},
	})
}

// askDelete asks before bindings are gone.
func (s *bindingsScreen) askDelete(chosen []api.Binding) *question {
	q := &question{look: s.look, title: "Delete " + plural(len(chosen), "binding") + "?"}
	for i := range chosen {
		b := &chosen[i]
		q.lines = append(q.lines, clean(boundCaller(b))+" "+s.look.arrow+" "+s.look.bold.Render(clean(boundPlace(b)))+", order "+strconv.Itoa(b.Order))
	}
	q.lines = append(q.lines, "", "Where no rule and no other binding sends a request of the caller, it is refused.")
	q.answers = []answer{{text: "Delete", danger: true, do: func() tea.Cmd { return s.deleteBindings(chosen) }}}
	return q
}

func (s *bindingsScreen) deleteBindings(chosen []api.Binding) tea.Cmd {
	all := make([]tea.Cmd, 0, len(chosen))
	for i := range chosen {
		b := chosen[i]
		all = append(all, s.change(change{
			twin: []string{"bindings", "delete", b.ID, "--yes"}, books: []book{bookBindings},
			call: func(ctx context.Context, c *api.Client) (string, error) {
				return "binding of " + boundCaller(&b) + " to " + boundPlace(&b) + " deleted", c.If(b.ETag).DeleteBinding(ctx, b.ID)
			},
		}))
	}
	s.table.unmark()
	return tea.Batch(all...)
}
